"""What the programs on a desktop are doing: which there are, whether one works, and how much time they had for it."""

from __future__ import annotations

import os
import time

LONGEST = 30.0  # seconds by the clock that anything is waited for, however busy the machine is


class Activity:
    """Looks at all processes but this one, and counts the time since it began as these programs have it.

    While one waits for a processor or a disk that others have, that time does not count: on a machine that gives a
    program a tenth of a processor, a second's work takes ten, and is a second's work still.
    """

    def __init__(self) -> None:
        self.processes: frozenset[int] = frozenset()
        self.works = False
        self.spent = 0.0  # seconds
        self._began = self._last = time.monotonic()
        self._known: dict[str, tuple[float, float]] = {}  # of each thread that works or just did, what `_times` told
        self._owed = 0.0  # seconds that were waited and not yet left out
        self.look()

    def look(self) -> None:
        """Look again: ``processes``, ``works`` (a thread of any of them) and ``spent``."""
        threads = _threads()
        working = {task for task, state in threads.items() if state in b"RD"}
        self.processes = frozenset(int(task.split("/")[2]) for task in threads)
        self.works = bool(working)
        now = time.monotonic()
        passed, self._last = now - self._last, now
        told = {task: times for task in working | self._known.keys() if (times := _times(task)) is not None}
        since = [
            (had - before[0], lost - before[1])
            for task, (had, lost) in told.items()
            if (before := self._known.get(task))
        ]
        self._known = {task: told[task] for task in working if task in told}
        only_disk = bool(working) and all(threads[task] == b"D" for task in working)
        # a wait is told once it is over, so that it may be longer than the time from one look to the next
        self._owed += passed if only_disk else max((lost for _, lost in since), default=0.0)
        left_out = min(self._owed, passed)
        self._owed -= left_out
        # a program of many threads waits for itself, and is not short of time
        self.spent += max(passed - left_out, min(passed, sum(had for had, _ in since)))

    def is_past(self, seconds: float) -> bool:
        """Whether the programs had that much time, or the clock says that it is enough for any machine."""
        return self.spent > seconds or self._last - self._began > max(seconds, LONGEST)


def _threads() -> dict[str, bytes]:
    """The state of each thread of each process but this one: b"R" runs or would, b"D" waits for a disk, others rest."""
    found: dict[str, bytes] = {}
    own = str(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit() and name != own:
            try:
                for thread in os.listdir(f"/proc/{name}/task"):
                    task = f"/proc/{name}/task/{thread}"
                    if told := _read(f"{task}/stat"):
                        found[task] = told.rpartition(b") ")[2][:1]
            except OSError:  # it has just ended
                continue
    return found


def _times(task: str) -> tuple[float, float] | None:
    """Seconds that a thread had a processor, and that it could have run and was not let.

    None where it has ended, or the kernel does not tell.
    """
    numbers = _read(f"{task}/schedstat").split()
    return (int(numbers[0]) / 1e9, int(numbers[1]) / 1e9) if len(numbers) == 3 else None


def _read(path: str) -> bytes:
    """What a small file of the kernel says; nothing where it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(handle, 1024)
    except OSError:
        return b""
    finally:
        os.close(handle)
