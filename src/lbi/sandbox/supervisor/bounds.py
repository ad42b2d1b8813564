"""Bounds on what the trusted side reads of files that an agent left: whoever exceeds them has lost a step, no more.

What is beyond a bound is "too large", which is the agent's fault, is told in words, and counts against it at the end of
an episode. It is never a failure of the infrastructure, as an agent could otherwise make itself unscored.
"""

from __future__ import annotations

import errno
import os
from typing import NoReturn

#: files, links and folders that were changed, added or removed
MOST_FILES = 150_000
#: folders one within the other, and bytes of a path: git and most programs can do nothing with longer ones
DEEPEST = 256
LONGEST_PATH = 4000
#: bytes that are hashed or copied at a time, holes of sparse files included; where more may be written, twice that
MOST_BYTES = 2 << 30
#: bytes of one file that is read as a whole: to be shown, changed, or as a report of tests
MOST_READ = 64 << 20
#: bytes of a patch
MOST_PATCH = 64 << 20
#: a child that looks through files may use this much processor time (seconds) and memory (bytes)
CPU_SECONDS = 90
MEMORY = 2 << 30
#: seconds on the clock for the same; a busy machine may hand out the other ones slowly
LOOKING = 600.0
#: files and folders of everything that is written in a sandbox; each takes memory of the kernel
MOST_INODES = 1 << 20


class TooLarge(OSError):
    """What an agent left exceeds a bound. Its ``strerror`` begins with "too large"."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EFBIG, reason if reason.startswith("too large") else f"too large: {reason}")

    def __str__(self) -> str:
        return str(self.strerror)


class Budget:
    """What is left of the bounds while a tree is gone through."""

    def __init__(self, most_bytes: int = 0) -> None:
        """``most_bytes`` are taken where they are more than MOST_BYTES."""
        self.files = MOST_FILES
        self.bytes = self._most = max(most_bytes, MOST_BYTES)

    def take_files(self, count: int = 1) -> None:
        """Raises TooLarge."""
        self.files -= count
        if self.files < 0:
            raise TooLarge(f"more than {MOST_FILES:,} files and folders were changed")

    def take_bytes(self, count: int) -> None:
        """Raises TooLarge."""
        self.bytes -= count
        if self.bytes < 0:
            raise TooLarge(f"the files that were changed have more than {self._most:,} bytes, holes included")

    def enter(self, folder: str) -> None:
        """Raises TooLarge for a folder that lies too deep."""
        if folder.count("/") >= DEEPEST:
            raise TooLarge(f"more than {DEEPEST} folders lie one within the other, below {_short(folder)}")
        if len(os.fsencode(folder)) > LONGEST_PATH:
            raise TooLarge(f"a path has more than {LONGEST_PATH:,} bytes, below {_short(folder)}")


def refuse_large(size: int, path: str) -> None:
    """Raises TooLarge for a file that is not to be read as a whole."""
    if size > MOST_READ:
        raise TooLarge(f"{_short(path)} has {size:,} bytes, and at most {MOST_READ:,} are read at once")


def out_of_bounds() -> NoReturn:
    raise TooLarge(f"going through the files takes more than {MEMORY >> 30} GB of memory or {CPU_SECONDS} s")


def _short(path: str) -> str:
    return path if len(path) <= 80 else path[:80] + "[...]"
