"""Errors, named by the boundary at which they occur: model, environment, parsing, scoring, budget, user.

A roll-out that fails is data. A failure of the infrastructure is never counted as the agent's. Bad input gives one
clear line at the terminal.
"""

from __future__ import annotations

from typing import Literal

from lbi.records import Left, Usage

NOTHING = Usage()
#: the ways in which a model call can end without a reply
FailureKind = Literal[
    "timeout",  # no whole reply in time
    "connection",  # it could not be made, or was dropped before the reply began
    "cut off",  # the connection ended in the middle of the reply
    "malformed",  # the body is not a reply
    "rate limit",
    "overloaded",
    "server error",
    "authentication",
    "unknown model",
    "no money",  # or a quota is used up that waiting does not bring back
    "too long",  # the prompt exceeds what the model takes
    "bad request",
    "refused",
    "truncated",  # the model ran out of tokens
    "empty",
    "failed",  # none of these
]
#: those that say something of one reply and nothing of the next
OF_ONE_REPLY = frozenset({"refused", "truncated", "empty"})
#: the ways in which an environment can fail
OutageKind = Literal[
    "unreachable",  # no connection could be made
    "dropped",  # one was, and ended before the whole answer was there
    "timeout",
    "server error",  # HTTP 5xx, or an answer that is no page
    "server ended",  # the process that we started
    "browser",
    "sandbox",
    "machine",  # of a cluster: it left, or the process on it ended
    "check",  # what a check looks at was locked or gone
    "provider",  # of the model
    "failed",  # none of these
]


class LbiError(Exception):
    """Base of all errors that this package raises on purpose."""


class UserError(LbiError):
    """Bad input. The message says what is wrong, where, and what to do; the CLI prints it and exits with 2."""


class UserErrors(UserError):
    """Several mistakes in one input: a headline, and a line for each."""

    def __init__(self, headline: str, lines: list[str]) -> None:
        super().__init__("\n".join([headline, *(f"  {line}" for line in lines)]))


class ModelError(LbiError):
    """A model call failed for good: there is no reply, and nothing may be parsed or scored in its place.

    ``usage`` is what was paid nevertheless: a refused or truncated reply costs as much as a good one.
    """

    def __init__(self, message: str, *, kind: FailureKind = "failed", usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.kind = kind
        self.usage = usage


class ModelBusy(ModelError):
    """A model call failed for now (rate limit, overload, lost connection); the retry wrapper tries again.

    ``retry_after``: seconds to wait, if the provider said so. ``left``: what it said of its rate limits.
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


def is_outage(error: BaseException) -> bool:
    """Whether a model was not asked, or did not answer, through no fault of whoever asked it."""
    return isinstance(error, ModelBusy) or (isinstance(error, ModelError) and error.kind == "bad request")


class ModelUnavailable(LbiError):
    """No call of a model can succeed (wrong key, no money, long out of order). The run stops and can be continued.

    Not a ModelError, as a roll-out that ended with one would count as the agent's failure.
    """


class ParseError(LbiError):
    """A model's reply could not be read. Holds the reply, so that it can be stored and looked at.

    ``usage`` is that of the calls made for it, which were paid for nevertheless.
    """

    def __init__(self, message: str, reply: str, usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.reply = reply
        self.usage = usage


class EnvironmentFailure(LbiError):
    """The environment failed (browser crashed, server gone). It does not count as the agent's failure."""

    def __init__(self, message: str, *, kind: OutageKind = "failed") -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def classified(self) -> str:
        """The message with its kind before it, where there is one."""
        return str(self) if self.kind == "failed" else f"{self.kind}: {self}"


class ScoreError(LbiError):
    """A check could not be carried out. The result is recorded as the harness's failure, not as a score of 0."""


class BudgetExceeded(LbiError):
    """The budget of the run is spent. The run stops, and can be continued with a larger one."""
