"""What was gathered -> the numbers of the funnel, the filters and the committee."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lbi.records import TIERS, Example, Vote
from lbi.report.charts import Band, Part
from lbi.report.gather import Gathered
from lbi.report.words import decimal, percent, plural
from lbi.synthesis.filters.replay import Replayed

STOPS = {
    "done": "s1",
    "step_limit": "s5",
    "budget": "s6",
    "model_failure": "s4",
    "environment_failure": "s2",
}
TIER_LOOKS = {"unverified": "tier0", "committee": "tier1", "replayed": "tier2", "checked": "tier3"}
DROP_LOOKS = ("s2", "s5", "s4", "s6", "s7", "s0")
OUTAGES = "environment: "  # before the kind of a failure, in the name of its meter
CRITERIA = ("aligned", "coherent", "natural", "reasonable")


@dataclass(frozen=True)
class Dropped:
    """One filter: how many examples it was the first to drop, and for which reasons most often."""

    filter: str
    judged: int
    count: int
    reasons: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Member:
    """One committee member: how often it voted and accepted, and how often it said no to each criterion."""

    model: str
    votes: int
    accepted: int
    refused: tuple[int, ...]


@dataclass(frozen=True)
class Agreement:
    """What a replay says of the examples that the committee kept, or of those that it dropped."""

    committee: str  # "kept" or "dropped"
    examples: int
    replayed: int  # those of trajectories that were carried out again
    same: int  # those of them whose both ends were seen again


def agreement(examples: Iterable[Example], replays: Mapping[str, Replayed]) -> list[Agreement]:
    """The committee against the replay. A dropped example can be told of only if another of its trajectory was kept."""
    by_verdict: dict[bool, list[Example]] = {True: [], False: []}
    for example in examples:
        for verdict in example.verdicts:
            if verdict.filter == "committee":
                by_verdict[verdict.keep].append(example)
    rows = []
    for keep, some in by_verdict.items():
        again = [(example, replays[example.trajectory]) for example in some if example.trajectory in replays]
        same = sum(replayed.matched[example.start] and replayed.matched[example.end] for example, replayed in again)
        rows.append(Agreement("kept" if keep else "dropped", len(some), len(again), same))
    return rows if any(row.examples for row in rows) else []


def dropped(examples: Iterable[Example]) -> list[Dropped]:
    """Filters in the order in which they judge."""
    judged: Counter[str] = Counter()
    places: dict[str, int] = {}
    reasons: dict[str, Counter[str]] = {}
    for example in examples:
        for place, verdict in enumerate(example.verdicts):
            judged[verdict.filter] += 1
            places[verdict.filter] = max(place, places.get(verdict.filter, 0))
        first = next((verdict for verdict in example.verdicts if not verdict.keep), None)
        if first:
            reasons.setdefault(first.filter, Counter())[_sort_of(first.reason)] += 1
    names = sorted(judged, key=lambda name: (places[name], name))
    return [_dropped(name, judged[name], reasons.get(name, Counter())) for name in names]


def _dropped(name: str, judged: int, reasons: Counter[str]) -> Dropped:
    return Dropped(name, judged, sum(reasons.values()), tuple(reasons.most_common(4)))


def _sort_of(reason: str) -> str:
    """Reasons that differ only in numbers or quoted names are one sort of reason."""
    return re.sub(r"\d+", "n", re.sub(r"\"[^\"]*\"|“[^”]*”", "“…”", reason)).strip()[:160] or "no reason given"


def members(examples: Iterable[Example]) -> list[Member]:
    votes: dict[str, list[Vote]] = {}
    for example in examples:
        for verdict in example.verdicts:
            for vote in verdict.votes:
                votes.setdefault(vote.model, []).append(vote)
    return [
        Member(
            model,
            len(given),
            sum(vote.accepts for vote in given),
            tuple(sum(not getattr(vote, criterion) for vote in given) for criterion in CRITERIA),
        )
        for model, given in sorted(votes.items())
    ]


def vote_in_words(vote: Vote) -> str:
    """accepts, or the criteria that it says are not met."""
    missing = [f"not {criterion}" for criterion in CRITERIA if not getattr(vote, criterion)]
    return "says " + ", ".join(missing) if missing else "accepts"


def kinds_by_tier(examples: Iterable[Example]) -> list[tuple[str, list[int], int]]:
    """Kept examples: (kind, count per tier, sum)."""
    table: Counter[tuple[str, str]] = Counter((example.kind, example.tier) for example in examples if example.kept)
    kinds = [kind for kind in ("abstract", "summary", "forward", "composed") if any(key[0] == kind for key in table)]
    rows = [(kind, [table[kind, tier] for tier in TIERS]) for kind in kinds]
    return [(kind, counts, sum(counts)) for kind, counts in rows]


def funnel(run: Gathered) -> list[Band]:
    """Sections of documents -> tasks -> trajectories -> spans -> instructions -> kept examples."""
    rollouts = [entry for entry in run.entries if entry.kind == "trajectory"]
    bands = [_documents(run), _tasks(run, {entry.task for entry in rollouts})]
    stops = Counter(entry.stop for entry in rollouts)
    parts = tuple(Part(stop.replace("_", " "), stops[stop], look) for stop, look in STOPS.items() if stops[stop])
    bands.append(Band("trajectories", len(rollouts), "", parts))
    labelled = [example for example in run.examples if example.kind in ("abstract", "summary")]
    spans = {(example.trajectory, example.start, example.end) for example in labelled}
    bands.append(Band("spans labelled", len(spans), f"{len(labelled):,} instructions written for them", ()))
    if run.candidates:
        verified = sum(entry.kind == "composition" for entry in run.entries)
        parts = (Part("carried out again", verified, "s1"), Part("not", run.candidates - verified, "rest"))
        bands.append(Band("compositions tried", run.candidates, "", parts))
    kept = [example for example in run.examples if example.kept]
    drops = [drop for drop in dropped(run.examples) if drop.count]
    looks = [DROP_LOOKS[index % len(DROP_LOOKS)] for index in range(len(drops))]
    losses = [Part(f"dropped by {drop.filter}", drop.count, look) for drop, look in zip(drops, looks, strict=True)]
    bands.append(Band("examples", len(run.examples), "", (Part("kept", len(kept), "s1"), *losses)))
    tiers = Counter(example.tier for example in kept)
    bands.append(
        Band("examples kept", len(kept), "", tuple(Part(t, tiers[t], TIER_LOOKS[t]) for t in TIERS if tiers[t]))
    )
    return [_without_empty(band) for band in bands]


def _without_empty(band: Band) -> Band:
    return band._replace(parts=tuple(part for part in band.parts if part.number))


def _documents(run: Gathered) -> Band:
    used = {task.document for task in run.tasks} & set(run.documents)
    idle = len(run.documents) - len(used)
    sources = len({document.source for document in run.documents.values()})
    note = f"of {plural(sources, 'document')}" if run.documents else ""
    return Band(
        "sections", len(run.documents), note, (Part("led to tasks", len(used), "s1"), Part("no task", idle, "rest"))
    )


def _tasks(run: Gathered, tried: set[str]) -> Band:
    proposed = {task.id for task in run.tasks}
    impossible = len(run.impossible & tried & proposed)
    attempted = len(tried & proposed) - impossible
    parts = (
        Part("attempted", attempted, "s1"),
        Part("given up as impossible", impossible, "s5"),
        Part("not attempted", len(run.tasks) - attempted - impossible, "rest"),
    )
    ending = sum(task.ending for task in run.tasks)
    note = f"{ending} of them would end the session, and came last" if ending else ""
    return Band("tasks proposed", len(run.tasks), note, parts)


def outages(meters: dict[str, dict[str, float]]) -> dict[str, int]:
    """How often the environment failed, by kind: of every attempt, whether or not a later one went well."""
    return {
        stage.removeprefix(OUTAGES): int(meter.get("failures", 0))
        for stage, meter in sorted(meters.items())
        if stage.startswith(OUTAGES)
    }


def busy(meters: dict[str, dict[str, float]]) -> dict[str, str]:
    """What the run's resources did: environments -> "63% of what they could, 97% of the time at least one"."""
    shares = {}
    for stage, meter in sorted(meters.items()):
        label, _, name = stage.partition("busy: ")
        elapsed = meter.get("elapsed", 0.0)
        if label or not name or not elapsed:
            continue
        some = percent(meter["some"] / elapsed)
        if meter["possible"]:
            shares[name] = f"{percent(meter['used'] / meter['possible'])} of what they could, {some} of the time any"
        else:
            shares[name] = f"{some} of the time, {decimal(meter['used'] / elapsed)} calls at once on average"
    return shares
