"""Document -> tasks: self-instruct from one section of the documentation (paper, sec. 2.2)."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from lbi.context import RunContext
from lbi.errors import ModelError, ParseError
from lbi.evaluation.holdout import tasks_wanted
from lbi.models import parsing
from lbi.protocols import Fields, Model, Request
from lbi.records import Document, Task, Usage
from lbi.storage.leases import WorkKey
from lbi.synthesis.examples import all_of, boundary

T = TypeVar("T")
PARALLEL_CALLS = 16


async def propose(
    model: Model, document: Document, count: int, *, environment: str, actions: str, stage: str = "propose"
) -> tuple[list[Task], Usage]:
    """At most ``count`` tasks that the document helps with, each citing the words that it rests on."""
    fields = Fields(document=document, count=count, actions=actions)
    pairs, usage = await parsing.ask(model, Request(role="propose", fields=fields, stage=stage), parsing.propose)
    tasks = [
        Task(instruction=instruction, environment=environment, document=document.id, quote=cited(quote, document.text))
        for instruction, quote in pairs[:count]
    ]
    return tasks, usage


def cited(quote: str, text: str) -> str:
    """The quote if it stands in the document (blanks folded), else nothing: a made-up citation is none."""
    folded = " ".join(quote.split())
    return folded if folded and folded in " ".join(text.split()) else ""


def take_turns(lists: Sequence[Sequence[T]]) -> list[T]:
    """The first of each, then the second ones ...: a cap on it then cuts depth before breadth."""
    longest = max((len(some) for some in lists), default=0)
    return [some[turn] for turn in range(longest) for some in lists if turn < len(some)]


def in_turns(sections: Sequence[Document], seed: int) -> list[Document]:
    """All sections, seeded, in an order of which any beginning is spread over as many sources as it can be."""
    chance = random.Random(f"sections/{seed}")
    by_source: dict[str, list[Document]] = {}
    for section in sections:
        by_source.setdefault(section.source, []).append(section)
    sources = list(by_source.values())
    chance.shuffle(sources)
    for some in sources:
        chance.shuffle(some)
    return take_turns(sources)


async def propose_tasks(context: RunContext, documents: Sequence[Document], actions: str) -> list[Task]:
    """As many tasks as the run wants, from as many sections as that takes; of the processes of a run, one asks."""
    async with context.turn(WorkKey("stage", "propose")) as mine:  # a section may answer otherwise when asked again
        return await propose_from(context, documents, actions, tasks_wanted(context.config) if mine else 0)


async def propose_from(context: RunContext, documents: Sequence[Document], actions: str, wanted: int) -> list[Task]:
    """Tasks of as many sections as it takes to get ``wanted`` of them, if there are as many; each call may cost money.

    What a section falls short of, the next ones make up for, so which sections are asked hangs on their replies alone
    and not on when a run was stopped. The first tasks of all sections come first, then the second ones.
    """
    store, each = context.folder.store, max(1, context.config.synthesis.tasks_per_document)
    order = in_turns(documents, context.config.seeds[0])
    tasks = _stored_tasks(context)
    asked: set[str] = set()
    with context.progress.stage("propose", wanted) as stage:

        def show() -> None:
            stage.advance(min(_count(tasks), wanted) - stage.done)

        async def one(document: Document, gate: asyncio.Semaphore) -> None:
            async with gate:
                try:
                    with stage.working("propose"):
                        found, _ = await propose(
                            context.role("propose"),
                            document,
                            each,
                            environment=context.environments.name,
                            actions=actions,
                        )
                except (ModelError, ParseError) as error:
                    store.fail("task", document.id, boundary(error), str(error))
                    stage.fail(boundary(error))
                    return
                await store.put_many("task", [(f"{document.id}/{index}", task) for index, task in enumerate(found)])
                tasks[document.id] = found
                show()

        show()
        while _count(tasks) < wanted:
            gate = asyncio.Semaphore(PARALLEL_CALLS)
            missing = math.ceil((wanted - _count(tasks)) / each)
            some = [section for section in order if section.id not in tasks and section.id not in asked][:missing]
            if not some:
                break
            asked.update(section.id for section in some)
            await all_of(one(section, gate) for section in some)
    taken = take_turns([tasks.get(section.id, []) for section in order])
    return list({task.id: task for task in taken}.values())


def _stored_tasks(context: RunContext) -> dict[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for _, task in context.folder.store.all("task", Task):
        found.setdefault(task.document, []).append(task)
    return found


def _count(tasks: Mapping[str, Sequence[Task]]) -> int:
    return len({task.id for some in tasks.values() for task in some})
