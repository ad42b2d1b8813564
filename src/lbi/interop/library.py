"""What a run has learnt, as somebody looks after it: what is live, what it was good for, and every way back.

Everything that happens is a row of one table that only grows (lbi.storage.knowledge, docs/knowledge.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lbi.config import resolve
from lbi.errors import UserError
from lbi.evaluation.uses import SKILL, key_of, votes_of
from lbi.interop.judged import Judged, People, judged, people_of
from lbi.interop.outages import outage_in
from lbi.interop.server.served import FOLDER, reported
from lbi.records import Example, Result, Skill, Trajectory
from lbi.retrieval.knowledge import decided
from lbi.storage.judgements import Judgement, Judgements
from lbi.storage.knowledge import Entry, Event, KnowledgeLog, Uses, states
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples
from lbi.synthesis.skills.write import stored_skills

LIVE = "live"


@dataclass(frozen=True)
class Item:
    """An example or a skill, and what became of it."""

    id: str
    what: Literal["example", "skill"]
    status: str  # live, sunk, retired or merged
    reason: str
    uses: Uses
    people: People
    text: str  # the instruction, or what the skill is for
    tier: str = ""
    origin: str = ""  # document and version of the application


@dataclass(frozen=True)
class Difference:
    """What is live at one version and not at the other."""

    come: tuple[str, ...]
    gone: tuple[str, ...]


class Library:
    """The knowledge of a run folder, which its opener closes. Only what changes something needs it open for writing."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.log = folder, KnowledgeLog(folder.store)
        self.config = resolve(folder.config, str(folder.path / "config.json"))
        self._changes: list[Event] = self.log.changes()

    def items(self) -> list[Item]:
        """All that was kept, the most useful first, then what is no longer live."""
        uses, found, origins = self.log.uses(), states(self._changes), self._origins()
        people = people_of(self.judgements())

        def item(id_: str, what: Literal["example", "skill"], text: str, tier: str = "") -> Item:
            state = found.get(id_)
            status, reason = (state.status, state.reason) if state else (LIVE, "")
            counted, said = uses.get(id_, Uses()), people.get(id_, People())
            return Item(id_, what, status, reason, counted, said, text, tier, origins.get(id_, ""))

        items = [item(e.id, "example", e.instruction, e.tier) for e in self._examples().values()]
        items += [
            replace(item(skill.item, "skill", skill.description), origin=_origin(skill))
            for skill in self._skills().values()
        ]
        return sorted(items, key=_place)

    def find(self, name: str) -> Item:
        """By an id, or by its first characters. Raises UserError."""
        hits = [each for each in self.items() if each.id.startswith(name) or each.id.startswith(f"{SKILL}{name}")]
        exact = [each for each in hits if each.id == name]
        if len(exact or hits) == 1:
            return (exact or hits)[0]
        if not hits:
            raise UserError(f"no example and no skill {name!r}; `lbi knowledge {self.folder.path}` lists them")
        raise UserError(f"{name!r} may be {len(hits)} things, such as {hits[0].id} and {hits[1].id}; say more of it")

    def update(self) -> list[Entry]:
        """Count what happened since, and change what people and counts ask for. What was changed."""
        self.log.append(self._votes())
        by_people = self.by_people()
        if by_people.rows:
            self.folder.store.put_many("example", by_people.rows).wait()
        self._write(by_people.entries)
        uses, found, update = self.log.uses(fresh=True), states(self._changes), f"update {time.time()}"
        away = {item for item, state in found.items() if state.status != "sunk"}
        sunk = [item for item, state in found.items() if state.status == "sunk"]
        asked: list[list[Entry]] = []
        homes: dict[str, int] = {}  # how many seeds have an example
        for seed in self.config.seeds:
            pairs = [pair for pair in read_examples(self.folder, seed) if pair[0].kept]
            skills = [skill.item for skill in stored_skills(self.folder, seed) if skill.item not in away]
            asked.append(list(decided(pairs, skills, uses, sunk, update)))
            for item in {*(example.id for example, _ in pairs), *skills}:
                homes[item] = homes.get(item, 0) + 1
        entries = _agreed(asked, homes)
        self._write(entries)
        return [*by_people.entries, *entries]

    def judgements(self) -> list[Judgement]:
        """All that people said of examples, oldest first."""
        return Judgements(self.folder.path).all()

    def by_people(self) -> Judged:
        """What people's judgements ask for that was not done yet; ``update`` does it."""
        if not (said := self.judgements()):
            return Judged()
        return judged(self.folder.store.all("example", Example), said, self._changes, states(self._changes))

    def change(self, event: Literal["retired", "restored"], names: Sequence[str], reason: str) -> list[Item]:
        """Retire or restore by hand. Raises UserError for what there is not, before anything is changed."""
        items = [self.find(name) for name in names]
        settled = ("retired", "merged") if event == "retired" else (LIVE,)
        wrong = [each for each in items if each.status in settled]
        if wrong:
            raise UserError(f"{wrong[0].id} is {wrong[0].status} already")
        self._write([Entry(each.id, event, f"by hand {time.time()}", reason) for each in items])
        return [self.find(each.id) for each in items]

    def roll_back(self, version: int) -> Difference:
        """Make everything as it was at a version; what happened since stays in the table."""
        self._known(version)
        before = self.log.version()
        self._write([Entry("", "rolled back", f"{version} {time.time()}", f"to version {version}")])
        return self.difference(before, self.log.version())

    def difference(self, first: int, second: int) -> Difference:
        """Raises UserError for a version that there is not."""
        there, here = self._live(first), self._live(second)
        return Difference(tuple(sorted(here - there)), tuple(sorted(there - here)))

    def _live(self, version: int) -> set[str]:
        self._known(version)
        away = {item for item, state in states(self._changes, version).items() if state.status != "sunk"}
        return {*self._examples(), *(skill.item for skill in self._skills().values())} - away

    def _known(self, version: int) -> None:
        last = self.log.version()
        if not 0 <= version <= last:
            raise UserError(f"no version {version}; the last one is {last}, and 0 is before anything was changed")

    def _write(self, entries: Sequence[Entry]) -> None:
        self.log.append(entries)
        self._changes = self.log.changes()

    def _examples(self) -> dict[str, Example]:
        return {each.id: each for _, each in self.folder.store.all("example", Example) if each.kept}

    def _skills(self) -> dict[str, Skill]:
        seeds = self.config.seeds
        return {each.item: each for seed in seeds for each in stored_skills(self.folder, seed)}

    def _origins(self) -> dict[str, str]:
        return {each.item: f"{each.reason}, {each.source}" for each in self._changes if each.event == "learnt"}

    def _votes(self) -> Iterator[Entry]:
        """Of the evaluation, as far as they are not written yet, and of servers."""
        store = self.folder.store
        results = [result for _, result in store.all("result", Result)]
        episodes = {r.trajectory: found for r in results if (found := store.get("episode", key_of(r), Trajectory))}
        yield from votes_of(self.config, results, episodes)
        known = {*self._examples(), *self._skills()}
        for name, row in reported(self.folder.path / FOLDER):
            yield from (each for each in reported_votes(name, row) if each.item in known)


def reported_votes(name: str, row: dict[str, object]) -> Iterator[Entry]:
    """The votes of one line of a server's files. A failure by an outage is none of the examples'."""
    ids = row.get("ids")
    items = [item for item in ids if isinstance(item, str)] if isinstance(ids, list) else []
    if "success" not in row:
        yield from (Entry(item, "shown", f"served {name}") for item in dict.fromkeys(items))
        return
    evidence = str(row.get("evidence") or "")
    if row["success"] or not outage_in(evidence):
        event: Literal["succeeded", "failed"] = "succeeded" if row["success"] else "failed"
        yield from (Entry(item, event, f"served {name}", evidence[:200]) for item in dict.fromkeys(items))


def _origin(skill: Skill) -> str:
    return f"from {len(skill.sources)} examples, {f'worded by {skill.writer}' if skill.writer else 'by no model'}"


def _agreed(asked: Sequence[Sequence[Entry]], homes: dict[str, int]) -> list[Entry]:
    """Of what each seed asks for: an example that several seeds have is merged only where all of them ask for it."""
    wanted = [entry for entries in asked for entry in entries]
    times: dict[tuple[str, str], int] = {}
    for entry in wanted:
        times[entry.item, entry.event] = times.get((entry.item, entry.event), 0) + 1
    agreed = [e for e in wanted if e.event != "merged" or times[e.item, e.event] == homes[e.item]]
    return list({(entry.item, entry.event): entry for entry in agreed}.values())


def _place(item: Item) -> tuple[object, ...]:
    uses = item.uses
    good = uses.helped + uses.succeeded - uses.hurt - uses.failed
    order = {LIVE: 0, "sunk": 1}.get(item.status, 2)
    return order, -good, -uses.shown, item.what, item.text, item.id


def open_library(run: Path, *, writing: bool) -> RunFolder:
    """The run folder. Raises UserError for what is no run, and where another process works on it."""
    RunFolder(run, writing=False).close()
    return RunFolder(run) if writing else RunFolder(run, writing=False)
