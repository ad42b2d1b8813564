"""Failures named by the boundary they crossed.

A roll-out that fails is data, a failure of infrastructure is never the agent's, and bad input is one
clear line for the person at the terminal.
"""

from __future__ import annotations

from lbi.records import Usage

NOTHING = Usage()


class LbiError(Exception):
    """Root of everything this package raises on purpose."""


class UserError(LbiError):
    """Bad input. The message says what, which, and what now; the CLI prints it and exits with 2."""


class ModelError(LbiError):
    """A provider failed for good: no reply exists, so nothing may be parsed or scored in its place.

    ``usage`` is what was paid nevertheless: a refused or cut off reply costs as much as a good one.
    """

    def __init__(self, message: str, *, usage: Usage = NOTHING) -> None:
        super().__init__(message)
        self.usage = usage


class ModelBusy(ModelError):
    """A provider refused for now (rate limit, overload, connection lost); the retry wrapper tries again.

    ``retry_after`` is the wait in seconds that the provider asked for, if it did.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, usage: Usage = NOTHING) -> None:
        super().__init__(message, usage=usage)
        self.retry_after = retry_after


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
