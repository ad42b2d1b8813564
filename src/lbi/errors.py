"""Failures named by the boundary they crossed.

A roll-out that fails is data, a failure of infrastructure is never the agent's, and bad input is one
clear line for the person at the terminal.
"""

from __future__ import annotations


class LbiError(Exception):
    """Root of everything this package raises on purpose."""


class UserError(LbiError):
    """Bad input. The message says what, which, and what now; the CLI prints it and exits with 2."""


class ModelError(LbiError):
    """A provider failed for good: no reply exists, so nothing may be parsed or scored in its place."""


class ModelBusy(ModelError):
    """A provider refused for now (rate limit, overload, connection lost); the retry wrapper tries again."""


class ParseError(LbiError):
    """A reply arrived and could not be read. Carries the reply, so that it can be stored and looked at."""

    def __init__(self, message: str, reply: str) -> None:
        super().__init__(message)
        self.reply = reply


class EnvironmentFailure(LbiError):
    """The environment's infrastructure failed (browser crashed, server gone); the agent is not to blame."""


class ScoreError(LbiError):
    """A check could not be carried out; the result is recorded as the harness's failure, not as a zero."""


class BudgetExceeded(LbiError):
    """The budget of the run is spent; the run stops cleanly and can be continued with more."""
