"""An application's server process: started on a free port, watched, killed with all its children.

It ends when this process does: by a parent-death signal where the kernel has one, at exit otherwise.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import http.client
import ipaddress
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.host import Served, ends_within, serve_on_host

LISTENS = "0A"  # the kernel's number of that state
ATTEMPTS = 4  # to find a free port that no other process takes first
# run between fork and the server, so that no Python code of ours runs in a forked copy of a threaded process
_GUARD = """
import os, signal, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() != int(sys.argv[1]):
    sys.exit("parent is gone")
os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
"""
_running: set[Server] = set()


def free_port() -> int:
    """A port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process and the port it answers on."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        health: str,
        timeout: float,
        cwd: Path,
        env: Callable[[], dict[str, str]],
    ) -> None:
        self._command = command
        self._health = health
        self._timeout = timeout
        self._cwd = cwd
        self._env = env
        self.log = cwd.parent / f"{cwd.name}.log"
        self.port = 0
        self._process: Served | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, on the port it had before if there was one. Raises UserError if it dies or stays silent.

        Raises EnvironmentFailure if it was killed, which is no fault of its configuration.
        """
        died = False
        for attempt in range(ATTEMPTS):
            # another process may take a free port before the server does; then it dies and the next port is tried
            port = self.port if self.port and not attempt else free_port()
            self.port = port
            self._spawn(port)
            if await self._answers(port):
                return
            died = self._process is not None and self._process.poll() is not None
            killed = died and self._process is not None and self._process.returncode == -signal.SIGKILL
            await asyncio.to_thread(self.stop)
            if killed:
                raise EnvironmentFailure(f"the server {self._shown()} was killed while it started", kind="server ended")
            if not (died and self._port_was_taken(port)):
                break
        raise UserError(self._explain_silence(died))

    async def restart(self) -> None:
        await asyncio.to_thread(self.stop)
        try:
            await self.start()
        except UserError as error:  # it worked before, so this is no fault of the configuration
            raise EnvironmentFailure(str(error), kind="server ended") from error

    @property
    def ended(self) -> bool:
        """Whether the process that was started is no longer there."""
        return self._process is None or self._process.poll() is not None

    def check(self) -> None:
        """Raise EnvironmentFailure if the process has ended."""
        if self.ended:
            raise EnvironmentFailure(f"the server {self._shown()} is gone:\n{self.last_output()}", kind="server ended")

    def exposed(self) -> tuple[str, ...]:
        """Where the server's processes listen beyond this machine, such as "0.0.0.0:8000"; () where nobody can tell."""
        return listening_beyond(self._process.pid) if self._process else ()

    def stop(self) -> None:
        """Kill the process group; harmless when done before."""
        process, self._process = self._process, None
        _running.discard(self)
        if process is None:
            return
        _signal_group(process, signal.SIGTERM)
        ends_within(process, 1.0)
        # children of the server may outlive it
        _signal_group(process, signal.SIGKILL)
        process.wait()

    def last_output(self, lines: int = 12) -> str:
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:]) or "(it wrote nothing)"
        except OSError:
            return "(no log)"

    def _spawn(self, port: int) -> None:
        command = [*self._command(port)]
        with open(self.log, "ab") as log:
            guarded = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *command]
            self._process = serve_on_host(guarded, cwd=self._cwd, env=self._env(), log=log)
        _running.add(self)

    async def _answers(self, port: int) -> bool:
        deadline = time.monotonic() + self._timeout
        pause = 0.02
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return False
            if await asyncio.to_thread(_status, port, self._health) < 500:
                return self._process.poll() is None
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        return False

    def _port_was_taken(self, port: int) -> bool:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return "in use" in self.last_output(40)

    def _explain_silence(self, died: bool) -> str:
        """What happened and what to do about it in one line, then the server's last output."""
        if died and "in use" in self.last_output(40):
            reason = "its port is taken; stop the program that has it, or write {port} in start for a free one"
        elif died:
            reason = "it ended at once; put its start in the application file right"
        else:
            reason = f"no answer at {self._health} for {self._timeout:g} s; see health and start_timeout in its file"
        return f"the server {self._shown()} does not come up: {reason}. It said:\n{self.last_output()}"

    def _shown(self) -> str:
        return " ".join(self._command(self.port))[:200]


def listening_beyond(session: int) -> tuple[str, ...]:
    """Addresses beyond loopback on which processes of a session listen, by what Linux says of them; () elsewhere."""
    inodes = {inode for pid in _session(session) for inode in _sockets(pid)}
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == LISTENS and columns[9] in inodes:
                    host, _, port = columns[1].partition(":")
                    address = _address(host)
                    if not (address.ipv4_mapped or address if address.version == 6 else address).is_loopback:
                        found.add(
                            f"{address}:{int(port, 16)}" if address.version == 4 else f"[{address}]:{int(port, 16)}"
                        )
    return tuple(sorted(found))


def _address(written: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel writes an address as words of four bytes in the machine's own order."""
    raw = bytes.fromhex(written)
    words = [raw[at : at + 4] for at in range(0, len(raw), 4)]
    return ipaddress.ip_address(b"".join(word[::-1] if sys.byteorder == "little" else word for word in words))


def _session(leader: int) -> list[int]:
    """Processes of the session that a server began."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            after_name = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(after_name[3]) == leader:
                pids.append(int(folder.name))
    return pids


def _sockets(pid: int) -> list[str]:
    """Inodes of a process's sockets."""
    found = []
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                target = os.readlink(link)
                if target.startswith("socket:["):
                    found.append(target[8:-1])
    return found


def _status(port: int, path: str) -> int:
    """HTTP status of a GET; 599 if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 599
    finally:
        connection.close()


def _signal_group(process: Served, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@atexit.register
def _stop_all() -> None:
    for server in list(_running):
        server.stop()
