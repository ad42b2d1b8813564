"""An imported trajectory -> the same one carried out in an environment of one's own, where every episode is reset.

A trace says nothing of the state behind what was seen. What is carried out here has one, so that from then on it is
replayed and verified like what our own agents did. Where something else happens than in the trace, nothing is proved.
"""

from __future__ import annotations

import re

from lbi.context import RunContext
from lbi.errors import EnvironmentFailure
from lbi.observations.normalise import kind_of_place, normalise_url
from lbi.protocols import Environment
from lbi.records import Observation, Step, Trajectory
from lbi.storage.leases import WorkKey

KIND = "carried out again"
_EXIT_CODE = re.compile(r"^Exit code: (\d+)$", re.MULTILINE)


async def carry_out_again(context: RunContext, trajectory: Trajectory, key: str) -> Trajectory | None:
    """What happened in the environment; None if that was something else, or if the environment failed for good."""
    outcome: list[Trajectory] = []

    async def work(environment: Environment) -> None:
        outcome.clear()
        done = await carried_out(environment, trajectory)
        outcome.extend([done] if done is not None else [])

    def failed(error: EnvironmentFailure, last: bool) -> None:
        context.folder.store.fail(KIND, key, "environment", error.classified)

    await context.pool.do(work, failed=failed, key=WorkKey(KIND, key))
    return outcome[0] if outcome else None


async def carried_out(environment: Environment, trajectory: Trajectory) -> Trajectory | None:
    """Reset, and repeat every action in its grounded form. None where one fails that did not, or the other way round.

    Raises EnvironmentFailure.
    """
    expected = trajectory.observations
    seen = await environment.reset(trajectory.task)
    steps: list[Step] = []
    for at, step in enumerate(trajectory.steps):
        outcome = await environment.step(step.action.grounded)
        if not _alike(outcome.observation, expected[at + 1]) and step.action.kind != "finish":
            return None
        steps.append(step.model_copy(update={"observation": seen, "action": outcome.action}))
        seen = outcome.observation
    return trajectory.model_copy(update={"steps": tuple(steps), "last": seen})


def _alike(seen: Observation, expected: Observation) -> bool:
    """Whether an action had the same outcome: it failed or not, and led to the same kind of place."""
    if bool(seen.error) != bool(expected.error):
        return False
    codes = [_EXIT_CODE.search(each.text) for each in (seen, expected)]
    if codes[0] and codes[1] and codes[0][1] != codes[1][1]:
        return False
    if not expected.url:
        return True
    return kind_of_place(normalise_url(seen.url)) == kind_of_place(normalise_url(expected.url))
