"""Trajectory -> examples: the stage that labels spans of it by backward construction (paper, sec. 2.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from lbi.context import RunContext
from lbi.monitoring.progress import Stage
from lbi.monitoring.telemetry import TASK
from lbi.records import Example, Trajectory
from lbi.storage.leases import WorkKey
from lbi.synthesis.backward import forward_example
from lbi.synthesis.examples import PARALLEL_CALLS, boundary_of, example_key, examples_of_trajectory, span_key
from lbi.synthesis.filter import FilterAndStore
from lbi.synthesis.label_calls import label_spans, spans_to_label
from lbi.synthesis.stream import StreamStage, Work


def label(context: RunContext, seed: int, filter_and_store: FilterAndStore) -> StreamStage:
    """Backward construction and the forward baseline for every trajectory; the examples go through the filters."""
    return StreamStage(_labelling(context, seed, filter_and_store), 2 * parallel_trajectories(context))


@contextmanager
def _labelling(context: RunContext, seed: int, filter_and_store: FilterAndStore) -> Iterator[Work]:
    with context.progress.stage(f"label (seed {seed})", context.config.synthesis.rollouts) as stage:
        yield labeller(context, seed, stage, filter_and_store)


def labeller(context: RunContext, seed: int, stage: Stage, filter_and_store: FilterAndStore) -> Work:
    """What the stage does to a trajectory: label, filter and store its examples, except those stored before."""
    semaphore = asyncio.Semaphore(parallel_trajectories(context))

    async def label_and_filter(trajectory: Trajectory) -> None:
        async with context.lease(WorkKey("label", f"{seed}/{trajectory.id}"), semaphore) as mine:
            if mine:
                with stage.working("label", {TASK: trajectory.task.id}):
                    known = {key for key, _ in examples_of_trajectory(context, trajectory, seed)}
                    examples = await _labelled(context, trajectory, seed, known, stage)
                    forward = forward_example(trajectory)
                    if forward is not None and example_key(seed, forward) not in known:
                        examples.append(forward)
                    await filter_and_store(examples, trajectory, seed, stage)
        stage.advance()

    return label_and_filter


def parallel_trajectories(context: RunContext) -> int:
    """How many trajectories are labelled at a time; all of them if calls are collected into a provider's batch."""
    waiting = context.uses_batches("label") or context.uses_batches("judge")
    return max(PARALLEL_CALLS, context.config.synthesis.rollouts) if waiting else PARALLEL_CALLS


async def _labelled(
    context: RunContext, trajectory: Trajectory, seed: int, known: Collection[str], stage: Stage
) -> list[Example]:
    """Label the spans that have no stored example yet; a failure is recorded under the key of the example."""
    config, examples = context.config, []
    # in a provider's batch no call is answered before the others are sent
    settings = (
        config.labelling.model_copy(update={"ordered": False}) if context.uses_batches("label") else config.labelling
    )
    spans = spans_to_label(trajectory, config.labelling, config.synthesis.spans_per_trajectory, seed)
    for kind in config.synthesis.kinds:
        missing = [(i, j) for i, j in spans if span_key(seed, trajectory, kind, i, j) not in known]
        model = context.role("label")
        labels = await label_spans(model, trajectory, kind, spans, settings, missing=missing)
        for (i, j), outcome in sorted(labels.items()):
            if isinstance(outcome, Example):
                examples.append(outcome)
            else:
                context.folder.store.fail(
                    "example", span_key(seed, trajectory, kind, i, j), boundary_of(outcome), str(outcome)
                )
                stage.fail(boundary_of(outcome))
    return examples
