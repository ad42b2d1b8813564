"""The indexes that the arms of an evaluation retrieve from (paper, sec. 2.4): one for each kind of data, per seed."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from lbi.config import Among, Data
from lbi.context import RunContext
from lbi.errors import UserError
from lbi.evaluation.arms import ANY, dates_of_examples, examples_for
from lbi.models.embeddings import Embedder
from lbi.records import Document, Example, Skill, Trajectory, digest_of
from lbi.retrieval.build import ExampleVectors, plan_index, write_plan
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.leakage import example_dates, latest_date
from lbi.retrieval.skills import SkillShelf
from lbi.retrieval.texts import ExampleTexts
from lbi.retrieval.versions import holds, note_source
from lbi.storage.database import Store
from lbi.storage.knowledge import KnowledgeLog
from lbi.synthesis.examples import WALKS, examples_with_trajectories
from lbi.synthesis.skills.write import live_skills


@dataclass(frozen=True)
class ArmIndex:
    """What an arm's agent may retrieve from. ``index`` is None for an arm without examples."""

    index: ExampleIndex | None
    dates: Collection[str]  # all dates of its examples; a task with a date is shown no later ones (retrieval.leakage)


class ArmIndexes:
    """The indexes of one seed. Each is built when it is first asked for, and shared by arms with the same data."""

    def __init__(
        self,
        context: RunContext,
        seed: int,
        examples: Sequence[tuple[Example, Trajectory]],
        documents: Sequence[Document],
        mark: str = "",
        built: Path | None = None,
        skills: Sequence[Skill] = (),
        last: Collection[str] = (),
    ) -> None:
        """``mark``: of the records (``records_mark``) before they were read.

        ``built``: the folder of a run's own indexes, which are opened there where they hold just these examples; then
        neither examples nor documents are read. None = the context's. ``last``: ids of examples that come after others
        that fit alike.
        """
        self.documents, self._skills, self._last = documents, skills, last
        self._context, self._seed, self._examples = context, seed, examples
        self._mark, self._ready = mark, built or context.index_folder
        self._built: dict[str, ExampleIndex] = {}

    async def of(self, data: Data, share: float = 1.0, among: Among = ANY) -> ArmIndex:
        """The index of this kind of data. ``share`` < 1: only examples from this share of the trajectories."""
        if data == "none":
            return ArmIndex(None, set())
        name = index_name(data, self._seed, share, among)
        if name not in self._built:
            self._built[name] = self._there(name) or await self._build(name, data, share, among)
        index = self._built[name]
        return ArmIndex(index, index.dates)

    def shelf(self) -> SkillShelf:
        """The skills, for arms that show them."""
        dates = example_dates(self._examples, self.documents) if self._skills else {}
        of_skills = {s.id: latest_date([dates.get(id_, "") for id_ in s.sources]) for s in self._skills}
        return SkillShelf(self._skills, of_skills, self._context.config.skills.shown)

    def _there(self, name: str) -> ExampleIndex | None:
        """The index that was built from the records as they are."""
        embedder = self._context.embedder
        if not self._mark or holds(self._ready / name, self._mark, embedder.name if embedder else "") is None:
            return None
        with contextlib.suppress(OSError, ValueError, sqlite3.Error, UserError):  # such as one on a read-only disk
            return ExampleIndex.open(self._ready / name)
        return None

    async def _build(self, name: str, data: Data, share: float, among: Among) -> ExampleIndex:
        chosen = examples_for(data, self._examples, self._seed, share, among)
        dates = dates_of_examples(data, chosen, self._examples, self.documents)
        examples = [example for example, _ in chosen]
        trajectories = {trajectory.id: trajectory for _, trajectory in chosen}
        folder, embedder = self._context.index_folder / name, self._context.embedder
        dense = embedder.name if embedder and examples else ""
        plan = plan_index(folder, examples, trajectories, dense, dates, self._last)
        if plan is not None:
            write_plan(folder, plan, await embedded(embedder, plan.texts))
        if self._mark:
            note_source(folder, self._mark)
        return ExampleIndex.open(folder)

    def close(self) -> None:
        for index in self._built.values():
            index.close()


def index_name(data: Data, seed: int, share: float = 1.0, among: Among = ANY) -> str:
    """The folder of an index, among those of a run."""
    rest = (among.kinds, among.tier, among.without, among.part)
    other = [digest_of(rest)] if among != Among(among.lengths) else []
    return "-".join([data, str(seed), f"{share:g}", *sorted(among.lengths), *other])


def records_mark(store: Store) -> str:
    """The same as long as nothing changes that indexes are built from."""
    return f"{store.mark('example', 'document', *WALKS)}-{KnowledgeLog(store).decided()}"


async def embedded(embedder: Embedder | None, texts: ExampleTexts) -> ExampleVectors | None:
    """The vectors of examples for an index; None without an embedder or examples."""
    if embedder is None or not texts.said:
        return None
    said, done, asked = [await embedder.embed(each) for each in texts]
    return ExampleVectors(said, done, asked, embedder.name)


@asynccontextmanager
async def index_examples(context: RunContext, documents: Sequence[Document], seed: int) -> AsyncIterator[ArmIndexes]:
    """The indexes of one seed's examples in the run folder; closed at the end."""
    mark = records_mark(context.folder.store)  # before they are read, so that what changes meanwhile is noticed
    examples = examples_with_trajectories(context, seed)
    skills, last = live_skills(context.folder, seed), KnowledgeLog(context.folder.store).sunk()
    indexes = ArmIndexes(context, seed, examples, documents, mark, skills=skills, last=last)
    try:
        yield indexes
    finally:
        indexes.close()
