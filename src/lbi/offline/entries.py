"""Fields that hold several entries, one after the other: "add jane to the members", "the tag old is to go"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lbi.observations.parse import Element
from lbi.offline.contrast import operands
from lbi.offline.forms import called
from lbi.offline.goal import Goal
from lbi.offline.lexical import STOP, labels, stem, words

SHORT = 3  # words of an entry
_ADDS = re.compile(
    r"\b(?:add(?:ed)?|also|too|as well|additional(?:ly)?|another|besides|further|include|put|append|extend|join|more|"
    r"attach|enter|in addition|tag)\b",
    re.I,
)
_TAKES = re.compile(
    r"\b(?:remove|delete|take|strike|drop|erase|no longer|any (?:more|longer)|(?:is|are|has|have) to (?:go|disappear)|"
    r"should (?:go|not)|get rid|leave out|off|without)\b",
    re.I,
)
_FOR = re.compile(r"\b(?:takes?|in) (?:the )?place of\b|\binstead of\b|\breplac\w+|\brather than\b", re.I)
_WORD = r"[\w@][\w.@+-]*"


def separator(text: str) -> str:
    """What stands between the entries."""
    if match := re.search(r"(\s*[,;|]\s*)", text):
        return match[1]
    return " " if re.search(r"\s", text.strip()) else ", "


def entries(text: str) -> list[str]:
    between = separator(text)
    return [part.strip() for part in text.split(between.strip() or None) if part.strip()]


def changed_entries(goal: Goal, field: Element) -> str | None:
    """What the field holds with an entry more, less, or in place of another; None if it is not about them."""
    now = entries(field.value)
    if not now or any(len(entry.split()) > SHORT for entry in now):
        return None
    if separator(field.value) == " " and any(entry.lower() in STOP for entry in now):
        return None  # a sentence is no list of its words
    own = set(labels(called(field)))
    if not _names(goal.text, own):
        return None
    between = separator(field.value)
    held = [entry for entry in now if _said(entry, goal.text)]
    new = [entry for entry in _new(goal.text, now, own) if between.strip() or " " not in entry or len(now) == 1]
    if _FOR.search(goal.text) and len(held) == 1 and len(new) == 1:
        return between.join(new[0] if entry == held[0] else entry for entry in now)
    if _TAKES.search(goal.text) and held and not new:
        return between.join(entry for entry in now if entry not in held)
    plural = len(now) > 1 or re.search(r"[^s]s\b", called(field)) is not None
    if _ADDS.search(goal.text) and new and plural:
        return between.join([*now, *new])
    return None


def _names(said: str, own: set[str]) -> bool:
    return bool(own) and len(own & set(labels(said))) / len(own) > 0.5


def _said(entry: str, said: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(entry)}(?![\w-])", said, re.I) is not None


def _new(said: str, now: Sequence[str], own: set[str]) -> list[str]:
    """The entries that it names and the field does not hold: beside the field's name, or its first word."""
    held = {entry.lower() for entry in now}
    quoted = [o.text for o in operands(said) if o.shape == "quoted" and o.text.lower() not in held]
    if quoted:
        return quoted[:1] if len(quoted) == 1 else quoted
    names = "|".join(sorted({re.escape(w) for w in re.findall(r"[A-Za-z]+", said) if set(labels(w)) & own}, key=len))
    to = r"(?:to|on|in|into|among|as|one of|of)"
    found: list[str] = []
    patterns = (
        r"^(?P<x>[a-z][\w.@-]*) (?=[a-z])",
        r"[.;:,] (?P<x>[a-z][\w.@-]*) (?:is|takes|should|wants|has|must)\b",
        rf"\b(?i:add|put|include|append|enter|by|with) (?P<x>{_WORD}) (?:{to} |besides |too\b|as well\b)",
        rf"\b(?:{names})(?: (?:called|named|by|with))? (?P<x>{_WORD})",
        rf"\b(?:by|with|add|put|include) (?P<x>{_WORD})",
    )
    for pattern in patterns:
        for match in re.finditer(pattern, said):
            word = match["x"].rstrip(".,;")
            plain = word.lower() in STOP or set(labels(word)) & own or not labels(word)
            if not plain and word.lower() not in held and stem(word) not in _VERBAL and word not in found:
                found.append(word)
        if found:
            return found[:1]
    return []


_VERBAL = frozenset(
    words(
        "add remove replace change put take give set make keep tag mark also too as well them him her it and other go"
    )
) | {"also", "too", "him", "her", "them", "away", "besides", "among", "by", "with", "other", "others"}
