"""An environment that always answers: what takes too long is a failure of the infrastructure, never a run that hangs.

A page can stop its browser, and a call to a stopped browser need not ever return.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from lbi.contracts import Environment, Outcome, World
from lbi.errors import EnvironmentFailure
from lbi.records import Observation, Task

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """Seconds that a call may take. Far above what is usual also on a busy machine; installing counts to ``open``."""

    open: float = 1800.0
    reset: float = 120.0
    step: float = 90.0
    score: float = 60.0
    close: float = 30.0


async def open_guarded(world: World, limits: Limits | None = None) -> Environment:
    """Open an environment of a world, guarded. Raises EnvironmentFailure when it takes too long.

    A world whose steps may take long says so by ``patience``, which are such limits.
    """
    chosen = limits or getattr(world, "patience", None) or Limits()
    return Guarded(await _within(world.open(), chosen.open, "open"), chosen)


class Guarded:
    """Another environment with a limit on each of its calls."""

    def __init__(self, environment: Environment, limits: Limits) -> None:
        self.name = environment.name
        self.actions = environment.actions
        self._environment = environment
        self._limits = limits

    async def reset(self, task: Task) -> Observation:
        return await _within(self._environment.reset(task), self._limits.reset, "reset")

    async def step(self, action: str) -> Outcome:
        return await _within(self._environment.step(action), self._limits.step, "step")

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return await _within(self._environment.score(task, answer), self._limits.score, "score")

    async def submission(self) -> str:
        """What the episode hands in besides its answer, such as a patch; "" where there is no such thing."""
        submitted: Callable[[], Awaitable[str]] | None = getattr(self._environment, "submission", None)
        return "" if submitted is None else await _within(submitted(), self._limits.score, "hand in")

    async def close(self) -> None:
        with contextlib.suppress(EnvironmentFailure):  # it is given up either way
            await _within(self._environment.close(), self._limits.close, "close")


async def _within(work: Awaitable[T], seconds: float, what: str) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise EnvironmentFailure(f"the environment did not {what} within {seconds:.0f} s") from None
