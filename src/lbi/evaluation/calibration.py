"""Votes of each filter beside what a replay proved: how often is a member right, and is it better than chance?

    committee   openai:gpt-5    251 of 278 accepted, 248 of these replayed    better than chance
    committee   all of openai   ...                                           where several members are of one provider
    net_effect  its rule        ...                                           a filter without members

A replay is no judge of words: it proves that a span's steps can be repeated and lead to the same state, which an
instruction that fits badly does not hinder. So a member may be right to reject what can be replayed (its recall is then
low for a good reason), but one whose acceptances are replayed no more often than what it rejects tells nothing of it.
A filter is asked only about what those before it kept, so the shares of two filters are of different examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import comb

from lbi.evaluation.statistics import wilson
from lbi.records import Example, Record, Verdict
from lbi.synthesis.filters import REWORDED
from lbi.synthesis.filters.replay import NAME as REPLAY
from lbi.synthesis.filters.replay import Replayed

COMMITTEE = "all members"
RULE = "its rule"
NO_FILTERS = (REPLAY, REWORDED)  # the yardstick itself, and what a person said
SURE = 0.05


class Calibration(Record):
    """One member, or all together, on the examples that were both voted on and replayed."""

    filter: str
    member: str
    examples: int
    accepted: int
    replayed: int  # of the examples
    both: int  # accepted, and replayed
    low: float  # 95% of the precision (Wilson)
    high: float
    p: float  # of so many of the accepted being replayed, or more, if votes had nothing to do with it (Fisher)

    @property
    def precision(self) -> float | None:
        return self.both / self.accepted if self.accepted else None

    @property
    def recall(self) -> float | None:
        return self.both / self.replayed if self.replayed else None

    @property
    def base(self) -> float:
        """The share of all of them that were replayed: the precision of one who accepts everything."""
        return self.replayed / self.examples

    @property
    def verdict(self) -> str:
        """In words, what the numbers allow to say."""
        if self.replayed in (0, self.examples):
            return "cannot be told: all of them could be replayed" if self.replayed else "cannot be told: none could"
        if self.accepted in (0, self.examples):
            return "tells nothing: it accepts all" if self.accepted else "tells nothing: it rejects all"
        return "better than chance" if self.p < SURE else "no better than chance"


Pairs = list[tuple[bool, bool]]  # (accepted, replayed) of each example


def calibrations(examples: Iterable[Example], replays: Mapping[str, Replayed]) -> list[Calibration]:
    """One for each filter's members, providers and all members together, where there are several of them; one for a
    filter without members. ``replays`` by trajectory.
    """
    votes: dict[str, dict[str, Pairs]] = {}
    rules: dict[str, Pairs] = {}
    for example in examples:
        replay = replays.get(example.trajectory)
        if replay is None or example.end >= len(replay.matched):
            continue
        proved = replay.matched[example.start] and replay.matched[example.end]
        for verdict in example.verdicts:
            for member, accepts in _votes_in(verdict):
                votes.setdefault(verdict.filter, {}).setdefault(member, []).append((accepts, proved))
            if not verdict.votes and verdict.filter not in NO_FILTERS:
                rules.setdefault(verdict.filter, []).append((verdict.keep, proved))
    rows = [(name, member, pairs) for name, members in votes.items() for member, pairs in _with_sums(members).items()]
    # the first ones are asked about most
    rows += [(name, RULE, pairs) for name, pairs in rules.items() if name not in votes]
    return [_calibration(*row) for row in rows]


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


def votes_of(example: Example) -> Iterator[tuple[str, bool]]:
    """(member, whether it accepts) of each vote on an example, and what they came to together."""
    for verdict in example.verdicts:
        yield from _votes_in(verdict)


def _votes_in(verdict: Verdict) -> Iterator[tuple[str, bool]]:
    if verdict.votes:
        yield from ((vote.model, vote.accepts) for vote in verdict.votes)
        yield COMMITTEE, verdict.keep


def _calibration(filter_: str, member: str, pairs: Pairs) -> Calibration:
    accepted, proved = sum(accepts for accepts, _ in pairs), sum(replayed for _, replayed in pairs)
    both = sum(accepts and replayed for accepts, replayed in pairs)
    low, high = wilson(both, accepted) if accepted else (0.0, 1.0)
    p = at_least(both, len(pairs), proved, accepted)
    return Calibration(
        filter=filter_,
        member=member,
        examples=len(pairs),
        accepted=accepted,
        replayed=proved,
        both=both,
        low=low,
        high=high,
        p=p,
    )


def at_least(both: int, all_: int, marked: int, drawn: int) -> float:
    """P(at least ``both`` of the ``drawn`` are among the ``marked`` of ``all_``): Fisher's exact test, one-sided."""
    ways = sum(comb(marked, k) * comb(all_ - marked, drawn - k) for k in range(both, min(marked, drawn) + 1))
    return ways / comb(all_, drawn)
