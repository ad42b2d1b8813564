"""Failures named by the boundary they crossed.

A roll-out that fails is data, a failure of infrastructure is never the agent's, and bad input is one
clear line for the person at the terminal.
"""

from __future__ import annotations

from typing import Literal

from lbi.records import Left, Usage

NOTHING = Usage()
#: every way in which a model call can end without a reply
FailureKind = Literal[
    "timeout",  # no whole reply in time
    "connection",  # none could be made, or it was dropped before the reply began
    "cut off",  # the connection ended in the middle of the reply
    "malformed",  # the body is not that of a reply
    "rate limit",
    "overloaded",
    "server error",
    "authentication",
    "unknown model",
    "no money",  # or a quota that no waiting of ours brings back
    "too long",  # the prompt exceeds what the model takes
    "bad request",
    "refused",
    "truncated",  # the model ran out of tokens
    "empty",
    "failed",  # none of these
]


class LbiError(Exception):
    """Root of everything this package raises on purpose."""


class UserError(LbiError):
    """Bad input. The message says what, which, and what now; the CLI prints it and exits with 2."""


class UserErrors(UserError):
    """Several mistakes in one input: a headline, and a line for each."""

    def __init__(self, headline: str, lines: list[str]) -> None:
        super().__init__("\n".join([headline, *(f"  {line}" for line in lines)]))


class ModelError(LbiError):
    """A provider failed for good: no reply exists, so nothing may be parsed or scored in its place.

    ``usage`` is what was paid nevertheless: a refused or cut off reply costs as much as a good one.
    """

    def __init__(self, message: str, *, kind: FailureKind = "failed", usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.kind = kind
        self.usage = usage


class ModelBusy(ModelError):
    """A provider refused for now (rate limit, overload, connection lost); the retry wrapper tries again.

    ``retry_after`` is the wait in seconds that the provider asked for, if it did; ``left`` what it said of its limits.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: FailureKind = "failed",
        usage: Usage = NOTHING,
        retry_after: float | None = None,
        left: tuple[Left, ...] = (),
    ) -> None:
        super().__init__(message, kind=kind, usage=usage)
        self.retry_after = retry_after
        self.left = left


class ModelUnavailable(LbiError):
    """No call of a model can succeed (wrong key, no money, dead for long); the run stops cleanly and can be continued.

    No ModelError: a roll-out that ended with it would count as the agent's.
    """


class ParseError(LbiError):
    """A reply arrived and could not be read. Carries the reply, so that it can be stored and looked at.

    ``usage`` is that of the calls made for it, which were paid for although nothing could be read.
    """

    def __init__(self, message: str, reply: str, usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.reply = reply
        self.usage = usage


class EnvironmentFailure(LbiError):
    """The environment's infrastructure failed (browser crashed, server gone); the agent is not to blame."""


class ScoreError(LbiError):
    """A check could not be carried out; the result is recorded as the harness's failure, not as a zero."""


class BudgetExceeded(LbiError):
    """The budget of the run is spent; the run stops cleanly and can be continued with more."""
