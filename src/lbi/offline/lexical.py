"""Words and values of an instruction: 'Set the colour of lamp 5 to "red"' -> (change, colour, lamp), [5, red].

What the offline model uses in place of understanding. Generic English of user interfaces, no application's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from lbi.offline.dates import WORDED

ARTICLES = frozenset(
    ["a", "an", "the", "of", "to", "for", "in", "on", "at", "by", "is", "are", "it", "its", "and", "as", "be"]
)
_STOP = """
with from into or was were been this that these those there please can could you your my our we i me us need want would
like should must have has do does did will shall so then also their them they he she his her all any some every each
which who whom whose about what when where how why many much page site go using use via make sure one just now out up
"""
STOP = ARTICLES | frozenset(_STOP.split())
#: verbs that user interfaces and people use for the same thing
SYNONYMS: Mapping[str, str] = {
    word: group[0]
    for group in (
        ("create", "add", "new", "register", "insert", "file", "publish", "post", "start", "raise"),
        (
            "change",
            "set",
            "modify",
            "edit",
            "update",
            "adjust",
            "switch",
            "alter",
            "assign",
            "reassign",
            "put",
            "rename",
        ),
        ("delete", "remove", "drop", "erase", "discard"),
        ("find", "search", "look", "locate"),
        ("open", "show", "view", "display", "visit", "see", "browse", "navigate", "list", "bring", "take"),
        ("comment", "reply", "respond", "answer", "note", "remark"),
        ("close", "resolve", "finish", "complete", "end"),
        ("save", "store", "keep", "apply"),
        ("news",),  # no plural of "new"
        ("user", "account", "member", "person"),
        ("name", "title", "call", "subject", "summary", "headline", "heading", "headed"),
        ("description", "text", "content", "body", "message", "detail", "say", "contain", "read", "mention"),
        ("owner", "assignee", "responsible", "own"),
    )
    for word in group
}
SENTENCE = 3  # words of a sentence
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+(?:\.\d+)*|[^\W\d_]+")
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|(?<!\w)'([^']+(?:'\w[^']*)*)'(?!\w)|‘([^’]+)’|`([^`]+)`")
_DATE = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}(?:[T ]\d{{2}}:\d{{2}}(?::\d{{2}})?Z?)?\b|\b\d{{1,2}}/\d{{1,2}}/\d{{2,4}}\b|{WORDED}",
    re.IGNORECASE,
)
#: what stands after a colon to the end; the full stop of a sentence is a part of it, that after a title is not
_AFTER_COLON = re.compile(r"(?<=[a-z0-9]):\s+([A-Z][^:]{3,}?)\.?$")
_TITLED = re.compile(r"\b(?:title|name|called?|summary|subject|headline|titled|named)\W*$", re.IGNORECASE)
_MARKED = re.compile(
    r"\b(?:word|term|called|named|titled|tag|keyword)s?\s+"
    r"(?!as\b|of\b|in\b|for\b|is\b|the\b|it\b|that\b|field\b|are\b|to\b|on\b|from\b|and\b|should\b|must\b)"
    r"(\w[\w-]*(?:\s+[A-Z]\w*)*)"
)
_NUMBER = re.compile(r"(?<![\w.])#?(\d+(?:\.\d+)*)(?!\w|-[A-Za-z]|\.\d)")
_NAME = re.compile(
    r"(?<![\w./#-])(?:\d+\.\d[\w.]*(?:[-_][A-Za-z]\w*)+|[A-Za-z][\w.]*(?:[-_/@.+][\w.]+)+|[A-Za-z]+\d+\w*|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+|[A-Z]{2,})(?!\w)"
)
#: "Pier 4", but neither "Ticket 4" at the beginning of a sentence nor "the Ticket 4"
_PLACED = re.compile(r"(?<![.!?:]\s)(?<!^)(?<!\w)(?<!the )[A-Z][a-z]+ \d+(?![\w.]\d)")
_CAPITAL = re.compile(r"(?<![.!?:]\s)(?<![.!?:][\"”']\s)(?<!^)(?<!\w)[A-Z][a-z]+(?:\s+[A-Z][a-z]+)*")

ValueKind = Literal["quoted", "date", "number", "name"]


@dataclass(frozen=True)
class Value:
    """Something concrete that an instruction names, with the words around it (nearest first)."""

    text: str
    kind: ValueKind
    start: int
    end: int
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Light suffix stripping, then the synonym group: tickets -> ticket, adding -> create."""
    lower = word.lower()
    if lower in SYNONYMS:
        return SYNONYMS[lower]
    for suffix, rest in (
        ("ies", "y"),
        ("ied", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", "e"),
        ("s", ""),
        ("ly", ""),
    ):
        if lower.endswith(suffix) and len(lower) - len(suffix) >= 3 and not lower.endswith("ss"):
            lower = lower[: -len(suffix)] + rest
            break
    if len(lower) > 3 and lower[-1] == lower[-2] and lower[-1] not in "sl":
        lower = lower[:-1]
    lower = lower.removesuffix("e") if len(lower) > 3 else lower
    # only what has lost an ending may have lost an "e" with it: "not" is no "note"
    return SYNONYMS.get(lower, SYNONYMS.get(lower + "e", lower) if lower != word.lower() else lower)


@lru_cache(maxsize=50_000)
def words(text: str) -> tuple[str, ...]:
    """Stemmed content words in order, camel case taken apart."""
    return tuple(stem(w) for w in WORD.findall(text) if w.lower() not in STOP)


@lru_cache(maxsize=50_000)
def labels(text: str) -> tuple[str, ...]:
    """Like words, but only articles and the like are left out: for names of fields, where "new" and "page" count."""
    return tuple(stem(w) for w in WORD.findall(text) if w.lower() not in ARTICLES)


def listed(text: str) -> list[str]:
    """The words of a list that is written as a text."""
    return text.split()


def values(instruction: str) -> tuple[Value, ...]:
    """Quoted texts, dates, numbers and names, in order, none inside another."""
    found: list[Value] = []

    def add(text: str, kind: ValueKind, start: int, end: int) -> None:
        if text.strip() and not any(start < v.end and end > v.start for v in found):
            found.append(Value(text.strip(), kind, start, end))

    for match in _QUOTED.finditer(instruction):
        add(next(group for group in match.groups() if group), "quoted", *match.span())
    for match in _AFTER_COLON.finditer(instruction):
        sentence = len(match[1].split()) >= SENTENCE and not _TITLED.search(instruction[: match.start()])
        add(match[0].lstrip(": ") if sentence else match[1], "quoted", match.start(1), match.end())
    for match in _DATE.finditer(instruction):
        add(match[0], "date", *match.span())
    for match in _PLACED.finditer(instruction):
        add(match[0], "name", *match.span())
    for match in _NUMBER.finditer(instruction):
        add(match[1], "number", *match.span())
    for match in _MARKED.finditer(instruction):
        add(match[1], "name", *match.span(1))
    for match in (*_NAME.finditer(instruction), *_CAPITAL.finditer(instruction)):
        add(match[0], "name", *match.span())
    found.sort(key=lambda value: value.start)
    return tuple(_with_context(value, instruction, found) for value in found)


def _with_context(value: Value, instruction: str, others: Iterable[Value]) -> Value:
    """A value's neighbours never reach across another value: "summary 'a' and keyword 'b'"."""
    left = max((other.end for other in others if other.end <= value.start), default=0)
    right = min((other.start for other in others if other.start >= value.end), default=len(instruction))
    before = tuple(reversed(labels(instruction[left : value.start])[-4:]))
    after = labels(instruction[value.end : right])[:3]
    return Value(value.text, value.kind, value.start, value.end, before, after)


@lru_cache(maxsize=20_000)
def unquoted(text: str) -> str:
    """The text without what stands in quotation marks or after a colon."""
    return _AFTER_COLON.sub(" ", _QUOTED.sub(" ", text))


@lru_cache(maxsize=20_000)
def mask(text: str) -> str:
    """The text without its quoted values, dates, numbers and coined names: what it asks for, not of what."""
    for pattern in (_QUOTED, _DATE, _NUMBER, _NAME):
        text = pattern.sub(" ", text)
    return text


def widened(text: str) -> str:
    """The text without its values, with the other words that interfaces have for its verbs, to search labels with."""
    said = mask(text)
    groups = {SYNONYMS[word.lower()] for word in re.findall(r"[A-Za-z]+", said) if word.lower() in SYNONYMS}
    return " ".join([said, *(word for word, group in SYNONYMS.items() if group in groups)])


def is_question(text: str) -> bool:
    """Whether the instruction wants to be told something."""
    plain = _QUOTED.sub("x", text).strip().lower()
    asking = (
        r"(?:(?:on|in|at|by|under|to|from|for|of|with) )?(?:what|which|who|whom|whose|when|where|how)\b"
        r"|(?:is|are|does|do|did)\b|(?:please )?(?:tell|find out|give (?:me|us)|determine|look up|count|let me know)\b"
        r"|(?:i|we) (?:need|want|have|(?:would|'d) like|wish) to know\b|i'd like to know\b"
        r"|(?:please )?(?:name|state) the\b"
        r"|.*\band (?:find out|tell (?:me|us)|let me know|give (?:me|us) the)\b|.*[.!?] (?:give|name|tell) [^.]*\.?$"
        r"|(?:please )?(?:report|check) (?:how|what|which|who|when|where|whether|if|the number)\b"
    )
    sentences = re.split(r"(?<=[.!?])\s+", plain)
    # asks to do something, not to tell
    polite = r"(?:please )?(?:can|could|would|will) (?:you|somebody|someone|anybody|we)\b"
    asked = [s for s in sentences if s.endswith("?") and (not re.match(polite, s) or re.search(r"\btell\b", s))]
    return re.match(asking, plain) is not None or bool(asked)


def overlap(wanted: Iterable[str], offered: Iterable[str]) -> float:
    """Harmonic mean of how much of each is found in the other, 0..1."""
    a, b = set(wanted), set(offered)
    if not a or not b:
        return 0.0
    shared = len(a & b)
    return 2 * shared / (len(a) + len(b))


def contains_phrase(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text as whole words, case and blanks folded."""
    folded, whole = _folded(phrase), _folded(text)
    return bool(folded) and folded in whole and re.search(rf"(?<!\w){re.escape(folded)}(?!\w)", whole) is not None


@lru_cache(maxsize=20_000)
def _folded(text: str) -> str:
    return " ".join(text.split()).lower()
