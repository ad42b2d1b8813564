"""Turns -> preference pairs: one prompt, the reply of an example that was kept, and that of one that was dropped.

Only replies to exactly the same prompt are compared, and never two that do the same. Examples that nobody asked for
(another kind, tier or seed) count neither as kept nor as dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lbi.models import parsing
from lbi.protocols import Message
from lbi.records import digest_of
from lbi.training.export.turns import Side, TrainingExample, Turn


@dataclass(frozen=True, slots=True)
class Pair:
    """The turn of a kept example, and the reply of a dropped one to the same prompt."""

    turn: Turn
    rejected: str
    dropped: TrainingExample

    @property
    def lesson(self) -> TrainingExample:
        return self.turn.lesson

    @property
    def side(self) -> Side:
        return self.turn.side

    @property
    def key(self) -> str:
        """A hash of prompt and both replies, by which duplicates are found."""
        return digest_of([self.turn.key, self.rejected])

    @property
    def learnt(self) -> tuple[int, ...]:
        """The steps of the trajectory that are learned from."""
        return (self.turn.at,)

    @property
    def measured(self) -> tuple[tuple[Message, ...], str]:
        """The prompt, and the longer of the two replies."""
        return self.turn.prompt, max(self.turn.reply, self.rejected, key=len)


def pairs_of(kept: Iterable[Turn], dropped: Iterable[Turn]) -> Iterator[Pair]:
    """Every kept turn with every dropped one of the same prompt and side whose action is another."""
    by_prompt: dict[str, dict[str, Turn]] = {}
    good: dict[str, set[str]] = {}
    kept = list(kept)
    for turn in kept:
        good.setdefault(turn.asked, set()).add(_action(turn))
    for turn in dropped:
        if _action(turn) not in good.get(turn.asked, ()):
            by_prompt.setdefault(turn.asked, {}).setdefault(_action(turn), turn)
    for turn in kept:
        for worse in by_prompt.get(turn.asked, {}).values():
            if worse.side == turn.side:
                yield Pair(turn, worse.reply, worse.lesson)


def _action(turn: Turn) -> str:
    return parsing.act(turn.reply)[1]
