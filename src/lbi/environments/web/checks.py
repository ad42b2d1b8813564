"""Scores a task's check on the environment while it is still open: (score, reason)."""

from __future__ import annotations

import re

from lbi.environments._answers import contains, failed_command, raise_for_crash, wrong_answer
from lbi.environments.web.backend import Backend
from lbi.errors import ScoreError
from lbi.records import Check


async def evaluate(check: Check, answer: str, url: str, text: str, backend: Backend) -> tuple[float, str]:
    """1.0 if every given condition holds; else 0.0 and the first that does not. Raises ScoreError.

    ``url`` and ``text`` are those of the final page.
    """
    if check.grader:
        raise ScoreError("only the environment of the task's own benchmark can grade it")
    failed = wrong_answer(check, answer) or _wrong_page(check, url, text)
    if not failed and check.sql:
        failed = _wrong_rows(check, backend)
    if not failed and check.command:
        failed = await _failed_command(check, backend)
    if failed:
        return 0.0, failed
    if check == Check():
        raise ScoreError("the check has no condition")
    if check.tests:
        raise ScoreError("a web application has no tests: its checks are answer, shows, url, sql and command")
    return 1.0, "every condition holds"


def _wrong_page(check: Check, url: str, text: str) -> str:
    if check.url and not _matches(check.url, url):
        return f"the final address {url} does not match {check.url}"
    hidden = next((wanted for wanted in check.shows if not contains(text, wanted)), None)
    return "" if hidden is None else f"the final page does not show {hidden!r}"


def _wrong_rows(check: Check, backend: Backend) -> str:
    values = "\n".join("" if row[0] is None else str(row[0]) for row in backend.query(check.sql))
    return "" if values.strip() == check.equals.strip() else f"the database says {values!r}, not {check.equals!r}"


async def _failed_command(check: Check, backend: Backend) -> str:
    status, output = await backend.run_command(check.command)
    failed = failed_command(status, output)
    if failed:
        raise_for_crash(status, output)
    return failed


def _matches(pattern: str, url: str) -> bool:
    try:
        return re.search(pattern, url) is not None
    except re.error as error:
        raise ScoreError(f"{pattern!r} is no regular expression: {error}") from error
