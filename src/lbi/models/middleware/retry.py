"""Model -> the same model, which tries again what failed for now: jittered waits, within a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from lbi.errors import FailureKind, ModelBusy, ModelError, ModelUnavailable
from lbi.models.middleware.base import Wrapped, estimated_input
from lbi.models.middleware.throttle import Throttle
from lbi.protocols import Model, Reply, Request
from lbi.records import Record, Usage

T = TypeVar("T")
#: what no other call of this model could get round either
HOPELESS: tuple[FailureKind, ...] = ("authentication", "unknown model", "no money")
_REJECTED = 5  # requests in a row that a provider has to reject before it counts as one that rejects every call
_REQUESTS_PER_DEADLINE = 5  # requests of full length that a call's deadline has room for


class Retry(Record):
    """How long to try; times in seconds."""

    attempts: int = 6
    first: float = 1.0  # the first wait is at most this long, each later one at most twice the one before
    longest: float = 60.0
    deadline: float = 600.0  # for all attempts of a call and the waits between them, without waits at the throttle

    @classmethod
    def of(cls, timeout: float) -> Retry:
        """With room for several requests that take ``timeout`` seconds each."""
        usual = cls()
        return usual.model_copy(update={"deadline": max(usual.deadline, _REQUESTS_PER_DEADLINE * timeout)})


class Attempts:
    """The attempts of one call, counted and timed."""

    def __init__(self, retry: Retry, clock: Callable[[], float], chance: random.Random) -> None:
        self.lost = Usage()  # what failed attempts cost
        self._retry, self._clock, self._chance = retry, clock, chance
        self._used, self._failed, self._start = 0.0, 0, 0.0

    def start(self) -> float:
        """Begin an attempt; returns the seconds that are left for it."""
        self._start = self._clock()
        return self._retry.deadline - self._used

    def probe_failed(self, error: ModelBusy) -> None:
        """An attempt that only tried whether the provider is back uses up nothing of the call's patience."""
        self.lost += error.usage

    def failed(self, error: ModelBusy) -> float:
        """Count a failed attempt and return the seconds to wait. Raises ModelBusy when it was the last."""
        self.lost += error.usage
        self._used += self._clock() - self._start
        self._failed += 1
        wait = self._wait(error)
        if self._failed >= self._retry.attempts or self._used + wait > self._retry.deadline:
            message = f"{error}; gave up after {self._failed} attempts in {self._used:.0f} s"
            raise ModelBusy(message, kind=error.kind, retry_after=error.retry_after, usage=self.lost) from error
        self._used += wait
        return wait

    def _wait(self, error: ModelBusy) -> float:
        """Exponential with full jitter, and never earlier than the provider asked for."""
        longest: float = min(self._retry.longest, self._retry.first * 2 ** (self._failed - 1))
        jitter = self._chance.uniform(0, longest)
        return jitter if error.retry_after is None else error.retry_after + jitter / 4


async def call_with_retries(
    call: Callable[[Attempts], Awaitable[T]],
    retry: Retry,
    *,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> tuple[T, Usage]:
    """What the first successful attempt returned, and what the attempts that failed cost.

    Raises ModelBusy when the patience is used up, ModelError for what would fail again, ModelUnavailable for what would
    fail whatever is asked.
    """
    attempts = Attempts(retry, clock, rng or random.Random())
    while True:
        attempts.start()
        try:
            return await call(attempts), attempts.lost
        except ModelBusy as error:
            wait = attempts.failed(error)
        except ModelError as error:
            error.usage = attempts.lost + error.usage
            if error.kind in HOPELESS:
                raise ModelUnavailable(
                    f"{error}; mend that, then start the same command again: it continues"
                ) from error
            raise
        await sleep(wait)


async def _within(seconds: float, call: Awaitable[T], name: str) -> T:
    """The attempt's own share of the deadline. Raises ModelBusy."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError as error:
        raise ModelBusy(f"{name}: timeout: the call's deadline passed", kind="timeout") from error


class Rejections:
    """Bad requests in a row: of a provider that rejects every call no score can come, so the run has to end.

    ``answered``: the model has answered before, in an earlier process. One that never has is not asked again.
    """

    def __init__(self, answered: bool) -> None:
        self._answered, self._in_a_row = answered, 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Around one call. Raises ModelUnavailable with the provider's words when it was one rejection too many."""
        try:
            yield
        except ModelError as error:
            if error.kind == "bad request":
                self._in_a_row += 1
                if not self._answered or self._in_a_row >= _REJECTED:
                    raise ModelUnavailable(
                        f"{error}; the provider rejects every call: choose another model, or change what the message "
                        "names, then start the same command again: it continues"
                    ) from error
            elif not isinstance(error, ModelBusy):
                self._answered, self._in_a_row = True, 0
            raise
        self._answered, self._in_a_row = True, 0


def retried(
    model: Model,
    retry: Retry,
    throttle: Throttle | None = None,
    *,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
    answered: bool = False,
) -> Model:
    """Tries again on ModelBusy. Every attempt passes the throttle, which all tasks of a provider share.

    Waiting at the throttle uses up nothing of a call's deadline: a dead provider and a used up rate limit are no
    failure of the call's. Raises ModelUnavailable when no call can succeed.
    """
    rejections = Rejections(answered)
    model_throttle = (throttle or Throttle(model.name, clock=clock, sleep=sleep)).of(model.name)

    async def complete(request: Request) -> Reply:
        tokens = estimated_input(model, request)

        async def attempt(attempts: Attempts) -> Reply:
            while True:
                admitted = await model_throttle.enter(tokens)
                try:
                    with admitted:
                        admitted.reply = await _within(attempts.start(), model.complete(request), model.name)
                        return admitted.reply
                except ModelBusy as error:
                    if not admitted.probe:
                        raise
                    attempts.probe_failed(error)

        with rejections.counted():
            reply, lost = await call_with_retries(attempt, retry, sleep=sleep, clock=clock, rng=rng)
        return reply.model_copy(update={"usage": lost + reply.usage}) if lost.calls or lost.cost else reply

    return Wrapped(model, complete)
