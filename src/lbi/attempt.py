"""Tasks -> trajectories: each is attempted, and again with another sample until the roll-outs are as many as asked.

A trajectory is stored under seed/task/attempt: "0/m3f9c2d1a0b4e5f6/0" is the first attempt at that task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbi.agents import Parts, open_agent
from lbi.contracts import Agent, Environment
from lbi.records import Task, Trajectory, digest_of
from lbi.rollout import in_parallel, rollout
from lbi.workshop import Workshop

ROUND = 8  # roll-outs between which an exploring agent learns; fixed, so that the number of workers changes nothing
AGAIN = 0.7  # temperature of further attempts: at 0, a model would do what it did before


async def attempt_tasks(shop: Workshop, tasks: Sequence[Task], seed: int) -> list[Trajectory]:
    """As many roll-outs as the config asks for, over and over the tasks; whether they succeed does not matter."""
    agent = _agent(shop, seed, 0)
    learn, prepare = getattr(agent, "learn", None), getattr(agent, "prepare", None)
    found: list[Trajectory] = []
    rollouts = shop.config.synthesis.rollouts if tasks else 0
    with shop.progress.stage(f"attempt (seed {seed})", rollouts) as stage:
        for attempt, start in enumerate(range(0, rollouts, max(len(tasks), 1))):
            if attempt and not learn:
                agent = _agent(shop, seed, attempt)
            turn = tasks[: rollouts - start]
            # no task is twice in a round: an agent that learns tells its attempts apart by what it has learned
            for some in _rounds(turn, ROUND if learn else len(turn)):
                if prepare:
                    prepare(some)
                trajectories = await _attempt(shop, agent, some, seed, attempt, stage.advance)
                if learn:
                    learn(trajectories)
                found += trajectories
    return found


def _rounds(tasks: Sequence[Task], size: int) -> list[Sequence[Task]]:
    return [tasks[at : at + size] for at in range(0, len(tasks), size)]


def _agent(shop: Workshop, seed: int, attempt: int) -> Agent:
    name = shop.config.synthesis.agent or ("explore" if shop.offline else "react")
    sample = int(digest_of([seed, attempt])[:8], 16) if attempt else seed
    parts = Parts(model=shop.role("act"), sample=sample, temperature=AGAIN if attempt else 0.0, stage="attempt")
    return open_agent(name, parts)


async def _attempt(
    shop: Workshop, agent: Agent, tasks: Sequence[Task], seed: int, attempt: int, advance: Callable[[int], None]
) -> list[Trajectory]:
    """One round: what is stored is taken as it is, the rest is run."""
    store = shop.run.store
    keys = {task.id: f"{seed}/{task.id}/{attempt}" for task in tasks}
    known = store.keys("trajectory")
    todo = [task for task in tasks if keys[task.id] not in known]
    advance(len(tasks) - len(todo))

    async def one(environment: Environment, task: Task) -> None:
        trajectory = await rollout(environment, agent, task, shop.config.synthesis.step_limit, attempt)
        await store.put("trajectory", keys[task.id], trajectory)
        advance(1)

    await in_parallel(
        shop.world,
        todo,
        one,
        workers=shop.config.workers,
        failed=shop.on_failure("trajectory", lambda task: keys[getattr(task, "id", "")]),
    )
    found = [store.get("trajectory", keys[task.id], Trajectory) for task in tasks]
    return [trajectory for trajectory in found if trajectory is not None]
