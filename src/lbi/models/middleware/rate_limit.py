"""What a provider says of its rate limits -> when the next call may start: Left("requests", 50, 0, 12.0) -> in 0.24 s.

Each limit is taken for a bucket that fills steadily, as both Anthropic and OpenAI describe theirs. A server that
states no limits is learnt from its refusals alone: fewer calls at once after each, slowly more with each success.
"""

from __future__ import annotations

import math

from lbi.errors import ModelBusy
from lbi.records import Left

#: a refusal that names no wait closes the lane for this long in seconds, doubled by each that follows
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_REFUSALS = ("rate limit", "overloaded")


class Bucket:
    """One rate limit as far as it is known; empty of knowledge, it lets everything through."""

    def __init__(self) -> None:
        self.sent = 0.0  # since the beginning, in the limit's own unit
        self._level = self._capacity = math.inf
        self._rate = 0.0  # per second
        self._at = self._full_at = 0.0

    def learn(self, said: Left, sent_before: float, asked_at: float) -> None:
        """``sent_before`` and ``asked_at``: ``sent``, and the time, when the call started whose reply says this."""
        self._capacity = said.limit if said.limit is not None else math.inf
        if said.limit is not None and said.resets_in > 0 and said.limit > said.remaining:
            self._rate = (said.limit - said.remaining) / said.resets_in
        self._level = said.remaining - (self.sent - sent_before)
        self._at, self._full_at = asked_at, asked_at + said.resets_in

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


class Lane:
    """The limits of one model: what is left, until when it is closed, and how many calls may be in flight."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.flying = 0
        self.width = math.inf  # calls in flight, once a refusal has told that there can be too many
        self.closed_until = 0.0
        self._refused_at = -math.inf
        self._refusals = 0

    @property
    def full(self) -> bool:
        """Whether no more calls may be in flight."""
        return self.flying >= max(1.0, self.width)

    def wait(self, tokens: float, now: float) -> float:
        """Seconds until a call with so many tokens may start."""
        waits = [bucket.wait(_need(what, tokens), now) for what, bucket in self.buckets.items()]
        return max(0.0, self.closed_until - now, *waits)

    def start(self, tokens: float) -> dict[str, float]:
        """Count a call as sent; returns what had been sent before it, by limit."""
        before = {what: bucket.sent for what, bucket in self.buckets.items()}
        for what, bucket in self.buckets.items():
            bucket.take(_need(what, tokens))
        self.flying += 1
        return before

    def learn(self, said: tuple[Left, ...], before: dict[str, float], asked_at: float) -> None:
        for each in said:
            bucket = self.buckets.setdefault(each.what, Bucket())
            bucket.learn(each, before.get(each.what, bucket.sent), asked_at)

    def worked(self) -> None:
        self._refusals = 0
        self.width += 1 / self.width

    def refused(self, error: ModelBusy, asked_at: float, now: float) -> None:
        """Close for the wait that was asked for, or a growing one. Refusals of one burst count once."""
        if error.kind not in _REFUSALS:
            return
        if asked_at > self._refused_at:
            self._refused_at, self._refusals = now, self._refusals + 1
            if not error.left:
                self.width = max(1.0, min(self.width, self.flying + 1) / 2)
        wait = error.retry_after
        if wait is None and not error.left:
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (self._refusals - 1))
        self.closed_until = max(self.closed_until, now + (wait or 0.0))


def _need(what: str, tokens: float) -> float:
    """How much of a limit a call takes; of tokens still to be written nothing is known, the provider counts them."""
    return {"requests": 1.0, "output tokens": 1.0}.get(what, tokens)
