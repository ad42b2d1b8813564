"""Reads documents in a process of its own, with limits of time and memory: Text(...) -> DocumentPage, or why not.

What a document makes a library do (nesting, backtracking, expansion) is over when the process is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import IO, cast

from lbi.documents.reading import (
    TOO_MUCH_MEMORY,
    TOO_MUCH_TIME,
    Text,
    Unreadable,
    packed,
    read,
    receive,
    send,
    unpacked,
)
from lbi.documents.sections import DocumentPage
from lbi.sandbox.host import Talking, ends_within, talk_on_host

SMALL = 2_000  # characters that no reader takes long for, unless directives can repeat them
LONGEST_REPLY = 100_000_000  # bytes
_READING = "lbi.documents.reading"


class ReadingApart:
    """The process, started when it is first needed, and again after it had to be ended. Close it."""

    def __init__(self) -> None:
        self._process: Talking | None = None

    def read(self, text: Text) -> DocumentPage:
        """Raises Unreadable, also for what exceeds the limits."""
        if len(text.text) <= SMALL and "::" not in text.text:
            return read(text)
        process = self._started()
        reply = None
        with contextlib.suppress(BrokenPipeError):
            send(_of(process.stdin), packed(text))
            reply = receive(_of(process.stdout), LONGEST_REPLY)
        if reply is None:
            raise Unreadable(self._ended())
        return unpacked(reply)

    def _started(self) -> Talking:
        if self._process is None:
            # no variable of ours is for its eyes
            path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
            command = [sys.executable, "-P", "-m", _READING]
            self._process = talk_on_host(command, env={"PYTHONPATH": path, "LC_ALL": "C.UTF-8"})
        return self._process

    def _ended(self) -> str:
        """Why the process gave no reply; the next document has a new one."""
        code = self.close()
        if code in (-signal.SIGPROF, -signal.SIGXCPU):
            return TOO_MUCH_TIME
        return TOO_MUCH_MEMORY if code in (-signal.SIGSEGV, -signal.SIGABRT) else "its reader ended without an answer"

    def close(self) -> int:
        """The exit code of the process, 0 where there is none."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(BrokenPipeError):
                _of(stream).close()
        if not ends_within(process, 1.0):
            process.kill()
        return process.wait()

    def __enter__(self) -> ReadingApart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _of(stream: IO[bytes] | None) -> IO[bytes]:
    return cast(IO[bytes], stream)
