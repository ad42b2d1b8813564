"""The only door to a process of this machine: programs that we or the user chose, found by an absolute path.

What a repository, a task file, a data set or a package brings is never started from here, but in a sandbox. No other
module starts a process (tests/test_architecture.py), but the supervisor, which is started from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

#: variables of this process that a program gets which needs nothing else
PLAIN = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")
Served = subprocess.Popen[bytes]
Talking = subprocess.Popen[bytes]


class Ended(NamedTuple):
    """How a program ended, and what it wrote."""

    exit_code: int
    output: bytes
    errors: bytes

    @property
    def text(self) -> str:
        return self.output.decode("utf-8", "replace")

    def last_errors(self, lines: int) -> str:
        """The last lines of what it complained of."""
        return "\n".join(self.errors.decode("utf-8", "replace").strip().splitlines()[-lines:])


def run_on_host(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    timeout: float,
    cwd: Path | None = None,
    stdin: bytes = b"",
    memory: int = 0,
) -> Ended:
    """Run a program to its end. Blocking. Raises OSError where it is not there, TimeoutError where it does not end.

    ``env`` is all of its environment: nothing of ours is passed on that is not in it. ``memory``: bytes of its
    addresses, where the system can limit them; 0 = any number.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        _found(command), stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=dict(env), start_new_session=True
    ) as process:
        if memory:
            _limit_memory(process.pid, memory)
        try:
            output, errors = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            _kill_all(process)
            raise TimeoutError(f"{Path(command[0]).name} did not end within {timeout:.0f} s") from None
        except BaseException:
            _kill_all(process)
            raise
    return Ended(process.returncode, output, errors)


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """With what it started, which would wait for it for ever."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _limit_memory(pid: int, memory: int) -> None:
    """Of a process that waits for what it shall read, and so has done nothing yet."""
    import resource

    if sys.platform == "linux":
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, (memory, memory))


async def start_on_host(
    command: Sequence[str], *, env: Mapping[str, str], **streams: Any
) -> asyncio.subprocess.Process:
    """Start a program that is talked with; ``streams`` are those of asyncio.create_subprocess_exec."""
    return await asyncio.create_subprocess_exec(*_found(command), env=dict(env), **streams)


def serve_on_host(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: IO[bytes]) -> Served:
    """Start a server in a session of its own, whose output goes to ``log``."""
    return subprocess.Popen(
        _found(command),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def talk_on_host(command: Sequence[str], *, env: Mapping[str, str]) -> Talking:
    """Start a program that is talked with over its standard input and output, by a caller that may block."""
    pipe = subprocess.PIPE
    return subprocess.Popen(_found(command), env=dict(env), stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def ends_within(process: Served, seconds: float) -> bool:
    """Wait for the end of a server; whether it came."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def inherited(*, without: tuple[str, ...] = ()) -> dict[str, str]:
    """The variables of this process but those whose names begin with one of ``without``."""
    return {name: value for name, value in os.environ.items() if not name.startswith(without)}


def plain() -> dict[str, str]:
    """A few harmless variables of this process, and none that could hold a key."""
    return {name: os.environ[name] for name in PLAIN if name in os.environ}


def program(name: str, path: str | None = None) -> str | None:
    """The path of a program; never one in a folder that a relative entry of PATH leads to, such as a repository.

    ``path``: where to look instead of in PATH.
    """
    entries = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(entry for entry in entries if os.path.isabs(entry)) or os.defpath)


def _found(command: Sequence[str]) -> list[str]:
    name = command[0]
    path = name if os.path.isabs(name) else program(name) if os.sep not in name else None
    if path is None:
        raise FileNotFoundError(2, f"no program {name} on this machine")
    return [path, *command[1:]]
