"""Tasks -> verified examples as a stream: a trajectory is labelled and replayed while others are still attempted.

Between the stages are queues of bounded length: where one stage is slow, those before it wait and leave what they share
(environments, the provider's limits) to it. Everything is stored under the key of its work and read in the order of the
keys, so what comes of it does not depend on who finished first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from lbi.context import RunContext
from lbi.records import Trajectory
from lbi.rollouts.schedule import Rollouts
from lbi.synthesis.examples import without_idle

WAITING = 16  # trajectories in a queue
Queue = asyncio.Queue[Trajectory | None]
Work = Callable[[Trajectory], Awaitable[None]]


@dataclass(frozen=True)
class StreamStage:
    """What is done to each trajectory. ``opened`` yields the work, and shows its progress while it is entered."""

    opened: AbstractContextManager[Work]
    at_once: int  # trajectories that are worked on at a time


async def overlapped(context: RunContext, seed: int, rollouts: Rollouts, *stages: StreamStage) -> list[Trajectory]:
    """Roll out, and pass each trajectory through the stages; the trajectories as examples are made of them."""
    queues = [Queue(WAITING) for _ in stages]
    with ExitStack() as opened:
        works = [opened.enter_context(stage.opened) for stage in stages]
        async with asyncio.TaskGroup() as group:
            source = group.create_task(_rolled_out(context, seed, rollouts, queues[0]))
            for at, (work, stage) in enumerate(zip(works, stages, strict=True)):
                onward = queues[at + 1] if at + 1 < len(queues) else None
                group.create_task(_passed(queues[at], work, onward, stage.at_once))
    trimmed = [await without_idle(context, trajectory, seed) for trajectory in source.result()]
    return [trajectory for trajectory in trimmed if trajectory.steps]


async def _rolled_out(context: RunContext, seed: int, rollouts: Rollouts, onward: Queue) -> list[Trajectory]:
    async def put(trajectory: Trajectory) -> None:
        trimmed = await without_idle(context, trajectory, seed)
        if trimmed.steps:
            await onward.put(trimmed)

    trajectories = await rollouts(put)
    await onward.put(None)
    return trajectories


async def _passed(source: Queue, work: Work, onward: Queue | None, consumers: int) -> None:
    """Do the work on everything that comes, by so many at a time, and pass it on."""

    async def consume() -> None:
        while (trajectory := await source.get()) is not None:
            await work(trajectory)
            if onward is not None:
                await onward.put(trajectory)
        source.put_nowait(None)  # the end, for the next one: its place in the queue was just given back

    async with asyncio.TaskGroup() as group:
        for _ in range(consumers):
            group.create_task(consume())
    if onward is not None:
        await onward.put(None)
