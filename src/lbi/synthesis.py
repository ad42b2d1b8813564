"""Documents -> tasks -> trajectories -> examples, one stage after the other, each resumable on its own.

Everything is stored under the key of the work that it is the outcome of; a stage does what has no row yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from lbi import filters as filters_
from lbi.agents import Parts, open_agent
from lbi.backward import forward_example, label, plan_spans
from lbi.compose import candidates, verify
from lbi.contracts import Agent, Environment
from lbi.documents import Corpus, DocumentSource, read_corpus
from lbi.errors import ModelError, ParseError, UserError
from lbi.filters.replay import Replayed, replay
from lbi.propose import propose, take_turns
from lbi.records import Document, Example, Task, Trajectory
from lbi.rollout import in_parallel, rollout
from lbi.workshop import Workshop

ROUND = 8  # roll-outs between which an exploring agent learns; fixed, so that the number of workers changes nothing
PARALLEL_CALLS = 16


def read_documents(shop: Workshop, sources: Sequence[DocumentSource]) -> Corpus:
    """Read the documentation and store its sections."""
    corpus = read_corpus(sources)
    if not corpus.documents:
        reasons = "; ".join(f"{skipped.source}: {skipped.reason}" for skipped in corpus.skipped[:3])
        raise UserError(f"no document could be read ({reasons or 'none is named'}); name some under [[documents]]")
    store = shop.run.store
    known = store.keys("document")
    rows = [(f"{index:05d}", document) for index, document in enumerate(corpus.documents)]
    store.put_many("document", [row for row in rows if row[0] not in known])
    for skipped in corpus.skipped:
        store.fail("document", skipped.source, "document", skipped.reason)
    return corpus


async def propose_tasks(shop: Workshop, documents: Sequence[Document], actions: str) -> list[Task]:
    """Tasks of all documents, taken in turns; at most ``synthesis.rollouts`` of them."""
    store, config = shop.run.store, shop.config.synthesis
    done = {key.split("/")[0] for key in store.keys("task")}
    todo = [document for document in documents if document.id not in done]
    gate = asyncio.Semaphore(PARALLEL_CALLS)
    with shop.progress.stage("propose", len(documents)) as stage:
        stage.advance(len(documents) - len(todo))

        async def one(document: Document) -> None:
            async with gate:
                try:
                    tasks, _ = await propose(
                        shop.role("propose"),
                        document,
                        config.tasks_per_document,
                        environment=shop.world.name,
                        actions=actions,
                    )
                except (ModelError, ParseError) as error:
                    store.fail("task", document.id, _boundary(error), str(error))
                    stage.fail()
                    return
                store.put_many("task", [(f"{document.id}/{index}", task) for index, task in enumerate(tasks)])
                stage.advance()

        await _gather(one(document) for document in todo)
    by_document: dict[str, list[Task]] = {}
    for _, task in store.all("task", Task):
        by_document.setdefault(task.document, []).append(task)
    order = [by_document[document.id] for document in documents if document.id in by_document]
    return take_turns(order, sum(len(tasks) for tasks in order))


async def attempt_tasks(shop: Workshop, tasks: Sequence[Task], seed: int) -> list[Trajectory]:
    """Let the agent attempt each task once; whether it succeeds does not matter."""
    agent = _synthesis_agent(shop, seed)
    learn = getattr(agent, "learn", None)
    found: list[Trajectory] = []
    with shop.progress.stage(f"attempt (seed {seed})", len(tasks)) as stage:
        for some in _rounds(tasks, ROUND if learn else max(len(tasks), 1)):
            trajectories = await _attempt(shop, agent, some, seed, stage.advance)
            if learn:
                learn(trajectories)
            found += trajectories
    return found


def _rounds(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[at : at + size] for at in range(0, len(tasks), size)]


def _synthesis_agent(shop: Workshop, seed: int) -> Agent:
    name = shop.config.synthesis.agent or ("explore" if shop.offline else "react")
    return open_agent(name, Parts(model=shop.role("act"), sample=seed, stage="attempt"))


async def _attempt(
    shop: Workshop, agent: Agent, tasks: Sequence[Task], seed: int, advance: Callable[[int], None]
) -> list[Trajectory]:
    """One round: what is stored is taken as it is, the rest is run."""
    store = shop.run.store
    keys = {task.id: f"{seed}/{task.id}/0" for task in tasks}
    known = store.keys("trajectory")
    todo = [task for task in tasks if keys[task.id] not in known]
    advance(len(tasks) - len(todo))

    async def one(environment: Environment, task: Task) -> None:
        trajectory = await rollout(environment, agent, task, shop.config.synthesis.step_limit)
        store.put("trajectory", keys[task.id], trajectory)
        advance(1)

    await in_parallel(
        shop.world,
        todo,
        one,
        workers=shop.config.workers,
        failed=shop.on_failure("trajectory", lambda task: keys[getattr(task, "id", "")]),
    )
    found = [store.get("trajectory", keys[task.id], Trajectory) for task in tasks]
    return [trajectory for trajectory in found if trajectory is not None]


def _boundary(error: ModelError | ParseError) -> str:
    return "parse" if isinstance(error, ParseError) else "model"


async def _gather(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it; the first error ends the rest (a failed model call is no error here, it was recorded)."""
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)
