"""A connection to the X server: mouse and keyboard by its XTEST extension, windows, and the keys there are."""

from __future__ import annotations

import socket
import struct

_CHANGE_PROPERTY, _GET_PROPERTY, _INTERN_ATOM, _SEND_EVENT = 18, 20, 16, 25
_GET_GEOMETRY, _TRANSLATE = 14, 40
_QUERY_POINTER, _GET_FOCUS, _QUERY_EXTENSION = 38, 43, 98
_CHANGE_KEYBOARD, _GET_KEYBOARD = 100, 101
_FAKE_INPUT = 2
KEY_PRESS, KEY_RELEASE, BUTTON_PRESS, BUTTON_RELEASE, MOTION = 2, 3, 4, 5, 6
_BUTTONS = 0x1F00  # of what is held down, the part that tells of the mouse
_SUBSTRUCTURE = 0x00180000  # SubstructureNotify and SubstructureRedirect, as requests to a window manager are sent


class XError(OSError):
    """The server refused a request, or is gone."""


class Display:
    """One connection. Every method that asks waits for the answer; the others are carried out in order."""

    def __init__(self, name: str) -> None:
        """``name`` is such as ":0". Raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(20)
        self._socket.connect(f"/tmp/.X11-unix/X{name.lstrip(':')}")
        self._socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        status, words = struct.unpack("<BxxxxxH", self._exactly(8))
        body = self._exactly(4 * words)
        if status != 1:
            raise XError(5, f"the X server refused the connection: {body[:80]!r}")
        vendor, formats = struct.unpack_from("<H", body, 16)[0], body[21]
        self.first_key, self.last_key = body[26], body[27]
        screen = 32 + vendor + (-vendor) % 4 + 8 * formats
        self.root: int = struct.unpack_from("<I", body, screen)[0]
        self.width, self.height = struct.unpack_from("<HH", body, screen + 20)
        self._atoms: dict[str, int] = {}
        present, major = struct.unpack_from("<BB", self._named(_QUERY_EXTENSION, "XTEST"), 8)
        if not present:
            raise XError(5, "the X server has no XTEST extension")
        self._xtest: int = major

    # input

    def fake(self, kind: int, detail: int = 0, x: int = 0, y: int = 0) -> None:
        """A key or button pressed or released, or the pointer moved to a place."""
        self._socket.sendall(self._faked(kind, detail, x, y))

    def fake_at_once(self, *events: tuple[int, int]) -> None:
        """Keys or buttons, (kind, detail) of each, in one piece: what programs count as one double click."""
        self._socket.sendall(b"".join(self._faked(kind, detail) for kind, detail in events))

    def _faked(self, kind: int, detail: int, x: int = 0, y: int = 0) -> bytes:
        body = struct.pack("<BBHIIQHHIHBB", kind, detail, 0, 0, self.root, 0, x, y, 0, 0, 0, 0)
        return self._packed(self._xtest, _FAKE_INPUT, body)

    def pointer(self) -> tuple[int, int]:
        reply = self._ask(_QUERY_POINTER, 0, struct.pack("<I", self.root))
        x, y = struct.unpack_from("<hh", reply, 16)
        return int(x), int(y)

    def button_is_held(self) -> bool:
        """Whether a button of the mouse is down."""
        reply = self._ask(_QUERY_POINTER, 0, struct.pack("<I", self.root))
        return bool(struct.unpack_from("<H", reply, 24)[0] & _BUTTONS)

    def sync(self) -> None:
        """Wait until the server has done all of it."""
        self._ask(_GET_FOCUS, 0, b"")

    def keyboard(self) -> list[tuple[int, ...]]:
        """The keysyms of each key, from ``first_key`` on."""
        count = self.last_key - self.first_key + 1
        reply = self._ask(_GET_KEYBOARD, 0, struct.pack("<BBxx", self.first_key, count))
        each = reply[1]
        syms = struct.unpack_from(f"<{count * each}I", reply, 32)
        return [syms[at : at + each] for at in range(0, count * each, each)]

    def set_key(self, key: int, keysym: int) -> None:
        self._send(_CHANGE_KEYBOARD, 1, struct.pack("<BBxxII", key, 2, keysym, keysym))

    # windows

    def windows(self) -> list[int]:
        """The windows of programs from the lowest to the topmost; none before there is a window manager."""
        return self.numbers(self.root, "_NET_CLIENT_LIST_STACKING")

    def numbers(self, window: int, name: str) -> list[int]:
        """A property that is a list of 32-bit numbers; empty where there is none."""
        value = self.property(window, name)
        return list(struct.unpack(f"<{len(value) // 4}I", value[: len(value) // 4 * 4]))

    def text(self, window: int, name: str) -> str:
        return self.property(window, name).decode("utf-8", "replace")

    def property(self, window: int, name: str) -> bytes:
        try:
            reply = self._ask(_GET_PROPERTY, 0, struct.pack("<IIIII", window, self.atom(name), 0, 0, 1 << 14))
        except XError:  # the window is gone
            return b""
        size, items = reply[1] // 8, struct.unpack_from("<I", reply, 16)[0]
        return reply[32 : 32 + size * items]

    def box(self, window: int) -> list[int]:
        """Left, top, width and height on the screen; empty where the window is gone."""
        try:
            width, height = struct.unpack_from("<HH", self._ask(_GET_GEOMETRY, 0, struct.pack("<I", window)), 16)
            moved = self._ask(_TRANSLATE, 0, struct.pack("<IIhh", window, self.root, 0, 0))
        except XError:
            return []
        return [*struct.unpack_from("<hh", moved, 12), width, height]

    def set_text(self, window: int, name: str, text: str) -> None:
        raw = text.encode()
        head = struct.pack("<IIIBxxxI", window, self.atom(name), self.atom("STRING"), 8, len(raw))
        self._send(_CHANGE_PROPERTY, 0, head + raw)

    def activate(self, window: int) -> None:
        """Ask the window manager to bring a window to the front."""
        self._request(window, "_NET_ACTIVE_WINDOW", 2)

    def close_window(self, window: int) -> None:
        """Ask the window manager to close a window, as its button does."""
        self._request(window, "_NET_CLOSE_WINDOW", 0)

    def _request(self, window: int, name: str, first: int) -> None:
        event = struct.pack("<BBxxII5I", 33, 32, window, self.atom(name), first, 0, 0, 0, 0)
        self._send(_SEND_EVENT, 0, struct.pack("<II", self.root, _SUBSTRUCTURE) + event)

    def atom(self, name: str) -> int:
        if name not in self._atoms:
            self._atoms[name] = struct.unpack_from("<I", self._named(_INTERN_ATOM, name), 8)[0]
        return self._atoms[name]

    # the wire

    def _named(self, opcode: int, name: str) -> bytes:
        raw = name.encode()
        return self._ask(opcode, 0, struct.pack("<Hxx", len(raw)) + raw)

    def _send(self, opcode: int, detail: int, body: bytes) -> None:
        self._socket.sendall(self._packed(opcode, detail, body))

    @staticmethod
    def _packed(opcode: int, detail: int, body: bytes) -> bytes:
        body += b"\0" * (-len(body) % 4)
        return struct.pack("<BBH", opcode, detail, 1 + len(body) // 4) + body

    def _ask(self, opcode: int, detail: int, body: bytes) -> bytes:
        """The reply to a request. Raises XError for one that the server refuses."""
        self._send(opcode, detail, body)
        while True:
            message = self._exactly(32)
            if message[0] == 1:
                return message + self._exactly(4 * struct.unpack_from("<I", message, 4)[0])
            if message[0] == 0 and message[10] == opcode:  # one that was not asked, such as an input, has failed before
                raise XError(5, f"the X server refused request {opcode} with error {message[1]}")

    def _exactly(self, count: int) -> bytes:
        chunks = []
        while count:
            chunk = self._socket.recv(count)
            if not chunk:
                raise XError(5, "the X server is gone")
            chunks.append(chunk)
            count -= len(chunk)
        return b"".join(chunks)
