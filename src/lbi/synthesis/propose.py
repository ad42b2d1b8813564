"""Sections of the documentation -> tasks that a model proposes from them: self-instruct (paper, sec. 2.2).

Tasks are proposed in rounds, and those of a round are attempted before the next one begins. So each round but the first
is told what was asked for before, and what the roll-outs found; that is stored with the round.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from lbi.context import RunContext
from lbi.errors import ModelError, ParseError
from lbi.evaluation.holdout import tasks_wanted, to_learn_from
from lbi.models import parsing
from lbi.monitoring.calls_made import calls_made
from lbi.monitoring.progress import Stage
from lbi.protocols import Fields, Model, Request
from lbi.records import Document, ProposalRound, Task, Usage
from lbi.storage.leases import WorkKey
from lbi.synthesis.covered import map_so_far, operations_so_far
from lbi.synthesis.examples import PARALLEL_CALLS, boundary_of, gather

T = TypeVar("T")
NOTHING_BEFORE = ProposalRound(sections=())
#: what a task asks for that leaves nothing to the tasks after it, where the model does not say so itself
_ENDING = re.compile(
    r"\b(?:(?:log|sign) ?(?:me |you |yourself |him |her )?(?:out|off)\b"
    r"|(?:delete|remove|close|deactivate|erase) (?:my|your|the|this) (?:own |user |whole )?"
    r"(?:account|profile|database|workspace)\b"
    r"|(?:change|reset) (?:my|your|the) (?:own )?password\b)",
    re.IGNORECASE,
)


async def propose_from_section(
    model: Model,
    document: Document,
    count: int,
    *,
    environment: str,
    actions: str,
    stage: str = "propose",
    before: ProposalRound = NOTHING_BEFORE,
) -> tuple[list[Task], Usage]:
    """Ask a model for tasks that one section helps with; at most ``count``, each with a quote from the section.

    ``before`` holds the map of the application, and what earlier rounds covered. Raises ModelError or ParseError.
    """
    fields = Fields(
        document=document,
        count=count,
        actions=actions,
        map=before.map,
        instructions=before.instructions,
        operations=before.operations,
    )
    request = Request(role="propose", fields=fields, stage=stage)
    with calls_made() as calls:
        proposals, usage = await parsing.ask(model, request, parsing.propose)
    tasks = [
        Task(
            instruction=proposal.instruction,
            environment=environment,
            document=document.id,
            quote=verbatim_quote(proposal.quote, document.text),
            start_url=document.start_url,
            ending=proposal.ending or would_end(proposal.instruction),
            calls=tuple(calls),
        )
        for proposal in proposals[:count]
    ]
    return tasks, usage


def would_end(instruction: str) -> bool:
    """Whether the words of a task say that it ends the session, or takes the account away."""
    return _ENDING.search(instruction) is not None


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


def propose_tasks(context: RunContext, documents: Sequence[Document], actions: str) -> Proposals:
    """The tasks that the config asks for, round by round, without those that are held out."""
    return Proposals(context, documents, actions, tasks_wanted(context.config))


class Proposals:
    """Iterates over the tasks to learn from, one round at a time; each round is proposed when it is asked for.

    As many sections are asked as it takes to get ``wanted`` tasks, or all of them: if a section brings too few, the
    next ones make up for it. Which ones these are depends on the replies alone, and not on when the run was
    interrupted. When several processes share the run, only one of them asks.
    """

    def __init__(self, context: RunContext, documents: Sequence[Document], actions: str, wanted: int) -> None:
        self._context, self._actions, self._wanted = context, actions, wanted
        self._order = spread_over_sources(documents, context.config.seeds[0])
        self._each = max(1, context.config.synthesis.tasks_per_document)
        self._rounds: list[list[Task]] = []  # finished ones
        self._asked: set[str] = set()  # sections of finished rounds

    @property
    def tasks(self) -> list[Task]:
        """All that were proposed so far, each once: in each round the first of every section, then the second."""
        return self._of_rounds(len(self._rounds))

    def _of_rounds(self, number: int) -> list[Task]:
        return list({task.id: task for tasks in self._rounds[:number] for task in tasks}.values())

    async def __aiter__(self) -> AsyncIterator[list[Task]]:
        given: dict[str, Task] = {}
        number = 0
        while number < len(self._rounds) or await self._propose_round():
            number += 1
            learnt = {task.document for task in given.values()}
            new = {task.id: task for task in to_learn_from(self._context, self._of_rounds(number), learnt)}
            fresh = [task for task in new.values() if task.id not in given]
            given |= new
            if fresh:
                yield fresh

    async def _propose_round(self) -> bool:
        """Add a round; False where there are tasks enough, or no sections left."""
        missing = self._wanted - len(self.tasks)
        size = min(missing, self._context.config.synthesis.tasks_per_round or missing)
        left = [section for section in self._order if section.id not in self._asked]
        if size <= 0 or not left:
            return False
        sections: list[Document] = []
        tasks: list[Task] = []
        # a section may bring other tasks when it is asked about again, so no two processes may ask about it
        async with self._context.lease(WorkKey("stage", f"propose/{len(self._rounds)}")) as mine:
            while short := max(size - len({task.id for task in tasks}), 0):
                batch = left[len(sections) :][: math.ceil(short / self._each)]
                if not batch:
                    break
                sections += batch
                stored = _stored_tasks(self._context)
                if mine and any(section.id not in stored for section in batch):
                    await self._ask(batch, len(tasks), await self._before(batch))
                    stored = _stored_tasks(self._context)
                tasks = round_robin([stored.get(section.id, []) for section in sections])
        self._asked.update(section.id for section in sections)
        self._rounds.append(tasks)
        return True

    async def _before(self, sections: Sequence[Document]) -> ProposalRound:
        """What this round is told of what came before; stored when it begins."""
        store, key = self._context.folder.store, f"{len(self._rounds):03d}"
        known = store.get("round", key, ProposalRound)
        if known is not None:
            return known
        before = ProposalRound(
            sections=tuple(section.id for section in sections),
            map=map_so_far(self._context),
            instructions=tuple(task.instruction for task in self.tasks),
            operations=operations_so_far(self._context) if self._rounds else (),
        )
        await store.put("round", key, before)
        return before

    async def _ask(self, sections: Sequence[Document], proposed: int, before: ProposalRound) -> None:
        """``proposed`` is the number of tasks that the round has by now."""
        stored = _stored_tasks(self._context)
        semaphore = asyncio.Semaphore(PARALLEL_CALLS)
        with self._context.progress.stage("propose", self._wanted) as stage:
            stage.have(
                min(len(self.tasks) + proposed + sum(len(stored.get(each.id, [])) for each in sections), self._wanted)
            )
            await gather(
                self._ask_section(section, before, stage, semaphore) for section in sections if section.id not in stored
            )

    async def _ask_section(
        self, document: Document, before: ProposalRound, stage: Stage, semaphore: asyncio.Semaphore
    ) -> None:
        store = self._context.folder.store
        async with semaphore:
            try:
                with stage.working("propose"):
                    proposed, _ = await propose_from_section(
                        self._context.role("propose"),
                        document,
                        self._each,
                        environment=self._context.environments.name,
                        actions=self._actions,
                        before=before,
                    )
            except (ModelError, ParseError) as error:
                store.fail("task", document.id, boundary_of(error), str(error))
                stage.fail(boundary_of(error))
                return
            await store.put_many("task", [(f"{document.id}/{index}", task) for index, task in enumerate(proposed)])
            stage.advance(min(len(proposed), max(self._wanted - stage.done, 0)))


def _stored_tasks(context: RunContext) -> dict[str, list[Task]]:
    by_section: dict[str, list[Task]] = {}
    for _, task in context.folder.store.all("task", Task):
        by_section.setdefault(task.document, []).append(task)
    return by_section
