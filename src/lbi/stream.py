"""Tasks -> verified examples as a stream: a trajectory is labelled and replayed while others are still attempted.

Between the stages are queues of bounded length: where one stage is slow, those before it wait and leave what they share
(environments, the provider's limits) to it. Everything is stored under the key of its work and read in the order of the
keys, so what comes of it does not depend on who finished first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from lbi.attempt import attempt_tasks
from lbi.records import Task, Trajectory
from lbi.synthesis import labeller, labels_at_once, replayer, replays, without_idle
from lbi.workshop import Workshop

WAITING = 16  # trajectories in a queue
Queue = asyncio.Queue[Trajectory | None]


async def learn(shop: Workshop, tasks: Sequence[Task], seed: int) -> list[Trajectory]:
    """Attempt, label and replay; the trajectories as examples are made of them, in the order of their tasks."""
    attempted, labelled = Queue(WAITING), Queue(WAITING)
    rollouts = shop.config.synthesis.rollouts if tasks else 0
    with shop.progress.stage(f"label (seed {seed})", rollouts) as labels:
        async with asyncio.TaskGroup() as group:
            attempts = group.create_task(_attempted(shop, tasks, seed, attempted))
            label = labeller(shop, seed, labels)
            group.create_task(_passed(attempted, label, labelled, 2 * labels_at_once(shop)))
            group.create_task(_replayed(shop, seed, labelled))
    return [found for trajectory in attempts.result() if (found := await without_idle(shop, trajectory, seed)).steps]


async def _attempted(shop: Workshop, tasks: Sequence[Task], seed: int, onward: Queue) -> list[Trajectory]:
    async def put(trajectory: Trajectory) -> None:
        trimmed = await without_idle(shop, trajectory, seed)
        if trimmed.steps:
            await onward.put(trimmed)

    found = await attempt_tasks(shop, tasks, seed, put)
    await onward.put(None)
    return found


async def _replayed(shop: Workshop, seed: int, source: Queue) -> None:
    if not replays(shop):
        await _passed(source, _nothing, None, 1)
        return
    with shop.progress.stage(f"replay (seed {seed})", 0) as stage:
        await _passed(source, replayer(shop, seed, stage), None, 2 * shop.config.workers)


async def _nothing(trajectory: Trajectory) -> None:
    pass


async def _passed(
    source: Queue, work: Callable[[Trajectory], Awaitable[None]], onward: Queue | None, consumers: int
) -> None:
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
