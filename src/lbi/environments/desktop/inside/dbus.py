"""A connection to a D-Bus: many calls are sent at once, and their answers read as they come."""

from __future__ import annotations

import functools
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_CALL, _RETURN, _ERROR = 1, 2, 3
_FIXED = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d", "b": "I"}
_SIZES = {"y": 1, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8, "b": 4}
AT_ONCE = 400  # calls under way; more would have to be kept by the bus


class Call(NamedTuple):
    """``arguments`` are of the types in ``signature``: s, o, i, u, b, d."""

    to: str
    path: str
    interface: str
    member: str
    signature: str = ""
    arguments: Sequence[Any] = ()


class BusError(OSError):
    """A call was answered with an error, or not in time; or the bus is gone."""


class Bus:
    def __init__(self, address: str) -> None:
        """``address`` is such as "unix:path=/tmp/bus,guid=...". Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(_socket_name(address))
        uid = str(os.getuid()).encode().hex().encode()
        self._socket.sendall(b"\0AUTH EXTERNAL " + uid + b"\r\n")
        said = self._socket.recv(4096)
        if not said.startswith(b"OK"):
            raise BusError(5, f"the bus refused the connection: {said!r}")
        self._socket.sendall(b"BEGIN\r\n")
        self._serial = 0
        self._unread = bytearray()
        self.ask(Call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"))

    def ask(self, call: Call, seconds: float = 20.0) -> Any:
        """The answer's values, or its only one. Raises BusError."""
        answer = self.ask_all([call], seconds)[0]
        if isinstance(answer, BusError):
            raise answer
        return answer

    def ask_all(self, calls: Sequence[Call], seconds: float = 20.0) -> list[Any]:
        """An answer for each call, in their order; a BusError in place of one that failed. Raises BusError."""
        deadline = time.monotonic() + seconds
        answers: list[Any] = [BusError(110, "there was no answer in time") for _ in calls]
        places: dict[int, int] = {}
        sending, at = b"", 0
        self._socket.setblocking(False)
        while (places or at < len(calls) or sending) and time.monotonic() < deadline:
            while at < len(calls) and len(places) < AT_ONCE:
                self._serial += 1
                places[self._serial] = at
                sending += _packed(calls[at], self._serial)
                at += 1
            left = max(deadline - time.monotonic(), 0)
            ready, writable, _ = select.select([self._socket], [self._socket] if sending else [], [], left)
            if writable:
                sending = sending[self._socket.send(sending) :]
            if ready:
                self._receive(lambda serial, answer: _put(answers, places, serial, answer))
        return answers

    def _receive(self, answered: Callable[[int, Any], None]) -> None:
        try:
            chunk = self._socket.recv(1 << 18)
        except BlockingIOError:
            return
        if not chunk:
            raise BusError(5, "the bus is gone")
        self._unread += chunk
        at, data = 0, bytes(self._unread)
        while len(data) - at >= 16:
            body, _, fields = struct.unpack_from("<III", data, at + 4)
            start = at + 16 + fields + (-fields) % 8
            if len(data) < start + body:
                break
            if data[at + 1] in (_RETURN, _ERROR):
                answered(*_answer(data[at:start], data[start : start + body], data[at + 1]))
            at = start + body
        del self._unread[:at]


def _put(answers: list[Any], places: dict[int, int], serial: int, answer: Any) -> None:
    place = places.pop(serial, None)
    if place is not None:
        answers[place] = answer


def _answer(head: bytes, body: bytes, kind: int) -> tuple[int, Any]:
    """(serial of the call, its answer)."""
    fields = dict(Reader(head, 12).value("a(yv)"))
    signature = fields.get(8, "")
    values = Reader(body).values(signature) if signature else ()
    if kind == _ERROR:
        said = next((value for value in values if isinstance(value, str)), "")
        return fields[5], BusError(5, f"{fields.get(4, '')}: {said}")
    return fields[5], values[0] if len(values) == 1 else values


class Reader:
    """Reads values of D-Bus types from little-endian bytes."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def values(self, signature: str) -> tuple[Any, ...]:
        return tuple(self.value(kind) for kind in _types(signature))

    def value(self, kind: str) -> Any:
        first = kind[0]
        if first in "so":
            return self._text(4)
        if first in _FIXED:
            size = _SIZES[first]
            at = self.at + (-self.at) % size
            self.at = at + size
            return struct.unpack_from("<" + _FIXED[first], self.data, at)[0]
        if first == "a":
            return self._array(kind[1:])
        if first in "({":
            self._align(8)
            return self.values(kind[1:-1])
        return self.value(self._text(1)) if first == "v" else self._text(1)

    def _array(self, kind: str) -> list[Any]:
        size = self.value("u")
        self._align(8 if kind[0] in "({xtd" else _SIZES.get(kind[0], 1 if kind[0] in "gv" else 4))
        end, found = self.at + size, []
        while self.at < end:
            found.append(self.value(kind))
        return found

    def _text(self, width: int) -> str:
        if width == 4:
            size, start = self.value("u"), self.at
        else:
            size, start = self.data[self.at], self.at + 1
        self.at = start + size + 1
        return self.data[start : start + size].decode("utf-8", "replace")

    def _align(self, to: int) -> None:
        self.at += -self.at % to


@functools.lru_cache(maxsize=256)
def _types(signature: str) -> tuple[str, ...]:
    """The complete types of a signature: "sa(so)" -> ("s", "a(so)")."""
    kinds: list[str] = []
    at = 0
    while at < len(signature):
        end = at
        while signature[end] == "a":
            end += 1
        depth = 0
        while True:
            depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(signature[end], 0)
            end += 1
            if not depth:
                break
        kinds.append(signature[at:end])
        at = end
    return tuple(kinds)


def _packed(call: Call, serial: int) -> bytes:
    fields = b""
    for code, kind, text in ((1, "o", call.path), (6, "s", call.to), (2, "s", call.interface), (3, "s", call.member)):
        fields += b"\0" * (-len(fields) % 8) + bytes((code, 1, ord(kind), 0)) + _string(text)
    if call.signature:
        fields += b"\0" * (-len(fields) % 8) + bytes((8, 1, ord("g"), 0))
        fields += bytes((len(call.signature),)) + call.signature.encode() + b"\0"
    body = b""
    for kind, value in zip(call.signature, call.arguments, strict=True):
        if kind in "so":
            body += b"\0" * (-len(body) % 4) + _string(value)
        else:
            body += b"\0" * (-len(body) % _SIZES[kind]) + struct.pack("<" + _FIXED[kind], value)
    head = struct.pack("<BBBBIII", ord("l"), _CALL, 0, 1, len(body), serial, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8) + body


def _string(text: str) -> bytes:
    raw = text.encode("utf-8", "replace").replace(b"\0", b"")
    return struct.pack("<I", len(raw)) + raw + b"\0"


def _socket_name(address: str) -> str:
    """The first UNIX socket of an address, as the socket module takes it."""
    for part in address.split(";"):
        kind, _, rest = part.partition(":")
        values = dict(item.partition("=")[::2] for item in rest.split(","))
        if kind == "unix" and "path" in values:
            return values["path"]
        if kind == "unix" and "abstract" in values:
            return "\0" + values["abstract"]
    raise BusError(22, f"no UNIX socket in the address {address!r}")
