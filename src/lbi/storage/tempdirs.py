"""Temporary folders that are removed with their process; those of a killed process are removed at the next start.

A lock on a file in the folder shows that its process is alive: the kernel releases it however the process ends. Unlike
a process id, it cannot be reused by another process, nor mean a process of another container.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from lbi.sandbox.beneath import remove_tree

PREFIX = "lbi-"
LOCK = "owner.lock"


class OwnFolder:
    """An empty folder for this process alone, until ``remove`` or the end of the process."""

    def __init__(self, name: str) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{name}-"))
        part = self.path / f"{LOCK}.part"
        self._lock = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # another process must not see the file before it is locked
        part.rename(self.path / LOCK)

    def remove(self) -> None:
        """Harmless when done before."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            with contextlib.suppress(OSError):
                remove_tree(self.path)
            os.close(lock)


def remove_leftovers() -> list[Path]:
    """Remove the folders of processes that have ended, and return their paths."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another user's, no folder of this kind, or just removed by its owner
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(folder)
                removed.append(folder)
            finally:
                os.close(lock)
    return removed
