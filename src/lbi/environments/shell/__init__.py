"""The family ``shell``: a repository of one's own, worked on by commands in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.shell.actions import ACTIONS
from lbi.environments.shell.environment import Setting, ShellEnvironments
from lbi.errors import UserError
from lbi.sandbox.open import Limits

__all__ = ["ACTIONS", "create", "documents"]

MIB = 1024 * 1024
#: where projects keep their own Python, and what they say about themselves
ENVIRONMENTS = (".venv", "venv", "env")
DOCUMENTS = ("README", "CONTRIBUTING", "HACKING", "DEVELOPMENT", "INSTALL", "AGENTS")
FOLDERS = ("docs", "doc", "documentation")
#: inside, a repository lies here
WORKDIR = "/repo"


def create(config: Config, save_image: Callable[[bytes], str]) -> ShellEnvironments:
    """Raises UserError where there is no repository, or it is not to be opened as is said."""
    said = config.shell
    if not said.repository:
        raise UserError(
            'nothing to learn: name the repository, --repo PATH or [shell] repository = "..." in the config'
        )
    repository = Path(said.repository).expanduser().resolve()
    if not repository.is_dir():
        raise UserError(f"no folder {repository}; shell.repository is the folder of a repository")
    binds, env = own_python(repository)
    binds += [Path(bind).expanduser() for bind in said.binds]
    for bind in binds:
        if not bind.is_absolute() or not bind.exists():
            raise UserError(f"cannot show {bind} in the sandbox: shell.binds takes absolute paths that exist")
    limits = Limits(
        memory_bytes=said.memory * MIB,
        disk_bytes=said.disk * MIB,
        processes=said.processes,
        wall_seconds=said.seconds,
        cpu_seconds=max(round(4 * said.seconds), 1),
    )
    setting = Setting(
        repository=repository,
        backend=said.backend,
        limits=limits,
        binds=tuple(binds),
        env={**env, **said.env},
        unsafe=said.unsafe,
        max_chars=said.output,
    )
    return ShellEnvironments(setting, documents=documents_of(repository))


async def documents(environments: ShellEnvironments) -> tuple[DocumentSource, ...]:
    """What the repository says about itself: its read-me files and its documentation."""
    return environments.documents


def documents_of(repository: Path) -> tuple[DocumentSource, ...]:
    """Its read-me files and folders of documentation; all of it where there are none."""
    found = [
        entry
        for entry in sorted(repository.iterdir())
        if (entry.is_file() and entry.stem.upper() in DOCUMENTS) or (entry.is_dir() and entry.name.lower() in FOLDERS)
    ]
    return tuple(DocumentSource(path=str(entry)) for entry in found or [repository])


def own_python(repository: Path) -> tuple[list[Path], dict[str, str]]:
    """(what must be visible, variables) for a virtual environment that lies in the repository."""
    for name in ENVIRONMENTS:
        file = repository / name / "pyvenv.cfg"
        if not file.is_file():
            continue
        said = dict(line.split(" = ", 1) for line in file.read_text(errors="replace").splitlines() if " = " in line)
        home = Path(said.get("home", "/usr/bin").strip())
        needed = {home.parent, Path(os.path.realpath(home / "python3")).parent.parent}
        inside = f"{WORKDIR}/{name}"
        path = f"{inside}/bin:/usr/local/bin:/usr/bin:/bin"
        return [place for place in sorted(needed) if _is_python(place)], {"PATH": path, "VIRTUAL_ENV": inside}
    return [], {}


def _is_python(place: Path) -> bool:
    """An installation of Python, and not any folder that a repository would like to have shown."""
    return not place.is_relative_to("/usr") and place != Path("/") and any(place.glob("lib/python3*/os.py"))
