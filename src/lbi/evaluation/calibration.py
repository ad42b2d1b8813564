"""Votes of each filter beside what is known otherwise: how often is a member right, and is it better than chance?

    committee   openai:gpt-5    251 of 278 accepted, 248 of these replayed    better than chance
    committee   all of openai   ...                                           where several members are of one provider
    net_effect  its rule        ...                                           a filter without members

There are three yardsticks. **A replay** proves that a span's steps can be repeated and lead to the same state; it says
nothing of words, so a member may be right to reject what can be replayed, but one whose acceptances are replayed no
more often than what it rejects tells nothing of it. **A check** of a held-out task is a program that says whether what
was done is what the instruction asks for, words and steps together; the votes are on the episodes that were measured
(lbi.evaluation.judged_episodes). **People** see both, too; the interval is right for examples that were drawn at random
from all, as the viewer's page for judging does.

A filter is asked only about what those before it kept, so the shares of two filters are of different examples, but for
checks: there each is asked about all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from math import comb
from typing import Literal

from lbi.evaluation.statistics import wilson
from lbi.records import Example, Record, Result, Verdict
from lbi.synthesis.filters import REWORDED
from lbi.synthesis.filters.replay import NAME as REPLAY
from lbi.synthesis.filters.replay import Replayed

Yardstick = Literal["replay", "check", "people"]
JUDGED = "judged episode"  # the kind of record that is a vote on an episode: an example with one verdict
COMMITTEE = "all members"
RULE = "its rule"
NO_FILTERS = (REPLAY, REWORDED)  # a yardstick itself, and what a person said
SURE = 0.05
_RIGHT: dict[Yardstick, str] = {
    "replay": "could be replayed",
    "check": "passed their check",
    "people": "were accepted by people",
}


class Calibration(Record):
    """One member, or all together, on the examples that it voted on and of which the yardstick knows what is right."""

    beside: Yardstick
    filter: str
    member: str
    examples: int
    accepted: int
    right: int  # of the examples, by the yardstick
    both: int  # accepted, and right
    low: float  # 95% of the precision (Wilson)
    high: float
    p: float  # of so many of the accepted being right, or more, if votes had nothing to do with it (Fisher)

    @property
    def precision(self) -> float | None:
        return self.both / self.accepted if self.accepted else None

    @property
    def recall(self) -> float | None:
        return self.both / self.right if self.right else None

    @property
    def base(self) -> float:
        """The share of all of them that is right: the precision of one who accepts everything."""
        return self.right / self.examples

    @property
    def verdict(self) -> str:
        """In words, what the numbers allow to say."""
        if self.right in (0, self.examples):
            return f"cannot be told: {'all of them' if self.right else 'none'} {_RIGHT[self.beside]}"
        if self.accepted in (0, self.examples):
            return "tells nothing: it accepts all" if self.accepted else "tells nothing: it rejects all"
        return "better than chance" if self.p < SURE else "no better than chance"


Pairs = list[tuple[bool, bool]]  # (accepted, right) of each example
#: whether an example is right; None = the yardstick does not know it
IsRight = Callable[[Example], bool | None]


def by_replay(replays: Mapping[str, Replayed]) -> IsRight:
    """Whether both ends of its steps were seen again. ``replays`` by trajectory."""

    def is_right(example: Example) -> bool | None:
        replay = replays.get(example.trajectory)
        if replay is None or example.end >= len(replay.matched):
            return None
        return replay.matched[example.start] and replay.matched[example.end]

    return is_right


def by_check(results: Iterable[Result]) -> IsRight:
    """Whether the episode that it is solved its task."""
    scores = {result.trajectory: result.score >= 1 for result in results if not result.fault}
    return lambda example: scores.get(example.trajectory)


def by_people(accepted: Mapping[str, bool]) -> IsRight:
    """Whether people accept it as it stands; by the example's id."""
    return lambda example: accepted.get(example.id)


def calibrations(examples: Iterable[Example], beside: Yardstick, is_right: IsRight) -> list[Calibration]:
    """One for each filter's members, providers and all members together, where there are several of them; one for a
    filter without members, except beside people, who are asked about what has passed those.
    """
    votes: dict[str, dict[str, Pairs]] = {}
    rules: dict[str, Pairs] = {}
    for example in examples:
        right = is_right(example)
        if right is None:
            continue
        for verdict in example.verdicts:
            for member, accepts in _votes_in(verdict):
                votes.setdefault(verdict.filter, {}).setdefault(member, []).append((accepts, right))
            if not verdict.votes and verdict.filter not in NO_FILTERS and beside != "people":
                rules.setdefault(verdict.filter, []).append((verdict.keep, right))
    rows = [(name, member, pairs) for name, members in votes.items() for member, pairs in _with_sums(members).items()]
    # the first ones are asked about most
    rows += [(name, RULE, pairs) for name, pairs in rules.items() if name not in votes]
    return [_calibration(beside, *row) for row in rows]


def _with_sums(members: dict[str, Pairs]) -> dict[str, Pairs]:
    """The members, and what those of one provider and all of them come to; only where these are several."""
    together, found = members.pop(COMMITTEE, []), dict(members)
    providers: dict[str, list[str]] = {}
    for member in members:
        providers.setdefault(member.partition(":")[0], []).append(member)
    for provider, names in providers.items():
        if 1 < len(names) < len(members):
            found[f"all of {provider}"] = [pair for name in names for pair in members[name]]
    return found | ({COMMITTEE: together} if len(members) > 1 else {})


def _votes_in(verdict: Verdict) -> Iterator[tuple[str, bool]]:
    """(member, whether it accepts) of each vote, and what they came to together."""
    if verdict.votes:
        yield from ((vote.model, vote.accepts) for vote in verdict.votes)
        yield COMMITTEE, verdict.keep


def _calibration(beside: Yardstick, filter_: str, member: str, pairs: Pairs) -> Calibration:
    accepted, right = sum(accepts for accepts, _ in pairs), sum(fits for _, fits in pairs)
    both = sum(accepts and fits for accepts, fits in pairs)
    low, high = wilson(both, accepted) if accepted else (0.0, 1.0)
    p = at_least(both, len(pairs), right, accepted)
    return Calibration(
        beside=beside,
        filter=filter_,
        member=member,
        examples=len(pairs),
        accepted=accepted,
        right=right,
        both=both,
        low=low,
        high=high,
        p=p,
    )


def at_least(both: int, all_: int, marked: int, drawn: int) -> float:
    """P(at least ``both`` of the ``drawn`` are among the ``marked`` of ``all_``): Fisher's exact test, one-sided."""
    ways = sum(comb(marked, k) * comb(all_ - marked, drawn - k) for k in range(both, min(marked, drawn) + 1))
    return ways / comb(all_, drawn)
