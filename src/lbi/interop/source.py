"""A file or folder of traces -> its lines or documents, with what was wrong with them.

Lines come one by one, so that a session of any size takes little memory. A last line that is half written is left
out and counted; a line that is no JSON object in the middle of others is too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from lbi.errors import UserError
from lbi.records import sound

Json = dict[str, Any]
LONGEST_LINE = 64 << 20  # bytes; a longer one is left out and counted
LARGEST_DOCUMENT = 512 << 20  # bytes of a format that is one JSON document, which has to be read as a whole
HEAD_LINES = 20
HEAD_BYTES = 1 << 20


class Broken(UserError):
    """A file that cannot be read. The message says what is wrong with it, without its name."""


class Source:
    """One trace on disk: a file, or a folder where a trace is one."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or path.name  # by which it is told; many files are called alike
        self.left_out: Counter[str] = Counter()  # what could not be read, and how often
        self._head: list[Json] | None = None
        self._end = -1  # of the file, in bytes, as it was first read; a session may go on meanwhile

    def lines(self) -> Iterator[tuple[int, Json]]:
        """(number from 1, object) of each line that is a JSON object. What is appended later is not read."""
        self._end = self.path.stat().st_size if self._end < 0 else self._end
        with self.path.open("rb") as file:
            number = at = 0
            while raw := file.readline(LONGEST_LINE + 1)[: self._end - at]:
                number += 1
                at += len(raw)
                if len(raw) > LONGEST_LINE:
                    at += self._rest_of_line(file)
                    self.left_out["line over 64 MiB"] += 1
                elif (value := self._object(raw)) is not None:
                    yield number, value

    def _rest_of_line(self, file: Any) -> int:
        """Pass over it; its length in bytes."""
        length = 0
        while raw := file.readline(LONGEST_LINE):
            length += len(raw)
            if raw.endswith(b"\n"):
                break
        return length

    def _object(self, raw: bytes) -> Json | None:
        text = raw.decode("utf-8", "replace").strip().lstrip("\ufeff")
        if not text:
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            half = not raw.endswith(b"\n")
            self.left_out["last line, half written" if half else "line that is no JSON"] += 1
            return None
        if not isinstance(value, dict):
            self.left_out["line that is no JSON object"] += 1
            return None
        return value

    def document(self, path: Path | None = None) -> Any:
        """The whole file as one JSON value. Raises Broken."""
        file = path or self.path
        try:
            if file.stat().st_size > LARGEST_DOCUMENT:
                raise Broken(
                    f"it is one JSON document of over {LARGEST_DOCUMENT >> 20} MiB, which is too large to read"
                )
            return json.loads(file.read_bytes().decode("utf-8-sig", "replace"))
        except OSError as error:
            raise Broken(error.strerror or str(error)) from None
        except (ValueError, RecursionError) as error:
            raise Broken(f"no whole JSON document: {error}"[:160]) from None

    def head(self) -> list[Json]:
        """The first objects: of JSON Lines those of the first lines, else the document itself. Empty = neither."""
        if self._head is None:
            self._head = self._read_head()
        return self._head

    def forget_head(self) -> None:
        """Keep no more of the file than its name."""
        self._head = None

    def _read_head(self) -> list[Json]:
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            lines = list(_first_lines(file))
        loaded = [_loaded(line) for line in lines]
        if loaded and isinstance(loaded[0], dict):
            return [value for value in loaded if isinstance(value, dict)]
        if not lines or lines[0].lstrip(b"\xef\xbb\xbf \r\n\t")[:1] not in (b"{", b"["):
            return []
        try:
            whole = self.document()
        except Broken:
            return []
        return [value for value in (whole if isinstance(whole, list) else [whole]) if isinstance(value, dict)]


def is_half_document(path: Path) -> bool:
    """Whether a file begins like a JSON document and is none."""
    with path.open("rb") as file:
        begins = file.read(100).lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"[")
    if not begins or path.stat().st_size > LARGEST_DOCUMENT:
        return False
    try:
        Source(path).document()
    except Broken:
        return True
    return False


def _first_lines(file: BinaryIO) -> Iterator[bytes]:
    """Those that are not empty, as a whole: what an agent was told at first may be long. At most HEAD_LINES, none more
    once HEAD_BYTES are read; of a line that is too long to be read its beginning."""
    count = at = 0
    while count < HEAD_LINES and at < HEAD_BYTES and (line := file.readline(LONGEST_LINE + 1)):
        count, at = count + 1, at + len(line)
        if line.strip(b"\xef\xbb\xbf \r\n\t"):
            yield line


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


# reading fields of what others wrote, where anything may be missing or of another kind


def text(value: Any) -> str:
    """A text; of anything else what JSON makes of it; "" of nothing."""
    if isinstance(value, str):
        return sound(value)
    return "" if value is None else sound(json.dumps(value, ensure_ascii=False))


def table(value: Any) -> Json:
    """An object; {} of anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Json]:
    """The objects of a list; none of anything else."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number(value: Any) -> int:
    """A count that is not negative; 0 of anything else."""
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15 else 0


def arguments_of(value: Any) -> Any:
    """Arguments that may be written as JSON in a text."""
    if isinstance(value, str):
        loaded = _loaded(value.encode("utf-8", "surrogatepass"))
        return loaded if isinstance(loaded, dict) else value
    return value if isinstance(value, dict) else {}
