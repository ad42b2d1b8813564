"""A run folder -> what pages are made of, read again when the run has gone on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from lbi.records import Example, Trajectory
from lbi.report import evaluation, page
from lbi.report.committee import Beside, beside_people, beside_replay_and_checks
from lbi.report.gather import Briefs, Entry, Gathered, gather
from lbi.storage.judgements import Judgement, Judgements, accepted_by_people, standing
from lbi.storage.run_folder import RunFolder

LEAST_SECONDS = 2.0  # between two readings of a run that goes on
SHARE = 5  # reading takes at most about this part of the time


class Snapshot:
    """The run as it was read once, and what pages look up in it."""

    def __init__(self, gathered: Gathered) -> None:
        self.gathered = gathered

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """By anchor."""
        return {entry.anchor: entry for entry in self.gathered.entries}

    @cached_property
    def examples(self) -> dict[str, Example]:
        """By id."""
        return {example.id: example for example in self.gathered.examples}

    @cached_property
    def episodes_shown(self) -> dict[str, list[Entry]]:
        """By the id of an example: the episodes in whose prompts it was."""
        found: dict[str, list[Entry]] = {}
        for entry in self.gathered.entries:
            for id_ in entry.shown:
                found.setdefault(id_, []).append(entry)
        return found

    @cached_property
    def arms(self) -> list[evaluation.ArmRow]:
        return evaluation.arms(self.gathered)

    @cached_property
    def headline(self) -> str:
        """The result in one sentence, or how far the run is."""
        run = self.gathered
        compared = evaluation.comparisons(run) if run.measured else []
        return evaluation.headline(run, self.arms, compared) if self.arms else page.unfinished(run)

    @cached_property
    def beside(self) -> list[Beside]:
        """How often filters are right, by replays and checks."""
        return beside_replay_and_checks(self.gathered)

    @cached_property
    def of_task(self) -> dict[str, list[Entry]]:
        """By the name of a held-out task: its scored episodes, in the order of arms and seeds."""
        order = {arm: number for number, arm in enumerate(self.gathered.arms)}
        scored = [(entry, entry.result) for entry in self.gathered.entries if entry.result]
        found: dict[str, list[Entry]] = {}
        for entry, result in sorted(scored, key=lambda pair: (order.get(pair[1].arm, len(order)), pair[1].seed)):
            found.setdefault(result.task, []).append(entry)
        return found


def names_of(runs: Sequence[Path]) -> list[str]:
    """What each is called: its folder's name, with as many folders before it as tell it from the others."""
    parts = [run.resolve().parts for run in runs]
    for length in range(1, max(map(len, parts), default=0) + 1):
        named = ["/".join(each[-length:]) for each in parts]
        if len(set(named)) == len(set(parts)):
            return named
    return [run.name for run in runs]


class RunView:
    """One run, and the address under which its pages are. Not for several threads at once."""

    def __init__(
        self, run: RunFolder, base: str, clock: Callable[[], float] = time.monotonic, *, name: str = ""
    ) -> None:
        self.run, self.base = run, base
        self.name = name or run.path.resolve().name
        self.judgements = Judgements(run.path)
        self._clock = clock
        self._briefs: Briefs = {}
        self._snapshot: Snapshot | None = None
        self._stamp: object = None
        self._next = 0.0

    def read(self) -> Snapshot:
        """The run as it is now; of one that goes on, as it was some seconds ago at most, or longer where it is big."""
        if self._snapshot is None or (self._clock() >= self._next and self._stamp != self._now()):
            began, self._stamp = self._clock(), self._now()
            self._snapshot = Snapshot(gather(self.run, self._briefs))
            ended = self._clock()
            self._next = ended + max(LEAST_SECONDS, SHARE * (ended - began))
        return self._snapshot

    def _now(self) -> object:
        """Another value whenever another process has written."""
        summary = self.run.path / "summary.json"
        changed = summary.stat().st_mtime_ns if summary.is_file() else 0
        return self.run.store.read("record", "PRAGMA data_version")[0][0], changed

    def trajectory(self, entry: Entry) -> Trajectory | None:
        return self.run.store.get(entry.kind, entry.key, Trajectory)

    def origin(self, example: Example) -> Entry | None:
        """The roll-out that an example is a part of."""
        return self.read().gathered.origin.get(example.trajectory)

    def judged(self) -> dict[str, list[Judgement]]:
        """What people said, by the example's id; of each person the last."""
        return standing(self.judgements.all())

    def beside_people(self) -> list[Beside]:
        """How often the committee is right by what people said, if they said anything."""
        return beside_people(self.read().gathered, accepted_by_people(self.judgements.all()))

    # addresses

    def to(self, page: str, /, **query: str | int) -> str:
        """The address of a page of this run."""
        asked = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value != "")
        return f"{self.base}/{page}" + (f"?{asked}" if asked else "")
