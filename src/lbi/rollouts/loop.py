"""Task -> trajectory: one linear loop of observing and acting. What happened is recorded, success or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from lbi.environments._pool import ATTEMPTS, Pool
from lbi.errors import EnvironmentFailure, ModelBusy, ModelError, ParseError
from lbi.monitoring.calls_made import calls_made
from lbi.monitoring.telemetry import ACTION, STEP, span
from lbi.protocols import Agent, Allowance, Environment, Environments, Episode, PlaysEpisodes
from lbi.records import Observation, Step, StopReason, Task, Trajectory, Usage

__all__ = ["ATTEMPTS", "in_parallel", "rollout"]
T = TypeVar("T")
#: is told of each step as it ends, and of what is seen after it
Took = Callable[[Step, Observation], None]


def unwatched(step: Step, after: Observation) -> None:
    """For roll-outs that nobody watches."""


async def rollout(
    environment: Environment,
    agent: Agent,
    task: Task,
    step_limit: int,
    attempt: int = 0,
    took: Took = unwatched,
    allowance: Allowance | None = None,
) -> Trajectory:
    """Let the agent attempt the task, from the state that the environment has after a reset.

    An agent that plays episodes itself is left to it; ``took`` is told of the steps of each of its trials. With an
    ``allowance`` the roll-out also ends, as at its step limit, where a further step would exceed it.

    If the model fails for good, the roll-out ends, and its trajectory says so. Raises EnvironmentFailure if the
    environment or the model's provider is out of order, and BudgetExceeded if the money is spent; then there is no
    trajectory, and the task is still to be done.
    """
    if isinstance(agent, PlaysEpisodes):

        async def trial(other: Agent) -> Trajectory:
            return await rollout(environment, other, task, step_limit, attempt, took)

        with provider_failures():
            return await agent.play(Episode(environment, task, step_limit, attempt, trial, allowance))
    observation = await environment.reset(task)
    steps: list[Step] = []
    spent = Usage()

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

    for number in range(1, step_limit + 1):
        with span("step", {STEP: number}) as step_span:
            try:
                with provider_failures(), calls_made() as calls:
                    decision = await agent.act(task, tuple(steps), observation, environment.actions)
            except (ModelError, ParseError) as error:
                step_span.fail(type(error).__name__)
                return ended("model_failure", observation, error=str(error))
            outcome = await environment.step(decision.action)
            step_span.set({ACTION: outcome.action.kind or "unreadable"})
        steps.append(
            Step(
                observation=observation,
                reason=decision.reason,
                action=outcome.action,
                usage=decision.usage,
                examples=decision.examples,
                calls=tuple(calls),
            )
        )
        observation = outcome.observation
        took(steps[-1], observation)
        if outcome.done:
            return ended("done", observation, outcome.answer)
        spent += decision.usage
        if allowance and not allowance.has_room(allowance.spent(spent), allowance.spent(decision.usage)):
            break
    return ended("step_limit", observation)


@contextmanager
def provider_failures() -> Iterator[None]:
    """A provider's outage is no failure of the agent, and neither is a request that never got to the model."""
    try:
        yield
    except ModelBusy as error:
        raise EnvironmentFailure(f"the model's provider failed: {error}", kind="provider") from error
    except ModelError as error:
        if error.kind == "bad request":
            raise EnvironmentFailure(f"the model's provider took no request: {error}", kind="provider") from error
        raise


async def in_parallel(
    environments: Environments,
    jobs: Iterable[T],
    work: Callable[[Environment, T], Awaitable[None]],
    *,
    workers: int,
    failed: Callable[[T, EnvironmentFailure, bool], None],
) -> None:
    """Do the jobs on ``workers`` environments, which are opened for this and closed afterwards.

    ``failed(job, error, last)`` is called for each failure of an environment; ``last`` = the job is not tried again.
    """
    pool = Pool(environments, workers)
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(
                    pool.do(
                        lambda environment, job=job: work(environment, job),  # type: ignore[misc]
                        failed=lambda error, last, job=job: failed(job, error, last),  # type: ignore[misc]
                    )
                )
    finally:
        await pool.close()
