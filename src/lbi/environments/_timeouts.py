"""An environment whose every call ends: one that takes too long is a failure of the infrastructure, and nothing hangs.

A page can stop its browser, and a call to a stopped browser may never return.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from typing import TypeVar

from lbi.errors import EnvironmentFailure
from lbi.protocols import (
    CallTimeouts,
    Environment,
    Environments,
    Foreseen,
    Foresees,
    KeepsStates,
    Outcome,
    ReportsLoss,
    Submits,
)
from lbi.records import Action, Observation, Task, sound
from lbi.storage.secrets import mask

T = TypeVar("T")


async def open_with_timeouts(environments: Environments) -> WithTimeouts:
    """Open an environment whose calls end within ``environments.timeouts``. Raises EnvironmentFailure otherwise."""
    timeouts = environments.timeouts
    return WithTimeouts(await _within(environments.open(), timeouts.open, "open"), timeouts)


class WithTimeouts:
    """Another environment with a timeout on each of its calls."""

    def __init__(self, environment: Environment, timeouts: CallTimeouts) -> None:
        self.name = environment.name
        self.actions = environment.actions
        self._environment = environment
        self._timeouts = timeouts

    async def reset(self, task: Task) -> Observation:
        return await self._call(self._environment.reset(task), self._timeouts.reset, "reset")

    async def step(self, action: str) -> Outcome:
        return await self._call(self._environment.step(action), self._timeouts.step, "step")

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return await self._call(self._environment.score(task, answer), self._timeouts.score, "score")

    async def submission(self) -> str:
        """What the episode hands in besides its answer; "" for an environment that has no submissions."""
        if not isinstance(self._environment, Submits):
            return ""
        return await _within(self._environment.submission(), self._timeouts.score, "hand in")

    async def foresee(self, action: str) -> Foreseen:
        """Whether an action may change something; an environment that cannot tell is taken to change something."""
        if isinstance(self._environment, Foresees):
            return await self._call(self._environment.foresee(action), self._timeouts.step, "foresee")
        written = Action(text=mask(sound(action)))
        ends = action.strip().startswith("finish(")
        return Foreseen(action=written, changes="" if ends else "nothing is known of what it does")

    async def keep_state(self) -> str:
        """A name to go back to the present state by; "" for an environment that keeps none."""
        if not isinstance(self._environment, KeepsStates):
            return ""
        return await self._call(self._environment.keep_state(), self._timeouts.reset, "keep its state")

    async def return_to(self, state: str) -> Observation:
        return await self._call(self._keeper.return_to(state), self._timeouts.reset, "go back to a state")

    async def drop_state(self, state: str) -> None:
        await self._call(self._keeper.drop_state(state), self._timeouts.reset, "drop a state")

    @property
    def _keeper(self) -> KeepsStates:
        assert isinstance(self._environment, KeepsStates), "no state was kept"
        return self._environment

    async def close(self) -> None:
        with contextlib.suppress(EnvironmentFailure):  # it is given up either way
            await _within(self._environment.close(), self._timeouts.close, "close")

    async def _call(self, call: Awaitable[T], seconds: float, name: str) -> T:
        """Await a call, and cut it short when the environment reports that what it runs on is gone."""
        if not isinstance(self._environment, ReportsLoss):
            return await _within(call, seconds, name)
        return await _within(call, seconds, name, self._environment, self._timeouts.lost)


async def _within(
    call: Awaitable[T], seconds: float, name: str, backed_by: ReportsLoss | None = None, grace: float = 0.0
) -> T:
    """Await a call for ``seconds``, or for ``grace`` seconds after ``backed_by`` reports its loss."""
    began = time.monotonic()
    watcher: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(seconds) as timeout:
            watcher = asyncio.create_task(_shorten(timeout, backed_by, grace)) if backed_by else None
            return await call
    except TimeoutError:
        raise EnvironmentFailure(f"the environment did not {name} within {time.monotonic() - began:.0f} s") from None
    finally:
        if watcher is not None:
            watcher.cancel()


async def _shorten(timeout: asyncio.Timeout, backed_by: ReportsLoss, grace: float) -> None:
    """After a loss most calls end by themselves, and some would wait for ever: bring the timeout forward."""
    await backed_by.lost()
    deadline = asyncio.get_running_loop().time() + grace
    timeout.reschedule(min(deadline, timeout.when() or deadline))
