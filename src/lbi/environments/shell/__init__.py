"""The environments ``shell``: a repository of one's own, worked on by commands in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lbi.config import Config, Shell
from lbi.documents.corpus import DocumentSource
from lbi.environments.shell.actions import ACTIONS
from lbi.environments.shell.environment import ShellEnvironments, ShellSettings
from lbi.errors import UserError
from lbi.sandbox.protocol import MIB, WORKDIR, SandboxLimits

__all__ = ["ACTIONS", "create", "documents", "sandbox_limits"]

#: folders in which projects keep their own Python
VIRTUAL_ENVIRONMENTS = (".venv", "venv", "env")
#: files (without their endings) and folders in which projects describe themselves
DOCUMENTS = ("README", "CONTRIBUTING", "HACKING", "DEVELOPMENT", "INSTALL", "AGENTS")
FOLDERS = ("docs", "doc", "documentation")


def create(config: Config, save_image: Callable[[bytes], str]) -> ShellEnvironments:
    """Raises UserError where there is no repository, or a path of the config does not exist."""
    shell = config.shell
    if not shell.repository:
        raise UserError(
            'nothing to learn: name the repository, --repo PATH or [shell] repository = "..." in the config'
        )
    repository = Path(shell.repository).expanduser().resolve()
    if not repository.is_dir():
        raise UserError(f"no folder {repository}; shell.repository is the folder of a repository")
    binds, env = own_python(repository)
    binds += [Path(bind).expanduser() for bind in shell.binds]
    for bind in binds:
        if not bind.is_absolute() or not bind.exists():
            raise UserError(f"cannot show {bind} in the sandbox: shell.binds takes absolute paths that exist")
    settings = ShellSettings(
        repository=repository,
        backend=shell.backend,
        limits=sandbox_limits(shell),
        binds=tuple(binds),
        env={**env, **shell.env},
        unsafe=shell.unsafe,
        max_chars=shell.output,
    )
    return ShellEnvironments(settings, documents=documents_of(repository))


def sandbox_limits(shell: Shell) -> SandboxLimits:
    """The limits of one sandbox that a config's ``[shell]`` describes."""
    return SandboxLimits(
        memory_bytes=shell.memory * MIB,
        disk_bytes=shell.disk * MIB,
        processes=shell.processes,
        wall_seconds=shell.seconds,
        cpu_seconds=max(round(4 * shell.seconds), 1),
    )


async def documents(environments: ShellEnvironments) -> tuple[DocumentSource, ...]:
    """What the repository says about itself: its read-me files and its documentation."""
    return environments.documents


def documents_of(repository: Path) -> tuple[DocumentSource, ...]:
    """Its read-me files and folders of documentation; the whole repository where there are none.

    A link out of the repository is none of its documents: it could name any file of this machine.
    """
    inside = repository.resolve()
    entries = [entry for entry in sorted(repository.iterdir()) if entry.resolve().is_relative_to(inside)]
    paths = [
        entry
        for entry in entries
        if (entry.is_file() and entry.stem.upper() in DOCUMENTS) or (entry.is_dir() and entry.name.lower() in FOLDERS)
    ]
    return tuple(DocumentSource(path=str(path)) for path in paths or [repository])


def own_python(repository: Path) -> tuple[list[Path], dict[str, str]]:
    """(folders that must be visible, variables) for a virtual environment that lies in the repository."""
    for name in VIRTUAL_ENVIRONMENTS:
        file = repository / name / "pyvenv.cfg"
        if not file.is_file():
            continue
        values = dict(line.split(" = ", 1) for line in file.read_text(errors="replace").splitlines() if " = " in line)
        home = Path(values.get("home", "/usr/bin").strip())
        installations = {home.parent, Path(os.path.realpath(home / "python3")).parent.parent}
        inside = f"{WORKDIR}/{name}"
        path = f"{inside}/bin:/usr/local/bin:/usr/bin:/bin"
        return [folder for folder in sorted(installations) if _is_python(folder)], {
            "PATH": path,
            "VIRTUAL_ENV": inside,
        }
    return [], {}


def _is_python(folder: Path) -> bool:
    """An installation of Python that has to be shown, and not just any folder that a repository names."""
    return not folder.is_relative_to("/usr") and folder != Path("/") and any(folder.glob("lib/python3*/os.py"))
