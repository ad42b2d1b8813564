"""Synthesis in the run folder: reads and writes its documents, tasks, trajectories and examples, each under its key.

An example's key is seed/trajectory/kind/span: "0/t5c1.../abstract/002-004" leads from page 2 to page 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from lbi.context import RunContext
from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.errors import ModelError, ParseError, UserError
from lbi.records import Document, Example, Task, Trajectory
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import without_idle_steps
from lbi.synthesis.filters import REWORDED

#: kinds of records that are trajectories which examples are spans of
WALKS = ("trajectory", "trimmed", "composition", "renewed")
PARALLEL_CALLS = 16  # pieces of work of one stage that ask models at a time


def read_documents(context: RunContext, sources: Sequence[DocumentSource]) -> list[Document]:
    """Read the documentation and store its sections. Raises UserError if nothing can be read."""
    corpus = read_corpus(sources)
    if not corpus.documents:
        reasons = "; ".join(f"{skipped.source}: {skipped.reason}" for skipped in corpus.skipped[:3])
        raise UserError(f"no document could be read ({reasons or 'none is named'}); name some under [[documents]]")
    store = context.folder.store
    known = store.keys("document")
    rows = [(f"{index:05d}", document) for index, document in enumerate(corpus.documents)]
    store.put_many("document", [row for row in rows if row[0] not in known])
    for skipped in corpus.skipped:
        store.fail("document", skipped.source, "document", skipped.reason)
    return list(corpus.documents)


def stored_documents(context: RunContext) -> list[Document]:
    """The sections that were read for synthesis. Raises UserError if the folder has no examples."""
    store = context.folder.store
    if not store.count("example"):
        raise UserError(f"{context.folder.path} has no examples to evaluate; `lbi synthesize` makes them")
    return [document for _, document in store.all("document", Document)]


def stored_tasks(context: RunContext) -> list[Task]:
    """The tasks that were proposed."""
    return [task for _, task in context.folder.store.all("task", Task)]


def boundary_of(error: ModelError | ParseError) -> str:
    """The boundary that a failed call is recorded under (lbi.errors): "parse" or "model"."""
    return "parse" if isinstance(error, ParseError) else "model"


async def store_trimmed(context: RunContext, trajectory: Trajectory, seed: int) -> Trajectory:
    """The trajectory without idle steps, from which examples are made; stored if it differs from the roll-out."""
    trimmed = without_idle_steps(trajectory)
    key = f"{seed}/{trimmed.task.id}/{trimmed.attempt}"
    if trimmed is not trajectory and context.folder.store.get("trimmed", key, Trajectory) != trimmed:
        await context.folder.store.put("trimmed", key, trimmed)
    return trimmed


def examples_of_trajectory(context: RunContext, trajectory: Trajectory, seed: int) -> list[tuple[str, Example]]:
    return context.folder.store.under("example", f"{seed}/{trajectory.id}/", Example)


def span_key(seed: int, trajectory: Trajectory, kind: str, i: int, j: int) -> str:
    return f"{seed}/{trajectory.id}/{kind}/{i:03d}-{j:03d}"


def example_key(seed: int, example: Example) -> str:
    """One that a person has worded anew lies beside that of the model, which stays."""
    key = f"{seed}/{example.trajectory}/{example.kind}/{example.start:03d}-{example.end:03d}"
    own = any(verdict.filter == REWORDED for verdict in example.verdicts)
    return f"{key}/{example.id}" if own else key


def examples_of_seed(context: RunContext, seed: int) -> list[tuple[str, Example]]:
    """(key, example) of all examples of one seed, dropped ones included."""
    return context.folder.store.under("example", f"{seed}/", Example)


def examples_with_trajectories(context: RunContext, seed: int) -> list[tuple[Example, Trajectory]]:
    """The examples of one seed, dropped ones included, each with its trajectory."""
    return read_examples(context.folder, seed)


def read_examples(folder: RunFolder, seed: int) -> list[tuple[Example, Trajectory]]:
    """As ``examples_with_trajectories``, from a folder without a run context, for instance one opened for reading.

    Without those that were retired (docs/knowledge.md): who retrieves asks for what is live.
    """
    rows = [row for kind in WALKS for row in folder.store.all(kind, Trajectory)]
    by_id = {trajectory.id: trajectory for key, trajectory in rows if key.startswith(f"{seed}/")}
    examples, away = folder.store.under("example", f"{seed}/", Example), KnowledgeLog(folder.store).away()
    return [
        (example, by_id[example.trajectory])
        for _, example in examples
        if example.trajectory in by_id and example.id not in away
    ]


async def gather(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at the same time. The first exception cancels the rest, which ``asyncio.gather`` would let go on."""
    async with asyncio.TaskGroup() as group:
        for coroutine in work:
            group.create_task(coroutine)
