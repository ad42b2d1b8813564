"""What the display shows, read from the file that the X server draws into: a picture, and whether it has changed."""

from __future__ import annotations

import mmap
import struct
import zlib

_HEADER = 25  # numbers of an XWD file's header; the picture follows it and the table of colours
_BYTES_PER_LINE, _WIDTH, _HEIGHT, _COLOURS = 12, 4, 5, 19


class Screen:
    """The screen that ``Xvfb -fbdir`` draws, 4 bytes for each point: blue, green, red and one that says nothing."""

    def __init__(self, path: str) -> None:
        """Raises OSError, ValueError where the file is not there or not complete yet."""
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        header = struct.unpack_from(f">{_HEADER}I", self._map, 0)
        self.width, self.height = header[_WIDTH], header[_HEIGHT]
        self._line = header[_BYTES_PER_LINE]
        self._start = header[0] + 12 * header[_COLOURS]

    def mark(self) -> int:
        """A number that is another one when something else is shown."""
        return zlib.crc32(memoryview(self._map)[self._start : self._start + self._line * self.height])

    def png(self) -> bytes:
        pixels = self._map[self._start : self._start + self._line * self.height]
        colours = bytearray(3 * len(pixels) // 4)
        colours[0::3], colours[1::3], colours[2::3] = pixels[2::4], pixels[1::4], pixels[0::4]
        wide, line = 3 * self.width, 3 * self._line // 4
        lines = b"".join(b"\0" + colours[at : at + wide] for at in range(0, line * self.height, line))
        size = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        parts = (b"IHDR", size), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(_part(kind, data) for kind, data in parts)


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
