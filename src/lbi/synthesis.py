"""Documents -> tasks, trajectories -> examples: the parts of synthesis, each resumable on its own (lbi.stream).

Everything is stored under the key of the work that it is the outcome of; a stage does what has no row yet.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from lbi import filters
from lbi.attempt import Onward
from lbi.backward import forward_example, without_idle_steps
from lbi.claims import Place
from lbi.compose import Composed, candidates, example_of, verify
from lbi.contracts import Environment, Filter
from lbi.documents import Corpus, DocumentSource, read_corpus
from lbi.errors import ModelError, ParseError, UserError
from lbi.filters.replay import Replayed, replay
from lbi.labelling import label_spans, planned
from lbi.progress import Stage
from lbi.propose import in_turns, propose, take_turns
from lbi.records import Document, Example, Task, Tier, Trajectory
from lbi.telemetry import TASK
from lbi.workshop import Workshop

REPLAY = "replay"
PARALLEL_CALLS = 16
LATER = 1  # replays wait for roll-outs: the next round of these cannot begin before the last one is done


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
                    with stage.working("propose"):
                        found, _ = await propose(
                            shop.role("propose"), document, each, environment=shop.world.name, actions=actions
                        )
                except (ModelError, ParseError) as error:
                    store.fail("task", document.id, _boundary(error), str(error))
                    stage.fail(_boundary(error))
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


async def without_idle(shop: Workshop, trajectory: Trajectory, seed: int) -> Trajectory:
    """The trajectory as examples are made of it; what differs from the roll-out is stored beside it."""
    found = without_idle_steps(trajectory)
    key = f"{seed}/{found.task.id}/{found.attempt}"
    if found is not trajectory and shop.run.store.get("trimmed", key, Trajectory) != found:
        await shop.run.store.put("trimmed", key, found)
    return found


async def construct_examples(shop: Workshop, trajectories: Sequence[Trajectory], seed: int) -> None:
    """Backward construction and the forward baseline for every trajectory, through all filters but the replay."""
    with shop.progress.stage(f"label (seed {seed})", len(trajectories)) as stage:
        label = labeller(shop, seed, stage)
        await _gather(label(trajectory) for trajectory in trajectories)


def labeller(shop: Workshop, seed: int, stage: Stage) -> Callable[[Trajectory], Coroutine[Any, Any, None]]:
    """Trajectory -> its examples, filtered and stored; what is stored already is not made again."""
    names = [name for name in shop.config.synthesis.filters if name != REPLAY]
    checks = filters.open_filters(names, _filter_parts(shop))
    gate = asyncio.Semaphore(labels_at_once(shop))

    async def label(trajectory: Trajectory) -> None:
        async with shop.turn(Place("label", f"{seed}/{trajectory.id}"), gate) as mine:
            if mine:
                with stage.working("label", {TASK: trajectory.task.id}):
                    known = {key for key, _ in _examples_of(shop, trajectory, seed)}
                    made = await _labelled(shop, trajectory, seed, known, stage)
                    forward = forward_example(trajectory)
                    if forward is not None and _key_of(seed, forward) not in known:
                        made.append(forward)
                    await _store_filtered(shop, checks, made, trajectory, seed, stage)
        stage.advance()

    return label


def labels_at_once(shop: Workshop) -> int:
    """Trajectories: a batch of a provider's holds what is asked at once."""
    waiting = shop.waits("label") or shop.waits("judge")
    return max(PARALLEL_CALLS, shop.config.synthesis.rollouts) if waiting else PARALLEL_CALLS


def _examples_of(shop: Workshop, trajectory: Trajectory, seed: int) -> list[tuple[str, Example]]:
    return shop.run.store.under("example", f"{seed}/{trajectory.id}/", Example)


def _filter_parts(shop: Workshop) -> filters.Parts:
    judges = shop.judges if "committee" in shop.config.synthesis.filters else ()
    return filters.Parts(judges=judges, reused=shop.config.labelling.ordered and not shop.waits("judge"))


async def _labelled(
    shop: Workshop, trajectory: Trajectory, seed: int, known: Collection[str], stage: Stage
) -> list[Example]:
    """The labels of the planned spans that have no row yet; a failure is recorded under the label's own key."""
    config, made = shop.config, []
    # in a batch nothing is finished before the rest is sent
    how = config.labelling.model_copy(update={"ordered": False}) if shop.waits("label") else config.labelling
    spans = planned(trajectory, config.labelling, config.synthesis.spans_per_trajectory, seed)
    for kind in config.synthesis.kinds:
        missing = [(i, j) for i, j in spans if _key(seed, trajectory, kind, i, j) not in known]
        model = shop.role("label")
        found = await label_spans(model, trajectory, kind, spans, how, missing=missing)
        for (i, j), said in sorted(found.items()):
            if isinstance(said, Example):
                made.append(said)
            else:
                shop.run.store.fail("example", _key(seed, trajectory, kind, i, j), _boundary(said), str(said))
                stage.fail(_boundary(said))
    return made


async def _store_filtered(
    shop: Workshop, checks: Sequence[Filter], made: Sequence[Example], trajectory: Trajectory, seed: int, stage: Stage
) -> None:
    """Dropped examples are kept too, with the reason; what could not be judged is a failure and tried again later."""
    rows: list[tuple[str, Example]] = []

    async def one(example: Example) -> None:
        try:
            rows.append((_key_of(seed, example), await filters.apply(checks, example, trajectory)))
        except (ModelError, ParseError) as error:
            shop.run.store.fail("example", _key_of(seed, example), _boundary(error), str(error))
            stage.fail(_boundary(error))

    if shop.waits("judge"):
        await _gather(one(example) for example in made)
    else:
        for example in made:  # one after the other, so that prompt caches know what spans begin with
            await one(example)
    await shop.run.store.put_many("example", rows)


def _key(seed: int, trajectory: Trajectory, kind: str, i: int, j: int) -> str:
    return f"{seed}/{trajectory.id}/{kind}/{i:03d}-{j:03d}"


def _key_of(seed: int, example: Example) -> str:
    return f"{seed}/{example.trajectory}/{example.kind}/{example.start:03d}-{example.end:03d}"


def replays(shop: Workshop) -> bool:
    """Whether examples are verified by replay; without going back to a first state there is nothing to repeat."""
    return REPLAY in shop.config.synthesis.filters and shop.restores


def replayer(shop: Workshop, seed: int, stage: Stage) -> Onward:
    """Trajectory -> repeated once if it has kept examples, and these judged by it."""

    async def verify(trajectory: Trajectory) -> None:
        if not _unverified(shop, trajectory, seed):
            return
        store, key = shop.run.store, f"{seed}/{trajectory.id}"
        stage.expect(1)

        async def work(environment: Environment) -> None:
            with stage.working("replay", {TASK: trajectory.task.id}):
                await store.put(REPLAY, key, await replay(environment, trajectory))

        found = store.get(REPLAY, key, Replayed)
        if found is None:
            failed = shop.failing(REPLAY, key, stage)
            await shop.pool.do(work, failed=failed, place=Place(REPLAY, key), urgency=LATER)
            found = store.get(REPLAY, key, Replayed)
        if found is not None:
            await _judge(shop, trajectory, seed, found)
            stage.advance()

    return verify


def _unverified(shop: Workshop, trajectory: Trajectory, seed: int) -> list[Example]:
    return [e for _, e in _examples_of(shop, trajectory, seed) if e.kept and e.kind != "composed" and not _replayed(e)]


async def _judge(shop: Workshop, trajectory: Trajectory, seed: int, replayed: Replayed) -> None:
    """The verdict of the replay on the kept examples of a trajectory."""
    (check,) = filters.open_filters([REPLAY], filters.Parts(replays={trajectory.id: replayed}))
    rows = []
    for example in _unverified(shop, trajectory, seed):
        verdict = await check.judge(example, trajectory)
        update = {
            "verdicts": (*example.verdicts, verdict),
            "tier": "replayed" if verdict.keep else example.tier,
        }
        rows.append((_key_of(seed, example), example.model_copy(update=update)))
    await shop.run.store.put_many("example", rows)


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
        left = [candidate for candidate in wanted if keys[candidate.id] not in done]
        stage.have(len(wanted) - len(left))

        async def one(candidate: Composed) -> None:
            key = keys[candidate.id]

            async def work(environment: Environment) -> None:
                with stage.working("compose"):
                    await _compose(shop, environment, candidate, seed, key)

            failed = shop.failing("candidate", key, stage)
            await shop.pool.do(work, failed=failed, place=Place("candidate", key))
            stage.advance()

        await _gather(one(candidate) for candidate in left)
    return [t for key, t in store.all("composition", Trajectory) if key.startswith(f"{seed}/")]


async def _compose(shop: Workshop, environment: Environment, candidate: Composed, seed: int, key: str) -> None:
    trajectory = await verify(environment, candidate)
    if trajectory is not None:
        example = example_of(candidate, trajectory)
        shop.run.store.put("composition", key, trajectory)
        shop.run.store.put("example", _key_of(seed, example), example)
    await shop.run.store.put("candidate", key, candidate)


def _replayed(example: Example) -> bool:
    return any(verdict.filter == REPLAY for verdict in example.verdicts)


def seeded_examples(shop: Workshop, seed: int) -> list[tuple[str, Example]]:
    """All examples of one seed, dropped ones too."""
    return shop.run.store.under("example", f"{seed}/", Example)


async def _gather(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All of it; the first error ends the rest (a failed model call is no error here, it was recorded)."""
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)
