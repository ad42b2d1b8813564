"""Messages between a sandbox and its keeper, over a socket: a JSON object, and bytes beside it."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

HEADER = struct.Struct("!IQ")  # lengths of the object and of the bytes
Json = dict[str, Any]


def pack(said: Json, content: bytes = b"") -> bytes:
    text = json.dumps(said).encode()
    return HEADER.pack(len(text), len(content)) + text + content


def receive(connection: socket.socket) -> tuple[Json, bytes]:
    """The next message. Raises EOFError when the other side is gone."""
    text, content = HEADER.unpack(_exactly(connection, HEADER.size))
    return json.loads(_exactly(connection, text)), _exactly(connection, content)


def _exactly(connection: socket.socket, count: int) -> bytes:
    chunks = []
    while count:
        chunk = connection.recv(min(count, 1 << 20))
        if not chunk:
            raise EOFError
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)
