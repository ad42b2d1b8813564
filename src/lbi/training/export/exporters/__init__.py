"""Export formats: one file for each, with ENDING, ``open_sink(file)`` -> Sink, and what a row is made of.

``row(turn)`` makes one of a step, ``row_of_conversation(conversation)`` one of a whole trajectory and
``row_of_pair(pair)`` one of a preference; a format has one of these or more. ``configs(facts)`` gives the files that
its reader wants beside the rows. A format of another distribution is an entry point of the group ``lbi.exporters``
with the same names. CONSUMERS may say what reads it and what that cuts by default (lbi.training.export.lengths).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

from lbi import plugins
from lbi.errors import UserError
from lbi.protocols import Json
from lbi.training.export.consumers import Facts
from lbi.training.export.conversations import Conversation
from lbi.training.export.lengths import Consumer
from lbi.training.export.pairs import Pair
from lbi.training.export.sinks import Sink
from lbi.training.export.turns import Turn

Rows = Literal["step", "trajectory", "pair"]


class Exporter(Protocol):
    """What a module of this folder provides, beside one of the three that follow."""

    ENDING: str

    def open_sink(self, file: Path) -> Sink: ...


@runtime_checkable
class ByStep(Protocol):
    """A format with a row for each step."""

    def row(self, turn: Turn) -> Json: ...


@runtime_checkable
class ByTrajectory(Protocol):
    """A format with a row for each example."""

    def row_of_conversation(self, conversation: Conversation) -> Json: ...


@runtime_checkable
class ByPair(Protocol):
    """A format with a row for two replies to one prompt."""

    def row_of_pair(self, pair: Pair) -> Json: ...


@runtime_checkable
class WritesConfigs(Protocol):
    """A format whose readers want more than rows."""

    def configs(self, facts: Facts) -> dict[str, str]:
        """{name of a file: its text}."""
        ...


@runtime_checkable
class NeedsTokenizer(Protocol):
    """A format that writes tokens, so that it exists for one tokenizer only."""

    def with_tokenizer(self, name: str) -> Exporter: ...


@runtime_checkable
class HasCard(Protocol):
    """A format with a page that says what is in the data."""

    CARD: bool


_KINDS: dict[Rows, type] = {"step": ByStep, "trajectory": ByTrajectory, "pair": ByPair}


def exporter_names() -> tuple[str, ...]:
    return plugins.names("exporters")


def open_exporter(name: str) -> Exporter:
    """The format called ``name``. Raises UserError for an unknown one, with the nearest."""
    return cast(Exporter, plugins.load("exporters", name))


def for_tokenizer(exporter: Exporter, tokenizer: str) -> Exporter:
    """The same format, or for one that writes tokens that of the tokenizer with this name."""
    return exporter.with_tokenizer(tokenizer) if isinstance(exporter, NeedsTokenizer) else exporter


def rows_of(exporter: Exporter) -> tuple[Rows, ...]:
    """What a format can have a row for; the first is what it has unless something else is asked for."""
    return tuple(rows for rows, kind in _KINDS.items() if isinstance(exporter, kind))


def chosen_rows(exporter: Exporter, name: str, wanted: str) -> Rows:
    """What a row is made of, checked. Raises UserError for what the format has no row for."""
    possible = rows_of(exporter)
    if not wanted:
        return possible[0]
    for rows in possible:
        if rows == wanted:
            return rows
    raise UserError(f"the format {name} has no row for a {wanted}; it has one for each: {', '.join(possible)}")


def consumers_of(exporter: Exporter) -> tuple[Consumer, ...]:
    """What reads a format, as far as its module says so."""
    return tuple(getattr(exporter, "CONSUMERS", ()))
