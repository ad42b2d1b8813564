"""What synthesis keeps in the run folder, and under which key: documents, tasks, trajectories, examples.

An example is stored under seed/trajectory/kind/span: "0/t5c1.../abstract/002-004" leads from page 2 to page 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any

from lbi.context import RunContext
from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.errors import ModelError, ParseError, UserError
from lbi.records import Document, Example, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import without_idle_steps


def read_documents(context: RunContext, sources: Sequence[DocumentSource]) -> list[Document]:
    """Read the documentation and store its sections. Raises UserError where nothing can be read."""
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
    """The sections that a synthesis read. Raises UserError where there are no examples."""
    store = context.folder.store
    if not store.count("example"):
        raise UserError(f"{context.folder.path} has no examples to evaluate; `lbi synthesize` makes them")
    return [document for _, document in store.all("document", Document)]


def stored_tasks(context: RunContext) -> list[Task]:
    """The tasks that a synthesis proposed."""
    return [task for _, task in context.folder.store.all("task", Task)]


def boundary(error: ModelError | ParseError) -> str:
    return "parse" if isinstance(error, ParseError) else "model"


async def without_idle(context: RunContext, trajectory: Trajectory, seed: int) -> Trajectory:
    """The trajectory as examples are made of it; what differs from the roll-out is stored beside it."""
    found = without_idle_steps(trajectory)
    key = f"{seed}/{found.task.id}/{found.attempt}"
    if found is not trajectory and context.folder.store.get("trimmed", key, Trajectory) != found:
        await context.folder.store.put("trimmed", key, found)
    return found


def examples_of(context: RunContext, trajectory: Trajectory, seed: int) -> list[tuple[str, Example]]:
    return context.folder.store.under("example", f"{seed}/{trajectory.id}/", Example)


def span_key(seed: int, trajectory: Trajectory, kind: str, i: int, j: int) -> str:
    return f"{seed}/{trajectory.id}/{kind}/{i:03d}-{j:03d}"


def key_of(seed: int, example: Example) -> str:
    return f"{seed}/{example.trajectory}/{example.kind}/{example.start:03d}-{example.end:03d}"


def seeded_examples(context: RunContext, seed: int) -> list[tuple[str, Example]]:
    """All examples of one seed, dropped ones too."""
    return context.folder.store.under("example", f"{seed}/", Example)


def stored_examples(context: RunContext, seed: int) -> list[tuple[Example, Trajectory]]:
    """The examples of one seed that are in the folder, kept and dropped, with their trajectories."""
    return examples_in(context.folder, seed)


def examples_in(folder: RunFolder, seed: int) -> list[tuple[Example, Trajectory]]:
    """The same of a folder that is only read."""
    kinds = ("trajectory", "trimmed", "composition")
    rows = [row for kind in kinds for row in folder.store.all(kind, Trajectory)]
    by_id = {trajectory.id: trajectory for key, trajectory in rows if key.startswith(f"{seed}/")}
    examples = folder.store.under("example", f"{seed}/", Example)
    return [(example, by_id[example.trajectory]) for _, example in examples if example.trajectory in by_id]


async def all_of(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it; the first error ends the rest (a failed model call is no error here, it was recorded)."""
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)
