"""The indexes that the arms of an evaluation retrieve from (paper, sec. 2.4): one for each kind of data, per seed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lbi.config import Data
from lbi.context import RunContext
from lbi.evaluation.arms import dates_of_examples, examples_for
from lbi.models.embeddings import Embedder
from lbi.records import Document, Example, Skill, Trajectory
from lbi.retrieval.build import ExampleVectors, is_current
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.leakage import example_dates, latest_date
from lbi.retrieval.skills import SkillShelf
from lbi.retrieval.texts import texts_of
from lbi.storage.knowledge import KnowledgeLog
from lbi.synthesis.examples import examples_with_trajectories
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
        skills: Sequence[Skill] = (),
        last: Collection[str] = (),
    ) -> None:
        """``last``: ids of examples that come after others that fit alike."""
        self.documents, self._skills, self._last = documents, skills, last
        self._context, self._seed, self._examples = context, seed, examples
        self._built: dict[tuple[Data, float], ExampleIndex] = {}

    async def of(self, data: Data, share: float = 1.0) -> ArmIndex:
        """The index of this kind of data. ``share`` < 1: only examples from this share of the trajectories."""
        chosen = examples_for(data, self._examples, self._seed, share) if data != "none" else []
        dates = dates_of_examples(data, chosen, self._examples, self.documents)
        if data == "none":
            return ArmIndex(None, set(dates.values()))
        if (data, share) not in self._built:
            self._built[data, share] = await self._build(f"{data}-{self._seed}-{share:g}", chosen, dates)
        return ArmIndex(self._built[data, share], set(dates.values()))

    def shelf(self) -> SkillShelf:
        """The skills, for arms that show them."""
        dates = example_dates(self._examples, self.documents)
        of_skills = {s.id: latest_date([dates.get(id_, "") for id_ in s.sources]) for s in self._skills}
        return SkillShelf(self._skills, of_skills, self._context.config.skills.shown)

    async def _build(
        self, name: str, chosen: Sequence[tuple[Example, Trajectory]], dates: dict[str, str]
    ) -> ExampleIndex:
        examples = [example for example, _ in chosen]
        trajectories = {trajectory.id: trajectory for _, trajectory in chosen}
        folder, embedder = self._context.index_folder / name, self._context.embedder
        if is_current(folder, examples, embedder.name if embedder and examples else "", dates, self._last):
            return ExampleIndex.open(folder)
        vectors = await embedded(embedder, examples, trajectories)
        return ExampleIndex.build(folder, examples, trajectories, vectors, dates, self._last)

    def close(self) -> None:
        for index in self._built.values():
            index.close()


async def embedded(
    embedder: Embedder | None, examples: Sequence[Example], trajectories: Mapping[str, Trajectory]
) -> ExampleVectors | None:
    """The vectors of examples for an index; None without an embedder or examples."""
    if embedder is None or not examples:
        return None
    texts = texts_of(examples, trajectories)
    said, done, asked = [await embedder.embed(each) for each in texts]
    return ExampleVectors(said, done, asked, embedder.name)


@asynccontextmanager
async def index_examples(context: RunContext, documents: Sequence[Document], seed: int) -> AsyncIterator[ArmIndexes]:
    """The indexes of one seed's examples in the run folder; closed at the end."""
    examples = examples_with_trajectories(context, seed)
    skills, last = live_skills(context.folder, seed), KnowledgeLog(context.folder.store).sunk()
    indexes = ArmIndexes(context, seed, examples, documents, skills, last)
    try:
        yield indexes
    finally:
        indexes.close()
