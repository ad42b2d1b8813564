"""The sandbox in a container of Podman or Docker: the same interface where this machine itself has no sandbox.

The folder is copied into a memory file system of the container; what has changed is found by reading it out again, so
every ``diff`` and ``digest`` costs the size of the repository.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import shlex
import shutil
import stat
import tarfile
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path

from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.bubblewrap import ENVIRONMENT, WORKDIR
from lbi.sandbox.ignore import kept
from lbi.sandbox.patch import LINK, Change, Side, digest_of_changes, patch
from lbi.sandbox.protocol import Completed, Ending, Limits

STARTING = 600.0  # seconds, with an image that has still to be fetched
ORDINARY = 120.0
STATE = "/lbi"  # where the shell's folder and variables are kept between two commands
#: one command in a shell that begins where the last one ended; a new process each time, as engines offer no other way
SHELL = r"""
cd "$(cat /lbi/folder)" 2>/dev/null; . /lbi/variables 2>/dev/null
eval "$1" </dev/null; code=$?
pwd >/lbi/folder; export -p >/lbi/variables; exit $code"""


class ContainerSandbox:
    """One container. Raises EnvironmentFailure when the engine failed, OSError as the file system inside does."""

    def __init__(self, engine: str, name: str, source: Path, limits: Limits) -> None:
        self.backend = engine
        self.workdir = WORKDIR
        self.source, self.limits = source, limits
        self._engine, self._name = engine, name
        self._snapshots: list[bytes] = []
        self._lock = asyncio.Lock()

    async def run(self, command: str, *, wall_seconds: float | None = None) -> Completed:
        wall = self.limits.wall_seconds if wall_seconds is None else wall_seconds
        began = time.monotonic()
        async with self._lock:
            process = await asyncio.create_subprocess_exec(
                *(self._engine, "exec", self._name, "bash", "-c", SHELL, "bash", command),
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
        await self._inside(f"mkdir -p -- $(dirname {full}) && [ ! -d {full} ] && cat > {full}", content, path)

    async def download(self, path: str) -> bytes:
        full = shlex.quote(self._full(path))
        if await self._is("-d", full):
            raise IsADirectoryError(21, os.strerror(21), path)
        if not await self._is("-f", full):
            raise FileNotFoundError(2, os.strerror(2), path)
        return await self._inside(f"cat -- {full}", path=path)

    async def diff(self) -> str:
        changes, files = await self._changes()

        async def content(path: str, pristine: bool) -> bytes:
            return _pristine(self.source / path)[1] if pristine else files[path][1]

        return await patch(changes, content)

    async def digest(self) -> str:
        return digest_of_changes((await self._changes())[0])

    async def snapshot(self) -> str:
        self._snapshots.append(await self._packed((WORKDIR, "/tmp", "/home/agent", STATE)))
        return str(len(self._snapshots))

    async def restore(self, snapshot: str) -> None:
        if not snapshot.isdigit() or not 0 < int(snapshot) <= len(self._snapshots):
            raise FileNotFoundError(2, f"no snapshot {snapshot!r}")
        await self._wipe()
        await self._inside("tar -C / -xf -", self._snapshots[int(snapshot) - 1])

    async def reset(self) -> None:
        await self._wipe()
        await self._inside(
            f"cp -a /lbi-source/. {WORKDIR}/ && echo {WORKDIR} > {STATE}/folder && : > {STATE}/variables"
        )

    async def close(self) -> None:
        """Remove the container. Harmless when done before."""
        await _engine(self._engine, ("rm", "-f", "-v", self._name), patience=ORDINARY, fails=True)

    async def _wipe(self) -> None:
        await self._stop_all()
        places = f"{WORKDIR} /tmp /home/agent {STATE}"
        await self._inside(f"find {places} -mindepth 1 -maxdepth 1 -exec rm -rf -- {{}} +")

    async def _stop_all(self) -> None:
        """Everything but the container's first process, and this one itself."""
        await _engine(self._engine, ("exec", self._name, "bash", "-c", "kill -9 -1"), patience=ORDINARY, fails=True)

    async def _changes(self) -> tuple[list[Change], dict[str, tuple[int, bytes]]]:
        files = await asyncio.to_thread(_unpacked, await self._packed((WORKDIR,)))
        return await asyncio.to_thread(_compared, self.source, files), files

    async def _packed(self, places: tuple[str, ...]) -> bytes:
        said = " ".join(place.lstrip("/") for place in places)
        return await self._inside(
            f"tar -C / --exclude=repo/.git -cf - {said}" if len(places) == 1 else f"tar -C / -cf - {said}"
        )

    async def _is(self, test: str, quoted: str) -> bool:
        code, _ = await _engine(self._engine, ("exec", self._name, "test", test, shlex.split(quoted)[0]), fails=True)
        return code == 0

    def _full(self, path: str) -> str:
        return os.path.normpath(os.path.join(WORKDIR, path))

    async def _inside(self, script: str, content: bytes = b"", path: str = "") -> bytes:
        arguments = ("exec", "-i", self._name, "bash", "-c", script)
        code, output = await _engine(self._engine, arguments, content, fails=bool(path))
        if code:
            raise OSError(5, output.decode(errors="replace").strip()[-200:] or os.strerror(5), path)
        return output


async def start(
    source: Path, limits: Limits, binds: tuple[Path, ...], env: dict[str, str], *, engine: str, image: str
) -> ContainerSandbox:
    """A container of the image, without network, capabilities or anything of this machine but what is named."""
    if shutil.which(engine) is None:
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
    code, output = await _engine(engine, (*arguments, image, "sleep", "infinity"), patience=STARTING, fails=True)
    if code:
        why = output.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise UserError(f"{engine} did not start a container of {image}: {why[0]}")
    sandbox = ContainerSandbox(engine, output.decode().strip().splitlines()[-1], source, limits)
    async with contextlib.AsyncExitStack() as unless_it_opens:
        unless_it_opens.push_async_callback(sandbox.close)
        await sandbox.reset()
        unless_it_opens.pop_all()
    return sandbox


class _Output:
    """Beginning and end of what a command writes."""

    def __init__(self, most: int) -> None:
        self.most, self.total = most, 0
        self._head, self._tail = b"", b""

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        half = self.most // 2
        room = half - len(self._head)
        self._head, chunk = self._head + chunk[:room], chunk[max(room, 0) :]
        self._tail = (self._tail + chunk)[-half:]

    @property
    def text(self) -> str:
        return (self._head + self._tail).decode(errors="replace")

    @property
    def cut(self) -> int:
        return self.total - len(self._head) - len(self._tail)


async def _read(process: asyncio.subprocess.Process, output: _Output, wall: float) -> Ending:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(wall):
            while chunk := await process.stdout.read(1 << 16):
                output.add(chunk)
                if output.total > 256 * output.most:
                    return "output"
            await process.wait()
    except TimeoutError:
        return "time"
    return "exited"


async def _engine(
    engine: str, arguments: tuple[str, ...], content: bytes = b"", *, patience: float = ORDINARY, fails: bool = False
) -> tuple[int, bytes]:
    """(exit code, output) of the engine's command. Raises EnvironmentFailure unless it may fail."""
    process = await asyncio.create_subprocess_exec(engine, *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(patience):
            output, errors = await process.communicate(content)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise EnvironmentFailure(f"{engine} {arguments[0]} did not end within {patience:.0f} s") from None
    code = process.returncode or 0
    if code and not fails:
        said = errors.decode(errors="replace").strip()[-300:]
        raise EnvironmentFailure(f"{engine} {arguments[0]} failed: {said}")
    return code, output if not code else output + errors


def _unpacked(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """(git's mode, content) of each file and link in a tar archive; nothing of it is written anywhere."""
    found: dict[str, tuple[int, bytes]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = member.name.removeprefix(WORKDIR.lstrip("/")).lstrip("/")
            if member.issym():
                found[path] = LINK, os.fsencode(member.linkname)
            elif member.isfile() and (file := tar.extractfile(member)) is not None:
                found[path] = (0o100755 if member.mode & 0o100 else 0o100644), file.read()
            elif member.islnk():
                found[path] = found.get(member.linkname.removeprefix(WORKDIR.lstrip("/")).lstrip("/"), (0o100644, b""))
    return found


def _compared(source: Path, files: dict[str, tuple[int, bytes]]) -> list[Change]:
    known: set[str] = set()
    for folder, folders, names in os.walk(source):
        linked = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = [name for name in folders if name not in (".git", *linked)]
        known |= {str(Path(folder, name).relative_to(source)) for name in (*names, *linked)}
    changes = []
    for path in sorted(known | files.keys()):
        old = _pristine(source / path) if path in known else None
        new = files.get(path)
        if old != new:
            changes.append(Change(path, _side(old), _side(new)))
    return kept(source, changes)


def _pristine(file: Path) -> tuple[int, bytes]:
    mode = file.lstat().st_mode
    if stat.S_ISLNK(mode):
        return LINK, os.fsencode(os.readlink(file))
    return (0o100755 if mode & stat.S_IXUSR else 0o100644), file.read_bytes()


def _side(content: tuple[int, bytes] | None) -> Side | None:
    if content is None:
        return None
    mode, data = content
    return Side(mode, len(data), hashlib.blake2b(data, digest_size=16).hexdigest())
