"""Everything that one decision rests on, and the actions that it may lead to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from lbi.observations.parse import Element, Page
from lbi.offline.answers import answer
from lbi.offline.assign import Filling
from lbi.offline.atlas import Atlas
from lbi.offline.forms import FIELD_ROLES, TOGGLE_ROLES, Key, called
from lbi.offline.goal import FILLING, Goal, page_of
from lbi.offline.lexical import Value, contains_phrase, labels, words
from lbi.offline.things import variants
from lbi.protocols import Shown
from lbi.records import Observation, Step

Move = tuple[str, str]  # action, reason


@dataclass(frozen=True)
class Situation:
    goal: Goal
    page: Page
    observation: Observation
    history: tuple[Step, ...]
    documents: frozenset[str]  # words of the documents' sentences about the goal
    examples: tuple[Shown, ...] = ()

    @cached_property
    def seen(self) -> tuple[Page, ...]:
        """Pages of this episode, the current one first, each address as it was seen last."""
        pages = {page.url: page for page in (page_of(step.observation) for step in self.history)}
        pages.pop(self.page.url, None)
        return (self.page, *reversed(pages.values()))

    @cached_property
    def atlas(self) -> Atlas:
        return Atlas.of(self.examples, self.seen)

    @cached_property
    def frame(self) -> frozenset[Key]:
        """Fields that stand on every page seen: a site-wide search box is no part of a task's form."""
        by_path = {path(page.url): page for page in reversed(self.seen)}
        if len(by_path) < 2:
            return frozenset()
        sets = [{(e.role, e.name) for e in page.elements if e.role in FIELD_ROLES} for page in by_path.values()]
        return frozenset(set.intersection(*sets))

    def tried(self, action: str) -> bool:
        """Whether this was done on this page already: a second time leads nowhere new."""
        return any(s.observation.url == self.page.url and s.action.text == action for s in self.history) or any(
            action.startswith("goto(") and s.action.text == action for s in self.history
        )

    def pressed(self, element: Element) -> bool:
        """Whether this element, whatever its reference then was, was clicked on this page already."""
        key = (element.role, element.name, element.nth)
        return any(
            (s.action.role, s.action.name, s.action.nth) == key
            and s.action.kind == "click"
            and s.observation.url == self.page.url
            for s in self.history
        )

    @property
    def filled(self) -> set[tuple[str, str, int]]:
        """Fields filled since the last page was loaded."""
        keys: set[tuple[str, str, int]] = set()
        for step in reversed(self.history):
            if step.action.kind not in FILLING and step.action.role not in TOGGLE_ROLES:
                break
            keys.add((step.action.role, step.action.name, step.action.nth))
        return keys

    def has_filled(self, element: Element) -> bool:
        return (element.role, element.name, element.nth) in self.filled

    @cached_property
    def about(self) -> frozenset[str]:
        """All words of the goal, values included: what tells apart elements of one name."""
        return self.goal.words | {word for value in self.goal.values for word in words(value.text)}

    @cached_property
    def named(self) -> frozenset[str]:
        """Values of the goal by which a link is called on some page known: names of things that exist."""
        links = {form.lower() for names in self.atlas.names.values() for name in names for form in variants(name)}
        return frozenset(v.text.lower() for v in self.goal.values if v.kind == "quoted" and v.text.lower() in links)

    def free_values(self) -> list[Value]:
        """Values that no earlier step has put anywhere, and that do not name where we are or how we came here."""
        sent = {s.observation.url for s in self.history if s.action.role == "button" or s.action.kind == "press"}
        spent = {
            s.action.value
            for s in self.history
            if s.action.kind in FILLING and s.observation.url in sent - {self.page.url} and "search for" not in s.reason
        }
        led = {s.action.name.strip().lower() for s in self.history if s.action.role == "link"}
        here = self.page.title
        fields = {w for e in self.page.elements if e.role in FIELD_ROLES for w in labels(called(e))}
        return [
            value
            for value in self.goal.values
            if value.text not in spent
            and value.text.lower() not in led
            # what is said right after the name of a field is for that, whatever the page is called
            and not (len(value.text) > 3 and contains_phrase(here, value.text) and not fields & set(value.before[:1]))
        ]


def path(url: str) -> str:
    return url.split("?")[0].split("#")[0].rstrip("/")


def click(element: Element) -> str:
    return f"click({element.ref})"


def goto(url: str) -> str:
    return f"goto({json.dumps(url, ensure_ascii=False)})"


def fill(element: Element, value: str) -> str:
    return f"fill({element.ref}, {json.dumps(value, ensure_ascii=False)})"


def enter(filling: Filling) -> str:
    if filling.field.role in TOGGLE_ROLES:
        return click(filling.field)
    verb = "select" if filling.field.role in ("combobox", "listbox") else "fill"
    return f"{verb}({filling.field.ref}, {json.dumps(filling.value, ensure_ascii=False)})"


def finish(here: Situation, reason: str, text: str = "") -> Move:
    """The end, with the answer that the page gives if the goal is a question."""
    if not text and here.goal.question:
        told = answer(here.goal, here.page)
        text = told.text if told else ""
    return f"finish({json.dumps(text, ensure_ascii=False)})", reason


def guidance(goal: Goal, sentences: Sequence[str]) -> frozenset[str]:
    """Words of the documents' sentences that share most with the goal."""
    found: set[str] = set()
    for sentence in sentences:
        said = set(words(sentence))
        if len(said & goal.words) >= max(2, 0.5 * len(goal.words)):
            found |= said
    return frozenset(found)
