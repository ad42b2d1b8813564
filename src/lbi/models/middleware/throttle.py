"""A provider's gate, which every call of every task passes: rate limits that are learnt, a pause when it is dead."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from lbi.errors import LbiError, ModelBusy, ModelError
from lbi.models.middleware.circuit_breaker import Breaker, Pause
from lbi.models.middleware.rate_limit import Lane
from lbi.protocols import Reply
from lbi.records import Left

_WORTH_SAYING = 60.0  # seconds: waits from this long on are told


def _log(text: str) -> None:
    logging.getLogger(__name__).warning("%s", text)


class Gate:
    """Shared by all models at one address. ``say`` gets a line for each pause, its end, and each long wait."""

    def __init__(
        self,
        name: str,
        *,
        pause: Pause | None = None,
        say: Callable[[str], None] = _log,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._say, self._clock, self._sleep = say, clock, sleep
        self.breaker = Breaker(name, pause or Pause(), say=say, clock=clock, sleep=sleep)
        self._ways: dict[str, Way] = {}

    def way(self, model: str) -> Way:
        """The way of one model's calls: rate limits are a model's own, being dead is the provider's."""
        if model not in self._ways:
            self._ways[model] = Way(model, self.breaker, say=self._say, clock=self._clock, sleep=self._sleep)
        return self._ways[model]


class Way:
    """One model's calls through the gate, first come, first served."""

    def __init__(
        self,
        model: str,
        breaker: Breaker,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]],
    ) -> None:
        self.lane = Lane()
        self._model, self._breaker, self._say, self._clock, self._sleep = model, breaker, say, clock, sleep
        self._turn = asyncio.Lock()
        self._landed = asyncio.Event()

    async def enter(self, tokens: float) -> Pass:
        """Wait until a call with about so many tokens may start. Raises ModelUnavailable."""
        while True:
            if await self._breaker.passed():  # this call tries for all that wait, so it waits behind none of them
                return self._passed(tokens, probe=True)
            async with self._turn:
                while not self._breaker.paused and ((wait := self._wait(tokens)) or self.lane.full):
                    await self._waited(wait)
                if not self._breaker.paused:
                    return self._passed(tokens, probe=False)

    def _wait(self, tokens: float) -> float:
        return self.lane.wait(tokens, self._clock())

    async def _waited(self, wait: float) -> None:
        if not wait:
            self._landed.clear()
            await self._landed.wait()
            return
        if wait >= _WORTH_SAYING:
            self._say(f"{self._model}: the provider's rate limit is used up; going on in {wait:.0f} s")
        await self._sleep(wait)

    def _passed(self, tokens: float, probe: bool) -> Pass:
        return Pass(self, probe, self._clock(), self.lane.start(tokens))

    def landed(self, a_pass: Pass, ended: Reply | BaseException) -> None:
        self.lane.flying -= 1
        self._landed.set()
        told: tuple[Left, ...] = getattr(ended, "left", ())
        self.lane.learn(told, a_pass.before, a_pass.at)
        if isinstance(ended, ModelBusy):
            self.lane.refused(ended, a_pass.at, self._clock())
            self._breaker.failed(ended, a_pass.probe)
        elif isinstance(ended, Reply | ModelError):
            self.lane.worked()
            self._breaker.worked(a_pass.probe)
        else:
            self._breaker.ended(a_pass.probe)


class Pass:
    """One call between its start and its end; as a context it tells the gate how the call ended."""

    def __init__(self, way: Way, probe: bool, at: float, before: dict[str, float]) -> None:
        self.probe, self.at, self.before = probe, at, before
        self._way = way
        self.reply: Reply | None = None

    def __enter__(self) -> Pass:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._way.landed(self, error or self.reply or LbiError("no reply"))
