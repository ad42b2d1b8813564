"""What is asked for, and what this machine has -> a backend: "auto", "bubblewrap", "podman:IMAGE", "docker:IMAGE"."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lbi.errors import UserError
from lbi.sandbox.protocol import Limits, Sandbox

if TYPE_CHECKING:
    from lbi.storage.tempdirs import OwnFolder

IMAGE = "docker.io/library/python:3.12"
ENGINES = ("podman", "docker")


class Opened(Sandbox, Protocol):
    """A sandbox that whoever opened it closes."""

    async def close(self) -> None: ...


async def open_backend(
    source: Path, backend: str, limits: Limits, binds: tuple[Path, ...], env: dict[str, str], unsafe: bool
) -> Opened:
    """Raises UserError where there is no such backend, or no such folder."""
    source = source.resolve()
    if not source.is_dir():
        raise UserError(f"no folder {source}; name the repository's own folder")
    if source == Path("/"):
        raise UserError("the whole file system is no repository; name the folder of one")
    for bind in binds:
        if not bind.is_absolute() or not bind.exists():
            raise UserError(f"cannot show {bind} in the sandbox: it must be an absolute path that exists")
    if unsafe:
        return await _unsafe(source, limits, env)
    name, _, image = backend.partition(":")
    if name in ENGINES:
        from lbi.sandbox.container import start

        return await start(source, limits, binds, env, engine=name, image=image or IMAGE)
    if backend not in ("auto", "bubblewrap"):
        raise UserError(f"no sandbox backend {backend!r}; there are auto, bubblewrap, podman:IMAGE and docker:IMAGE")
    from lbi.sandbox.bubblewrap import start as start_kept

    return await start_kept(source, limits, binds, env, bubblewrap())


def bubblewrap() -> str:
    """Its path. Raises UserError that says how to get it."""
    found = shutil.which("bwrap") if sys.platform == "linux" else None
    if found:
        return found
    how = (
        "install bubblewrap (`apt-get install bubblewrap`)"
        if sys.platform == "linux"
        else "bubblewrap is there on Linux only; use Podman or Docker"
    )
    raise UserError(
        f"commands of an agent are not run without a sandbox: {how}, or set shell.backend to podman:IMAGE or "
        "docker:IMAGE, or say --unsafe to run them on this machine as they are"
    )


async def _unsafe(source: Path, limits: Limits, env: dict[str, str]) -> Opened:
    from lbi.sandbox.bubblewrap import start
    from lbi.storage.tempdirs import OwnFolder

    folder = OwnFolder("unsafe")
    with ExitStack() as unless_it_opens:
        unless_it_opens.callback(folder.remove)
        opened = await start(source, limits, (), env, "", base=str(folder.path))
        unless_it_opens.pop_all()
    opened.backend = "none"
    return _WithFolder(opened, folder)


def _WithFolder(opened: Opened, folder: OwnFolder) -> Opened:
    close = opened.close

    async def close_both() -> None:
        await close()
        folder.remove()

    opened.close = close_both  # type: ignore[method-assign]
    return opened
