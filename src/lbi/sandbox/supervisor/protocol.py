"""Messages between a sandbox and its supervisor: a dictionary of plain values, and bytes beside it.

Both sides run the same interpreter, so ``marshal`` will do. The socket is read and written as a plain file: the modules
for sockets and JSON take longer to load than all the rest of the supervisor.
"""

from __future__ import annotations

import marshal
import os
import struct
from typing import Any

HEADER = struct.Struct("!IQ")  # lengths of the dictionary and of the bytes
Message = dict[str, Any]


def pack(message: Message, content: bytes = b"") -> bytes:
    packed = marshal.dumps(message)
    return HEADER.pack(len(packed), len(content)) + packed + content


def unpack(packed: bytes) -> Message:
    message: Message = marshal.loads(packed)
    return message


def send(handle: int, message: Message, content: bytes = b"") -> None:
    """Raises BrokenPipeError when the other side is gone."""
    view = memoryview(pack(message, content))
    while view:
        view = view[os.write(handle, view) :]


def receive(handle: int) -> tuple[Message, bytes]:
    """The next message. Raises EOFError when the other side is gone."""
    message_length, content_length = HEADER.unpack(_read_exactly(handle, HEADER.size))
    return unpack(_read_exactly(handle, message_length)), _read_exactly(handle, content_length)


def _read_exactly(handle: int, count: int) -> bytes:
    chunks = []
    while count:
        chunk = os.read(handle, min(count, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)
