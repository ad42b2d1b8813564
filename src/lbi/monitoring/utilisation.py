"""When was how much of a resource in use? enter, leave -> the share of its capacity that was at work."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Share(NamedTuple):
    """Seconds since the resource was first used: of capacity at work, of all its capacity, with any of it at work."""

    used: float
    possible: float  # 0 where nobody knows how much there is
    some: float  # at least one was in use
    elapsed: float


class Utilisation:
    """Counts what of a resource is in use at once."""

    def __init__(self, capacity: int = 0, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``capacity`` 0 = nobody knows how much the resource can do at once, such as a model."""
        self.capacity = capacity
        self._clock = clock
        self._began: float | None = None
        self._at = 0.0
        self._in_use = 0
        self._used = self._some = 0.0

    @contextlib.contextmanager
    def use(self) -> Iterator[None]:
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def share(self) -> Share:
        self._change(0)
        elapsed = self._at - (self._at if self._began is None else self._began)
        return Share(self._used, elapsed * self.capacity, self._some, elapsed)

    def _change(self, by: int) -> None:
        now = self._clock()
        if self._began is None:
            self._began = self._at = now
        self._used += self._in_use * (now - self._at)
        self._some += (now - self._at) if self._in_use else 0.0
        self._at, self._in_use = now, self._in_use + by
