"""An environment that always answers: what takes too long is a failure of the infrastructure, never a run that hangs.

A page can stop its browser, and a call to a stopped browser need not ever return.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from lbi.errors import EnvironmentFailure
from lbi.protocols import Environment, Environments, Outcome
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
    lost: float = 15.0
    """What is left of a call once the environment says that what it runs on is gone."""


async def open_guarded(environments: Environments, limits: Limits | None = None) -> Environment:
    """Open an environment of a family, guarded. Raises EnvironmentFailure when it takes too long.

    A family whose steps may take long says so by ``patience``, which are such limits.
    """
    chosen = limits or getattr(environments, "patience", None) or Limits()
    return Guarded(await _within(environments.open(), chosen.open, "open"), chosen)


class Guarded:
    """Another environment with a limit on each of its calls."""

    def __init__(self, environment: Environment, limits: Limits) -> None:
        self.name = environment.name
        self.actions = environment.actions
        self._environment = environment
        self._limits = limits

    def _lost(self) -> Lost | None:
        wait: Callable[[], Awaitable[None]] | None = getattr(self._environment, "lost", None)
        return None if wait is None else Lost(wait, self._limits.lost)

    async def reset(self, task: Task) -> Observation:
        return await _within(self._environment.reset(task), self._limits.reset, "reset", self._lost())

    async def step(self, action: str) -> Outcome:
        return await _within(self._environment.step(action), self._limits.step, "step", self._lost())

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return await _within(self._environment.score(task, answer), self._limits.score, "score", self._lost())

    async def submission(self) -> str:
        """What the episode hands in besides its answer, such as a patch; "" where there is no such thing."""
        submitted: Callable[[], Awaitable[str]] | None = getattr(self._environment, "submission", None)
        return "" if submitted is None else await _within(submitted(), self._limits.score, "hand in")

    async def close(self) -> None:
        with contextlib.suppress(EnvironmentFailure):  # it is given up either way
            await _within(self._environment.close(), self._limits.close, "close")


@dataclass(frozen=True)
class Lost:
    """How an environment says that what it runs on (a browser, say) is gone: ``wait`` returns then."""

    wait: Callable[[], Awaitable[None]]
    grace: float  # seconds that a call then still has: most end by themselves, and some would wait for ever

    async def shorten(self, limit: asyncio.Timeout) -> None:
        await self.wait()
        at = asyncio.get_running_loop().time() + self.grace
        limit.reschedule(min(at, limit.when() or at))


async def _within(work: Awaitable[T], seconds: float, what: str, lost: Lost | None = None) -> T:
    began = time.monotonic()
    watch: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(seconds) as limit:
            watch = asyncio.create_task(lost.shorten(limit)) if lost else None
            return await work
    except TimeoutError:
        raise EnvironmentFailure(f"the environment did not {what} within {time.monotonic() - began:.0f} s") from None
    finally:
        if watch is not None:
            watch.cancel()
