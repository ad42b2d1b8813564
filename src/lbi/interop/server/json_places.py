"""A JSON text -> its values together with where they stand, so that something can be added without rewriting the rest.

What a client wrote stays as it is, byte for byte: numbers, escapes, the order of its fields, fields nobody knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class Located:
    """A value and its place: ``text[start:end]``. ``items``: those of an array that was read item by item."""

    value: Any
    start: int
    end: int
    items: tuple[Located, ...] = ()


@dataclass(frozen=True)
class Insertion:
    """What is added at a place of a text."""

    at: int
    text: str


def members(text: str, at: int = 0, apart: str = "") -> dict[str, Located]:
    """The fields of the object that begins at ``at``; the array ``apart`` is read item by item.

    Raises ValueError for what is no object, and for a field that stands there twice, as readers differ in which counts.
    """
    at = _blanks(text, _past(text, _blanks(text, at), "{"))
    found: dict[str, Located] = {}
    while text[at : at + 1] != "}":
        if found:
            at = _blanks(text, _past(text, at, ","))
        key, at = _decoded(text, at)
        at = _blanks(text, _past(text, _blanks(text, at), ":"))
        located = _array(text, at) if key == apart and text[at : at + 1] == "[" else Located(*_with_place(text, at))
        if key in found or not isinstance(key, str):
            raise ValueError("a field stands there twice")
        found[key] = located
        at = _blanks(text, located.end)
    return found


def document(text: str, apart: str) -> dict[str, Located]:
    """The fields of a text that is one object and nothing more. Raises ValueError and RecursionError."""
    fields = members(text, 0, apart)
    end = max((field.end for field in fields.values()), default=0)
    if fields and text[end:].strip(" \t\n\r") != "}":
        raise ValueError("there is more than one object")
    return fields


def with_insertions(text: str, insertions: Sequence[Insertion]) -> str:
    parts: list[str] = []
    told = 0
    for insertion in sorted(insertions, key=lambda insertion: insertion.at):
        parts += [text[told : insertion.at], insertion.text]
        told = insertion.at
    return "".join([*parts, text[told:]])


def added_text(text: str, message: Located, field: str, part: str, added: str) -> Insertion | None:
    """Text at the end of a message's ``field``: of its text, or as one more of its parts, of the type ``part``."""
    content = members(text, message.start).get(field)
    if content is None:
        return None
    before_the_end = content.end - 1
    if isinstance(content.value, str):
        return Insertion(before_the_end, json.dumps(f"\n\n{added}" if content.value else added)[1:-1])
    if not isinstance(content.value, list):
        return None
    comma = "," if content.value else ""
    return Insertion(before_the_end, comma + json.dumps({"type": part, "text": added}))


def _array(text: str, start: int) -> Located:
    at = _blanks(text, _past(text, start, "["))
    items: list[Located] = []
    while text[at : at + 1] != "]":
        if items:
            at = _blanks(text, _past(text, at, ","))
        items.append(Located(*_with_place(text, at)))
        at = _blanks(text, items[-1].end)
    return Located([item.value for item in items], start, at + 1, tuple(items))


def _with_place(text: str, at: int) -> tuple[Any, int, int]:
    value, end = _decoded(text, at)
    return value, at, end


def _decoded(text: str, at: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, at)


def _blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _past(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is missing at character {at}")
    return at + 1
