"""All descendants of a process, from /proc: how many, how much memory and time; for where no control group watches."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from lbi.sandbox.supervisor.cgroups import Used

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        for child in _children(parent):
            found.append(child)
            queue.append(child)
    return found


def used(pid: int) -> Used:
    """Of the process's descendants; time includes that of children that have ended and were waited for."""
    threads = memory = 0
    ticks = 0
    for each in descendants(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = _read(f"/proc/{each}/stat").rpartition(")")[2].split()
            threads += int(fields[17])
            ticks += sum(int(field) for field in fields[11:15])
            memory += int(_read(f"/proc/{each}/statm").split()[1]) * PAGE
    return Used(threads, memory, ticks / TICKS)


def end_all() -> None:
    """Kill all descendants of this process, also those that are just being born, and wait until none is left.

    Needs to be who adopts orphans.
    """
    me = os.getpid()
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            for each in descendants(me):
                with contextlib.suppress(OSError):
                    os.kill(each, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.001)


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()]
    return found


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
