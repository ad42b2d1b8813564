"""Opens a sandbox with the backend that is asked for: "auto", "bubblewrap", "podman:IMAGE" or "docker:IMAGE"."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from lbi.errors import UserError
from lbi.sandbox.host import program
from lbi.sandbox.protocol import OpenSandbox, Sandbox, SandboxLimits

IMAGE = "docker.io/library/python:3.12"
ENGINES = ("podman", "docker")


@asynccontextmanager
async def open_sandbox(
    source: Path,
    *,
    backend: str = "auto",
    limits: SandboxLimits | None = None,
    binds: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    unsafe: bool = False,
) -> AsyncIterator[Sandbox]:
    """A sandbox over a changeable view of ``source``, which itself is never written to.

    ``binds`` are visible inside at the same path, and read-only. The sandbox has a small environment of its own, to
    which ``env`` is added; no variable of this process is passed on. ``unsafe`` runs on a copy without any sandbox.
    Raises UserError where the folder, a bind or the backend does not exist.
    """
    folder = _checked(Path(source), binds)
    wanted = (folder, limits or SandboxLimits(), tuple(binds), dict(env or {}))
    async with AsyncExitStack() as stack:
        sandbox = await (_start_unsafe(stack, *wanted) if unsafe else _start(backend, *wanted))
        stack.push_async_callback(sandbox.close)
        yield sandbox


def _checked(source: Path, binds: Sequence[Path]) -> Path:
    folder = source.resolve()
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; name the repository's own folder")
    if folder == Path("/"):
        raise UserError("the whole file system is no repository; name the folder of one")
    for bind in binds:
        if not bind.is_absolute() or not bind.exists():
            raise UserError(f"cannot show {bind} in the sandbox: it must be an absolute path that exists")
    return folder


async def _start(
    backend: str, source: Path, limits: SandboxLimits, binds: tuple[Path, ...], env: dict[str, str]
) -> OpenSandbox:
    engine, _, image = backend.partition(":")
    if engine in ENGINES:
        from lbi.sandbox.container import start

        return await start(source, limits, binds, env, engine=engine, image=image or IMAGE)
    if backend not in ("auto", "bubblewrap"):
        raise UserError(f"no sandbox backend {backend!r}; there are auto, bubblewrap, podman:IMAGE and docker:IMAGE")
    from lbi.sandbox.bubblewrap import start as start_bubblewrap

    return await start_bubblewrap(source, limits, binds, env, find_bubblewrap())


async def _start_unsafe(
    stack: AsyncExitStack, source: Path, limits: SandboxLimits, binds: tuple[Path, ...], env: dict[str, str]
) -> OpenSandbox:
    """Without confinement everything is visible anyway, so ``binds`` are not needed."""
    from lbi.sandbox.bubblewrap import start
    from lbi.storage.tempdirs import OwnFolder

    folder = OwnFolder("unsafe")
    stack.callback(folder.remove)
    return await start(source, limits, (), env, "", unconfined=folder.path)


def find_bubblewrap() -> str:
    """The path of the program. Raises UserError that says how to get it."""
    path = program("bwrap") if sys.platform == "linux" else None
    if path:
        return path
    how = (
        "install bubblewrap (`apt-get install bubblewrap`)"
        if sys.platform == "linux"
        else "bubblewrap is there on Linux only; use Podman or Docker"
    )
    raise UserError(
        f"commands of an agent are not run without a sandbox: {how}, or set shell.backend to podman:IMAGE or "
        "docker:IMAGE, or say --unsafe to run them on this machine as they are"
    )
