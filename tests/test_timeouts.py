"""Environments that do not answer: a failure in good time, and never a run that hangs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lbi.environments._timeouts import open_with_timeouts
from lbi.errors import EnvironmentFailure
from lbi.protocols import CallTimeouts, Environment, Outcome
from lbi.records import Observation, Task
from lbi.rollouts.loop import in_parallel

TASK = Task(instruction="go", environment="stuck")
SHORT = CallTimeouts(open=0.05, reset=0.05, step=0.05, score=0.05, close=0.05)


class StuckEnvironment:
    """No call returns, but for those that are named."""

    name = "stuck"
    actions = ""

    def __init__(self, *works: str) -> None:
        self.works = works

    async def _hang(self, what: str, answer: Any) -> Any:
        if what not in self.works:
            await asyncio.Event().wait()
        return answer

    async def reset(self, task: Task) -> Observation:
        return await self._hang("reset", Observation(text="page"))

    async def step(self, action: str) -> Outcome:
        return await self._hang("step", None)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return await self._hang("score", (1.0, ""))

    async def close(self) -> None:
        await self._hang("close", None)


class StuckEnvironments:
    name = "stuck"
    restores = True

    def __init__(self, *works: str, timeouts: CallTimeouts = SHORT) -> None:
        self.works = works
        self.timeouts = timeouts

    async def open(self) -> Environment:
        if "open" not in self.works:
            await asyncio.Event().wait()
        return StuckEnvironment(*self.works)

    async def close(self) -> None:
        return None


async def test_a_call_that_never_returns_is_a_failure_of_the_environment():
    environment = await open_with_timeouts(StuckEnvironments("open"))
    for call in (environment.reset(TASK), environment.step("back()"), environment.score(TASK, "")):
        with pytest.raises(EnvironmentFailure, match="did not"):
            await call


async def test_a_call_to_what_is_gone_has_little_time_left_and_may_still_end_by_itself():
    gone = asyncio.Event()

    class Bottomless(StuckEnvironment):
        lost = staticmethod(gone.wait)

        async def score(self, task: Task, answer: str) -> tuple[float, str]:
            await gone.wait()
            return 0.5, "just in time"

    class Environments(StuckEnvironments):
        async def open(self) -> Environment:
            return Bottomless()

    environment = await open_with_timeouts(Environments("open", timeouts=CallTimeouts(lost=0.05)))
    asyncio.get_running_loop().call_later(0.1, gone.set)
    score = asyncio.create_task(environment.score(TASK, ""))
    with pytest.raises(EnvironmentFailure, match="did not step within 0 s"):
        await asyncio.wait_for(environment.step("back()"), 10)
    assert await score == (0.5, "just in time")


async def test_an_environment_that_does_not_close_is_given_up():
    environment = await open_with_timeouts(StuckEnvironments("open"))
    await asyncio.wait_for(environment.close(), 5)


async def test_an_environment_that_does_not_open_is_a_failure_too():
    with pytest.raises(EnvironmentFailure, match="open"):
        await open_with_timeouts(StuckEnvironments())


async def test_what_answers_is_passed_on():
    environment = await open_with_timeouts(StuckEnvironments("open", "reset", "score"))
    assert (await environment.reset(TASK)).text == "page"
    assert await environment.score(TASK, "x") == (1.0, "")


async def test_jobs_on_a_stuck_environment_end_and_are_reported():
    told: list[tuple[str, bool]] = []

    async def work(environment: Environment, job: str) -> None:
        await environment.reset(TASK)

    def failed(job: str, error: EnvironmentFailure, last: bool) -> None:
        told.append((job, last))

    await asyncio.wait_for(in_parallel(StuckEnvironments("open"), ["a"], work, workers=1, failed=failed), 10)
    assert told == [("a", False), ("a", False), ("a", True)]
