"""The sandbox in a container of Podman or Docker, for machines that have no sandbox of their own.

The folder is copied into a memory file system of the container. What has changed is found by reading all of it out
again, so the cost of every ``diff`` and ``digest`` grows with the size of the repository.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import shlex
import tarfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Sequence
from pathlib import Path

from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.beneath import Beneath
from lbi.sandbox.bubblewrap import ENVIRONMENT
from lbi.sandbox.host import inherited, program, start_on_host
from lbi.sandbox.ignore import not_ignored
from lbi.sandbox.patch import LINK, Change, Side, Wanted, digest_of_changes, patch
from lbi.sandbox.protocol import WORKDIR, Completed, Ending, SandboxLimits
from lbi.sandbox.supervisor.bounds import MOST_FILES, TooLarge

STARTING = 600.0  # seconds, with an image that has still to be fetched
MOST_PACKED = 1 << 30  # bytes that are taken out of a container at once, and held in memory
ORDINARY = 120.0  # seconds that any other command of the engine may take
STATE = "/lbi"  # the shell's folder and variables are stored here between two commands
#: runs one command in a shell that begins where the last one ended; engines can only start a new process each time
SHELL = r"""
cd "$(cat /lbi/folder)" 2>/dev/null; . /lbi/variables 2>/dev/null
eval "$1" </dev/null; code=$?
pwd >/lbi/folder; export -p >/lbi/variables; exit $code"""


class ContainerSandbox:
    """One container. Raises EnvironmentFailure when the engine failed, OSError as the file system inside does."""

    def __init__(self, engine: str, name: str, source: Path, limits: SandboxLimits) -> None:
        self.backend = engine
        self.workdir = WORKDIR
        self.source, self.limits = source, limits
        self._engine, self._name = engine, name
        self._snapshots: list[bytes] = []  # b"" = dropped
        self._lock = asyncio.Lock()

    async def run(self, command: str, *, wall_seconds: float | None = None) -> Completed:
        wall = self.limits.wall_seconds if wall_seconds is None else wall_seconds
        began = time.monotonic()
        async with self._lock:
            process = await start_on_host(
                (self._engine, "exec", self._name, "bash", "-c", SHELL, "bash", command),
                env=inherited(),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
            )
            output = _Output(self.limits.output_bytes)
            ended = await _read(process, output, wall)
            if ended != "exited":
                await self._stop_all()
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            code = await process.wait()
            folder = (await self._inside("cat /lbi/folder")).decode(errors="replace").strip()
        return Completed(
            exit_code=code if ended == "exited" else None,
            output=output.text,
            cut_bytes=output.cut,
            ended="killed" if ended == "exited" and code == 137 else ended,
            seconds=time.monotonic() - began,
            folder=folder,
        )

    async def upload(self, path: str, content: bytes) -> None:
        full = shlex.quote(self._full(path))
        await self._refuse_links(path)
        await self._inside(f"mkdir -p -- $(dirname {full}) && [ ! -d {full} ] && cat > {full}", content, path)

    async def download(self, path: str) -> bytes:
        full = shlex.quote(self._full(path))
        await self._refuse_links(path)
        if await self._is("-d", full):
            raise IsADirectoryError(21, os.strerror(21), path)
        if not await self._is("-f", full):
            raise FileNotFoundError(2, os.strerror(2), path)
        return await self._inside(f"cat -- {full}", path=path)

    async def diff(self) -> str:
        changes, files = await self._changes()

        async def contents(wanted: Sequence[Wanted]) -> list[bytes]:
            return [_pristine(self.source, path) if pristine else files[path][1] for path, pristine, _ in wanted]

        return await patch(changes, contents)

    async def digest(self) -> str:
        return digest_of_changes((await self._changes())[0])

    async def snapshot(self) -> str:
        self._snapshots.append(await self._packed((WORKDIR, "/tmp", "/home/agent", STATE)))
        return str(len(self._snapshots))

    async def restore(self, snapshot: str) -> None:
        packed = self._snapshots[int(snapshot) - 1] if self._has(snapshot) else b""
        if not packed:
            raise FileNotFoundError(2, f"no snapshot {snapshot!r}")
        await self._wipe()
        await self._inside("tar -C / -xf -", packed)

    async def drop(self, snapshot: str) -> None:
        if self._has(snapshot):
            self._snapshots[int(snapshot) - 1] = b""

    def _has(self, snapshot: str) -> bool:
        return snapshot.isdigit() and 0 < int(snapshot) <= len(self._snapshots)

    async def reset(self) -> None:
        await self._wipe()
        await self._inside(
            f"cp -a /lbi-source/. {WORKDIR}/ && echo {WORKDIR} > {STATE}/folder && : > {STATE}/variables"
        )

    async def close(self) -> None:
        """Remove the container. Harmless when done before."""
        await _engine(self._engine, ("rm", "-f", "-v", self._name), timeout=ORDINARY, may_fail=True)

    async def _wipe(self) -> None:
        await self._stop_all()
        places = f"{WORKDIR} /tmp /home/agent {STATE}"
        await self._inside(f"find {places} -mindepth 1 -maxdepth 1 -exec rm -rf -- {{}} +")

    async def _stop_all(self) -> None:
        """Kill everything but the container's first process."""
        await _engine(self._engine, ("exec", self._name, "bash", "-c", "kill -9 -1"), timeout=ORDINARY, may_fail=True)

    async def _changes(self) -> tuple[list[Change], dict[str, tuple[int, bytes]]]:
        files = await asyncio.to_thread(_unpacked, await self._packed((WORKDIR,)))
        return await asyncio.to_thread(_changed, self.source, files), files

    async def _packed(self, places: tuple[str, ...]) -> bytes:
        names = " ".join(place.lstrip("/") for place in places)
        return await self._inside(
            f"tar -C / --exclude=repo/.git -cf - {names}" if len(places) == 1 else f"tar -C / -cf - {names}"
        )

    async def _is(self, test: str, quoted: str) -> bool:
        code, _ = await _engine(self._engine, ("exec", self._name, "test", test, shlex.split(quoted)[0]), may_fail=True)
        return code == 0

    async def _refuse_links(self, path: str) -> None:
        """Raise OSError for a path that passes through a link, as the sandbox of this machine does."""
        full = self._full(path)
        real = (await self._inside(f"readlink -m -- {shlex.quote(full)}")).decode(errors="surrogateescape")
        if real.removesuffix("\n") != full:
            raise OSError(40, f"passes through a link (it is {real.strip()})", path)

    def _full(self, path: str) -> str:
        return os.path.normpath(os.path.join(WORKDIR, path))

    async def _inside(self, script: str, content: bytes = b"", path: str = "") -> bytes:
        arguments = ("exec", "-i", self._name, "bash", "-c", script)
        code, output = await _engine(self._engine, arguments, content, may_fail=bool(path))
        if code:
            raise OSError(5, output.decode(errors="replace").strip()[-200:] or os.strerror(5), path)
        return output


async def start(
    source: Path, limits: SandboxLimits, binds: tuple[Path, ...], env: dict[str, str], *, engine: str, image: str
) -> ContainerSandbox:
    """Start a container of the image, without network or capabilities; of this machine it sees only what is named.

    Raises UserError.
    """
    if program(engine) is None:
        raise UserError(f"{engine} is not installed; install it, or set the sandbox's backend to auto")
    sizes = {WORKDIR: limits.disk_bytes, "/tmp": limits.disk_bytes, "/home/agent": limits.disk_bytes, STATE: 1 << 20}
    arguments = ["run", "-d", "--rm", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    arguments += [
        "--read-only",
        f"--pids-limit={limits.processes}",
        f"--memory={limits.memory_bytes + limits.disk_bytes}",
    ]
    arguments += ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096", "--ulimit=core=0:0"]
    for place, size in sizes.items():
        arguments += ["--tmpfs", f"{place}:rw,exec,nosuid,nodev,size={size},mode=1777"]
    for bind in (f"{source}:/lbi-source:ro", *(f"{bind}:{bind}:ro" for bind in binds)):
        arguments += ["-v", bind]
    for name, value in {**ENVIRONMENT, **env}.items():
        arguments += ["-e", f"{name}={value}"]
    code, output = await _engine(engine, (*arguments, image, "sleep", "infinity"), timeout=STARTING, may_fail=True)
    if code:
        reason = output.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise UserError(f"{engine} did not start a container of {image}: {reason[0]}")
    sandbox = ContainerSandbox(engine, output.decode().strip().splitlines()[-1], source, limits)
    async with contextlib.AsyncExitStack() as unless_it_opens:
        unless_it_opens.push_async_callback(sandbox.close)
        await sandbox.reset()
        unless_it_opens.pop_all()
    return sandbox


class _Output:
    """Keeps the beginning and the end of what a command writes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.total = limit, 0
        self._head, self._tail = b"", b""

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        half = self.limit // 2
        room = half - len(self._head)
        self._head, chunk = self._head + chunk[:room], chunk[max(room, 0) :]
        self._tail = (self._tail + chunk)[-half:]

    @property
    def text(self) -> str:
        return (self._head + self._tail).decode(errors="replace")

    @property
    def cut(self) -> int:
        return self.total - len(self._head) - len(self._tail)


async def _read(process: Process, output: _Output, wall_seconds: float) -> Ending:
    """Collect what a command writes until it ends, or exceeds a limit; returns how it ended."""
    assert process.stdout is not None
    try:
        async with asyncio.timeout(wall_seconds):
            while chunk := await process.stdout.read(1 << 16):
                output.add(chunk)
                if output.total > 256 * output.limit:
                    return "output"
            await process.wait()
    except TimeoutError:
        return "time"
    return "exited"


async def _engine(
    engine: str, arguments: tuple[str, ...], content: bytes = b"", *, timeout: float = ORDINARY, may_fail: bool = False
) -> tuple[int, bytes]:
    """Run a command of the engine: (exit code, output). Raises EnvironmentFailure, unless it ``may_fail``."""
    process = await start_on_host((engine, *arguments), env=inherited(), stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(timeout):
            output, errors = await _talk(process, content)
    except TooLarge:
        process.kill()
        assert process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await process.stdout.read(1 << 18):
                    pass  # what is on the way; it ends only then
                await process.wait()
        raise
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise EnvironmentFailure(f"{engine} {arguments[0]} did not end within {timeout:.0f} s") from None
    code = process.returncode or 0
    if code and not may_fail:
        message = errors.decode(errors="replace").strip()[-300:]
        raise EnvironmentFailure(f"{engine} {arguments[0]} failed: {message}")
    return code, output if not code else output + errors


async def _talk(process: Process, content: bytes) -> tuple[bytes, bytes]:
    """(what it writes, what it complains of). Raises TooLarge where that is more than MOST_PACKED."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    async def collect(stream: asyncio.StreamReader) -> bytes:
        collected = bytearray()
        while chunk := await stream.read(1 << 18):
            collected += chunk
            if len(collected) > MOST_PACKED:
                raise TooLarge(f"what is in the container has more than {MOST_PACKED:,} bytes, holes included")
        return bytes(collected)

    async def send(stream: asyncio.StreamWriter) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.write(content)
            await stream.drain()
        stream.close()

    reading = [asyncio.ensure_future(collect(stream)) for stream in (process.stdout, process.stderr)]
    try:
        await send(process.stdin)
        output, errors = await asyncio.gather(*reading)
    finally:
        for task in reading:
            task.cancel()
    await process.wait()
    return output, errors


def _unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """(git's mode, content) of each file and link in a tar archive; nothing of it is written anywhere."""
    files: dict[str, tuple[int, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = member.name.removeprefix(WORKDIR.lstrip("/")).lstrip("/")
            if member.issym():
                files[path] = LINK, os.fsencode(member.linkname)
            elif member.isfile() and (file := tar.extractfile(member)) is not None:
                files[path] = (0o100755 if member.mode & 0o100 else 0o100644), file.read()
            elif member.islnk():
                files[path] = files.get(member.linkname.removeprefix(WORKDIR.lstrip("/")).lstrip("/"), (0o100644, b""))
    return files


def _changed(source: Path, files: dict[str, tuple[int, bytes]]) -> list[Change]:
    changes = []
    with Beneath(source) as pristine:
        before = {path for path, kind in pristine.walk(skip=(".git",)) if kind}
        if len(files.keys() - before) > MOST_FILES:
            raise TooLarge(f"more than {MOST_FILES:,} files and folders were changed")
        for path in sorted(before | files.keys()):
            old = pristine.item(path) if path in before else None
            new = files.get(path)
            if old != new:
                changes.append(Change(path, _side(old), _side(new)))
    return not_ignored(source, changes)


def _pristine(source: Path, path: str) -> bytes:
    with Beneath(source) as tree:
        item = tree.item(path)
    return item[1] if item else b""


def _side(content: tuple[int, bytes] | None) -> Side | None:
    if content is None:
        return None
    mode, data = content
    return Side(mode, len(data), hashlib.blake2b(data, digest_size=16).hexdigest())
