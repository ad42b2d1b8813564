"""What an instruction wants one after the other: 'Add the tag "x", and then close lamp 5' -> two instructions.

Only what changes two things is taken apart: several changes of one thing are one form.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lbi.offline.goal import DOES, Goal, page_of
from lbi.offline.lexical import SYNONYMS, words
from lbi.offline.places import segments
from lbi.protocols import Fields
from lbi.records import Observation, Step

_QUOTES = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']*'(?!\w)|`[^`]*`")
_THEN = r"(?:and |, )?(?:then|after that|afterwards|after this|next|finally)\b,?\s*"
_CUT = re.compile(
    rf"(?<=[.!?;])\s+|,?\s+(?=and [a-z]+ (?:(?:a|an|the|another|one) |(?:[a-z]+ )?#?\d))|,?\s+(?={_THEN})",
    re.IGNORECASE,
)
_FIRST = re.compile(r"^(?:please )?first(?:ly)?(?: of all)?,? (?!name\b)", re.IGNORECASE)
_BEFORE = re.compile(r"^before (?:you )?(?P<later>[^,]+), (?P<first>.+?)\.?$", re.IGNORECASE | re.DOTALL)
_ONCE = re.compile(
    r"^(?:(?:once|when|after) (?:you have|you've|that is done,?) )(?P<first>[^,]+), (?P<later>.+)$",
    re.IGNORECASE | re.DOTALL,
)
_SEVERAL = re.compile(r"\b(?P<kind>[A-Za-z]+?)s (?P<numbers>#?\d+(?:, (?:and )?#?\d+)*,? and #?\d+)\b")
_MARKED = re.compile(_THEN, re.IGNORECASE)
_OBJECT = re.compile(
    r"^(?:and )?(?:please )?[a-z]+ (?:(?:a|an|the|another|one)\s+)?((?:[\w-]+\s*){1,4})", re.IGNORECASE
)
_SAME = re.compile(r"\b(?:this|that|the same|the new) ([a-z]+)\b", re.IGNORECASE)
_PRONOUN = re.compile(r"\b(?:it|this)\b(?! (?:is|was)\b)", re.IGNORECASE)


@dataclass(frozen=True)
class _Piece:
    text: str
    apart: bool  # whether it may begin a part of its own
    changes: bool


def parts(instruction: str, kinds: Collection[str]) -> tuple[str, ...]:
    """The instructions in it, in their order. ``kinds``: words for kinds of things that there are, stemmed."""
    instruction = _in_order(instruction)
    if each := _each(instruction, kinds):
        return each
    found: list[list[_Piece]] = [[]]
    for piece in _pieces(instruction, kinds):
        if piece.apart and piece.changes and any(other.changes for other in found[-1]):
            found.append([])
        found[-1].append(piece)
    texts = [" ".join(piece.text for piece in group) for group in found]
    return (instruction,) if len(texts) == 1 else (texts[0], *(_resolved(text, texts[0], kinds) for text in texts[1:]))


def _in_order(instruction: str) -> str:
    """ "Before you do this, do that" the other way round."""
    if match := _BEFORE.match(_masked(instruction)) or _ONCE.match(_masked(instruction)):
        first, later = (instruction[slice(*match.span(name))].strip() for name in ("first", "later"))
        verb, _, rest = first.partition(" ")
        first = f"{_order(verb)} {rest}"
        return f"{first[:1].upper()}{first[1:]}. Then {later}"
    return _FIRST.sub("", instruction, count=1)


def _order(verb: str) -> str:
    """ "moved" as an order: "move"."""
    if not verb.endswith("ed"):
        return verb
    return next((form for form in (verb[:-1], verb[:-2]) if form in {*SYNONYMS, *DOES}), verb[:-1])


def _each(instruction: str, kinds: Collection[str]) -> tuple[str, ...]:
    """One instruction for each of several things that are told by their numbers."""
    goal = Goal(instruction)
    for match in _SEVERAL.finditer(_masked(instruction)):
        numbers = re.findall(r"#?\d+", match["numbers"])
        if set(words(match["kind"])) & set(kinds) and not goal.question and not goal.visits:
            start, end = match.span()
            texts = (f"{instruction[:start]}{match['kind']} {number}{instruction[end:]}" for number in numbers)
            return tuple(itertools.chain.from_iterable(parts(text, kinds) for text in texts))
    return ()


def kinds_of(fields: Fields) -> frozenset[str]:
    """Words for kinds of things, from the addresses of what is shown and of links seen."""
    seen = [step.observation for shown in fields.examples for step in shown.trajectory.steps]
    own = [*(step.observation for step in fields.history), *filter(None, [fields.observation])]
    urls = {observation.url for observation in seen}
    urls |= {element.url for observation in own for element in page_of(observation).elements if element.url[:1] == "/"}
    return frozenset(word for url in urls for part in segments(url.split("?")[0])[:3] for word in words(part))


def over(history: Sequence[Step], ends: Collection[str], now: Observation) -> list[int]:
    """Where parts were over: the number of steps taken until then, for each. ``ends``: how reasons for last steps end.

    A step that changed nothing ended nothing."""
    after = [*(step.observation for step in history), now][1:]
    return [
        at
        for at, (step, then) in enumerate(zip(history, after, strict=True), start=1)
        if step.reason.endswith(tuple(ends)) and step.observation.digest != then.digest
    ]


def _pieces(instruction: str, kinds: Collection[str]) -> list[_Piece]:
    masked = _masked(instruction)
    cuts = [0, *(match.end() for match in _CUT.finditer(masked)), len(masked)]
    found = []
    for start, end in itertools.pairwise(cuts):
        text, plain = instruction[start:end].strip(" ,"), masked[start:end]
        marked = _MARKED.match(plain)
        bare = _MARKED.sub("", text, count=1) if marked else re.sub(r"^and ", "", text)
        if bare.lower() in ("", "and"):
            continue
        names = _OBJECT.match(plain)
        other = names is not None and bool(set(words(names[1])) & set(kinds))
        found.append(_Piece(bare, marked is not None or other, _orders_change(bare)))
    return found


def _orders_change(text: str) -> bool:
    goal = Goal(text[:1].upper() + text[1:])
    return goal.makes or (goal.changes and goal.orders_change)


def _resolved(text: str, first: str, kinds: Collection[str]) -> str:
    """The text with what "it" or "this lamp" stands for: the thing that the part before names with its last order."""
    text = text[:1].upper() + text[1:]
    goal = Goal(first)
    known = [value for value in goal.values if value.kind != "date"]
    quoted = [value for value in known if value.kind == "quoted"] or known
    values = [value for value in quoted if value.start > goal.last_change] or quoted
    if not values:
        return text
    plain, name = _masked(text), f'"{values[0].text}"'
    for match in _SAME.finditer(plain):
        if set(words(match[1])) & set(kinds):
            return f"{text[: match.start()]}the {match[1]} {name}{text[match.end() :]}"
    pronoun = _PRONOUN.search(plain)
    return f"{text[: pronoun.start()]}{name}{text[pronoun.end() :]}" if pronoun else text


def _masked(text: str) -> str:
    return _QUOTES.sub(lambda match: '"' + "x" * (len(match[0]) - 2) + '"', text)
