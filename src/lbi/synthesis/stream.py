"""Stages that overlap: one trajectory is labelled and replayed while others are still rolled out.

Between the stages are queues of bounded length: if a stage is slow, the stages before it wait and leave what they share
with it (environments, the provider's rate limits) to it. Everything is stored under the key of its work and read in the
order of the keys, so the outcome does not depend on what was finished first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from lbi.context import RunContext
from lbi.records import Trajectory
from lbi.rollouts.schedule import Rollouts
from lbi.synthesis.examples import store_trimmed

WAITING = 16  # trajectories in a queue
Queue = asyncio.Queue[Trajectory | None]
Work = Callable[[Trajectory], Awaitable[None]]


@dataclass(frozen=True)
class StreamStage:
    """What is done to each trajectory. ``opened`` yields the work, and shows the stage's progress while it is open."""

    opened: AbstractContextManager[Work]
    concurrency: int  # trajectories that are worked on at the same time


async def run_stages(context: RunContext, seed: int, rollouts: Rollouts, *stages: StreamStage) -> list[Trajectory]:
    """Roll out, and pass each trajectory through the stages. Returns the trajectories without their idle steps."""
    queues = [Queue(WAITING) for _ in stages]
    with ExitStack() as stack:
        work_of_stage = [stack.enter_context(stage.opened) for stage in stages]
        async with asyncio.TaskGroup() as group:
            source = group.create_task(_rolled_out(context, seed, rollouts, queues[0]))
            for index, (work, stage) in enumerate(zip(work_of_stage, stages, strict=True)):
                next_queue = queues[index + 1] if index + 1 < len(queues) else None
                group.create_task(_passed(queues[index], work, next_queue, stage.concurrency))
    trimmed = [await store_trimmed(context, trajectory, seed) for trajectory in source.result()]
    return [trajectory for trajectory in trimmed if trajectory.steps]


async def _rolled_out(context: RunContext, seed: int, rollouts: Rollouts, queue: Queue) -> list[Trajectory]:
    async def pass_on(trajectory: Trajectory) -> None:
        trimmed = await store_trimmed(context, trajectory, seed)
        if trimmed.steps:
            await queue.put(trimmed)

    trajectories = await rollouts(pass_on)
    await queue.put(None)
    return trajectories


async def _passed(source: Queue, work: Work, next_queue: Queue | None, consumers: int) -> None:
    """Work on every trajectory from ``source``, with this many consumers, and put it into the next queue."""

    async def consume() -> None:
        while (trajectory := await source.get()) is not None:
            await work(trajectory)
            if next_queue is not None:
                await next_queue.put(trajectory)
        source.put_nowait(None)  # the end mark, for the next consumer; taking it has just freed its place in the queue

    async with asyncio.TaskGroup() as group:
        for _ in range(consumers):
            group.create_task(consume())
    if next_queue is not None:
        await next_queue.put(None)
