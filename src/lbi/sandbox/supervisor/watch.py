"""Notices that files were changed, by Linux's inotify, so that what was not touched need not be looked at again.

Whoever is told of a change looks for himself: nothing is read from the events but that there are some.
"""

from __future__ import annotations

import ctypes
import os

from lbi.sandbox.supervisor import processes

#: folders that are watched; where more were changed, all are looked at each time
MOST_FOLDERS = 4096
_CLOEXEC_NONBLOCK = os.O_CLOEXEC | os.O_NONBLOCK
_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0xC0, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _ONLY_FOLDERS, _NO_LINKS = 0x400, 0x800, 0x01000000, 0x02000000
_MASK = (
    *(_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED, _CREATE, _DELETE),
    *(_DELETE_SELF, _MOVE_SELF, _ONLY_FOLDERS, _NO_LINKS),
)
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Folders that are watched from when they were added on. ``complete`` = all that were to be watched are."""

    def __init__(self, running: int) -> None:
        """``running`` is how many processes of the sandbox there are while no command runs."""
        self._running = running
        self._count = 0
        self._handle = int(_libc.inotify_init1(_CLOEXEC_NONBLOCK))
        self.complete = False

    def add(self, folder: str) -> bool:
        """Watch a folder; False where it cannot be. May be called in a child."""
        self._count += 1
        if self._handle < 0 or self._count > MOST_FOLDERS:
            return False
        path = os.fsencode(folder)
        return bool(_libc.inotify_add_watch(self._handle, path, ctypes.c_uint32(sum(_MASK))) >= 0)

    def is_quiet(self) -> bool:
        """Whether nothing was changed, for sure. What is left running could write to memory that is a file's."""
        if not self.complete or len(processes.descendants(os.getpid())) != self._running:
            return False
        try:
            os.read(self._handle, 1 << 16)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        """Harmless when done before."""
        handle, self._handle, self.complete = self._handle, -1, False
        if handle >= 0:
            os.close(handle)
