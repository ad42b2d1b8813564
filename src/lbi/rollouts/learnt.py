"""A run folder -> what an agent needs to use what was learnt in it: context, arm, indexes, in a folder of its own.

The run folder is read only, so another process may be at work in it.
"""

from __future__ import annotations

import contextlib
import difflib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from lbi import plugins
from lbi.config import ARMS, FURTHER_ARMS, Among, Arm, Config, resolve
from lbi.context import RunContext, context_of
from lbi.environments import Live, described, open_live
from lbi.environments._timeouts import WithTimeouts, open_with_timeouts
from lbi.errors import UserError
from lbi.evaluation.arms import KINDS, examples_for
from lbi.evaluation.indexes import ArmIndexes, index_name, records_mark
from lbi.monitoring.progress import Progress
from lbi.protocols import CallTimeouts, Environment
from lbi.records import Document, Example, Observation, Skill, Task, Trajectory
from lbi.retrieval.borrow import borrow_index
from lbi.retrieval.versions import Manifest, holds
from lbi.storage.database import address
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder
from lbi.storage.tempdirs import OwnFolder
from lbi.synthesis.examples import read_examples
from lbi.synthesis.skills.write import live_skills

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Use:
    """Which of what a run learnt is used, by whom, and on what."""

    arm: str = "backward"
    """Arm of the run's config, or one of the usual ones; it says which examples there are."""
    agent: str = ""
    """Another agent than the arm's."""
    model: str = ""
    """Acts, and writes queries; empty = the run's own."""
    seed: int | None = None
    """Whose examples; None = the run's first seed."""
    live: Live | None = None
    """The application to open; None = none."""


@dataclass(frozen=True)
class Learnt:
    """What was read from a run, and the context in a folder of its own in which it is used."""

    run: Path
    context: RunContext
    indexes: ArmIndexes
    arm: Arm
    seed: int
    place: str  # what is acted on and what becomes of changes; "" = nothing is
    read: ReadRun

    @property
    def count(self) -> int:
        """Number of the arm's examples."""
        return self.read.ready.examples if self.read.ready else len(self.pairs)

    @property
    def among(self) -> Among:
        """Which of its data's examples the arm has."""
        return self.arm.among(self.read.config.evaluation)

    @cached_property
    def pairs(self) -> Sequence[tuple[Example, Trajectory]]:
        """The arm's examples. All are read for that, which takes time where they are many."""
        return examples_for(self.arm.data, self.read.examples, self.seed, self.arm.share, self.among)

    @cached_property
    def examples(self) -> Mapping[str, Example]:
        """The arm's examples by their ids."""
        return {example.id: example for example, _ in self.pairs}


class NoEnvironments:
    """Of a context in which nothing is opened."""

    restores = False
    timeouts = CallTimeouts()

    def __init__(self, name: str) -> None:
        self.name = name

    async def open(self) -> Environment:
        raise UserError(f"{self.name} is not opened for this")

    async def close(self) -> None:
        return None


@dataclass(frozen=True)
class ReadRun:
    """What is read from a run folder, which is closed again afterwards; examples when they are first asked for."""

    run: Path
    config: Config
    seed: int
    arm: Arm
    mark: str  # of the records
    ready: Manifest | None  # of the run's index of the arm's examples, if it was built from the records as they are
    skills: Sequence[Skill] = ()
    last: Collection[str] = ()

    @cached_property
    def examples(self) -> Sequence[tuple[Example, Trajectory]]:
        with RunFolder(self.run, writing=False) as folder:
            return read_examples(folder, self.seed)

    @cached_property
    def documents(self) -> Sequence[Document]:
        with RunFolder(self.run, writing=False) as folder:
            return [document for _, document in folder.store.all("document", Document)]


class _WhenAsked(Sequence[T]):
    """A sequence that is read when something of it is asked for."""

    def __init__(self, read: Callable[[], Sequence[T]]) -> None:
        self._read = read

    def __len__(self) -> int:
        return len(self._read())

    def __getitem__(self, at: Any) -> Any:
        return self._read()[at]


def read_run(run: Path, use: Use) -> ReadRun:
    """Raises UserError for what is no run, for an arm or agent that there is not, and where nothing was learnt."""
    with RunFolder(run, writing=False) as folder:
        config = resolve(folder.config, str(run / "config.json"))
        seed = config.seeds[0] if use.seed is None else use.seed
        arm = _arm(config, use)
        mark = records_mark(folder.store)
        skills = live_skills(folder, seed) if arm.skills else ()
        last = KnowledgeLog(folder.store).sunk()
    if arm.skills and not skills:
        raise UserError(f'{run} has no skills of seed {seed} for the arm "{arm.name}"; `lbi skills {run}` writes them')
    if use.model:
        models = config.models.model_copy(update={"default": use.model, "act": "", "query": ""})
        config = config.model_copy(update={"models": models})
    among = arm.among(config.evaluation)
    ready = holds(run / "index" / index_name(arm.data, seed, arm.share, among), mark) if KINDS[arm.data] else None
    read = ReadRun(run, config, seed, arm, mark, ready, skills, last)
    if KINDS[arm.data] and not (
        ready.examples if ready else examples_for(arm.data, read.examples, seed, arm.share, among)
    ):
        raise UserError(
            f'{run} has no examples of seed {seed} for the arm "{arm.name}"; `lbi run` or `lbi synthesize` makes them'
        )
    return read


def _arm(config: Config, use: Use) -> Arm:
    arms = {arm.name: arm for arm in (*ARMS, *FURTHER_ARMS, *config.evaluation.arms)}
    if use.arm not in arms:
        near = difflib.get_close_matches(use.arm, arms, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(arms)}"
        raise UserError(f'no arm "{use.arm}"; {hint}')
    arm = arms[use.arm]
    agent = use.agent or arm.agent
    plugins.load("agents", agent)  # or it would be found out after the application has been started
    return arm.model_copy(update={"agent": agent})


@contextmanager
def folder_for_now() -> Iterator[Path]:
    """A folder for ``open_learnt`` of which nothing is kept."""
    own = OwnFolder("use")
    try:
        yield own.path / "use"
    finally:
        own.remove()


@asynccontextmanager
async def open_learnt(run: Path, read: ReadRun, use: Use, folder: Path) -> AsyncIterator[Learnt]:
    """Use what was read from ``run``; model calls, images and the index go to ``folder``. Raises UserError."""
    with RunFolder(folder, read.config.identity()) as kept:
        environments, place = (
            open_live(read.config, kept.save_image, use.live)
            if use.live
            else (NoEnvironments(described(read.config)), "")
        )
        if read.ready is None:
            _borrow(run, folder, read)
        context = context_of(kept, read.config, Progress(), environments)
        examples, documents = _WhenAsked(lambda: read.examples), _WhenAsked(lambda: read.documents)
        indexes = ArmIndexes(context, read.seed, examples, documents, read.mark, run / "index", read.skills, read.last)
        try:
            yield Learnt(run, context, indexes, read.arm, read.seed, place, read)
        finally:
            indexes.close()
            await context.close()
            shutil.rmtree(context.index_folder, ignore_errors=True)


async def first_page(learnt: Learnt, start_url: str = "") -> Observation:
    """What an agent would see first, where nothing is done. Raises EnvironmentFailure."""
    async with opened(learnt) as environment:
        return await environment.reset(Task(instruction="", environment=environment.name, start_url=start_url))


@contextlib.asynccontextmanager
async def opened(learnt: Learnt) -> AsyncIterator[WithTimeouts]:
    environment = await open_with_timeouts(learnt.context.environments)
    try:
        yield environment
    finally:
        await environment.close()


def _borrow(run: Path, folder: Path, read: ReadRun) -> None:
    """Copy what need not be computed anew: an index that fits is taken as it is, embeddings are not paid for twice."""
    among = read.arm.among(read.config.evaluation)
    borrow_index(run, index_name(read.arm.data, read.seed, read.arm.share, among), folder)
    vectors = run / "embeddings.db"
    if vectors.is_file():
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(address(vectors), uri=True)) as source,
            contextlib.closing(sqlite3.connect(folder / vectors.name)) as copy,
        ):
            source.backup(copy)
