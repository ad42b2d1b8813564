"""Votes of the committee beside what people said of the same examples: how often is it right, and how sure is that?

People see the words and the steps, so this is what a replay cannot tell. The interval is right for examples that were
drawn at random from all, which the viewer's page for judging does; examples that somebody looked for say less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lbi.evaluation.calibration import COMMITTEE, votes_of
from lbi.evaluation.statistics import wilson
from lbi.records import Example, Record


class Agreement(Record):
    """One member, or all together, on the examples that both it and people judged."""

    member: str
    examples: int
    accepted: int
    right: int  # examples that people accept as they stand
    both: int  # accepted by both
    low: float  # 95% of the precision (Wilson)
    high: float

    @property
    def precision(self) -> float | None:
        return self.both / self.accepted if self.accepted else None

    @property
    def recall(self) -> float | None:
        return self.both / self.right if self.right else None

    @property
    def base(self) -> float:
        """The share of all of them that people accept: the precision of one who accepts everything."""
        return self.right / self.examples


def agreements(examples: Iterable[Example], people: Mapping[str, bool]) -> list[Agreement]:
    """One for each member, and one for all together where there are several. ``people`` by the example's id."""
    pairs: dict[str, list[tuple[bool, bool]]] = {}
    for example in examples:
        if example.id in people:
            for member, accepts in votes_of(example):
                pairs.setdefault(member, []).append((accepts, people[example.id]))
    if len(pairs) == 2:  # one member, and the committee that is the same
        pairs.pop(COMMITTEE, None)
    return [_agreement(member, given) for member, given in pairs.items()]


def _agreement(member: str, pairs: list[tuple[bool, bool]]) -> Agreement:
    accepted, right = sum(accepts for accepts, _ in pairs), sum(fits for _, fits in pairs)
    both = sum(accepts and fits for accepts, fits in pairs)
    low, high = wilson(both, accepted) if accepted else (0.0, 1.0)
    return Agreement(member=member, examples=len(pairs), accepted=accepted, right=right, both=both, low=low, high=high)
