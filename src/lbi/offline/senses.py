"""What people say for what applications have a word for: "get rid of" is to delete, "open it again" to reopen.

One short table of English. Everything else (goal, ranking, switches of a form) compares senses, not wordings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from lbi.offline.wanted import reasons

#: a few words between the parts of an idiom, within one clause
_GAP = r"(?:[^.!?;,:]{0,60}?)"
_TURN = "hand|give|assign|reassign|pass|transfer|delegate|forward|entrust"
#: sense -> how it is said; the first sense in the table that is said in a place is the one that is meant there
_SAID = {
    "reopen": [
        r"re-?open\w*",
        rf"open(?:ed)?\b{_GAP}\b(?:again|once more|anew)",
        r"(?:back|again) (?:among|to|into) (?:the )?open(?: ones)?",
        r"(?:undo|revert|take back) (?:the |its )?(?:closing|closure|finishing|resolution)(?: of)?",
        rf"(?:closed|finished|resolved){_GAP} (?:too early|by mistake|wrongly)",
    ],
    "delete": [
        r"(?:delet|remov|eras|discard)\w*",
        r"drop(?:ped)?",
        r"(?:get|got) rid of",
        r"(?:throw|do) away(?: with)?",
        r"(?:no longer|not) need(?:ed)?(?: any ?more)?",
        rf"there will be no\b(?={_GAP}\b(?:after all|any ?more|any longer))",
        rf"take\b(?={_GAP}\b(?:off|away)\b)",
    ],
    "accept": [
        r"accept(?:ed(?= (?:by|in)\b))?",
        rf"take (?:on|over)\b(?!{_GAP} to \w)",
        rf"(?:take|pick up)\b(?={_GAP}\byourself)",
        r"(?:take|pick up) (?:it|this|that)(?= *(?:$|[.,;:!?]| and\b))",
        rf"you (?:can |may |should |will |could )?take\b(?!{_GAP} (?:out|off|away|from)\b)",
    ],
    "reassign": [
        rf"(?:{_TURN})(?:ed|s)?\b(?={_GAP} to \w)",
        r"(?:takes|will take|should take|shall take) (?:over|on)",
        r"(?:takes?|looks?|looking) (?:after|care of)",
    ],
    "rename": [
        r"renam\w+",
        r"(?:is|are|be) (?:to be |now )?called\b(?= \W?\w)",
        r"call\b(?! (?:it )?(?:him|her|them|me|us)\b)",
    ],
    "change": [r"(?:file|enter|list|record|register|book) (?:it|this|that|them)(?= (?:under|among)\b)"],
    "create": [r"(?:introduc|register)\w*", r"set up"],
    "close": [
        r"(?:clos|resolv|finish|complet)\w*",
        r"shut(?: down)?",
        r"wind up",
    ],
}
_PATTERNS = {sense: re.compile(r"\b(?:" + "|".join(said) + r")(?!\w)", re.IGNORECASE) for sense, said in _SAID.items()}
#: what the name of a switch or button may begin with, for its sense
_NAMED = {
    "reopen": r"re-?open",
    "delete": r"delete|remove",
    "accept": r"accept|take(?: over)?$|claim|pick up",
    "reassign": r"re-?assign|assign|hand|give|pass|transfer|delegate|forward",
    "close": r"closed?|finish(?:ed)?|resolved?|completed?|shut|settle",
    "leave": r"leave|keep|do not change|no change",
}
#: words that idioms are made of
_IDIOMATIC = frozenset(
    [
        "again",
        "once",
        "more",
        "anew",
        "back",
        "among",
        "into",
        "to",
        "the",
        "open",
        "ones",
        "rid",
        "of",
        "away",
        "with",
        "any",
        "over",
        "on",
        "after",
        "care",
        "take",
        "put",
        "been",
        "was",
        "too",
        "early",
        "by",
        "mistake",
        "wrongly",
        "need",
        "needed",
        "longer",
        "be",
        "is",
        "are",
        "called",
        "there",
        "will",
        "no",
        "off",
        "up",
        "down",
    ]
)
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)|`[^`]*`")


@lru_cache(maxsize=20_000)
def senses(text: str) -> frozenset[str]:
    """What an instruction wants done, as far as the table has it."""
    found = {sense for sense, _, _ in _spans(text)}
    if "reopen" in found:  # "it was closed too early": what is opened again had been closed
        found -= {"close"}
    return frozenset(found)


@lru_cache(maxsize=20_000)
def canonical(text: str) -> str:
    """The text with the one word that applications have in place of an idiom."""
    parts, last = [], 0
    for sense, start, end in _spans(text):
        if sense == "reassign":
            continue  # applications have no one word for it
        said = re.findall(r"[\w#]+", text[start:end])[1:]
        parts += [text[last:start], " ".join([sense, *(word for word in said if word.lower() not in _IDIOMATIC)])]
        last = end
    return "".join([*parts, text[last:]])


@lru_cache(maxsize=20_000)
def without_idioms(text: str) -> str:
    """The text with blanks for what are words of an idiom only: "put it back among the open ones" names no option."""
    found = list(text)
    for _, start, end in _spans(text):
        for match in re.finditer(r"[A-Za-z]+", text[start:end]):
            if match[0].lower() in _IDIOMATIC:
                found[start + match.start() : start + match.end()] = " " * len(match[0])
    return "".join(found)


def sense_of(name: str) -> str:
    """The sense of a switch or a button by its name; "" if it has none of the table's."""
    said = name.strip(" :*").lower()
    return next((sense for sense, names in _NAMED.items() if re.match(rf"(?:{names})\b", said)), "")


def _spans(text: str) -> list[tuple[str, int, int]]:
    # what a reason says is done is not asked for: "..., as the hall is closed"
    taken: list[tuple[int, int]] = [*(match.span() for match in _QUOTED.finditer(text)), *reasons(text)]
    found = []
    for sense, start, end in _matches(text):
        if not any(start < other_end and end > other for other, other_end in taken):
            taken.append((start, end))
            found.append((sense, start, end))
    return sorted(found, key=lambda item: item[1])


def _matches(text: str) -> Iterator[tuple[str, int, int]]:
    for sense, pattern in _PATTERNS.items():
        for match in pattern.finditer(text):
            yield sense, match.start(), match.end()
