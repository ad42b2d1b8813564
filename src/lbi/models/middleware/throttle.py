"""When the next call to a provider may start: rate limits hold it back for a while, a circuit breaker for longer.

Every attempt of every task passes here. What one of them learns about its provider holds for all of them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from lbi.errors import LbiError, ModelBusy, ModelError
from lbi.models.middleware.circuit_breaker import CircuitBreaker, Pause
from lbi.models.middleware.rate_limit import RateLimit
from lbi.protocols import Reply

_LONG_WAIT = 60.0  # seconds: waits from this long on are said


def _log(text: str) -> None:
    logging.getLogger(__name__).warning("%s", text)


class Throttle:
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
        self.circuit_breaker = CircuitBreaker(name, pause or Pause(), say=say, clock=clock, sleep=sleep)
        self._models: dict[str, ModelThrottle] = {}

    def of(self, model: str) -> ModelThrottle:
        """The throttle of one model's calls: each model has rate limits of its own, and all share the breaker."""
        if model not in self._models:
            self._models[model] = ModelThrottle(
                model, self.circuit_breaker, say=self._say, clock=self._clock, sleep=self._sleep
            )
        return self._models[model]


class ModelThrottle:
    """One model's calls, first come, first served."""

    def __init__(
        self,
        model: str,
        circuit_breaker: CircuitBreaker,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]],
    ) -> None:
        self.rate_limit = RateLimit()
        self.circuit_breaker = circuit_breaker
        self._model, self._say, self._clock, self._sleep = model, say, clock, sleep
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()

    async def enter(self, tokens: float) -> AdmittedCall:
        """Wait until a call with about this many tokens may start. Raises ModelUnavailable."""
        while True:
            if await self.circuit_breaker.passed():  # this call tries for all that wait, so it waits behind none
                return self._admitted(tokens, probe=True)
            async with self._turn:
                while not self.circuit_breaker.paused and ((wait := self._wait(tokens)) or self.rate_limit.full):
                    await self._waited(wait)
                if not self.circuit_breaker.paused:
                    return self._admitted(tokens, probe=False)

    def _wait(self, tokens: float) -> float:
        return self.rate_limit.wait(tokens, self._clock())

    async def _waited(self, wait: float) -> None:
        if not wait:
            self._ended.clear()
            await self._ended.wait()
            return
        if wait >= _LONG_WAIT:
            self._say(f"{self._model}: the provider's rate limit is used up; going on in {wait:.0f} s")
        await self._sleep(wait)

    def _admitted(self, tokens: float, probe: bool) -> AdmittedCall:
        return AdmittedCall(self, probe, self._clock(), self.rate_limit.start(tokens))

    def ended(self, call: AdmittedCall, outcome: Reply | BaseException) -> None:
        """Learn from how a call ended."""
        self.rate_limit.in_flight -= 1
        self._ended.set()
        if isinstance(outcome, Reply | ModelBusy):
            self.rate_limit.learn(outcome.left, call.sent_before, call.started)
        if isinstance(outcome, ModelBusy):
            self.rate_limit.refused(outcome, call.started, self._clock())
            self.circuit_breaker.failed(outcome, call.probe)
        elif isinstance(outcome, Reply | ModelError):
            self.rate_limit.worked()
            self.circuit_breaker.worked(call.probe)
        else:
            self.circuit_breaker.ended(call.probe)


class AdmittedCall:
    """One call between its start and its end; as a context it tells the throttle how the call ended."""

    def __init__(self, throttle: ModelThrottle, probe: bool, started: float, sent_before: dict[str, float]) -> None:
        self.probe = probe  # whether it tries, for all that wait, if the provider is back
        self.started, self.sent_before = started, sent_before
        self._throttle = throttle
        self.reply: Reply | None = None

    def __enter__(self) -> AdmittedCall:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._throttle.ended(self, error or self.reply or LbiError("no reply"))
