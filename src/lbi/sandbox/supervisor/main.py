"""The supervisor's own loop: reads requests and answers them, until the other side is gone; then everything ends."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable

from lbi.sandbox.supervisor import bubblewrap, cgroups, layers, mounts, processes, protocol, seccomp
from lbi.sandbox.supervisor.protocol import Message
from lbi.sandbox.supervisor.shell import Bounds, Shell, ShellState
from lbi.sandbox.supervisor.tree import Change

IDLE = 0.5  # seconds between two checks of what was left running in the background
Reply = tuple[Message, bytes]


def main(handle: int) -> None:
    """Serve one sandbox over the socket ``handle``; the first message describes the sandbox that is wanted."""
    os.set_inheritable(handle, False)
    supervisor = None
    try:
        wanted, _ = protocol.receive(handle)
        if wanted.get("base"):
            _guard(handle)
        try:
            supervisor = Supervisor(wanted, handle)
        except OSError as error:
            protocol.send(handle, {"failed": str(error.strerror or error), "errno": error.errno})
            return
        protocol.send(handle, supervisor.described)
        serve(supervisor, handle)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        if supervisor is not None:
            supervisor.end()


def _guard(handle: int) -> None:
    """Without namespaces, go on in a child: this process ends what the child leaves behind, however that ends.

    With them, everything ends with the first process of the sandbox's own, which ends with the supervisor.
    """
    mounts.adopt_orphans()
    child = os.fork()
    if child == 0:
        # whoever asked is gone at once, or this process was killed: what runs is ended first
        signal.signal(signal.SIGTERM, _end_all)
        mounts.die_with_parent(signal.SIGTERM)
        return
    os.close(handle)
    mounts.die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _end_all)
    os.waitpid(child, 0)
    _end_all()


def _end_all(*_: object) -> None:
    processes.end_all()
    os._exit(0)


def serve(supervisor: Supervisor, handle: int) -> None:
    """Raises EOFError, BrokenPipeError or ConnectionResetError when the other side is gone."""
    while True:
        while not select.select([handle], [], [], IDLE)[0]:
            supervisor.shell.check_background()
        request, content = protocol.receive(handle)
        protocol.send(handle, *supervisor.answer(request, content))


class Supervisor:
    """One sandbox: its folders, its shell and its cgroup."""

    def __init__(self, wanted: Message, handle: int) -> None:
        limits, base = wanted["limits"], wanted.get("base", "")
        mounts.adopt_orphans()
        if not base:  # else as _guard has it
            mounts.die_with_parent()
        seccomp.leave_keyring()
        self.cgroup = None
        if not base:
            cgroups.sweep()
            # what is written is kept in memory, and its limit is another one
            memory = limits["memory_bytes"] + limits["disk_bytes"]
            self.cgroup = cgroups.Cgroup.make(memory, limits["processes"] + 2)  # bubblewrap itself, and its reaper
        opened = False
        try:
            self._open(wanted, handle, base)
            opened = True
        finally:
            if self.cgroup and not opened:
                self.cgroup.remove()

    def _open(self, wanted: Message, handle: int, base: str) -> None:
        limits, binds = wanted["limits"], tuple(wanted["binds"])
        placed = tuple((path, inside) for path, inside in wanted.get("placed", {}).items())
        self.layers = layers.Layers(
            wanted["source"],
            wanted["workdir"],
            limits["disk_bytes"],
            base=base,
            overlay=wanted.get("overlay", True),
            needed=(wanted["bubblewrap"], *binds, *(path for path, _ in placed)),
        )
        bounds = Bounds(
            memory=limits["memory_bytes"],
            processes=limits["processes"],
            cpu=limits["cpu_seconds"],
            output=limits["output_bytes"],
            disk=limits["disk_bytes"],
        )
        self._told: list[Change] | None = None
        self._number = 0
        self._states: dict[str, ShellState] = {}  # of the shell, by the name of the snapshot
        command, folder, filter_program = [], self.layers.repository, b""
        if not base:
            bubblewrap.make_etc(f"{self.layers.base}/etc", tuple(wanted.get("etc", ())))
            filter_program = seccomp.program()
            command = bubblewrap.arguments(
                wanted["bubblewrap"],
                self.layers,
                binds,
                filtered=bool(filter_program),
                placed=placed,
                own_name=not wanted.get("program"),
            )
            folder = self.layers.workdir
        self.shell = Shell(
            command,
            wanted["env"],
            bounds,
            self.cgroup,
            handle,
            folder,
            filter_program,
            tuple(wanted.get("program", ())),
        )
        self.shell.start()
        self.described: Message = {
            "workdir": folder,
            "overlay": self.layers.overlay,
            "cgroup": self.cgroup is not None,
        }

    def answer(self, request: Message, content: bytes) -> Reply:
        """Do what is asked. What the file system refuses is an answer: {"errno": 2, "failed": "No such file ..."}."""
        work: dict[str, Callable[[], Reply]] = {
            "run": lambda: self._run(request["command"], request["wall"]),
            "read": lambda: ({}, self.layers.read(request["path"])),
            "write": lambda: self._write(request["path"], content),
            "changes": lambda: self._list_changes(request["number"], request["anew"]),
            "contents": lambda: ({"contents": self.layers.contents(request["wanted"])}, b""),
            "snapshot": self._snapshot,
            "restore": lambda: self._restore(request["snapshot"]),
            "drop": lambda: self._drop(request["snapshot"]),
            "reset": lambda: self._restart_over(self.layers.reset, ShellState()),
        }
        try:
            return work[request["do"]]()
        except OSError as error:
            return {"errno": error.errno or 5, "failed": error.strerror or str(error)}, b""

    def end(self) -> None:
        self.shell.stop()
        if self.cgroup:
            self.cgroup.remove()

    def _run(self, command: str, wall_seconds: float) -> Reply:
        done = self.shell.run(command, wall_seconds)
        folder = self.shell.state.folder or self.shell.folder
        reply: Message = {"exit_code": done.exit_code, "cut": done.cut, "ended": done.ended, "seconds": done.seconds}
        return {**reply, "folder": folder}, done.output

    def _write(self, path: str, content: bytes) -> Reply:
        self.layers.write(path, content)
        return {}, b""

    def _list_changes(self, number: int, anew: bool) -> Reply:
        """The changes, but where they are those that were told under this number."""
        changes = self.layers.changes(self.shell.running, anew=anew)
        if changes is not self._told:
            self._told = changes
            self._number += 1
        if self._number == number:
            return {"number": number}, b""
        return {"number": self._number, "changes": changes}, b""

    def _snapshot(self) -> Reply:
        name = self.layers.snapshot()
        self._states[name] = self.shell.state
        return {"snapshot": name}, b""

    def _restore(self, name: str) -> Reply:
        if name not in self._states:
            return {"errno": 2, "failed": f"no snapshot {name!r}"}, b""
        return self._restart_over(lambda: self.layers.restore(name), self._states[name])

    def _drop(self, name: str) -> Reply:
        if self._states.pop(name, None) is not None:
            self.layers.drop(name)
        return {}, b""

    def _restart_over(self, change_files: Callable[[], None], state: ShellState) -> Reply:
        """Change the files while nothing runs, and start the shell again in the state given."""
        self.shell.stop()
        change_files()
        self.shell.state = state
        self.shell.start()
        return {}, b""
