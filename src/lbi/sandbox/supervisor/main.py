"""Messages in, answers out: the keeper's own loop. Ends when the other side is gone, and everything with it."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from lbi.sandbox.supervisor import bubblewrap, cgroups, layers, mounts, protocol
from lbi.sandbox.supervisor.protocol import Said
from lbi.sandbox.supervisor.shell import Bounds, Memory, Shell

IDLE = 0.5  # seconds between two looks at what was left running
Answer = tuple[Said, bytes]


def main(handle: int) -> None:
    os.set_inheritable(handle, False)
    keeper = None
    try:
        wanted, _ = protocol.receive(handle)
        try:
            keeper = Keeper(wanted, handle)
        except OSError as error:
            protocol.send(handle, {"failed": str(error.strerror or error), "errno": error.errno})
            return
        protocol.send(handle, keeper.described)
        while True:
            while not select.select([handle], [], [], IDLE)[0]:
                keeper.shell.watch()
            asked, content = protocol.receive(handle)
            said, data = keeper.answer(asked, content)
            protocol.send(handle, said, data)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        if keeper is not None:
            keeper.end()


class Keeper:
    """One sandbox."""

    def __init__(self, wanted: Said, handle: int) -> None:
        limits, base = wanted["limits"], wanted.get("base", "")
        mounts.adopt_orphans()
        mounts.die_with_parent()
        self.group = None
        if not base:
            cgroups.sweep()
            # what is written is kept in memory, and its limit is another one
            memory = limits["memory_bytes"] + limits["disk_bytes"]
            self.group = cgroups.Group.make(memory, limits["processes"] + 2)  # bubblewrap itself, and its reaper
        opened = False
        try:
            self._open(wanted, handle, base)
            opened = True
        finally:
            if self.group and not opened:
                self.group.remove()

    def _open(self, wanted: Said, handle: int, base: str) -> None:
        limits, binds = wanted["limits"], tuple(wanted["binds"])
        self.layers = layers.Layers(
            wanted["source"],
            wanted["workdir"],
            limits["disk_bytes"],
            base=base,
            overlay=wanted.get("overlay", True),
            needed=(wanted["bubblewrap"], *binds),
        )
        self.bounds = Bounds(
            memory=limits["memory_bytes"],
            processes=limits["processes"],
            cpu=limits["cpu_seconds"],
            output=limits["output_bytes"],
            disk=limits["disk_bytes"],
        )
        self._memories: dict[str, Memory] = {}
        command, folder = [], self.layers.repository
        if not base:
            bubblewrap.make_etc(f"{self.layers.base}/etc")
            command = bubblewrap.arguments(wanted["bubblewrap"], self.layers, binds)
            folder = self.layers.workdir
        self.shell = Shell(command, wanted["env"], self.bounds, self.group, handle, folder)
        self.shell.start()
        self.described: Said = {"workdir": folder, "overlay": self.layers.overlay, "group": self.group is not None}

    def answer(self, asked: Said, content: bytes) -> Answer:
        """Do what is asked. What the file system refuses is an answer: {"errno": 2, "failed": "No such file ..."}."""
        work: Callable[[Said, bytes], Answer] = getattr(self, f"_do_{asked['do']}")
        try:
            return work(asked, content)
        except OSError as error:
            return {"errno": error.errno or 5, "failed": error.strerror or str(error)}, b""

    def end(self) -> None:
        self.shell.stop()
        if self.group:
            self.group.remove()

    def _do_run(self, asked: Said, _: bytes) -> Answer:
        done = self.shell.run(asked["command"], asked["wall"])
        folder = self.shell.memory.folder or self.shell.folder
        said: Said = {"exit_code": done.exit_code, "cut": done.cut, "ended": done.ended, "seconds": done.seconds}
        return {**said, "folder": folder}, done.output

    def _do_read(self, asked: Said, _: bytes) -> Answer:
        return {}, self.layers.read(asked["path"])

    def _do_write(self, asked: Said, content: bytes) -> Answer:
        self.layers.write(asked["path"], content)
        return {}, b""

    def _do_changes(self, asked: Said, _: bytes) -> Answer:
        return {"changes": [list(change) for change in self.layers.changes()]}, b""

    def _do_content(self, asked: Said, _: bytes) -> Answer:
        found = self.layers.content(asked["path"], asked["pristine"])
        return ({"mode": found[0]}, found[1]) if found else ({"mode": 0}, b"")

    def _do_snapshot(self, asked: Said, _: bytes) -> Answer:
        name = self.layers.snapshot()
        self._memories[name] = self.shell.memory
        return {"snapshot": name}, b""

    def _do_restore(self, asked: Said, _: bytes) -> Answer:
        if asked["snapshot"] not in self._memories:
            return {"errno": 2, "failed": f"no snapshot {asked['snapshot']!r}"}, b""
        return self._anew(lambda: self.layers.restore(asked["snapshot"]), self._memories[asked["snapshot"]])

    def _do_reset(self, asked: Said, _: bytes) -> Answer:
        return self._anew(self.layers.reset, Memory())

    def _anew(self, change: Callable[[], None], memory: Memory) -> Answer:
        self.shell.stop()
        change()
        self.shell.memory = memory
        self.shell.start()
        return {}, b""
