"""The descendants of a process, read from /proc, with their memory and time; used where there are no cgroups."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from lbi.sandbox.supervisor.cgroups import Used

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    pids, queue = [], [pid]
    while queue:
        for child in _children(queue.pop()):
            pids.append(child)
            queue.append(child)
    return pids


def used(pid: int) -> Used:
    """What the descendants of a process use; time includes that of children that have ended and were waited for."""
    threads = memory = ticks = 0
    for child in descendants(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = _read(f"/proc/{child}/stat").rpartition(")")[2].split()
            threads += int(fields[17])
            ticks += sum(int(field) for field in fields[11:15])
            memory += int(_read(f"/proc/{child}/statm").split()[1]) * PAGE
    return Used(threads, memory, ticks / TICKS)


def end_all() -> None:
    """Kill all descendants of this process, also those that are just being started, and wait until none is left.

    Works only in a process that adopts orphans (``mounts.adopt_orphans``).
    """
    me = os.getpid()
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            for child in descendants(me):
                with contextlib.suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.001)


def _children(pid: int) -> list[int]:
    children = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children += [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
    return children


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
