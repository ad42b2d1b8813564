"""Trajectory -> its examples: spans labelled by backward construction (paper, sec. 2.2), and filtered (sec. 2.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from lbi.context import RunContext
from lbi.errors import ModelError, ParseError
from lbi.monitoring.progress import Stage
from lbi.monitoring.telemetry import TASK
from lbi.protocols import Filter
from lbi.records import Example, Trajectory
from lbi.storage.leases import WorkKey
from lbi.synthesis import filters
from lbi.synthesis.backward import forward_example
from lbi.synthesis.examples import all_of, boundary, examples_of, key_of, span_key
from lbi.synthesis.labelling import label_spans, planned
from lbi.synthesis.stream import StreamStage, Work
from lbi.synthesis.verify import REPLAY

PARALLEL_CALLS = 16


def label(context: RunContext, seed: int) -> StreamStage:
    """Backward construction and the forward baseline for every trajectory, through all filters but the replay."""
    return StreamStage(_labelling(context, seed), 2 * labels_at_once(context))


@contextmanager
def _labelling(context: RunContext, seed: int) -> Iterator[Work]:
    with context.progress.stage(f"label (seed {seed})", context.config.synthesis.rollouts) as stage:
        yield labeller(context, seed, stage)


def labeller(context: RunContext, seed: int, stage: Stage) -> Work:
    """Trajectory -> its examples, filtered and stored; what is stored already is not made again."""
    names = [name for name in context.config.synthesis.filters if name != REPLAY]
    checks = filters.open_filters(names, _filter_parts(context))
    gate = asyncio.Semaphore(labels_at_once(context))

    async def label_and_filter(trajectory: Trajectory) -> None:
        async with context.turn(WorkKey("label", f"{seed}/{trajectory.id}"), gate) as mine:
            if mine:
                with stage.working("label", {TASK: trajectory.task.id}):
                    known = {key for key, _ in examples_of(context, trajectory, seed)}
                    made = await _labelled(context, trajectory, seed, known, stage)
                    forward = forward_example(trajectory)
                    if forward is not None and key_of(seed, forward) not in known:
                        made.append(forward)
                    await _store_filtered(context, checks, made, trajectory, seed, stage)
        stage.advance()

    return label_and_filter


def labels_at_once(context: RunContext) -> int:
    """Trajectories: a batch of a provider's holds what is asked at once."""
    waiting = context.waits("label") or context.waits("judge")
    return max(PARALLEL_CALLS, context.config.synthesis.rollouts) if waiting else PARALLEL_CALLS


def _filter_parts(context: RunContext) -> filters.Parts:
    judges = context.judges if "committee" in context.config.synthesis.filters else ()
    return filters.Parts(judges=judges, reused=context.config.labelling.ordered and not context.waits("judge"))


async def _labelled(
    context: RunContext, trajectory: Trajectory, seed: int, known: Collection[str], stage: Stage
) -> list[Example]:
    """The labels of the planned spans that have no row yet; a failure is recorded under the label's own key."""
    config, made = context.config, []
    # in a batch nothing is finished before the rest is sent
    how = config.labelling.model_copy(update={"ordered": False}) if context.waits("label") else config.labelling
    spans = planned(trajectory, config.labelling, config.synthesis.spans_per_trajectory, seed)
    for kind in config.synthesis.kinds:
        missing = [(i, j) for i, j in spans if span_key(seed, trajectory, kind, i, j) not in known]
        model = context.role("label")
        found = await label_spans(model, trajectory, kind, spans, how, missing=missing)
        for (i, j), said in sorted(found.items()):
            if isinstance(said, Example):
                made.append(said)
            else:
                context.folder.store.fail("example", span_key(seed, trajectory, kind, i, j), boundary(said), str(said))
                stage.fail(boundary(said))
    return made


async def _store_filtered(
    context: RunContext,
    checks: Sequence[Filter],
    made: Sequence[Example],
    trajectory: Trajectory,
    seed: int,
    stage: Stage,
) -> None:
    """Dropped examples are kept too, with the reason; what could not be judged is a failure and tried again later."""
    rows: list[tuple[str, Example]] = []

    async def one(example: Example) -> None:
        try:
            rows.append((key_of(seed, example), await filters.apply(checks, example, trajectory)))
        except (ModelError, ParseError) as error:
            context.folder.store.fail("example", key_of(seed, example), boundary(error), str(error))
            stage.fail(boundary(error))

    if context.waits("judge"):
        await all_of(one(example) for example in made)
    else:
        for example in made:  # one after the other, so that prompt caches know what spans begin with
            await one(example)
    await context.folder.store.put_many("example", rows)
