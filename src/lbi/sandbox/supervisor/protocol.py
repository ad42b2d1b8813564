"""Messages between a sandbox and its keeper, which are one interpreter's: an object, and bytes beside it.

Over a socket, read and written as a plain file: what handles sockets and JSON takes longer to load than all the rest.
"""

from __future__ import annotations

import marshal
import os
import struct
from typing import Any

HEADER = struct.Struct("!IQ")  # lengths of the object and of the bytes
Said = dict[str, Any]


def pack(said: Said, content: bytes = b"") -> bytes:
    text = marshal.dumps(said)
    return HEADER.pack(len(text), len(content)) + text + content


def unpack(text: bytes) -> Said:
    said: Said = marshal.loads(text)
    return said


def send(handle: int, said: Said, content: bytes = b"") -> None:
    """Raises BrokenPipeError when the other side is gone."""
    view = memoryview(pack(said, content))
    while view:
        view = view[os.write(handle, view) :]


def receive(handle: int) -> tuple[Said, bytes]:
    """The next message. Raises EOFError when the other side is gone."""
    text, content = HEADER.unpack(_exactly(handle, HEADER.size))
    return unpack(_exactly(handle, text)), _exactly(handle, content)


def _exactly(handle: int, count: int) -> bytes:
    chunks = []
    while count:
        chunk = os.read(handle, min(count, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)
