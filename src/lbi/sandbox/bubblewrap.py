"""The sandbox of this machine itself: overlay, bubblewrap and cgroups, set up by a supervisor process for each one."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import lbi
from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.host import start_on_host
from lbi.sandbox.ignore import not_ignored
from lbi.sandbox.patch import Change, Wanted, digest_of_changes, patch
from lbi.sandbox.protocol import WORKDIR, Completed, SandboxLimits
from lbi.sandbox.supervisor.bounds import LOOKING, TooLarge
from lbi.sandbox.supervisor.protocol import HEADER, Message, pack, unpack

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/home/agent", "LANG": "C.UTF-8", "TZ": "UTC", "TERM": "dumb", "PAGER": "cat"}
#: seconds to start in. Where there is no overlay, a large repository is copied; a supervisor that died shows at once
STARTING = 600.0
GRACE = 120.0  # seconds that the supervisor's answer may take beyond the time of its command
CODE = "import sys; sys.path.append({root!r}); from lbi.sandbox.supervisor.main import main; main({handle})"


class BubblewrapSandbox:
    """Talks to one supervisor. Raises EnvironmentFailure when that has ended."""

    def __init__(
        self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, backend: str
    ) -> None:
        self.backend = backend
        self.workdir = WORKDIR
        self.overlay = self.has_cgroup = False
        self.source = Path()
        self.limits = SandboxLimits()
        self._process, self._reader, self._writer = process, reader, writer
        self._lock = asyncio.Lock()
        self._number, self._changes = 0, list[Change]()  # what was told last
        self._digest: tuple[list[Change], str] = ([], "")

    async def run(self, command: str, *, wall_seconds: float | None = None) -> Completed:
        wall = self.limits.wall_seconds if wall_seconds is None else wall_seconds
        with _no_fault_of_a_command():
            reply, output = await self._ask({"do": "run", "command": command, "wall": wall}, timeout=wall + GRACE)
        return completed(reply, output)

    async def upload(self, path: str, content: bytes) -> None:
        await self._ask({"do": "write", "path": path}, content)

    async def download(self, path: str) -> bytes:
        return (await self._ask({"do": "read", "path": path}))[1]

    async def diff(self) -> str:
        return await patch(await self.changes(anew=True), self._contents)

    async def digest(self) -> str:
        changes = await self.changes()
        if self._digest[0] is not changes:
            self._digest = changes, await asyncio.to_thread(digest_of_changes, changes)
        return self._digest[1]

    async def changes(self, *, anew: bool = False) -> list[Change]:
        """Files that differ from the pristine folder, without those that are ignored. Raises TooLarge.

        Of files whose times are what they were, the hash is what it was, unless all are read ``anew``.
        """
        reply, _ = await self._ask({"do": "changes", "number": self._number, "anew": anew}, timeout=LOOKING)
        if "changes" in reply:
            self._changes = await asyncio.to_thread(_read, self.source, reply["changes"])
            self._number = reply["number"]
        return self._changes

    async def snapshot(self) -> str:
        reply, _ = await self._ask({"do": "snapshot"}, timeout=LOOKING)
        return str(reply["snapshot"])

    async def restore(self, snapshot: str) -> None:
        await self._ask({"do": "restore", "snapshot": snapshot}, timeout=LOOKING)

    async def drop(self, snapshot: str) -> None:
        await self._ask({"do": "drop", "snapshot": snapshot}, timeout=LOOKING)

    async def reset(self) -> None:
        with _no_fault_of_a_command():
            await self._ask({"do": "reset"}, timeout=STARTING)

    async def close(self) -> None:
        """End everything in it. Harmless when done before."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def begin(self, wanted: Message) -> None:
        """Send the first message, which describes the sandbox. Raises UserError where this machine cannot make it.

        Raises EnvironmentFailure where its shell was killed as it started, which says nothing of what can be made.
        """
        reply, _ = await self._exchange(wanted, b"", STARTING)
        if "failed" in reply:
            if reply["errno"] == errno.EINTR:
                raise EnvironmentFailure(f"no sandbox: {reply['failed']}", kind="sandbox")
            if wanted["program"] and "bwrap:" not in reply["failed"]:  # there was a sandbox
                raise UserError(reply["failed"])
            raise UserError(f"no sandbox over {wanted['source']}: {reply['failed']}; {_ADVICE}")
        self.workdir, self.overlay, self.has_cgroup = reply["workdir"], reply["overlay"], reply["cgroup"]
        self.source, self.limits = Path(wanted["source"]), SandboxLimits(**wanted["limits"])

    async def _contents(self, wanted: Sequence[Wanted]) -> list[bytes]:
        reply, _ = await self._ask({"do": "contents", "wanted": list(wanted)}, timeout=LOOKING)
        contents: list[bytes] = reply["contents"]
        return contents

    async def _ask(self, request: Message, content: bytes = b"", timeout: float = 120.0) -> tuple[Message, bytes]:
        reply, data = await self._exchange(request, content, timeout)
        if "failed" in reply:
            if reply["errno"] == errno.EFBIG:
                raise TooLarge(reply["failed"])
            raise OSError(reply["errno"], reply["failed"], request.get("path"))
        return reply, data

    async def _exchange(self, request: Message, content: bytes, timeout: float) -> tuple[Message, bytes]:
        async with self._lock:
            try:
                async with asyncio.timeout(timeout):
                    self._writer.write(pack(request, content))
                    await self._writer.drain()
                    return await self._receive()
            except asyncio.CancelledError:
                self._writer.close()  # the rest of this reply would be taken for the next one
                raise
            except TimeoutError:
                self._writer.close()
                message = f"the sandbox did not answer within {timeout:.0f} s"
                raise EnvironmentFailure(message, kind="sandbox") from None
            except (OSError, asyncio.IncompleteReadError):
                message = f"the sandbox has ended{await self._last_errors()}"
                raise EnvironmentFailure(message, kind="sandbox") from None

    async def _receive(self) -> tuple[Message, bytes]:
        reply_length, data_length = HEADER.unpack(await self._reader.readexactly(HEADER.size))
        reply = unpack(await self._reader.readexactly(reply_length))
        return reply, await self._reader.readexactly(data_length)

    async def _last_errors(self) -> str:
        with contextlib.suppress(TimeoutError):
            assert self._process.stderr is not None
            errors = await asyncio.wait_for(self._process.stderr.read(), 2)
            return ": " + errors.decode(errors="replace").strip()[-500:] if errors.strip() else ""
        return ""


_ADVICE = (
    "this user may not make namespaces here. Use Podman or Docker (shell.backend), or start as root; "
    "--unsafe runs commands without any sandbox"
)


async def start(
    source: Path,
    limits: SandboxLimits,
    binds: tuple[Path, ...],
    env: dict[str, str],
    bubblewrap: str,
    *,
    unconfined: Path | None = None,
    overlay: bool = True,
    workdir: str = WORKDIR,
    program: Sequence[str] = (),
    etc: Sequence[str] = (),
    placed: Mapping[Path, str] = MappingProxyType({}),
) -> BubblewrapSandbox:
    """Start a supervisor and its sandbox. Raises UserError, and EnvironmentFailure where its shell was killed.

    ``bubblewrap`` is the path of the program. ``unconfined`` is an empty folder for a copy on which commands run
    without any protection. ``overlay=False`` copies the repository even where an overlay could be mounted.

    ``workdir`` is where the folder lies inside. ``program`` runs in place of a shell, and is sent what is run
    (supervisor/shell.py). ``placed`` maps folders to where they are seen inside, read-only. ``etc`` names what the
    sandbox sees of /etc besides the usual.
    """
    process, reader, writer = await _start_supervisor()
    sandbox = BubblewrapSandbox(process, reader, writer, backend="none" if unconfined else "bubblewrap")
    wanted = {
        "source": str(source),
        "workdir": workdir,
        "limits": limits.model_dump(),
        "binds": [str(bind) for bind in binds],
        "env": {**ENVIRONMENT, **env},
        "bubblewrap": bubblewrap,
        "base": str(unconfined or ""),
        "overlay": overlay,
        "program": list(program),
        "etc": list(etc),
        "placed": {str(path): inside for path, inside in placed.items()},
    }
    async with contextlib.AsyncExitStack() as unless_it_opens:
        unless_it_opens.push_async_callback(sandbox.close)
        await sandbox.begin(wanted)
        unless_it_opens.pop_all()
    return sandbox


async def _start_supervisor() -> tuple[Process, asyncio.StreamReader, asyncio.StreamWriter]:
    ours, theirs = socket.socketpair()
    root = str(Path(lbi.__file__).parents[1])
    with theirs:
        process = await start_on_host(
            (sys.executable, "-I", "-S", "-c", CODE.format(root=root, handle=theirs.fileno())),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            pass_fds=[theirs.fileno()],
            env={"PATH": os.environ.get("PATH", PATH), "LANG": "C.UTF-8"},
            cwd="/",
        )
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
    return process, reader, writer


@contextlib.contextmanager
def _no_fault_of_a_command() -> Iterator[None]:
    """A shell that does not start again, whatever a command did before, is the sandbox's failure."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(f"the sandbox broke: {error.strerror or error}") from None


def _read(source: Path, changes: Sequence[Sequence[Any]]) -> list[Change]:
    return not_ignored(source, [Change.read(*change) for change in changes])


def completed(reply: Message, output: bytes) -> Completed:
    """A supervisor's reply as a record."""
    return Completed(
        exit_code=reply["exit_code"],
        output=output.decode(errors="replace"),
        cut_bytes=reply["cut"],
        ended=reply["ended"],
        seconds=reply["seconds"],
        folder=reply["folder"],
    )
