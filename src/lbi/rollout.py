"""Task -> trajectory: one linear loop; what ran is what is recorded, success or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from lbi.contracts import Agent, Environment, World
from lbi.errors import EnvironmentFailure, ModelBusy, ModelError, ParseError
from lbi.guard import open_guarded
from lbi.records import Observation, Step, StopReason, Task, Trajectory

T = TypeVar("T")
#: a job that fails because of the infrastructure is tried so often
ATTEMPTS = 3


async def rollout(environment: Environment, agent: Agent, task: Task, step_limit: int, attempt: int = 0) -> Trajectory:
    """Let the agent attempt the task from the environment's pristine state.

    A model that fails for good ends the roll-out, which is data. Raises EnvironmentFailure when the infrastructure
    breaks, the model's provider included, and BudgetExceeded when the money is spent: then there is no trajectory,
    and the task is still to be done.
    """
    observation = await environment.reset(task)
    steps: list[Step] = []

    def ended(stop: StopReason, last: Observation, answer: str = "", error: str = "") -> Trajectory:
        return Trajectory(
            task=task,
            agent=agent.name,
            attempt=attempt,
            steps=tuple(steps),
            last=last,
            stop=stop,
            answer=answer,
            error=error,
        )

    for _ in range(step_limit):
        try:
            decision = await agent.act(task, tuple(steps), observation, environment.actions)
        except ModelBusy as error:  # a provider that is out of order says nothing of the agent
            raise EnvironmentFailure(f"the model's provider failed: {error}") from error
        except (ModelError, ParseError) as error:
            return ended("model_failure", observation, error=str(error))
        outcome = await environment.step(decision.action)
        steps.append(
            Step(
                observation=observation,
                reason=decision.reason,
                action=outcome.action,
                usage=decision.usage,
                examples=decision.examples,
            )
        )
        observation = outcome.observation
        if outcome.done:
            return ended("done", observation, outcome.answer)
    return ended("step_limit", observation)


async def in_parallel(
    world: World,
    jobs: Iterable[T],
    work: Callable[[Environment, T], Awaitable[None]],
    *,
    workers: int,
    failed: Callable[[T, EnvironmentFailure, bool], None],
) -> None:
    """Do the jobs on ``workers`` environments of their own.

    An environment that failed is closed and a fresh one opened; the job is tried again, up to ATTEMPTS times in all.
    ``failed(job, error, last)`` is told of each failure.
    """
    queue: asyncio.Queue[tuple[T, int]] = asyncio.Queue()
    for job in jobs:
        queue.put_nowait((job, 1))
    async with asyncio.TaskGroup() as group:
        for _ in range(min(workers, queue.qsize())):
            group.create_task(_worker(world, queue, work, failed))


async def _worker(
    world: World,
    queue: asyncio.Queue[tuple[T, int]],
    work: Callable[[Environment, T], Awaitable[None]],
    failed: Callable[[T, EnvironmentFailure, bool], None],
) -> None:
    environment: Environment | None = None
    try:
        while not queue.empty():
            job, attempt = queue.get_nowait()
            try:
                environment = environment or await open_guarded(world)
                await work(environment, job)
            except EnvironmentFailure as error:
                last = attempt >= ATTEMPTS
                failed(job, error, last)
                if not last:
                    queue.put_nowait((job, attempt + 1))
                if environment is not None:
                    await environment.close()
                    environment = None
    finally:
        if environment is not None:
            await environment.close()
