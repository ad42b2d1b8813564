"""Words and values of an instruction: 'Set the colour of lamp 5 to "red"' -> (change, colour, lamp), [5, red]."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, cast

ARTICLES = frozenset("a an the of to for in on at by is are it its and as be".split())  # noqa: SIM905
_COMMON = """
with from into or was were been this that these those there please can could you your my our we i me us need want would
like should must have has do does did will shall so then also their them they he she his her all any some every each
who which whom whose about what when where how why many much page site go using use via make sure one just now out up
"""
STOP = ARTICLES | frozenset(_COMMON.split())
_GROUPS = """
create add new register insert publish post start raise
change set modify edit update adjust switch alter assign reassign put rename move replace
delete remove drop erase discard
find search look locate
open show view display visit see browse navigate list bring take
comment reply respond answer note remark
close resolve finish complete end
save store keep apply
user account member person
name title call subject summary headline heading
description text content body message detail say contain read mention
owner assignee responsible own
news
"""
#: words that people and interfaces use for the same thing, by the first of them ("news" is no plural of "new")
SYNONYMS = {word: group.split()[0] for group in _GROUPS.strip().splitlines() for word in group.split()}
_SUFFIXES = (("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", ""), ("ly", ""))
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+(?:\.\d+)*|[^\W\d_]+")
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+(?:'\w[^']*)*)'(?!\w)|‘([^’]+)’|`([^`]+)`")
_DATE = re.compile(
    r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2})?Z?)?\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\b\d{1,2}\.\d{1,2}\.\d{4}\b"
)
_AFTER_COLON = re.compile(r"(?<=[a-z0-9]):\s+([A-Z][^:\"“]{3,}?)\.?$")
_MARKED = re.compile(
    r"\b(?:called|named|titled|word|term|tag|keyword) (?!as\b|of\b|in\b|for\b|is\b|the\b|to\b)(\w[\w-]*)"
)
_NUMBER = re.compile(r"(?<![\w.])#?(\d+(?:\.\d+)*)(?!\w|-[A-Za-z]|\.\d)")
#: coined names: release-1.2, SandBox, milestone2, jane@example.org, XML
_COINED = re.compile(
    r"(?<![\w./#-])(?:[A-Za-z][\w.]*(?:[-_/@.+][\w.]+)+|[A-Za-z]+\d+\w*"
    r"|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+|[A-Z]{2,})(?!\w)"
)
_CAPITAL = re.compile(r"(?<![.!?:]\s)(?<![.!?:][\"”']\s)(?<!^)(?<!\w)[A-Z][a-z]+(?:\s+(?:[A-Z][a-z]+|\d+))*")
#: the text of the note "Eggs" ... to "a dozen": what is said before a thing is the name of the value after it
_OF = re.compile(r"\b(?:the|its) ((?:[\w-]+ ){1,3})of (?:(?:the|my|this) )?(?:\w+ ){0,2}$", re.IGNORECASE)
_TO = re.compile(r"[^.!?;]*\b(?:to|with|by|into|is|be)\s+", re.IGNORECASE)

ValueKind = Literal["quoted", "date", "number", "name"]


@dataclass(frozen=True)
class Value:
    """Something concrete that an instruction names, with the stemmed words around it, the nearest first."""

    text: str
    kind: ValueKind
    start: int
    end: int
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Strip a suffix, then replace by the first of its synonyms: tickets -> ticket, adding -> create."""
    lower = word.lower()
    if lower in SYNONYMS:
        return SYNONYMS[lower]
    bare = lower
    for suffix, rest in () if lower.endswith("ss") else _SUFFIXES:
        if lower.endswith(suffix) and len(lower) - len(suffix) >= 3:
            bare = lower[: -len(suffix)] + rest
            break
    if len(bare) > 3 and bare[-1] == bare[-2] and bare[-1] not in "sl":
        bare = bare[:-1]
    bare = bare.removesuffix("e") if len(bare) > 3 else bare
    # only what has lost an ending may have lost an "e" with it: "not" is no "note"
    return SYNONYMS.get(bare, SYNONYMS.get(bare + "e", bare) if bare != lower else bare)


@lru_cache(maxsize=50_000)
def words(text: str) -> tuple[str, ...]:
    """Stemmed content words in order, camel case taken apart."""
    return tuple(stem(word) for word in _WORD.findall(text) if word.lower() not in STOP)


@lru_cache(maxsize=50_000)
def labels(text: str) -> tuple[str, ...]:
    """Like ``words``, but only articles are left out: for names of controls, where "new" and "page" count."""
    return tuple(stem(word) for word in _WORD.findall(text) if word.lower() not in ARTICLES)


@lru_cache(maxsize=5_000)
def values(instruction: str) -> tuple[Value, ...]:
    """Quoted texts, dates, numbers and names, in order, none inside another."""
    kept: list[Value] = []
    names = [(pattern, "name") for pattern in (_COINED, _CAPITAL, _MARKED)]
    for pattern, kind in ((_QUOTED, "quoted"), (_AFTER_COLON, "quoted"), (_DATE, "date"), *names, (_NUMBER, "number")):
        for match in pattern.finditer(instruction):
            group = next((number for number, text in enumerate(match.groups(), 1) if text), 0)
            whole = pattern in (_QUOTED, _NUMBER)  # with its marks
            start, end = match.span(0 if whole else group)
            if match[group].strip() and not any(start < value.end and end > value.start for value in kept):
                kept.append(Value(match[group].strip(), cast("ValueKind", kind), start, end))
    kept.sort(key=lambda value: value.start)
    # a value's neighbours never reach across another value: "summary 'a' and keyword 'b'"
    starts, ends = [*(value.start for value in kept), len(instruction)], [0, *(value.end for value in kept)]
    texts = [instruction[end:start] for end, start in zip(ends, starts, strict=True)]
    around = [(tuple(reversed(labels(a)[-4:])), labels(b)[:3]) for a, b in itertools.pairwise(texts)]
    found = [replace(value, before=a, after=b) for value, (a, b) in zip(kept, around, strict=True)]
    for at, value in enumerate(found):
        if (said := _OF.search(texts[at])) and value.kind in ("quoted", "name"):
            found[at] = replace(value, before=labels(texts[at][said.end(1) :])[::-1])
            if at + 1 < len(found) and _TO.fullmatch(texts[at + 1]):
                found[at + 1] = replace(found[at + 1], before=labels(said[1])[::-1])
    return tuple(found)


@lru_cache(maxsize=20_000)
def unquoted(text: str) -> str:
    """The text without what stands in quotation marks."""
    return _QUOTED.sub(" ", text)


@lru_cache(maxsize=20_000)
def mask(text: str) -> str:
    """The text without quoted values, dates, numbers and coined names: what it asks for, not of what."""
    for pattern in (_QUOTED, _AFTER_COLON, _DATE, _NUMBER, _COINED):
        text = pattern.sub(" ", text)
    return text


def widened(text: str) -> str:
    """The text without its values, with the synonyms of its words: a query to search labels with."""
    plain = mask(text)
    groups = {SYNONYMS[word.lower()] for word in re.findall(r"[A-Za-z]+", plain) if word.lower() in SYNONYMS}
    return " ".join([plain, *(word for word, group in SYNONYMS.items() if group in groups)])


_ASKS = re.compile(
    r"(?:(?:on|in|at|by|under|to|from|for|of|with|according to .*,) )?(?:what|which|who|whom|whose|when|where|how)\b"
    r"|(?:is|are|does|do|did)\b|(?:please )?(?:tell me|tell us|find out|count|name the|report (?:how|what|which|who))\b"
)
_POLITE = re.compile(r"(?:please )?(?:can|could|would|will) (?:you|somebody|someone|we)\b")


@lru_cache(maxsize=20_000)
def is_question(text: str) -> bool:
    """Whether the instruction wants to be told something."""
    plain = _QUOTED.sub("x", text).strip().lower()
    asked = [sentence for sentence in re.split(r"(?<=[.!?])\s+", plain) if sentence.endswith("?")]
    return _ASKS.match(plain) is not None or any(not _POLITE.match(sentence) for sentence in asked)


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text as whole words, case and blanks folded."""
    part, whole = _folded(phrase), _folded(text)
    return bool(part) and part in whole and re.search(rf"(?<!\w){re.escape(part)}(?!\w)", whole) is not None


@lru_cache(maxsize=20_000)
def _folded(text: str) -> str:
    return " ".join(text.split()).lower()
