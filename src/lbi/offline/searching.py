"""An order to search: "search the notes, and nothing else, for boats" -> what for, where, and no more than that."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from lbi.observations.parse import Element, Page
from lbi.offline.forms import TEXT_ROLES, called, usable
from lbi.offline.lexical import labels, stem, words
from lbi.offline.situation import Move, Situation, click, fill, finish
from lbi.offline.wanted import denied, masked

_ORDER = re.compile(
    r"(?:^|[.!?:;,]\s+|\b(?:please|just|now|could you|can you|would you|should)\s+)"
    r"(?:search|look (?:for|up)|(?:run|do|make|start|try|perform) an? (?:\w+ )?search|use the search)\b",
    re.IGNORECASE,
)
#: what is to be done with what was found
_FURTHER = re.compile(
    r"\b(?:open|put|add|set|give|change|raise|tell|read|which|who|whose|how|what|when|where|plan|delete|remove|close|"
    r"reopen|edit|find|write|note|answer|name|show me the (?:first|one))\b",
    re.IGNORECASE,
)
_FOR = re.compile(
    r"\b(?:for|up)\s+(?:everything (?:about|on)\s+)?"
    r"(?:(?:the|a|an)\s+)?(?:(?:exact|whole)\s+)?(?:(?:words?|phrase|term|expression|name)\s+)?"
    r"(?P<term>[^,;:.!?\"“]+?)"
    r"(?=[,;:.!?]|$|\s+(?:in|among|within|on|but|and|with|only|by|without|leaving|except)\b)",
    re.IGNORECASE,
)
_PHRASE = re.compile(r"\b(?:exact(?:ly)?|phrase|next to each other|literally|word for word)\b", re.IGNORECASE)
_WITHOUT = re.compile(
    r"\b(?:leav(?:e|ing)|without|except|exclud(?:e|ing)|omit(?:ting)?|skip(?:ping)?|ignor(?:e|ing)|but not)\b[^.!?;]*",
    re.IGNORECASE,
)
_NTH = re.compile(r"\b(?:(second|third|fourth|next)|page (\d))\b(?: page)?", re.IGNORECASE)
_NUMBERS = {"second": "2", "third": "3", "fourth": "4", "next": "2"}
SWITCHES = ("checkbox", "switch")
SEARCHED = "what is to be searched for"
SCOPE = "where is to be searched"
TURNED = "the page of the results that is wanted"


@dataclass(frozen=True)
class Order:
    """What is to be searched for, and what it says of where."""

    term: str
    where: str


def order(text: str) -> Order | None:
    """The order to search, if that is all that is to be done."""
    plain = masked(text)
    begun = _ORDER.search(plain)
    if begun is None:
        return None
    end = re.search(r"[.!?](?:\s|$)", plain[begun.end() :])
    last = begun.end() + (end.start() if end else len(plain))
    if _FURTHER.search(plain[begun.end() :]) or _FURTHER.search(plain[: begun.start()].split("?")[-1]):
        return None
    said = text[begun.start() : last]
    quoted = re.search(r"[\"“]([^\"”]+)[\"”]", said)
    found = _FOR.search(said)
    term = quoted[1] if quoted else found["term"].strip() if found else ""
    if not words(term) or (not quoted and re.search(r"\bof\b", term)):
        return None  # "look up the price of oars" wants to know it
    exact = _PHRASE.search(masked(said)) is not None and " " in term
    return Order(f'"{term}"' if exact else term, masked(said))


def carry_out(here: Situation) -> Move | None:
    """The next action of a goal that is an order to search; None if it is none, or there is nothing to search with."""
    wanted = order(here.goal.text)
    found = _box(here.page) if wanted else None
    if wanted is None or found is None:
        return None
    box, switches = found
    sent = [step for step in here.history if step.reason == f"{SEARCHED}, sent"]
    wrong = [field for field in switches if _is_wrong(wanted.where, field, switches)]
    if wrong:
        return click(wrong[0]), SCOPE
    chosen = bool(here.history) and here.history[-1].reason == SCOPE
    if sent and not chosen:
        return _turned(here) or finish(here, "that was to be searched for")
    if " ".join(box.value.split()) != wanted.term:
        return fill(box, wanted.term), SEARCHED
    return f'press({box.ref}, "Enter")', f"{SEARCHED}, sent"


def _box(page: Page) -> tuple[Element, list[Element]] | None:
    """The box to search with, and the switches that stand right after it or its buttons; that with most switches."""
    found: list[tuple[Element, list[Element]]] = []
    near = False
    for element in page.elements:
        if _is_box(element):
            found.append((element, []))
            near = True
        elif near and element.role in SWITCHES and usable(element):
            found[-1][1].append(element)
        elif element.role not in (*SWITCHES, "button"):
            near = False
    return max(found, key=lambda item: len(item[1]), default=None)


def _is_box(field: Element) -> bool:
    named = {*labels(called(field)), *labels(field.name)}
    return usable(field) and (field.role == "searchbox" or (field.role in TEXT_ROLES and stem("search") in named))


def _is_wrong(where: str, field: Element, switches: Collection[Element]) -> bool:
    """Whether a kind of things is searched that is not to be, or the other way round."""
    named = [other for other in switches if _says(where, other) is True]
    barred = [other for other in switches if _says(where, other) is False]
    if not named and not barred:
        return False
    on = field in named if named else field not in barred
    return on != ("checked" in field.states)


def _says(where: str, field: Element) -> bool | None:
    """True: there; False: not there; None: nothing is said of it."""
    own = set(labels(called(field) or field.name))
    out = [*denied(where), *(match.span() for match in _WITHOUT.finditer(where))]
    for match in re.finditer(r"[A-Za-z]+", where):
        if own and set(labels(match[0])) and set(labels(match[0])) <= own:
            return not any(start <= match.start() < end for start, end in out)
    return None


def _turned(here: Situation) -> Move | None:
    """To a later page of the results, if that is wanted: by the link that is called by its number."""
    wanted = _NTH.search(here.goal.text)
    if wanted is None or any(step.reason == TURNED for step in here.history):
        return None
    number = _NUMBERS[wanted[1].lower()] if wanted[1] else wanted[2]
    link = next((e for e in here.page.elements if e.role == "link" and e.name.strip() == number and usable(e)), None)
    return (click(link), TURNED) if link else None
