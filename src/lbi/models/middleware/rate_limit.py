"""What a provider says of its rate limits -> when the next call may start: Left("requests", 50, 0, 12.0) -> in 0.24 s.

Each limit is taken for a bucket that fills steadily, as both Anthropic and OpenAI describe theirs. Where a server
states no limits, its refusals alone tell: fewer calls at once after each, slowly more with each success.
"""

from __future__ import annotations

import math

from lbi.errors import ModelBusy
from lbi.records import Left

#: a refusal that names no wait holds all calls back for this long in seconds, doubled by each that follows
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_REFUSALS = ("rate limit", "overloaded")


class Bucket:
    """One rate limit as far as it is known; while nothing is known of it, it lets everything through."""

    def __init__(self) -> None:
        self.sent = 0.0  # since the beginning, in the limit's own unit
        self._level = self._capacity = math.inf
        self._rate = 0.0  # per second
        self._at = self._full_at = 0.0

    def learn(self, left: Left, sent_before: float, started: float) -> None:
        """Take over what a reply says is left.

        Of the call that it replies to: ``sent_before`` is what had been ``sent`` before it, ``started`` its start.
        """
        self._capacity = left.limit if left.limit is not None else math.inf
        if left.limit is not None and left.resets_in > 0 and left.limit > left.remaining:
            self._rate = (left.limit - left.remaining) / left.resets_in
        self._level = left.remaining - (self.sent - sent_before)
        self._at, self._full_at = started, started + left.resets_in

    def wait(self, need: float, now: float) -> float:
        """Seconds until there is room for ``need``; a need beyond the whole limit waits for all of it."""
        self._fill(now)
        missing = min(need, self._capacity) - self._level
        if missing <= 0:
            return 0.0
        until_full = max(self._full_at - now, 0.001)
        return min(missing / self._rate, until_full) if self._rate else until_full

    def take(self, need: float) -> None:
        self.sent += need
        self._level -= need

    def _fill(self, now: float) -> None:
        if now >= self._full_at:
            self._level, self._full_at = self._capacity, math.inf
        elif now > self._at:
            self._level = min(self._capacity, self._level + self._rate * (now - self._at))
        self._at = max(now, self._at)


class RateLimit:
    """The limits of one model: what is left, until when no call may start, and how many may be in flight."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.in_flight = 0
        self.most_in_flight = math.inf  # a number once a refusal has shown that there can be too many
        self.closed_until = 0.0
        self._refused_at = -math.inf
        self._refusals = 0

    @property
    def full(self) -> bool:
        """Whether no more calls may be in flight."""
        return self.in_flight >= max(1.0, self.most_in_flight)

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until a call with this many tokens may start."""
        waits = [bucket.wait(_need(limited, tokens), now) for limited, bucket in self.buckets.items()]
        return max(0.0, self.closed_until - now, *waits)

    def start(self, tokens: float) -> dict[str, float]:
        """Count a call as sent; returns what had been sent before it, by limit."""
        before = {limited: bucket.sent for limited, bucket in self.buckets.items()}
        for limited, bucket in self.buckets.items():
            bucket.take(_need(limited, tokens))
        self.in_flight += 1
        return before

    def learn(self, stated: tuple[Left, ...], sent_before: dict[str, float], started: float) -> None:
        """Take over the limits that a reply states; the call it replies to ``started`` at this time."""
        for left in stated:
            bucket = self.buckets.setdefault(left.what, Bucket())
            bucket.learn(left, sent_before.get(left.what, bucket.sent), started)

    def worked(self) -> None:
        """A call succeeded, so a few more may be in flight."""
        self._refusals = 0
        self.most_in_flight += 1 / self.most_in_flight

    def refused(self, error: ModelBusy, started: float, now: float) -> None:
        """Start nothing for the wait that was asked for, or a growing one. Refusals of one burst count once."""
        if error.kind not in _REFUSALS:
            return
        if started > self._refused_at:
            self._refused_at, self._refusals = now, self._refusals + 1
            if not error.left:
                self.most_in_flight = max(1.0, min(self.most_in_flight, self.in_flight + 1) / 2)
        wait = error.retry_after
        if wait is None and not error.left:
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (self._refusals - 1))
        self.closed_until = max(self.closed_until, now + (wait or 0.0))


def _need(limited: str, tokens: float) -> float:
    """How much of a limit a call takes; how many tokens it will write nobody knows, so the provider counts them."""
    return {"requests": 1.0, "output tokens": 1.0}.get(limited, tokens)
