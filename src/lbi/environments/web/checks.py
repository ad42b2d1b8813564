"""A task's check on the environment while it is still open -> (score, reason)."""

from __future__ import annotations

import re

from lbi.environments.web.backend import Backend
from lbi.errors import ScoreError
from lbi.records import Check


async def evaluate(check: Check, answer: str, url: str, text: str, backend: Backend) -> tuple[float, str]:
    """1.0 if every given condition holds; else 0.0 and the first that does not. Raises ScoreError."""
    for wanted in check.answer:
        if not contains(answer, wanted):
            return 0.0, f"the answer {answer!r} does not contain {wanted!r}"
    for unwanted in check.answer_not:
        if contains(answer, unwanted):
            return 0.0, f"the answer {answer!r} contains {unwanted!r}"
    if check.url and not _matches(check.url, url):
        return 0.0, f"the final address {url} does not match {check.url}"
    for wanted in check.shows:
        if not contains(text, wanted):
            return 0.0, f"the final page does not show {wanted!r}"
    if check.sql:
        found = "\n".join("" if row[0] is None else str(row[0]) for row in backend.query(check.sql))
        if found.strip() != check.equals.strip():
            return 0.0, f"the database says {found!r}, not {check.equals!r}"
    if check.command:
        status, output = await backend.run_command(check.command)
        if status:
            return 0.0, f"the command exited with {status}: {output[-300:]}"
    if check == Check():
        raise ScoreError("the check has no condition")
    return 1.0, "every condition holds"


def contains(text: str, wanted: str) -> bool:
    """Whole words are contained; case, blanks and thousands commas do not count. "12" is not in "120" nor in "1.12"."""
    needle = fold(wanted)
    if not needle:
        return True
    before = r"(?<!\w)(?<!\d[.,])" if needle[0].isalnum() else ""
    after = r"(?!\w)(?![.,]\d)" if needle[-1].isalnum() else ""
    return re.search(before + re.escape(needle) + after, fold(text)) is not None


def fold(text: str) -> str:
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return " ".join(text.casefold().split())


def _matches(pattern: str, url: str) -> bool:
    try:
        return re.search(pattern, url) is not None
    except re.error as error:
        raise ScoreError(f"{pattern!r} is no regular expression: {error}") from error
