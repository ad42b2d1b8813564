"""Files and folders -> the traces in them, each with the reader of its format, which its content tells.

A reader is one file of ``lbi.interop.readers``, named like the format, or an entry point of the group ``lbi.traces``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from lbi import plugins
from lbi.interop.events import Event
from lbi.interop.source import Broken, Source, is_half_document
from lbi.records import digest_of

KIND = "traces"
#: files in folders that hold no trace of their own
_ENDINGS = (".jsonl", ".json", ".eval", ".ndjson")


class TraceReader(Protocol):
    """A plug-in of the kind ``traces``: a module of ``lbi.interop.readers``, or of another distribution."""

    VERIFIED: str
    """The version of the format or program, and the date, with which it was last tried."""

    def likelihood(self, source: Source) -> float:
        """0..1: how much a file or folder looks like this format, from its beginning."""
        ...

    def read(self, source: Source) -> Iterator[Event]:
        """What it says. Raises Broken where nothing more can be read."""
        ...


@dataclass(frozen=True)
class Trace:
    """A file or folder, and who reads it. ``key`` is the same for the same file, and says nothing of where it lies."""

    source: Source
    format: str

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def key(self) -> str:
        return f"{self.format}/{digest_of(str(self.source.path.resolve()))}"

    def events(self) -> Iterator[Event]:
        """Raises Broken, also for what a reader did not expect."""
        try:
            yield from reader(self.format).read(self.source)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
            raise Broken(f"the reader of {self.format} failed ({type(error).__name__}: {error})"[:200]) from error
        except OSError as error:
            raise Broken(error.strerror or str(error)) from error


def formats() -> tuple[str, ...]:
    """Names of the formats that can be read."""
    return plugins.names(KIND)


@cache
def reader(name: str) -> TraceReader:
    """Raises UserError for an unknown name."""
    return cast(TraceReader, plugins.load(KIND, name))


@dataclass
class FoundTraces:
    """What was found in files and folders."""

    traces: list[Trace] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # file: why it is none, or cannot be read
    passed_over: int = 0  # files of folders that are no traces


def find_traces(paths: Sequence[Path], format: str = "") -> FoundTraces:
    """The traces in files and folders. Raises UserError for an unknown format."""
    if format:
        reader(format)
    found = FoundTraces()
    for path in paths:
        before = len(found.traces) + len(found.refused)
        try:
            for each in _within(path) if path.exists() else ():
                if (trace := _trace(each, format, found, path)) is not None:
                    found.traces.append(trace)
        except OSError as error:
            found.refused[str(path)] = error.strerror or str(error)
        if len(found.traces) + len(found.refused) == before:
            there = "no trace is in this folder" if path.exists() else "there is no such file or folder"
            found.refused[str(path)] = there
    return found


def _within(path: Path) -> Iterator[Path]:
    """The path itself; of a folder that is no trace, every file or folder in it that may be one."""
    if not path.is_dir() or format_of(Source(path)):
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.is_symlink() and entry.is_dir():
            continue
        if entry.is_dir() or entry.suffix in _ENDINGS:
            yield from _within(entry)


def _trace(path: Path, format: str, found: FoundTraces, given: Path) -> Trace | None:
    refused = found.refused
    source = Source(path, str(path.relative_to(given.parent)) if path != given else "")
    try:
        name = format or format_of(source)
        empty = path.is_file() and path.stat().st_size == 0
    except OSError as error:
        refused[str(path)] = error.strerror or str(error)
        return None
    if name and not empty:
        return Trace(source, name)
    if empty:
        refused[str(path)] = "it is empty"
    elif path.is_file() and is_half_document(path):
        refused[str(path)] = "it is no whole JSON document; perhaps it was cut off"
    elif path == given or path.suffix in (".jsonl", ".eval"):
        refused[str(path)] = f"its format is none of {', '.join(formats())}; --format names it"
    else:
        found.passed_over += 1  # other files of a folder may be anything
    return None


def format_of(source: Source) -> str:
    """The format that a file or folder looks most like; "" if it looks like none."""
    scored = [(reader(name).likelihood(source), name) for name in formats()]
    source.forget_head()
    best, name = max(scored, default=(0.0, ""))
    return name if best > 0 else ""
