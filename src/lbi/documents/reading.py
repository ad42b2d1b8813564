"""Text of a document -> its sections, by the reader of its format; also as a process of its own (`documents.apart`).

The process takes requests on standard input, each a length of 4 bytes and JSON, and replies on standard output alike:
{"text": "# Guide ...", "format": "markdown", ...} -> {"sections": [[["Guide"], "# Guide ..."]], "title": "Guide", ...}.
"""

from __future__ import annotations

import json
import resource
import signal
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import IO, Protocol, cast

from lbi import plugins
from lbi.documents.sections import LONGEST, SHORTEST, DocumentPage, Section, fit

SECONDS = 10  # of computing time for one document
MEMORY = 2 << 30  # bytes of the whole process
LENGTH = struct.Struct(">I")


class Reader(Protocol):
    """A plug-in of the kind ``readers``, such as a module of ``lbi.documents.readers``."""

    ENDINGS: tuple[str, ...]
    CONTENT_TYPES: tuple[str, ...]

    def likelihood(self, text: str) -> float: ...

    def read(self, text: str) -> DocumentPage: ...


@dataclass(frozen=True)
class Text:
    """A document's text and what tells its format, and how long its sections may be."""

    text: str
    format: str = ""
    ending: str = ""
    content_type: str = ""
    longest: int = LONGEST
    shortest: int = SHORTEST


class Unreadable(ValueError):
    """The message says why a document cannot be read."""


def formats() -> tuple[str, ...]:
    """Names of the formats that can be read."""
    return plugins.names("readers")


def read(text: Text) -> DocumentPage:
    """The page, its sections of useful size. Raises Unreadable."""
    try:
        page = _reader_of(text).read(text.text)
        return DocumentPage(fit(page.sections, text.longest, text.shortest), page.title, page.date)
    except RecursionError:
        raise Unreadable("nested too deeply") from None
    except MemoryError:
        raise Unreadable(TOO_MUCH_MEMORY) from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        raise Unreadable(f"its reader failed ({type(error).__name__}: {error})"[:200]) from None


TOO_MUCH_MEMORY = f"takes more than {MEMORY >> 30} GiB of memory to read"
TOO_MUCH_TIME = f"takes more than {SECONDS} s to read"


@cache
def _reader(name: str) -> Reader:
    return cast(Reader, plugins.load("readers", name))


def _reader_of(text: Text) -> Reader:
    """The reader that was named, else that of the content type or ending, else the one the text looks most like."""
    if text.format:
        return _reader(text.format)
    readers = [_reader(known) for known in formats()]
    for reader in readers:
        if text.content_type in reader.CONTENT_TYPES or text.ending in reader.ENDINGS:
            return reader
    return max(readers, key=lambda reader: reader.likelihood(text.text))


# the process


def receive(stream: IO[bytes], most: int) -> bytes | None:
    """One message; None at the end of the stream, and for one that is longer than ``most``."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size or LENGTH.unpack(head)[0] > most:
        return None
    message = stream.read(LENGTH.unpack(head)[0])
    return message if len(message) == LENGTH.unpack(head)[0] else None


def send(stream: IO[bytes], message: bytes) -> None:
    stream.write(LENGTH.pack(len(message)) + message)
    stream.flush()


def packed(text: Text) -> bytes:
    return json.dumps(asdict(text)).encode()


def unpacked(message: bytes) -> DocumentPage:
    """The page that the process replied with. Raises Unreadable."""
    reply = json.loads(message)
    if "error" in reply:
        raise Unreadable(reply["error"])
    sections = tuple(Section(tuple(headings), text) for headings, text in reply["sections"])
    return DocumentPage(sections, reply["title"], reply["date"])


def _reply(message: bytes) -> bytes:
    try:
        page = read(Text(**json.loads(message)))
    except Unreadable as error:
        return json.dumps({"error": str(error)}).encode()
    sections: Sequence[tuple[tuple[str, ...], str]] = [(section.headings, section.text) for section in page.sections]
    return json.dumps({"sections": sections, "title": page.title, "date": page.date}).encode()


def main() -> None:
    """Reads until there is nothing more. The kernel ends the process where a document takes too long."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (message := receive(sys.stdin.buffer, 0xFFFFFFFF)) is not None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        reply = _reply(message)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(sys.stdout.buffer, reply)


if __name__ == "__main__":
    main()
