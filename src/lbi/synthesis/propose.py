"""Sections of the documentation -> tasks that a model proposes from them: self-instruct (paper, sec. 2.2)."""

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
from lbi.synthesis.examples import PARALLEL_CALLS, boundary_of, gather

T = TypeVar("T")


async def propose_from_section(
    model: Model, document: Document, count: int, *, environment: str, actions: str, stage: str = "propose"
) -> tuple[list[Task], Usage]:
    """Ask a model for tasks that one section helps with; at most ``count``, each with a quote from the section.

    Raises ModelError or ParseError.
    """
    fields = Fields(document=document, count=count, actions=actions)
    proposals, usage = await parsing.ask(model, Request(role="propose", fields=fields, stage=stage), parsing.propose)
    tasks = [
        Task(
            instruction=instruction,
            environment=environment,
            document=document.id,
            quote=verbatim_quote(quote, document.text),
        )
        for instruction, quote in proposals[:count]
    ]
    return tasks, usage


def verbatim_quote(quote: str, text: str) -> str:
    """The quote if the document contains it (runs of blanks count as one), else "": a model may make quotes up."""
    words = " ".join(quote.split())
    return words if words and words in " ".join(text.split()) else ""


def round_robin(lists: Sequence[Sequence[T]]) -> list[T]:
    """The first item of each list, then the second of each, and so on. Any beginning covers as many lists as it can."""
    longest = max((len(items) for items in lists), default=0)
    return [items[index] for index in range(longest) for items in lists if index < len(items)]


def spread_over_sources(sections: Sequence[Document], seed: int) -> list[Document]:
    """All sections in a seeded order, of which any beginning covers as many sources as it can."""
    rng = random.Random(f"sections/{seed}")
    by_source: dict[str, list[Document]] = {}
    for section in sections:
        by_source.setdefault(section.source, []).append(section)
    sources = list(by_source.values())
    rng.shuffle(sources)
    for of_source in sources:
        rng.shuffle(of_source)
    return round_robin(sources)


async def propose_tasks(context: RunContext, documents: Sequence[Document], actions: str) -> list[Task]:
    """The tasks that the config asks for. When several processes share the run, only one of them asks the model."""
    # a section may bring other tasks when it is asked about again, so no two processes may ask about it
    async with context.lease(WorkKey("stage", "propose")) as mine:
        return await propose_from_sections(context, documents, actions, tasks_wanted(context.config) if mine else 0)


async def propose_from_sections(
    context: RunContext, documents: Sequence[Document], actions: str, wanted: int
) -> list[Task]:
    """Ask the model about as many sections as it takes to get ``wanted`` tasks, or about all of them.

    If a section brings too few tasks, the next ones make up for it. Which sections are asked about depends on the
    replies alone, and not on when the run was interrupted. Returns the first task of every section, then the second
    of every section, and so on.
    """
    store, per_section = context.folder.store, max(1, context.config.synthesis.tasks_per_document)
    order = spread_over_sources(documents, context.config.seeds[0])
    tasks = _stored_tasks(context)
    asked: set[str] = set()
    with context.progress.stage("propose", wanted) as stage:

        def show() -> None:
            stage.advance(min(_count(tasks), wanted) - stage.done)

        async def ask_section(document: Document, semaphore: asyncio.Semaphore) -> None:
            async with semaphore:
                try:
                    with stage.working("propose"):
                        proposed, _ = await propose_from_section(
                            context.role("propose"),
                            document,
                            per_section,
                            environment=context.environments.name,
                            actions=actions,
                        )
                except (ModelError, ParseError) as error:
                    store.fail("task", document.id, boundary_of(error), str(error))
                    stage.fail(boundary_of(error))
                    return
                await store.put_many("task", [(f"{document.id}/{index}", task) for index, task in enumerate(proposed)])
                tasks[document.id] = proposed
                show()

        show()
        while _count(tasks) < wanted:
            semaphore = asyncio.Semaphore(PARALLEL_CALLS)
            missing = math.ceil((wanted - _count(tasks)) / per_section)
            batch = [section for section in order if section.id not in tasks and section.id not in asked][:missing]
            if not batch:
                break
            asked.update(section.id for section in batch)
            await gather(ask_section(section, semaphore) for section in batch)
    ordered = round_robin([tasks.get(section.id, []) for section in order])
    return list({task.id: task for task in ordered}.values())


def _stored_tasks(context: RunContext) -> dict[str, list[Task]]:
    by_section: dict[str, list[Task]] = {}
    for _, task in context.folder.store.all("task", Task):
        by_section.setdefault(task.document, []).append(task)
    return by_section


def _count(tasks: Mapping[str, Sequence[Task]]) -> int:
    return len({task.id for of_section in tasks.values() for task in of_section})
