"""A bash that stays open: runs commands one after another within limits; their output and exit codes come back."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import signal
import sys
import time
from collections import deque
from typing import NamedTuple

from lbi.sandbox.supervisor import mounts, processes, seccomp
from lbi.sandbox.supervisor.bounds import LONGEST_PATH
from lbi.sandbox.supervisor.cgroups import Cgroup, Used

TICK = 0.05  # seconds between two checks of the limits
FLOOD = 256  # a command is stopped when it writes this many times the output that is kept
CROWDED_SECONDS = 3.0  # all processes are ended when they have been at their limit for this long
MOST_VARIABLES = 256 * 1024
MOST_STATUS = 1 << 20  # bytes kept of what the shell says of its state; more is no state of a shell
START_SECONDS = 30.0  # in which a shell must start
EXIT_SECONDS = 2.0  # in which a shell whose pipe has closed must end
#: Commands are read from handle 3, and their status goes to handle 4; a command itself sees neither. Its output is on
#: handle 5 and not on 1, so that what a command does to its own output ends with it.
LOOP = r"""ulimit -SHu %d 2>/dev/null
while IFS= read -r -d '' -u 3 __command; do
eval "$__command" </dev/null >&5 2>&5 3<&- 4>&- 5>&-
{ builtin printf '%%s\0%%s\0' "$?" "$PWD"; builtin export -p; builtin printf '\0'; } >&4 2>/dev/null
done"""


class Bounds(NamedTuple):
    """The limits of all processes together: memory, output and disk in bytes, processor time in seconds."""

    memory: int
    processes: int
    cpu: float
    output: int
    disk: int


class CommandResult(NamedTuple):
    """How a command ended; ``cut`` is how many bytes are missing in the middle of its output."""

    exit_code: int | None
    cut: int
    ended: str
    seconds: float
    output: bytes


class ShellState(NamedTuple):
    """The shell's folder, and its exported variables as bash writes them."""

    folder: str = ""
    variables: bytes = b""


class Output:
    """Keeps the beginning and the end of what a command writes."""

    def __init__(self, limit: int) -> None:
        self.total = 0
        self._half = max(limit // 2, 1)
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_length = 0

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self._tail.append(chunk)
            self._tail_length += len(chunk)
            while self._tail_length - len(self._tail[0]) >= self._half:
                self._tail_length -= len(self._tail.popleft())

    def whole(self) -> tuple[bytes, int]:
        """(what is kept, how many bytes are missing in its middle)."""
        tail = b"".join(self._tail)[-self._half :]
        return bytes(self._head) + tail, self.total - len(self._head) - len(tail)


class Status:
    """What the shell says after a command: exit code, folder and variables, each with a zero byte after it."""

    def __init__(self) -> None:
        self.said = bytearray()
        self._parts = 0

    def add(self, chunk: bytes) -> bool:
        """Whether all of it was said. Only so much is kept as a shell could have to say."""
        self._parts += chunk.count(b"\0")
        self.said += chunk[: MOST_STATUS - len(self.said)]
        return self._parts >= 3


class Shell:
    """Bash in a sandbox. ``command`` is the program that confines it, ``requester`` the socket that sends commands.

    ``filter_program`` is what ``command`` reads from the handle bubblewrap.FILTER. ``program`` = another program in
    place of bash that is talked with in the same way: texts from handle 3, output to handle 5, then a status to handle
    4. It is told nothing first but an empty text, which it answers once it is ready.
    """

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        bounds: Bounds,
        cgroup: Cgroup | None,
        requester: int,
        folder: str,
        filter_program: bytes = b"",
        program: tuple[str, ...] = (),
    ) -> None:
        self.program = program
        self.command, self.environment, self.folder = command, environment, folder
        self.filter_program = filter_program
        self.bounds, self.cgroup, self.requester = bounds, cgroup, requester
        self.state = ShellState()  # of the last command that ended well
        self.pid = 0
        self._lost = False  # its process was ended from outside: a busy system does that, or a machine that goes down
        self.running = 0  # processes there are while no command runs
        self._commands = self._status = self._output = -1

    def start(self) -> None:
        """Start bash in the folder, and with the variables, of the last one. Raises OSError.

        Variables that keep it from starting are the doing of a command, and forgotten.
        """
        try:
            self._start()
        except OSError:
            if self.state == ShellState():
                raise
            self.stop()
            self.state = ShellState()
            self._start()
        self.running = len(processes.descendants(os.getpid()))

    def _start(self) -> None:
        self._lost = False
        (commands, self._commands), (self._status, status) = os.pipe(), os.pipe()
        self._output, output = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._run_child(commands, status, output)
        for theirs in (commands, status, output):
            os.close(theirs)
        for ours in (self._status, self._output):
            os.set_blocking(ours, False)
        folder = self.state.folder or self.folder
        self._send(b"" if self.program else b"cd " + _quoted(folder) + b" 2>/dev/null\n" + self.state.variables)
        startup, now = Output(self.bounds.output), time.monotonic()
        _, ended = self._wait_for_end(startup, now + START_SECONDS)
        if ended != "exited" or not self.pid:
            self._drain(startup)
            reason = startup.whole()[0].decode(errors="replace").strip()[-300:] or ended
            number = errno.EINTR if self._lost else errno.EIO
            raise OSError(number, reason if self.program else f"the shell did not start: {reason}")

    def stop(self) -> None:
        """End everything that runs, and wait until it has ended."""
        self._end()
        for handle in (self._commands, self._status, self._output):
            if handle >= 0:
                os.close(handle)
        self._commands = self._status = self._output = -1

    def run(self, command: str, wall_seconds: float) -> CommandResult:
        """Run one command; afterwards there is a shell again, whatever happened."""
        began = time.monotonic()
        output = Output(self.bounds.output)
        killed_before = self.cgroup.killed_for_memory() if self.cgroup else 0
        _available(self._status)  # what a command before this one may have left there speaks for no other
        self._send(_encoded(command).replace(b"\0", b""))
        code, ended = self._wait_for_end(output, began + wall_seconds)
        if self.cgroup and self.cgroup.killed_for_memory() > killed_before:
            ended = "memory"
        if ended != "exited" and code is None:
            self._end()
        self._drain(output)
        if not self.pid:
            self.stop()
            self.start()
        whole, cut = output.whole()
        return CommandResult(code, cut, ended, time.monotonic() - began, whole)

    def check_background(self) -> None:
        """Enforce the limits between commands on what was left running in the background."""
        if self.exceeded(self.used(), 0.0, float("inf")):
            self.stop()
            self.start()

    def used(self) -> Used:
        return self.cgroup.used() if self.cgroup else processes.used(os.getpid())

    def _end(self) -> None:
        """End everything that runs; what was written can still be read."""
        processes.end_all()
        self.pid = 0

    # one command

    def _send(self, command: bytes) -> None:
        """Write a command to the shell, piece by piece, as a long one does not fit into a pipe at once."""
        view = memoryview(command + b"\0")
        os.set_blocking(self._commands, False)
        while view:
            _, ready, _ = select.select([], [self._commands], [], 10)
            if not ready:
                return  # the shell does not read; the command will run out of time
            try:
                view = view[os.write(self._commands, view) :]
            except BrokenPipeError:
                return

    def _wait_for_end(self, output: Output, deadline: float) -> tuple[int | None, str]:
        """Wait until the command ends or exceeds a limit: (exit code, how it ended). A lost shell sets ``pid`` to 0."""
        status, watch = Status(), _Watch(self, output, deadline)
        poller = select.poll()
        for handle in (self._output, self._status, self.requester):
            poller.register(handle, select.POLLIN | select.POLLHUP)
        while True:
            ready = {handle for handle, _ in poller.poll(TICK * 1000)}
            if self.requester in ready:
                raise EOFError  # nobody waits for the answer any more
            if self._output in ready and not self._read(output):
                poller.unregister(self._output)
            if self._status in ready:
                chunk = _available(self._status)
                if chunk == b"":
                    return self._shell_ended()
                if status.add(chunk or b""):
                    return self._take_state(bytes(status.said)), self._ended_or_crowded()
            if limit := watch.exceeded():
                return None, limit

    def exceeded(self, used: Used, cpu_before: float, crowded: float) -> str:
        """Which limit is exceeded, or "". ``crowded``: seconds near the limit of processes; inf between commands."""
        if used.memory > self.bounds.memory:
            return "memory"
        if used.cpu - cpu_before > self.bounds.cpu and crowded != float("inf"):
            return "time"
        if used.processes > self.bounds.processes or CROWDED_SECONDS < crowded < float("inf"):
            return "killed"
        return ""

    def is_crowded(self, used: Used) -> bool:
        """Whether hardly another process could start."""
        return used.processes >= self.bounds.processes * 0.9

    def _ended_or_crowded(self) -> str:
        """A command that leaves so many processes running that no other could start did not end well."""
        if not self.is_crowded(self.used()):
            return "exited"
        self._end()
        return "killed"

    def _shell_ended(self) -> tuple[int | None, str]:
        """The shell itself has ended: by ``exit``, by ``exec``, or killed."""
        pid, status = self.pid, 0
        deadline = time.monotonic() + EXIT_SECONDS
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            time.sleep(0.002)
        else:
            status = signal.SIGKILL
        self._end()
        if os.WIFSIGNALED(status):
            self._lost = os.WTERMSIG(status) == signal.SIGKILL
            return None, "killed"
        return os.waitstatus_to_exitcode(status), "exited"

    def _take_state(self, status: bytes) -> int:
        """The exit code of a status line; the shell's folder and variables in it are remembered."""
        code, folder, variables, *_ = [*status.split(b"\0"), b"", b""]
        if len(variables) <= MOST_VARIABLES and len(folder) <= LONGEST_PATH:
            self.state = ShellState(os.fsdecode(folder), variables)
        return int(code) if code.isdigit() else 1

    def _read(self, output: Output) -> bool:
        """Add the output that can be read now; False at its end."""
        chunk = _available(self._output)
        if chunk:
            output.add(chunk)
        return chunk != b""

    def _drain(self, output: Output) -> None:
        """Read what the command wrote before it ended. What the background goes on writing belongs to the next one."""
        limit = output.total + (1 << 20)
        while output.total < limit:
            try:
                chunk = os.read(self._output, 1 << 16)
            except OSError:
                return
            if not chunk:
                return
            output.add(chunk)

    # the child

    def _run_child(self, commands: int, status: int, output: int) -> None:
        try:
            os.setsid()
            mounts.die_with_parent()  # bubblewrap does the same, a little later
            if self.cgroup:
                self.cgroup.enter()  # before its handles make room
            null, _ = os.pipe()  # the host's own null device is nothing to hand in
            handles = [null, output, output, commands, status, output]
            if self.filter_program:
                handles.append(seccomp.handle_of(self.filter_program))
            # to free numbers above those to come, so that none is overwritten before it is where it belongs
            moved = [fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, len(handles)) for handle in handles]
            for at, handle in enumerate(moved):
                os.dup2(handle, at)
            os.closerange(len(handles), 256)
            _limit(resource.RLIMIT_CORE, 0)
            _limit(resource.RLIMIT_DATA, self.bounds.memory)
            _limit(resource.RLIMIT_FSIZE, self.bounds.disk)
            # Python ignores some, and that would be passed on
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            bash = ["bash", "--norc", "--noprofile", "-c", LOOP % self.bounds.processes, "bash"]
            arguments = [*self.command, *(self.program or bash)]
            os.execvpe(arguments[0], arguments, self.environment)
        finally:  # a child must never return into its parent's code, whatever happens
            os.write(2, f"{sys.exc_info()[1]}\n".encode())
            os._exit(127)


class _Watch:
    """The limits of one command while it runs. What its processes use is looked up once in a TICK only."""

    def __init__(self, shell: Shell, output: Output, deadline: float) -> None:
        self._shell, self._output, self._deadline = shell, output, deadline
        self._cpu_before = shell.used().cpu
        self._crowded_since = 0.0
        self._checked = time.monotonic()

    def exceeded(self) -> str:
        """Which limit is exceeded, or ""."""
        now = time.monotonic()
        if self._output.total > FLOOD * self._shell.bounds.output:
            return "output"
        if now >= self._deadline:
            return "time"
        if now - self._checked < TICK:
            return ""
        used, self._checked = self._shell.used(), now
        self._crowded_since = (self._crowded_since or now) if self._shell.is_crowded(used) else 0.0
        return self._shell.exceeded(used, self._cpu_before, now - self._crowded_since if self._crowded_since else 0.0)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _available(handle: int) -> bytes | None:
    """What can be read now; b"" at the end, None if there is nothing yet."""
    try:
        return os.read(handle, 1 << 18)
    except BlockingIOError:
        return None


def _encoded(text: str) -> bytes:
    """The bytes of a command, or those that a name of a file stands for; halves of characters are no such bytes."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _quoted(text: str) -> bytes:
    return b"'" + os.fsencode(text).replace(b"'", b"'\\''") + b"'"
