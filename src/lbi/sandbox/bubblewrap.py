"""The sandbox of this machine itself: overlay, bubblewrap and control groups, by a keeper process for each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import lbi
from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.patch import Change, digest_of_changes, patch
from lbi.sandbox.protocol import Completed, Limits
from lbi.sandbox.supervisor.protocol import HEADER, Said, pack, unpack

WORKDIR = "/repo"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/home/agent", "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "PAGER": "cat"}
STARTING = 600.0  # seconds, as where there is no overlay a large repository is copied; a dead keeper shows at once
GRACE = 30.0  # seconds in which a keeper answers beyond what its command may take
CODE = "import sys; sys.path.append({root!r}); from lbi.sandbox.supervisor.main import main; main({handle})"


class KeptSandbox:
    """Speaks with one keeper. Raises EnvironmentFailure when it has ended."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.backend = "bubblewrap"
        self.workdir = WORKDIR
        self.overlay = self.grouped = False
        self.source = Path()
        self.limits = Limits()
        self._process, self._reader, self._writer = process, reader, writer
        self._lock = asyncio.Lock()

    async def run(self, command: str, *, wall_seconds: float | None = None) -> Completed:
        wall = self.limits.wall_seconds if wall_seconds is None else wall_seconds
        said, output = await self._ask({"do": "run", "command": command, "wall": wall}, patience=wall + GRACE)
        return completed(said, output)

    async def upload(self, path: str, content: bytes) -> None:
        await self._ask({"do": "write", "path": path}, content)

    async def download(self, path: str) -> bytes:
        return (await self._ask({"do": "read", "path": path}))[1]

    async def diff(self) -> str:
        return await patch(await self.changes(), self._content)

    async def digest(self) -> str:
        return digest_of_changes(await self.changes())

    async def changes(self) -> list[Change]:
        """Files that differ from the pristine folder, without those that are ignored."""
        from lbi.sandbox.ignore import kept

        said, _ = await self._ask({"do": "changes"})
        return await asyncio.to_thread(kept, self.source, [Change.read(*each) for each in said["changes"]])

    async def snapshot(self) -> str:
        said, _ = await self._ask({"do": "snapshot"})
        return str(said["snapshot"])

    async def restore(self, snapshot: str) -> None:
        await self._ask({"do": "restore", "snapshot": snapshot})

    async def reset(self) -> None:
        await self._ask({"do": "reset"})

    async def close(self) -> None:
        """End everything in it. Harmless when done before."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def begin(self, wanted: Said) -> None:
        """Say what is wanted. Raises UserError where this machine cannot make it."""
        said, _ = await self._exchange(wanted, b"", STARTING)
        if "failed" in said:
            raise UserError(f"no sandbox over {wanted['source']}: {said['failed']}; {_ADVICE}")
        self.workdir, self.overlay, self.grouped = said["workdir"], said["overlay"], said["group"]
        self.source, self.limits = Path(wanted["source"]), Limits(**wanted["limits"])

    async def _content(self, path: str, pristine: bool) -> bytes:
        return (await self._ask({"do": "content", "path": path, "pristine": pristine}))[1]

    async def _ask(self, asked: Said, content: bytes = b"", patience: float = 120.0) -> tuple[Said, bytes]:
        said, data = await self._exchange(asked, content, patience)
        if "failed" in said:
            raise OSError(said["errno"], said["failed"], asked.get("path"))
        return said, data

    async def _exchange(self, asked: Said, content: bytes, patience: float) -> tuple[Said, bytes]:
        async with self._lock:
            try:
                async with asyncio.timeout(patience):
                    self._writer.write(pack(asked, content))
                    await self._writer.drain()
                    text, data = HEADER.unpack(await self._reader.readexactly(HEADER.size))
                    said = unpack(await self._reader.readexactly(text))
                    return said, await self._reader.readexactly(data)
            except asyncio.CancelledError:
                self._writer.close()  # half an answer would be taken for the next one
                raise
            except TimeoutError:
                self._writer.close()
                raise EnvironmentFailure(f"the sandbox did not answer within {patience:.0f} s") from None
            except (OSError, asyncio.IncompleteReadError):
                raise EnvironmentFailure(f"the sandbox has ended{await self._last_words()}") from None

    async def _last_words(self) -> str:
        with contextlib.suppress(TimeoutError):
            assert self._process.stderr is not None
            said = await asyncio.wait_for(self._process.stderr.read(), 2)
            return ": " + said.decode(errors="replace").strip()[-500:] if said.strip() else ""
        return ""


_ADVICE = (
    "this user may not make namespaces here. Use Podman or Docker (shell.backend), or start as root; "
    "--unsafe runs commands without any sandbox"
)


async def start(
    source: Path,
    limits: Limits,
    binds: tuple[Path, ...],
    env: dict[str, str],
    bubblewrap: str,
    *,
    base: str = "",
    overlay: bool = True,
) -> KeptSandbox:
    """A keeper and its sandbox; ``base`` is a folder to work in without any protection. Raises UserError."""
    ours, theirs = socket.socketpair()
    root = str(Path(lbi.__file__).parents[1])
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", CODE.format(root=root, handle=theirs.fileno())),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=PIPE,
            pass_fds=[theirs.fileno()],
            env={"PATH": os.environ.get("PATH", PATH), "LANG": "C.UTF-8"},
            cwd="/",
        )
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
    sandbox = KeptSandbox(process, reader, writer)
    wanted = {
        "source": str(source),
        "workdir": WORKDIR,
        "limits": limits.model_dump(),
        "binds": [str(bind) for bind in binds],
        "env": {**ENVIRONMENT, **env},
        "bubblewrap": bubblewrap,
        "base": base,
        "overlay": overlay,
    }
    async with contextlib.AsyncExitStack() as unless_it_opens:
        unless_it_opens.push_async_callback(sandbox.close)
        await sandbox.begin(wanted)
        unless_it_opens.pop_all()
    return sandbox


def completed(said: Said, output: bytes) -> Completed:
    """A keeper's answer as a record."""
    return Completed(
        exit_code=said["exit_code"],
        output=output.decode(errors="replace"),
        cut_bytes=said["cut"],
        ended=said["ended"],
        seconds=said["seconds"],
        folder=said["folder"],
    )
