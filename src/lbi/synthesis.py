"""Documents -> tasks -> trajectories -> examples, one stage after the other, each resumable on its own.

Everything is stored under the key of the work that it is the outcome of; a stage does what has no row yet.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from lbi import filters
from lbi.backward import forward_example, without_idle_steps
from lbi.compose import Composed, candidates, example_of, verify
from lbi.contracts import Environment, Filter
from lbi.documents import Corpus, DocumentSource, read_corpus
from lbi.errors import ModelError, ParseError, UserError
from lbi.filters.replay import Replayed, replay
from lbi.labelling import label_spans, planned
from lbi.propose import in_turns, propose, take_turns
from lbi.records import Document, Example, Task, Tier, Trajectory
from lbi.rollout import in_parallel
from lbi.workshop import Workshop

REPLAY = "replay"
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


async def propose_tasks(shop: Workshop, documents: Sequence[Document], actions: str, wanted: int) -> list[Task]:
    """Tasks of as many sections as it takes to get ``wanted`` of them, if there are as many; each call may cost money.

    What a section falls short of, the next ones make up for, so which sections are asked hangs on their replies alone
    and not on when a run was stopped. The first tasks of all sections come first, then the second ones.
    """
    store, each = shop.run.store, max(1, shop.config.synthesis.tasks_per_document)
    order = in_turns(documents, shop.config.seeds[0])
    tasks = _stored_tasks(shop)
    asked: set[str] = set()
    with shop.progress.stage("propose", wanted) as stage:

        def show() -> None:
            stage.advance(min(_count(tasks), wanted) - stage.done)

        async def one(document: Document, gate: asyncio.Semaphore) -> None:
            async with gate:
                try:
                    found, _ = await propose(
                        shop.role("propose"), document, each, environment=shop.world.name, actions=actions
                    )
                except (ModelError, ParseError) as error:
                    store.fail("task", document.id, _boundary(error), str(error))
                    stage.fail()
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
            await _gather(one(section, gate) for section in some)
    taken = take_turns([tasks.get(section.id, []) for section in order])
    return list({task.id: task for task in taken}.values())


def _stored_tasks(shop: Workshop) -> dict[str, list[Task]]:
    found: dict[str, list[Task]] = {}
    for _, task in shop.run.store.all("task", Task):
        found.setdefault(task.document, []).append(task)
    return found


def _count(tasks: Mapping[str, Sequence[Task]]) -> int:
    return len({task.id for some in tasks.values() for task in some})


def _boundary(error: ModelError | ParseError) -> str:
    return "parse" if isinstance(error, ParseError) else "model"


def without_idle(shop: Workshop, trajectories: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """The trajectories as examples are made of them; what differs from the roll-out is stored beside it."""
    store = shop.run.store
    found = [without_idle_steps(trajectory) for trajectory in trajectories]
    known = store.keys("trimmed")
    rows = [
        (f"{seed}/{new.task.id}/{new.attempt}", new)
        for new, old in zip(found, trajectories, strict=True)
        if new is not old
    ]
    store.put_many("trimmed", [row for row in rows if row[0] not in known])
    return [trajectory for trajectory in found if trajectory.steps]


async def construct_examples(shop: Workshop, trajectories: Sequence[Trajectory], seed: int) -> None:
    """Backward construction and the forward baseline for every trajectory, through all filters but the replay."""
    store, config = shop.run.store, shop.config.synthesis
    checks = filters.open_filters([name for name in config.filters if name != REPLAY], _filter_parts(shop))
    known = store.keys("example")
    gate = asyncio.Semaphore(PARALLEL_CALLS)
    with shop.progress.stage(f"label (seed {seed})", len(trajectories)) as stage:

        async def one(trajectory: Trajectory) -> None:
            async with gate:
                made = await _labelled(shop, trajectory, seed, known)
                forward = forward_example(trajectory)
                if forward is not None and _key_of(seed, forward) not in known:
                    made.append(forward)
                await _store_filtered(shop, checks, made, trajectory, seed)
            stage.advance()

        await _gather(one(trajectory) for trajectory in trajectories)


def _filter_parts(shop: Workshop) -> filters.Parts:
    judges = shop.judges if "committee" in shop.config.synthesis.filters else ()
    return filters.Parts(judges=judges, reused=shop.config.labelling.ordered)


async def _labelled(shop: Workshop, trajectory: Trajectory, seed: int, known: Collection[str]) -> list[Example]:
    """The labels of the planned spans that have no row yet; a failure is recorded under the label's own key."""
    config, made = shop.config, []
    spans = planned(trajectory, config.labelling, config.synthesis.spans_per_trajectory, seed)
    for kind in config.synthesis.kinds:
        missing = [(i, j) for i, j in spans if _key(seed, trajectory, kind, i, j) not in known]
        model = shop.role("label")
        found = await label_spans(model, trajectory, kind, spans, config.labelling, missing=missing)
        for (i, j), said in sorted(found.items()):
            if isinstance(said, Example):
                made.append(said)
            else:
                shop.run.store.fail("example", _key(seed, trajectory, kind, i, j), _boundary(said), str(said))
    return made


async def _store_filtered(
    shop: Workshop, checks: Sequence[Filter], made: Sequence[Example], trajectory: Trajectory, seed: int
) -> None:
    """Dropped examples are kept too, with the reason; what could not be judged is a failure and tried again later."""
    rows = []
    for example in made:
        try:
            rows.append((_key_of(seed, example), await filters.apply(checks, example, trajectory)))
        except (ModelError, ParseError) as error:
            shop.run.store.fail("example", _key_of(seed, example), _boundary(error), str(error))
    await shop.run.store.put_many("example", rows)


def _key(seed: int, trajectory: Trajectory, kind: str, i: int, j: int) -> str:
    return f"{seed}/{trajectory.id}/{kind}/{i:03d}-{j:03d}"


def _key_of(seed: int, example: Example) -> str:
    return f"{seed}/{example.trajectory}/{example.kind}/{example.start:03d}-{example.end:03d}"


async def verify_by_replay(shop: Workshop, trajectories: Sequence[Trajectory], seed: int) -> None:
    """Repeat each trajectory that has kept examples, once, and judge its examples by it.

    Where the environment cannot go back to its first state, there is nothing to repeat, and the tier stays as it is.
    """
    if REPLAY not in shop.config.synthesis.filters or not shop.restores:
        return
    store = shop.run.store
    by_id = {trajectory.id: trajectory for trajectory in trajectories}
    open_ = [e for _, e in seeded_examples(shop, seed) if e.kept and e.trajectory in by_id and not _replayed(e)]
    todo = {example.trajectory for example in open_}
    known = {name: found for name in todo if (found := store.get(REPLAY, f"{seed}/{name}", Replayed))}
    with shop.progress.stage(f"replay (seed {seed})", len(todo)) as stage:
        stage.advance(len(known))

        async def one(environment: Environment, trajectory: Trajectory) -> None:
            known[trajectory.id] = await replay(environment, trajectory)
            await store.put(REPLAY, f"{seed}/{trajectory.id}", known[trajectory.id])
            stage.advance()

        await in_parallel(
            shop.world,
            [by_id[name] for name in sorted(todo - set(known))],
            one,
            workers=shop.config.workers,
            failed=shop.on_failure(REPLAY, lambda job: f"{seed}/{getattr(job, 'id', '')}"),
        )
    (check,) = filters.open_filters([REPLAY], filters.Parts(replays=known))
    rows = []
    for example in open_:
        if example.trajectory in known:
            verdict = await check.judge(example, by_id[example.trajectory])
            tier = "replayed" if verdict.keep else example.tier
            rows.append(
                (
                    _key_of(seed, example),
                    example.model_copy(update={"verdicts": (*example.verdicts, verdict), "tier": tier}),
                )
            )
    await store.put_many("example", rows)


async def compose_examples(shop: Workshop, trajectories: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """Join verified examples to the way there from the start page; what was carried out again becomes an example."""
    store, limit = shop.run.store, shop.config.synthesis.compose
    if limit <= 0 or not shop.restores:
        return []
    kept = [e for _, e in seeded_examples(shop, seed) if e.kept and e.kind in ("abstract", "summary")]
    by_id = {trajectory.id: trajectory for trajectory in trajectories}
    tier: Tier = "replayed" if REPLAY in shop.config.synthesis.filters else "unverified"
    wanted = candidates([e for e in kept if e.trajectory in by_id], by_id, limit=limit, seed=seed, tier=tier)
    keys = {candidate.id: f"{seed}/{candidate.id}" for candidate in wanted}
    done = store.keys("candidate")
    with shop.progress.stage(f"compose (seed {seed})", len(wanted)) as stage:
        todo = [candidate for candidate in wanted if keys[candidate.id] not in done]
        stage.advance(len(wanted) - len(todo))

        async def one(environment: Environment, candidate: Composed) -> None:
            trajectory = await verify(environment, candidate)
            if trajectory is not None:
                example = example_of(candidate, trajectory)
                store.put("composition", keys[candidate.id], trajectory)
                store.put("example", _key_of(seed, example), example)
            await store.put("candidate", keys[candidate.id], candidate)
            stage.advance()

        await in_parallel(
            shop.world,
            todo,
            one,
            workers=shop.config.workers,
            failed=shop.on_failure("candidate", lambda job: f"{seed}/{getattr(job, 'id', '')}"),
        )
    return [t for key, t in store.all("composition", Trajectory) if key.startswith(f"{seed}/")]


def _replayed(example: Example) -> bool:
    return any(verdict.filter == REPLAY for verdict in example.verdicts)


def seeded_examples(shop: Workshop, seed: int) -> list[tuple[str, Example]]:
    """All examples of one seed, dropped ones too."""
    return [(key, e) for key, e in shop.run.store.all("example", Example) if key.startswith(f"{seed}/")]


async def _gather(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it; the first error ends the rest (a failed model call is no error here, it was recorded)."""
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)
