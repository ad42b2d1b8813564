"""Linux cgroups (v1 or v2): limits on all processes of a sandbox together, where this user may set them."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

ROOT = "/sys/fs/cgroup"
V1 = ("memory", "pids", "cpuacct")


class Used(NamedTuple):
    """What processes use together."""

    processes: int
    memory: int  # bytes; 0 where the kernel enforces the limit
    cpu: float  # seconds


class Cgroup:
    """The cgroup of one supervisor's sandbox: {controller: folder}, or {"": folder} for v2."""

    def __init__(self, folders: dict[str, str]) -> None:
        self._folders = folders
        self._unified = "" in folders
        # opened before anything is made read-only: (parent, cgroup.procs) of each
        self._handles: list[tuple[int, int]] = []

    @classmethod
    def make(cls, memory: int, processes: int) -> Cgroup | None:
        """A new cgroup with these limits; None where cgroups cannot be written, or lack memory or pids."""
        for candidates in (_v1(), _v2()):
            for folders in candidates:
                cgroup = cls(folders)
                try:
                    cgroup._create(memory, processes)
                except OSError:
                    cgroup.remove()
                    continue
                return cgroup
        return None

    def enter(self) -> None:
        """Put the calling process into the cgroup."""
        for _, processes in self._handles:
            os.write(processes, b"0")

    def used(self) -> Used:
        if self._unified:
            folder = self._folders[""]
            return Used(int(_read(f"{folder}/pids.current")), 0, _value(f"{folder}/cpu.stat", "usage_usec") / 1e6)
        cpu = int(_read(f"{self._folders['cpuacct']}/cpuacct.usage")) / 1e9
        return Used(int(_read(f"{self._folders['pids']}/pids.current")), 0, cpu)

    def killed_for_memory(self) -> int:
        """How many processes the kernel has killed because the memory was used up."""
        name = "memory.events" if self._unified else "memory.oom_control"
        return _value(f"{self._folders['' if self._unified else 'memory']}/{name}", "oom_kill")

    def remove(self) -> None:
        for at, folder in enumerate(self._folders.values()):
            with contextlib.suppress(OSError):
                if at >= len(self._handles):  # it was never opened, so nothing was made read-only either
                    os.rmdir(folder)
                    continue
                parent, processes = self._handles[at]
                os.close(processes)
                os.rmdir(os.path.basename(folder), dir_fd=parent)

    def _open(self) -> None:
        """Raises OSError where no process of ours could be put into the cgroup."""
        for folder in self._folders.values():
            parent = os.open(os.path.dirname(folder), os.O_PATH | os.O_DIRECTORY)
            self._handles.append((parent, os.open(f"{folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)))

    def _create(self, memory: int, processes: int) -> None:
        for folder in self._folders.values():
            if self._unified:
                with contextlib.suppress(OSError):  # it may be on already; if not, the writes below fail
                    _write(f"{os.path.dirname(folder)}/cgroup.subtree_control", "+memory +pids +cpu")
            os.mkdir(folder)
        if self._unified:
            folder = self._folders[""]
            _write(f"{folder}/memory.max", str(memory))
            _write(f"{folder}/pids.max", str(processes))
            with contextlib.suppress(OSError):
                _write(f"{folder}/memory.swap.max", "0")
            self._open()
            return
        _write(f"{self._folders['memory']}/memory.limit_in_bytes", str(memory))
        with contextlib.suppress(OSError):
            _write(f"{self._folders['memory']}/memory.memsw.limit_in_bytes", str(memory))
        _write(f"{self._folders['pids']}/pids.max", str(processes))
        self._open()


def sweep() -> None:
    """Remove the cgroups of supervisors that were killed."""
    for candidates in (_v1(), _v2()):
        for folders in candidates:
            for folder in folders.values():
                _sweep(os.path.dirname(folder))


def _sweep(parent: str) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            if name.startswith("lbi-") and not os.path.exists(f"/proc/{name[4:]}"):
                with contextlib.suppress(OSError):
                    os.rmdir(f"{parent}/{name}")


def _v1() -> list[dict[str, str]]:
    """Candidates below this process's own cgroup, else below the root."""
    if not all(os.path.isdir(f"{ROOT}/{name}") for name in V1):
        return []
    own = _own()
    name = f"lbi-{os.getpid()}"
    places = []
    for inherit in (True, False):
        folders = {}
        for kind in V1:
            path = own.get(kind, "/").rstrip("/") if inherit else ""
            folders[kind] = f"{ROOT}/{kind}{path}/{name}"
        if folders not in places and all(os.path.isdir(os.path.dirname(f)) for f in folders.values()):
            places.append(folders)
    return places


def _v2() -> list[dict[str, str]]:
    """Candidates below this process's own cgroup, or beside it: one with processes of its own cannot limit others."""
    if not os.path.isfile(f"{ROOT}/cgroup.controllers"):
        return []
    own = ROOT + _own().get("", "/").rstrip("/")
    places = [own, os.path.dirname(own)] if own != ROOT else [ROOT]
    return [{"": f"{place}/lbi-{os.getpid()}"} for place in places if os.path.isdir(place)]


def _own() -> dict[str, str]:
    """The cgroup of this process by controller: {"memory": "/user.slice"}."""
    own = {}
    for line in _read("/proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            own[name] = path
    return own


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _value(path: str, name: str) -> int:
    return next((int(line.split()[1]) for line in _read(path).splitlines() if line.split()[0] == name), 0)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
