"""Examples of a run -> those that a search finds, and the next one that somebody should judge."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lbi.records import Example, digest_of

STATES = ("kept", "dropped", "judged", "not judged")


@dataclass(frozen=True)
class Search:
    """What is looked for; empty = all. ``words`` must all be in the instruction, a reason, or the id."""

    words: str = ""
    kind: str = ""
    tier: str = ""
    state: str = ""
    filter: str = ""  # the one that dropped it

    def finds(self, example: Example, judged: Collection[str]) -> bool:
        states = {
            "kept": example.kept,
            "dropped": not example.kept,
            "judged": example.id in judged,
            "not judged": example.id not in judged,
        }
        return (
            (not self.kind or example.kind == self.kind)
            and (not self.tier or example.tier == self.tier)
            and states.get(self.state, True)
            and (not self.filter or dropped_by(example) == self.filter)
            and all(word in _text(example) for word in self.words.lower().split())
        )


def dropped_by(example: Example) -> str:
    """The first filter that dropped it; "" = none did."""
    return next((verdict.filter for verdict in example.verdicts if not verdict.keep), "")


def _text(example: Example) -> str:
    said = [part for verdict in example.verdicts for part in (verdict.reason, *(vote.reason for vote in verdict.votes))]
    return "\n".join((example.instruction, example.id, *said)).lower()


def next_to_judge(examples: Iterable[Example], judged: Collection[str]) -> Example | None:
    """In an order that has nothing to do with what they are, so that what was judged is a random part of all.

    Where a committee voted, only what it voted on: nothing else says how often it is right.
    """
    open_ = [example for example in examples if example.id not in judged]
    voted = [example for example in open_ if any(verdict.votes for verdict in example.verdicts)]
    return min(voted or open_, key=lambda example: digest_of(["judge", example.id]), default=None)
