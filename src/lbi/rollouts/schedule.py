"""Tasks -> trajectories: attempts all tasks, and again until there are enough roll-outs (paper, sec. 2.2).

A trajectory is stored under seed/task/attempt: "0/m3f9c2d1a0b4e5f6/0" is the first attempt at that task.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence

from lbi.agents import AgentParts, open_agent
from lbi.context import RunContext
from lbi.monitoring.progress import Stage
from lbi.monitoring.telemetry import AGENT, TASK
from lbi.protocols import Agent, Environment, Learner
from lbi.records import Task, Trajectory, digest_of
from lbi.rollouts.explorer import agent_for_rollouts
from lbi.rollouts.impossible import impossible, said_impossible
from lbi.rollouts.loop import rollout
from lbi.storage.leases import WorkKey

ROUND = 8  # roll-outs after which an exploring agent learns; fixed, so that the number of workers changes nothing
FURTHER_TEMPERATURE = 0.7  # of all attempts after the first: at 0, a model would do what it did before
Onward = Callable[[Trajectory], Awaitable[None]]  # takes each trajectory as soon as it is there
Rollouts = Callable[[Onward], Awaitable[list[Trajectory]]]


def roll_out(context: RunContext, tasks: AsyncIterable[Sequence[Task]], seed: int) -> Rollouts:
    """The roll-outs of a seed, as the first stage of a stream, which says where each trajectory goes next."""
    return lambda onward: attempt_tasks(context, tasks, seed, onward)


async def at_once(tasks: Sequence[Task]) -> AsyncIterator[Sequence[Task]]:
    """Tasks that are all there from the beginning, as one round."""
    yield tasks


async def nowhere(trajectory: Trajectory) -> None:
    """For callers that need the trajectories only at the end, as the returned list."""


async def attempt_tasks(
    context: RunContext, tasks: AsyncIterable[Sequence[Task]], seed: int, onward: Onward = nowhere
) -> list[Trajectory]:
    """As many roll-outs as the config asks for, going through the tasks repeatedly. They need not succeed.

    ``tasks`` come in rounds, of which each is attempted before the next one is asked for. Tasks that would end the
    session come last, after all others; those that turned out impossible are not attempted again.

    Each trajectory goes ``onward`` as soon as it is there. While that waits, only a few other roll-outs are begun.
    """
    rollouts = context.config.synthesis.rollouts
    with context.progress.stage(f"attempt (seed {seed})", rollouts) as stage:
        attempts = _Attempts(context, seed, stage, onward)
        ordinary, ending = [], list[Task]()
        async for round_ in tasks:
            ending += [task for task in round_ if task.ending]
            ordinary += (fresh := [task for task in round_ if not task.ending])
            await attempts.attempt(fresh[: rollouts - attempts.made], 0)
        if not ordinary:
            ordinary, ending = ending, []
            await attempts.attempt(ordinary[:rollouts], 0)
        again = max(rollouts - len(ending), attempts.made)  # what is left for the others' further attempts
        for attempt in itertools.count(1):
            left = attempts.possible(ordinary)[: again - attempts.made]
            if not left:
                break
            await attempts.attempt(left, attempt)
        await attempts.attempt(ending[: rollouts - attempts.made], 0)
        stage.expect(attempts.made - rollouts)
    return attempts.trajectories


class _Attempts:
    """The attempts of a seed, one batch of tasks after the other."""

    def __init__(self, context: RunContext, seed: int, stage: Stage, onward: Onward) -> None:
        self._context, self._seed, self._stage, self._onward = context, seed, stage, onward
        self._agent = _agent(context, seed, 0)
        self._attempt = 0
        self.made = 0  # attempts, whatever came of them
        self.trajectories: list[Trajectory] = []

    def possible(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Those that no agent gave up as impossible; all where none is left."""
        given_up = {trajectory.task.id for trajectory in self.trajectories if said_impossible(trajectory)}
        return [task for task in tasks if task.id not in given_up] or tasks

    async def attempt(self, tasks: Sequence[Task], attempt: int) -> None:
        """Attempt each task once; a learning agent learns after every ROUND of them."""
        learner = self._agent if isinstance(self._agent, Learner) else None
        if attempt != self._attempt and learner is None:
            self._agent = _agent(self._context, self._seed, attempt)
        self._attempt = attempt
        self.made += len(tasks)
        # a round has each task once: two attempts of a learning agent differ only by what it learned in between
        for round_ in _rounds(tasks, ROUND if learner else len(tasks)):
            if learner is not None:
                learner.prepare(round_)
            one = _Round(self._context, self._agent, self._seed, attempt, self._stage, self._onward)
            trajectories = await one.attempt(round_)
            if learner is not None:
                learner.learn(trajectories)
            self.trajectories += trajectories


def _rounds(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[at : at + size] for at in range(0, len(tasks), max(size, 1))]


def _agent(context: RunContext, seed: int, attempt: int) -> Agent:
    sample = int(digest_of([seed, attempt])[:8], 16) if attempt else seed
    parts = AgentParts(
        model=context.role("act"), sample=sample, temperature=FURTHER_TEMPERATURE if attempt else 0.0, stage="attempt"
    )
    return open_agent(agent_for_rollouts(context.config), parts)


class _Round:
    """Attempts tasks that an agent may learn from together. Trajectories that are stored are not run again."""

    def __init__(
        self, context: RunContext, agent: Agent, seed: int, attempt: int, stage: Stage, onward: Onward
    ) -> None:
        self._context, self._agent, self._stage, self._onward = context, agent, stage, onward
        self._seed, self._attempt = seed, attempt
        self._slots = asyncio.Semaphore(max(ROUND, 2 * context.config.workers))

    async def attempt(self, tasks: Sequence[Task]) -> list[Trajectory]:
        known = self._context.folder.store.keys("trajectory")
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self._attempt_task(task, known)) for task in tasks]
        return [trajectory for job in running if (trajectory := job.result()) is not None]

    async def _attempt_task(self, task: Task, known: set[str]) -> Trajectory | None:
        """The trajectory, stored or new; None if the environment failed for good, which is recorded."""
        store, key = self._context.folder.store, f"{self._seed}/{task.id}/{self._attempt}"

        async def work(environment: Environment) -> None:
            with self._stage.working("roll-out", {AGENT: self._agent.name, TASK: task.id}):
                limit = self._context.config.synthesis.step_limit
                trajectory = await rollout(environment, self._agent, task, limit, self._attempt)
                await store.put("trajectory", key, trajectory)

        async with self._slots:
            if key not in known:
                failed = self._context.failure_recorder("trajectory", key, self._stage)
                await self._context.pool.do(work, failed=failed, key=WorkKey("trajectory", key))
            trajectory = store.get("trajectory", key, Trajectory)
            if trajectory is None:
                return None
            if said_impossible(trajectory):
                await store.put("impossible", key, impossible(trajectory))
            (self._stage.have if key in known else self._stage.advance)(1)
            await self._onward(trajectory)
            return trajectory
