"""Where OSWorld lies on this machine: a checkout, or a file that says more (docs/osworld.md).

checkout = "~/OSWorld", files = ["~/osworld_files"], python = "~/osworld/bin/python", evaluators = "checkout"
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from pydantic import BaseModel, ConfigDict, ValidationError

from lbi.errors import UserError
from lbi.storage.lfs import is_lfs_pointer
from lbi.storage.toml import TomlError, parse_toml
from lbi.storage.validation import explain

HOW = "docs/osworld.md says how to get them"
EXAMPLES, LISTS = "evaluation_examples/examples", "evaluation_examples"
PACKAGE = "desktop_env"  # of the evaluators, in a checkout as in the package index
OWN_CACHES = ("cache", "file_cache")  # folders of a checkout in which files are looked for
HUB_FOLDER = "/resolve/main/"  # what stands in an address before a file's path in its data set


class Places(BaseModel):
    """The content of the file, or what follows from a folder alone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkout: Path
    files: tuple[Path, ...] = ()
    """Folders with the files that tasks begin with and are compared with."""
    python: str = ""
    """Interpreter with the packages that the evaluators need; empty = one that is made for it, once."""
    evaluators: str = ""
    """Folder named desktop_env with the getters and metrics; "checkout" = its own; empty = the package's."""

    @property
    def examples(self) -> Path:
        return self.checkout / EXAMPLES

    @property
    def evaluators_folder(self) -> Path | None:
        """None = that of the package, in the interpreter."""
        if self.evaluators == "checkout":
            return self.checkout / PACKAGE
        return Path(self.evaluators) if self.evaluators else None

    def listed(self, name: str) -> list[tuple[str, str]]:
        """(folder, id) of the tasks of the list ``test_NAME.json``. Raises UserError."""
        file = self.checkout / LISTS / f"test_{name}.json"
        try:
            read = json.loads(file.read_text("utf-8"))
            return [(str(app), str(task)) for app, tasks in read.items() for task in tasks]
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise UserError(f"{file} is no list of OSWorld's tasks: {error}") from None

    def lists(self) -> tuple[str, ...]:
        """Names of the lists that there are, such as "all" and "small"."""
        return tuple(sorted(file.stem[5:] for file in (self.checkout / LISTS).glob("test_*.json")))

    def file(self, address: str, task: str) -> Path | None:
        """The file of this address in one of the folders, in any of the ways in which people keep them.

        A copy of the data set (APP/ID/NAME), a folder for each task (ID/NAME), or what the official runner leaves.
        A pointer of Git LFS, which a clone of the data set without it has, is no such file.
        """
        return next((path for path in self._kept(address, task) if not is_lfs_pointer(path)), None)

    def is_pointer(self, address: str, task: str) -> bool:
        """Whether all that there is of a file is a pointer of Git LFS."""
        return self.file(address, task) is None and any(self._kept(address, task))

    def _kept(self, address: str, task: str) -> Iterator[Path]:
        within = address.partition(HUB_FOLDER)[2].partition("?")[0]
        name = address.rpartition("/")[2].partition("?")[0]
        ours = [within, f"{task}/{name}", f"{task.rpartition('/')[2]}/{name}"]
        kept = f"{uuid5(NAMESPACE_URL, address)}_{name}"
        ours += [f"{task.rpartition('/')[2]}/{kept}", kept]
        for folder in (*self.files, *(self.checkout / each for each in OWN_CACHES)):
            yield from (folder / path for path in ours if path and (folder / path).is_file())


def read_places(checkout: str) -> Places:
    """Raises UserError for what is neither a checkout nor a file that names one."""
    if not checkout:
        raise UserError(f"osworld needs a checkout: --checkout FOLDER, or a file that names it and its files; {HOW}")
    path = Path(checkout).expanduser()
    places = _read(path) if path.is_file() else Places(checkout=path)
    if not places.checkout.is_dir():
        raise UserError(f"there is no folder {places.checkout}; {HOW}")
    if not places.examples.is_dir():
        raise UserError(f"{places.checkout} has no {EXAMPLES}: is it a checkout of OSWorld, and the whole of it? {HOW}")
    if missing := [folder for folder in places.files if not folder.is_dir()]:
        raise UserError(f"files: there is no folder {missing[0]}; {HOW}")
    own = places.evaluators_folder
    if own is not None and not (own / "evaluators" / "metrics").is_dir():
        raise UserError(f"evaluators: {own} has no evaluators/metrics; leave it away to use the package desktop-env")
    return places


def _read(file: Path) -> Places:
    try:
        read = Places.model_validate(parse_toml(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, TomlError) as error:
        raise UserError(f"{file}: {error}") from None
    except ValidationError as error:
        raise UserError(f"{file}: {explain(error, Places)}") from None
    return read.model_copy(
        update={
            "checkout": _from(file, read.checkout),
            "files": tuple(_from(file, folder) for folder in read.files),
            "python": str(_from(file, Path(read.python))) if read.python else "",
            "evaluators": read.evaluators and _evaluators(file, read.evaluators),
        }
    )


def _evaluators(file: Path, said: str) -> str:
    return said if said == "checkout" else str(_from(file, Path(said)))


def _from(file: Path, path: Path) -> Path:
    """A path of the file, which is meant from where that lies."""
    return (file.parent / path.expanduser()).absolute()
