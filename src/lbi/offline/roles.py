"""Values that nothing marks as such: "hand it to jane", "jane is the new owner", "its owner is jane, not bob"."""

from __future__ import annotations

import re
from collections.abc import Collection

from lbi.observations.parse import Element
from lbi.offline.forms import TEXT_ROLES, called
from lbi.offline.lexical import STOP, SYNONYMS, labels, stem, unquoted
from lbi.offline.senses import sense_of
from lbi.offline.wanted import wanted

LONGEST = 8  # words of a value that nothing marks as one
_NAME = r"(?P<name>[A-Za-z][\w@-]*(?:\.\w+)*)"
_CLAUSE = r"(?:^|(?<=[.!?;:,])\s+|\b(?:and|now|on|henceforth),?\s+|\bsince\s+)"
_WORK = r"(?:do|have|take|look|own|run|lead|manage|handle|work|see|be (?:responsible|in charge))"
_DOES = (
    rf"(?:(?:now|also) )?(?:(?:will|should|shall|is to|has to|must|may|can) (?:now )?{_WORK}(?= \w)"
    r"|takes|looks after|works on|manages|runs|owns|leads|handles|is (?:now )?(?:in charge|responsible))\b"
)
_TURN = r"(?:hand|give|assign|reassign|pass|transfer|delegate|forward|entrust|leave)\w*"
_AGENTS = [
    re.compile(rf"\b{_TURN}\b(?:(?!\band\b)[^.!?;,])*?\bto (?:the )?{_NAME}", re.IGNORECASE),
    re.compile(rf"\blet {_NAME} {_WORK}\b|\b(?:ask|tell|get) (?P<asked>[A-Za-z][\w@-]*) to {_WORK}\b", re.IGNORECASE),
    re.compile(rf"\b(?:make|put) {_NAME} (?:\w+ )?(?:responsible|in charge)\b", re.IGNORECASE),
    re.compile(rf"\b(?:managed|looked after|owned|run|handled|led|assigned) (?:by|to) {_NAME}", re.IGNORECASE),
    re.compile(rf"{_CLAUSE}{_NAME} {_DOES}", re.IGNORECASE),
]
_NOBODY = frozenset(
    [
        "nobody",
        "somebody",
        "someone",
        "anybody",
        "everybody",
        "everyone",
        "one",
        "which",
        "yourself",
        "himself",
        "herself",
        "themselves",
        "him",
        "her",
        "me",
        "us",
        "them",
        "you",
        "we",
        "they",
        "he",
        "she",
        "it",
        "who",
        "first",
        "last",
        "next",
        "please",
        "the",
        "a",
        "an",
        "another",
        "other",
        "others",
        "team",
    ]
)
#: what is said of a value, and is none
_JUDGED = frozenset(
    [
        "wrong",
        "incorrect",
        "false",
        "right",
        "correct",
        "missing",
        "outdated",
        "misleading",
        "empty",
        "misspelt",
        "misspelled",
        "needed",
        "unclear",
        "field",
        "changed",
    ]
)
#: names of fields that hold who does something
_PERSONAL = frozenset(
    stem(word)
    for word in ["owner", "manager", "leader", "lead", "head", "chair", "keeper", "contact", "responsible", "assignee"]
)


def agent(text: str) -> str:
    """Who is to do or have it; "" if nobody is said."""
    plain = wanted(unquoted(text))
    for pattern in _AGENTS:
        for match in pattern.finditer(plain):
            name = (match["name"] or match.groupdict().get("asked") or "").rstrip(".-'")
            if _is_name(name):
                return name
    return ""


def handed(text: str, fields: Collection[Element], used: Collection[str]) -> tuple[Element, str] | None:
    """The box for who is to do it, and who; ``used`` are references of fields that have something already."""
    who = agent(text)
    free = [field for field in fields if field.role in TEXT_ROLES and field.ref not in used]
    boxes = [field for field in free if sense_of(field.beside) == "reassign"]
    boxes = boxes or [field for field in free if set(labels(called(field))) & _PERSONAL]
    boxes = boxes or [field for field in free if who and is_said(called(field), text)]
    if who.isdigit():
        return None
    chosen = any(who.lower() == option.lower() for field in fields for option in field.options)
    return (boxes[0], who) if who and boxes and not chosen else None


def told(field: Element, text: str, known: bool, others: Collection[str]) -> str:
    """What an instruction says of a field by its name, unmarked; ``others`` are words that stand for other fields."""
    name = called(field).strip()
    if not labels(name):
        return ""
    own = rf"{re.escape(name)}(?:'s)?"
    of = r"(?: (?:of|for|on) (?:(?!\b(?:is|to|as|be)\b)[^.;:,\"])*?)?"
    before = [
        rf"\b{_NAME} (?:is|becomes|as|will be|shall be|should be|is to be) (?:now )?"
        rf"(?:the |a |its |their )?(?:new |next )?{own}\b",
        rf"\bmake {_NAME} (?:the |its |their )?(?:new )?{own}\b",
        rf"\b{_NAME} (?:on|to|in|into|as) (?:its |the |their |his |her )?{own}\b",
    ]
    plain = wanted(unquoted(text))
    for pattern in before:
        match = re.search(pattern, plain, re.IGNORECASE)
        if match and _is_name(match["name"]) and stem(match["name"]) not in others:
            return match["name"]
    link = (
        rf"(?: field| date)?{of}(?: now)?"
        r"(?:\s*[:=]| (?:is|to|as|should be|shall be|must be|becomes|will be|contains|should say))(?: now)?"
    )
    value = r"(?:the |a |an )?(?P<value>[^,;:.\"]+?)(?=$|[,;:.\"]| and | with | in | on | for | from now| now\b|\s{3,})"
    patterns = [rf"\b{own}{link}\s+{value}", *([rf"\b{own}\s+{value}"] if known else [])]
    for pattern in patterns:
        match = re.search(pattern, plain, re.IGNORECASE)
        if match and (words := match["value"].split()) and len(words) <= LONGEST and _is_value(words, others):
            return match["value"].strip()
    return ""


def is_said(name: str, text: str) -> bool:
    """Whether the name of a field stands in the text."""
    return bool(labels(name)) and re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) is not None


def _is_name(word: str) -> bool:
    low = word.lower()
    return len(word) > 1 and low not in STOP and low not in _NOBODY and stem(low) not in SYNONYMS.values()


def _is_value(words: list[str], others: Collection[str]) -> bool:
    first = words[0].lower()
    telling = any(word.lower() not in STOP for word in words)
    return (
        telling
        and not _JUDGED & {word.lower() for word in words}
        and first not in ("of", "for", "to", "is", "as", "be")
        and stem(first) not in others
    )
