"""A bash that is kept open: commands in, their output and exit codes out, within limits."""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
from collections import deque
from typing import NamedTuple

from lbi.sandbox.supervisor import processes
from lbi.sandbox.supervisor.cgroups import Group, Used

TICK = 0.05  # seconds between two looks at what is used
FLOOD = 256  # times the output that is kept, and a command is stopped
CROWDED = 3.0  # seconds at the limit of processes, and they are all ended
MOST_VARIABLES = 256 * 1024
PATIENCE = 30.0  # seconds that a shell has to start
LAST = 2.0  # seconds that a shell that is ending has to say how
#: what a command needs to know is on 3, what became of it goes to 4, and it has neither; its output is on 5 and not
#: on 1, so that what it does to its own output ends with it
LOOP = r"""ulimit -SHu %d 2>/dev/null
while IFS= read -r -d '' -u 3 __command; do
eval "$__command" </dev/null >&5 2>&5 3<&- 4>&- 5>&-
{ builtin printf '%%s\0%%s\0' "$?" "$PWD"; builtin export -p; builtin printf '\0'; } >&4 2>/dev/null
done"""


class Bounds(NamedTuple):
    """What all processes together may use."""

    memory: int
    processes: int
    cpu: float
    output: int
    disk: int


class Ended(NamedTuple):
    exit_code: int | None
    cut: int
    ended: str
    seconds: float
    output: bytes


class Memory(NamedTuple):
    """Where the shell is, and its exported variables, as bash writes them."""

    folder: str = ""
    variables: bytes = b""


class Output:
    """Beginning and end of what a command writes."""

    def __init__(self, most: int) -> None:
        self.total = 0
        self._half = max(most // 2, 1)
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._kept = 0

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        if chunk:
            self._tail.append(chunk)
            self._kept += len(chunk)
            while self._kept - len(self._tail[0]) >= self._half:
                self._kept -= len(self._tail.popleft())

    def whole(self) -> tuple[bytes, int, int]:
        """(what is kept, where it was cut, bytes that are missing there)."""
        tail = b"".join(self._tail)[-self._half :]
        return bytes(self._head) + tail, len(self._head), self.total - len(self._head) - len(tail)


class Shell:
    """``command`` is what bash's arguments are appended to; ``alive`` is the handle of whoever asks for commands."""

    def __init__(
        self,
        command: list[str],
        environment: dict[str, str],
        bounds: Bounds,
        group: Group | None,
        alive: int,
        folder: str,
    ) -> None:
        self.command, self.environment, self.folder = command, environment, folder
        self.bounds, self.group, self.alive = bounds, group, alive
        self.memory = Memory()
        self.pid = 0
        self._commands = self._status = self._output = -1

    def start(self) -> None:
        """Start bash where the last one was."""
        (commands, self._commands), (self._status, status) = os.pipe(), os.pipe()
        self._output, output = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(commands, status, output)
        for theirs in (commands, status, output):
            os.close(theirs)
        for ours in (self._status, self._output):
            os.set_blocking(ours, False)
        folder = self.memory.folder or self.folder
        again = b"cd " + _quoted(folder) + b" 2>/dev/null\n" + self.memory.variables
        self._tell(again)
        said, now = Output(self.bounds.output), time.monotonic()
        _, ended = self._follow(said, now + PATIENCE, now)
        if ended != "exited" or not self.pid:
            self._drain(said)
            why = said.whole()[0].decode(errors="replace").strip()[-300:] or ended
            raise OSError(5, f"the shell did not start: {why}")

    def stop(self) -> None:
        """End everything that runs, and wait until it has ended."""
        self._end()
        for handle in (self._commands, self._status, self._output):
            if handle >= 0:
                os.close(handle)
        self._commands = self._status = self._output = -1

    def run(self, command: str, wall: float) -> Ended:
        """Run one command; afterwards there is a shell again, whatever happened."""
        began = time.monotonic()
        output = Output(self.bounds.output)
        oom = self.group.killed_for_memory() if self.group else 0
        self._tell(command.encode("utf-8", "surrogateescape").replace(b"\0", b""))
        code, ended = self._follow(output, began + wall, began)
        if self.group and self.group.killed_for_memory() > oom:
            ended = "memory"
        if ended != "exited" and code is None:
            self._end()
        self._drain(output)
        if not self.pid:
            self.stop()
            self.start()
        kept, _, cut = output.whole()
        return Ended(code, cut, ended, time.monotonic() - began, kept)

    def watch(self) -> None:
        """Between commands: what was left running keeps to the limits too."""
        if self._over(self.used(), 0.0, float("inf")):
            self.stop()
            self.start()

    def used(self) -> Used:
        return self.group.used() if self.group else processes.used(os.getpid())

    def _end(self) -> None:
        """End everything that runs; what was written can still be read."""
        processes.end_all()
        self.pid = 0

    # one command

    def _tell(self, command: bytes) -> None:
        """In the background of the reading, as a long command is more than a pipe takes at once."""
        view = memoryview(command + b"\0")
        os.set_blocking(self._commands, False)
        while view:
            _, ready, _ = select.select([], [self._commands], [], 10)
            if not ready:
                return  # the shell does not read; the wall clock will tell
            try:
                view = view[os.write(self._commands, view) :]
            except BrokenPipeError:
                return

    def _follow(self, output: Output, deadline: float, began: float) -> tuple[int | None, str]:
        """Until the command has ended or must be: (exit code, how it ended). Without a shell in the end, pid is 0."""
        said, spent, crowded = b"", self.used().cpu, 0.0
        poller = select.poll()
        for handle in (self._output, self._status, self.alive):
            poller.register(handle, select.POLLIN | select.POLLHUP)
        looked = time.monotonic()
        while True:
            ready = {handle for handle, _ in poller.poll(TICK * 1000)}
            if self.alive in ready:
                raise EOFError  # nobody waits for the answer any more
            if self._output in ready and not self._read(output):
                poller.unregister(self._output)
            if self._status in ready:
                chunk = _some(self._status)
                if chunk == b"":
                    return self._gone()
                said += chunk or b""
                if said.count(b"\0") >= 3:
                    return self._remember(said), self._crowded()
            now = time.monotonic()
            if output.total > FLOOD * self.bounds.output:
                return None, "output"
            if now >= deadline:
                return None, "time"
            if now - looked >= TICK:
                looked, used = now, self.used()
                crowded = (crowded or now) if used.processes >= self.bounds.processes * 0.9 else 0.0
                reason = self._over(used, spent, now - crowded if crowded else 0.0)
                if reason:
                    return None, reason

    def _over(self, used: Used, spent: float, crowded: float) -> str:
        if used.memory > self.bounds.memory:
            return "memory"
        if used.cpu - spent > self.bounds.cpu and crowded != float("inf"):
            return "time"
        if used.processes > self.bounds.processes or CROWDED < crowded < float("inf"):
            return "killed"
        return ""

    def _crowded(self) -> str:
        """A command that has returned and left so much running that no other could start is no success."""
        if self.used().processes < self.bounds.processes * 0.9:
            return "exited"
        self._end()
        return "killed"

    def _gone(self) -> tuple[int | None, str]:
        """The shell itself has ended: by ``exit``, by ``exec``, or killed."""
        pid, status = self.pid, 0
        deadline = time.monotonic() + LAST
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            time.sleep(0.002)
        else:
            status = signal.SIGKILL
        self._end()
        if os.WIFSIGNALED(status):
            return None, "killed"
        return os.waitstatus_to_exitcode(status), "exited"

    def _remember(self, said: bytes) -> int:
        code, folder, variables, *_ = said.split(b"\0")
        if len(variables) <= MOST_VARIABLES:
            self.memory = Memory(os.fsdecode(folder), variables)
        return int(code) if code.isdigit() else 1

    def _read(self, output: Output) -> bool:
        """What there is to read; False at its end."""
        chunk = _some(self._output)
        if chunk:
            output.add(chunk)
        return chunk != b""

    def _drain(self, output: Output) -> None:
        """What the command wrote before it ended; what the background goes on writing is for the next one."""
        most = output.total + (1 << 20)
        while output.total < most:
            try:
                chunk = os.read(self._output, 1 << 16)
            except OSError:
                return
            if not chunk:
                return
            output.add(chunk)

    # the child

    def _become(self, commands: int, status: int, output: int) -> None:
        try:
            os.setsid()
            if self.group:
                self.group.enter()  # before its handles make room
            null, _ = os.pipe()  # the host's own null device is nothing to hand in
            # above the ones to come, so that none is overwritten before it is moved
            moved = [
                os.dup2(handle, 20 + at) for at, handle in enumerate((null, output, output, commands, status, output))
            ]
            for at, handle in enumerate(moved):
                os.dup2(handle, at)
            os.closerange(6, 256)
            _limit(resource.RLIMIT_CORE, 0)
            _limit(resource.RLIMIT_DATA, self.bounds.memory)
            _limit(resource.RLIMIT_FSIZE, self.bounds.disk)
            for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that would be passed on
                signal.signal(number, signal.SIG_DFL)
            bash = ["bash", "--norc", "--noprofile", "-c", LOOP % self.bounds.processes, "bash"]
            arguments = [*self.command, *bash]
            os.execvpe(arguments[0], arguments, self.environment)
        finally:  # a child must never return into its parent's code, whatever happens
            os.write(2, f"{sys.exc_info()[1]}\n".encode())
            os._exit(127)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _some(handle: int) -> bytes | None:
    """What can be read now; b"" at the end, None if there is nothing yet."""
    try:
        return os.read(handle, 1 << 18)
    except BlockingIOError:
        return None


def _quoted(text: str) -> bytes:
    return b"'" + os.fsencode(text).replace(b"'", b"'\\''") + b"'"
