"""Export formats: one file for each, with ENDING, ``row(turn)`` -> its JSON object, and ``open_sink(file)`` -> Sink.

A format of another distribution is an entry point of the group ``lbi.exporters`` with the same three names. A fourth,
CONSUMERS, may say what reads the format and what that cuts by default (lbi.export.lengths).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from lbi import plugins
from lbi.export.lengths import Consumer
from lbi.export.sinks import Sink
from lbi.export.turns import Turn
from lbi.protocols import Json


class Exporter(Protocol):
    """What a module of this folder provides."""

    ENDING: str

    def row(self, turn: Turn) -> Json: ...

    def open_sink(self, file: Path) -> Sink: ...


def exporter_names() -> tuple[str, ...]:
    return plugins.names("exporters")


def open_exporter(name: str) -> Exporter:
    """The format called ``name``. Raises UserError for an unknown one, with the nearest."""
    return cast(Exporter, plugins.load("exporters", name))


def consumers_of(exporter: Exporter) -> tuple[Consumer, ...]:
    """What reads a format, as far as its module says so."""
    return tuple(getattr(exporter, "CONSUMERS", ()))
