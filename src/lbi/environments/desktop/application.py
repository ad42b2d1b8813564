"""A desktop as data: the home folder that every episode begins with, the programs on it, and their manuals.

Read from a TOML file by name or path (format: docs/desktop.md).
"""

from __future__ import annotations

import re
from glob import glob
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lbi.documents.corpus import DocumentSource
from lbi.errors import UserError
from lbi.sandbox.host import program as program_on_host
from lbi.storage.toml import TomlError, parse_toml
from lbi.storage.validation import explain

FOLDER = "desktops"  # of lbi.applications: those that are shipped


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiled)]


class Table(BaseModel):
    """A table of the file: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Program(Table):
    """A program that can be started on the desktop."""

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][\w.-]*$")
    command: tuple[str, ...] = Field(min_length=1)
    """Its command line; the file to open is appended."""
    package: str = ""
    """The system's package that brings it, so that a missing one can be told."""
    opens: tuple[str, ...] = ()
    """Endings of the files that it opens, such as ".ods"."""
    warm: bool = False
    """Start it once as the home folder is made, as its first start takes long."""
    about: str = ""
    """What it is for, in a few words, for the agent."""


class Desktop(Table):
    """The content of the file."""

    name: str = Field(min_length=1)
    home: str = ""
    """Folder, from where the file lies, with what the home folder begins with."""
    settings: dict[str, str] = Field(default_factory=dict)
    """More files of the home folder: {path: text}. ``{home}`` in a text is the folder's path inside."""
    width: int = Field(default=1280, ge=320, le=4096)
    height: int = Field(default=800, ge=240, le=4096)
    start: str = ""
    """What is open as an episode begins: /PROGRAM or /PROGRAM/FILE; empty = nothing."""
    env: dict[str, str] = Field(default_factory=dict)
    etc: tuple[str, ...] = ()
    """Files and folders of the machine's /etc that programs need; copied."""
    show: tuple[str, ...] = ()
    """Other folders that programs need; shown read-only where they exist."""
    ignore: tuple[str, ...] = ()
    """What of the home folder is no state, as patterns of .gitignore: caches, lists of recent files."""
    volatile: tuple[Pattern, ...] = ()
    """What programs write anew whenever they save, as regular expressions: dates, numbers drawn at random."""
    unsaid: tuple[Pattern, ...] = ()
    """What is left out of what an agent is told, as it is another one at each start: times, uses of memory."""
    volatile_members: tuple[str, ...] = ()
    """Parts of documents that are archives which are volatile as a whole, such as "Thumbnails/*"."""
    tools: tuple[str, ...] = ()
    """More packages that are needed, as ``program:package`` or ``/path/of/a/*/file:package``; a name alone is both."""
    program: tuple[Program, ...] = ()
    documents: tuple[DocumentSource, ...] = ()
    """Manuals. A path that does not exist is left out, as it comes with a package."""
    folder: Path = Field(default=Path(), exclude=True)
    """Where the file lies; set as it is read."""

    def find(self, name: str) -> Program | None:
        return next((program for program in self.program if program.name == name), None)

    def opener(self, path: str) -> Program | None:
        """The program that opens files such as this one."""
        return next((program for program in self.program if path.lower().endswith(program.opens or ("/",))), None)

    @property
    def needs(self) -> list[tuple[str, str]]:
        """(program, or path of a file; the system's package that brings it), of all that it needs."""
        tools = [tool.partition(":") for tool in self.tools]
        programs = [(program.command[0], program.package or program.command[0]) for program in self.program]
        return [*programs, *((name, package or name) for name, _, package in tools)]

    def missing(self) -> list[str]:
        """The packages of programs that this machine does not have."""
        return list(dict.fromkeys(package for name, package in self.needs if not _is_there(name)))

    @property
    def manuals(self) -> tuple[DocumentSource, ...]:
        """Those that are there; paths are meant from where the file lies."""
        found = []
        for source in self.documents:
            path = (self.folder / source.path) if source.path else None
            if path is None:
                found.append(source)
            elif path.exists():
                found.append(source.model_copy(update={"path": str(path)}))
        return tuple(found)


def _is_there(name: str) -> bool:
    """A program, or a file by a path that may have ``*``, as folders of libraries are called differently."""
    return bool(glob(name)) if name.startswith("/") else program_on_host(name) is not None


def shipped_desktops() -> tuple[str, ...]:
    folder = resources.files("lbi.applications") / FOLDER
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".toml")))


def load_desktop(name_or_path: str) -> Desktop:
    """A shipped desktop by name, or any file by path. Raises UserError."""
    if name_or_path in shipped_desktops():
        path = Path(str(resources.files("lbi.applications") / FOLDER / f"{name_or_path}.toml"))
    else:
        path = Path(name_or_path).expanduser()
    if not path.is_file():
        shipped = ", ".join(shipped_desktops())
        raise UserError(f"no desktop {name_or_path!r}: neither a file nor one of those shipped ({shipped})")
    try:
        raw: dict[str, Any] = parse_toml(path.read_text("utf-8"))
        desktop = Desktop.model_validate(raw).model_copy(update={"folder": path.parent})
    except (OSError, UnicodeDecodeError, TomlError) as error:
        raise UserError(f"desktop {name_or_path}: {error}") from None
    except ValidationError as error:
        raise UserError(f"desktop {name_or_path}: {explain(error, Desktop)}") from None
    if desktop.home and not (desktop.folder / desktop.home).is_dir():
        raise UserError(f"desktop {name_or_path}: home: there is no folder {desktop.folder / desktop.home}")
    return desktop
