"""Fields that an instruction wants to hold nothing: "clear the keywords", "it is in no group any more"."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from lbi.observations.parse import Element
from lbi.offline.forms import CHOICE_ROLES, TEXT_ROLES, TOGGLE_ROLES, called
from lbi.offline.lexical import labels, unquoted


def emptied(instruction: str, fields: Collection[Element], filled: Collection[str]) -> list[tuple[Element, str]]:
    """Fields that are to hold nothing: "clear the keywords", "it is in no group any more", "out of the first"."""
    return [
        (field, blank)
        for field in fields
        if field.ref not in filled
        and field.role not in TOGGLE_ROLES
        and not field.beside  # what stands beside a switch is cleared with it
        and field.value.strip()
        and (blank := _blank(field)) is not None
        and _takes_out(instruction, field)
    ]


def _blank(field: Element) -> str | None:
    return "" if field.role in TEXT_ROLES else next((o for o in field.options if not re.search(r"\w", o)), None)


_CLEARS = (
    r"(?:clear|empty|take away|remove|delete|erase|blank|drop|get rid of)(?: out)?"
    r" (?:all )?(?:of )?(?:its |the |their )?"
)


@lru_cache(maxsize=50_000)
def clears(instruction: str, name: str) -> bool:
    """Whether what is to be taken away is what a field of this name holds."""
    own = rf"{re.escape(name)}(?: date| field)?\b(?! \w+ (?:called|named))"
    patterns = [rf"\b{_CLEARS}{own}", rf"\b(?:no|without an?y?|not any|any) {own}"]
    plain = unquoted(instruction)
    if not labels(name):
        return False
    pronoun = rf"(?:^|[.!?]\s+)(?:the|its|their) {own}[^.!?]*?\b(?:clear|empty|remove|delete|erase|drop) (?:it|them)\b"
    if re.search(pronoun, plain, re.IGNORECASE):
        return True
    ends = re.search(r"\b(?:no longer|any ?more|any longer|not|has no|without)\b", plain, re.IGNORECASE)
    return any(re.search(p, plain, re.IGNORECASE) for p in patterns[: 1 + bool(ends)])


def _takes_out(instruction: str, field: Element) -> bool:
    if clears(instruction, called(field)):
        return True
    value = re.escape(bare(field.value))
    out = rf"\b(?:out of|from|off) (?:the |its )?{value}\b(?! (?:to|into)\b)"
    return field.role in CHOICE_ROLES and re.search(out, unquoted(instruction), re.IGNORECASE) is not None


def bare(option: str) -> str:
    """An option without the marks that show its level in a tree: "--- Fruit"."""
    return option.strip(" -–—*·>»")
