"""Failures in a row -> a pause of all calls to a provider, ended by one call that tries whether it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lbi.errors import FailureKind, ModelBusy, ModelUnavailable
from lbi.records import Record

#: failures that tell of a provider that is not there; every other answer shows that it is
_DEAD: tuple[FailureKind, ...] = ("timeout", "connection", "cut off", "malformed", "overloaded", "server error")
_FIRST_TRIES = 5  # times that a provider is tried which could never be reached


class Pause(Record):
    """When a provider counts as dead, and how long it is waited for; times in seconds."""

    failures: int = 5  # in a row, with no success of any task between them
    first: float = 5.0  # the first pause; each that follows is twice as long
    longest: float = 300.0
    patience: float = 3600.0  # a provider that is away for longer ends the run ...
    first_contact: float = 10.0  # ... and so does, after this time already, one that could never be reached in this run


class CircuitBreaker:
    """Closed while calls succeed. While it is open all calls wait, except for one at the end of each pause."""

    def __init__(
        self,
        name: str,
        pause: Pause,
        *,
        say: Callable[[str], None],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        self._name, self._pause, self._say, self._clock, self._sleep = name, pause, say, clock, sleep
        self._failures = self._pauses = 0  # in a row
        self._since: float | None = None  # when the pause began; None = there is none
        self._until = 0.0
        self._probing = False
        self._reached = False  # whether anything has been heard of the provider in this run
        self._last_error = ""
        self._changed = asyncio.Event()

    @property
    def paused(self) -> bool:
        return self._since is not None

    @property
    def _patience(self) -> float:
        """An address that nobody ever answered at is probably a wrong one."""
        return self._pause.patience if self._reached else min(self._pause.first_contact, self._pause.patience)

    async def passed(self) -> bool:
        """Wait while there is a pause; True = this call is the one that tries. Raises ModelUnavailable."""
        while self._since is not None:
            if self._probing:
                await self._changed.wait()
                continue
            away = self._clock() - self._since
            if away >= self._patience:
                raise ModelUnavailable(self._gone(away))
            if self._clock() < self._until:
                await self._sleep(self._until - self._clock())
            else:
                self._probing = True
                return True
        return False

    def _gone(self, away: float) -> str:
        if self._reached:
            return (
                f"{self._name} has not answered for {_time(away)} ({self._last_error}); "
                "when it is back, start the same command again: it continues"
            )
        return (
            f"{self._name} could not be reached in {_time(away)} ({self._last_error}); see that the address is right "
            "and that a server runs there, then start the same command again: it continues"
        )

    def worked(self, probe: bool) -> None:
        """The provider answered, be it with a refusal."""
        self._reached = True
        self._failures = 0
        if self._since is not None:
            self._say(f"{self._name} answers again after {_time(self._clock() - self._since)}; going on")
            self._since = None
            self._wake()
        self.ended(probe)

    def failed(self, error: ModelBusy, probe: bool) -> None:
        """The provider may be dead; it is, if this goes on."""
        if error.kind not in _DEAD:
            self.worked(probe)
            return
        # a server that is slow, broken or overloaded is there, at the address that was meant
        self._reached = self._reached or error.kind != "connection"
        self._last_error = str(error)
        self._failures += 1
        enough = self._pause.failures if self._reached else 1
        if probe or (self._since is None and self._failures >= enough):
            self._open()
        self.ended(probe)

    def ended(self, probe: bool) -> None:
        """A call is over, whatever it told of the provider."""
        if probe:
            self._probing = False
            self._wake()

    def _open(self) -> None:
        now = self._clock()
        if self._since is None:
            self._since, self._pauses = now, 0
        wait = self._pause.first * 2.0**self._pauses if self._reached else self._patience / _FIRST_TRIES
        wait = min(self._pause.longest, wait)
        self._pauses += 1
        self._until = now + wait
        if self._reached:
            self._say(
                f"{self._name} does not answer ({self._last_error}); all its calls wait, next try in {_time(wait)}"
            )
        elif self._pauses == 1:
            self._say(f"{self._name} cannot be reached ({self._last_error}); trying for {_time(self._patience)} in all")

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
