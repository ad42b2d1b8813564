"""Whether an answer meets a task's check: what it must contain, and what it must not."""

from __future__ import annotations

import re

from lbi.records import Check


def wrong_answer(check: Check, answer: str) -> str:
    """What the answer lacks or should not contain, in words; "" if it is right."""
    for wanted in check.answer:
        if not contains(answer, wanted):
            return f"the answer {answer!r} does not contain {wanted!r}"
    for unwanted in check.answer_not:
        if contains(answer, unwanted):
            return f"the answer {answer!r} contains {unwanted!r}"
    return ""


def contains(text: str, wanted: str) -> bool:
    """Whole words are contained; case, blanks and thousands commas do not count. "12" is not in "120" nor in "1.12"."""
    needle = _fold(wanted)
    if not needle:
        return True
    before = r"(?<!\w)(?<!\d[.,])" if needle[0].isalnum() else ""
    after = r"(?!\w)(?![.,]\d)" if needle[-1].isalnum() else ""
    return re.search(before + re.escape(needle) + after, _fold(text)) is not None


def _fold(text: str) -> str:
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return " ".join(text.casefold().split())
