"""An example as a lesson: what it fills and presses, what it is about, and how far a history has followed it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from lbi.contracts import Shown
from lbi.environments.snapshot import Page, parse_observation
from lbi.offline.forms import TOGGLE_ROLES, form_of, title
from lbi.offline.lexical import Value, contains_phrase, is_question, labels, mask, stem, values, words
from lbi.offline.places import Thing, mentioned, segments, swap, thing_of
from lbi.records import Action, Observation, Step

FILLING = frozenset({"fill", "select"})


@lru_cache(maxsize=4096)
def page_of(observation: Observation) -> Page:
    return parse_observation(observation.text)


@dataclass(frozen=True)
class Goal:
    """An instruction taken apart once."""

    text: str

    @cached_property
    def words(self) -> frozenset[str]:
        return frozenset(words(mask(self.text)))

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return values(self.text)

    @cached_property
    def question(self) -> bool:
        return is_question(self.text)

    @cached_property
    def visits(self) -> bool:
        """Whether it asks to be brought somewhere or shown something, and for nothing to be changed."""
        asked = [stem(word) for word in re.findall(r"[A-Za-z]+", self.text)[:8]]
        return not self.question and "open" in asked and not {"create", "change", "delete", "save"} & set(asked)


@dataclass
class Lesson:
    """One retrieved example, bound to a goal: ``about`` is the thing it deals with, ``instead`` the goal's.

    ``known`` are pages seen besides: links on them tell where the goal's things are.
    """

    shown: Shown
    goal: Goal
    seen: Sequence[Page] = ()
    here: str = ""  # address of the current page
    about: Thing | None = dataclasses.field(init=False, default=None)
    instead: Thing | None = dataclasses.field(init=False, default=None)
    missing: bool = dataclasses.field(init=False, default=False)  # the goal's thing is not to be found

    def __post_init__(self) -> None:
        for observation in self.observations if self.visit else self.observations[:-1]:  # not what it created
            self.about = thing_of(observation.url, self.pages)
            if self.about:
                self.instead = self._counterpart(self.about)
                self.missing = self.instead is None
                break
        self.instead = self.instead or self.about

    @property
    def id(self) -> str:
        return self.shown.example.id

    @cached_property
    def visit(self) -> bool:
        """Whether it only leads somewhere or tells something: so its label says, or nothing was different after it."""
        return is_visit(self.shown.example.instruction) or not (self.changes or self.enters)

    @cached_property
    def changes(self) -> bool:
        return self.observations[0].digest != self.observations[-1].digest

    @cached_property
    def enters(self) -> bool:
        return any(step.action.kind in FILLING or step.action.role in TOGGLE_ROLES for step in self.steps)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        example = self.shown.example
        return self.shown.trajectory.steps[example.start : example.end]

    @cached_property
    def observations(self) -> tuple[Observation, ...]:
        example = self.shown.example
        return self.shown.trajectory.observations[example.start : example.end + 1]

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        return tuple(page_of(observation) for observation in self.observations)

    def offers(self, goal: Goal) -> bool:
        """Whether a form that it fills has a field that the goal gives a value for by name."""
        near = {word for value in goal.values for word in value.before[:2]}
        for step, page in zip(self.steps, self.pages, strict=False):
            if step.action.kind in FILLING:
                form = form_of(page, (step.action.role, step.action.name))
                names = [set(labels(title(field.name))) for field in form.fields] if form else []
                return any(name and name <= near for name in names)
        return False

    def _counterpart(self, about: Thing) -> Thing | None:
        """What the goal names where the lesson has its own thing; None = nothing that would fit."""
        named = mentioned(self.goal.text, about, [*self.seen, *self.pages])
        if named is not None:
            return named
        if any(value.text.lower() == about.id.lower() for value in self.goal.values):
            return about
        own = set(words(about.id))
        if not about.id.isdigit() and own and own <= set(words(self.goal.text)):
            return about
        if not re.search(r"[A-Z\d]", about.id):
            return None  # a section of the application, not a thing that somebody named
        kinds = ("number",) if about.id.isdigit() else ("name", "quoted")
        for kind in kinds:
            for value in self.goal.values:
                if value.kind == kind and (value.text.isdigit() if about.id.isdigit() else " " not in value.text):
                    return Thing(about.prefix, value.text)
        return None

    def address(self, observation: Observation) -> str:
        """Where the goal's counterpart of an observation is."""
        return swap(observation.url, self.about, self.instead)

    def moves(self, index: int) -> bool:
        """Whether a step led to the lesson's thing, where the goal's has to be gone to instead."""
        before, after = self.observations[index], self.observations[index + 1]
        there = self.about is not None and self.about.of(segments(before.url))
        return not there and self.address(after) != after.url

    def name(self, name: str) -> str:
        """A name of the lesson's interface, with the goal's thing in it."""
        if not self.about or not self.instead or self.about == self.instead or self.about.id not in name:
            return name
        return name.replace(self.about.id, self.instead.id)

    def progress(self, history: Sequence[Step]) -> int:
        """How many of its steps are done: fields it filled may have been left out, what it pressed may not."""
        done = 0
        for at, step in enumerate(history):
            after = history[at + 1].observation.url if at + 1 < len(history) else self.here
            if step.action.kind and not step.observation.error:
                done = self._advance(done, step.action, after)
        return done

    def _advance(self, done: int, action: Action, after: str) -> int:
        for index in range(done, len(self.steps)):
            own = self.steps[index].action
            if (own.kind == action.kind and self._same_target(own, action)) or self._led(index, action, after):
                return index + 1
            if own.kind not in FILLING and own.role not in ("checkbox", "radio"):
                return done
        return done

    def _same_target(self, own: Action, action: Action) -> bool:
        if own.kind in ("goto",):
            return swap(own.value, self.about, self.instead) == action.value
        return own.role == action.role and action.name in (own.name, self.name(own.name))

    def _led(self, index: int, action: Action, after: str) -> bool:
        return (
            self.moves(index)
            and action.kind in ("click", "goto")
            and after == self.address(self.observations[index + 1])
        )


def is_visit(label: str) -> bool:
    return is_question(label) or stem(label.split(maxsplit=1)[0] if label.strip() else "") == "open"


def rank(lessons: Sequence[Lesson], goal: Goal, named: Collection[str] = ()) -> list[tuple[float, Lesson]]:
    """Lessons by how well their *instruction* matches the goal's; what it says decides, hardly what it does.

    ``named`` are things that the goal calls by name: then a lesson about a thing is more likely the right one.
    """
    visiting = goal.question or goal.visits
    scored = []
    for lesson in lessons:
        text = lesson.shown.example.instruction
        score = similarity(goal.words, frozenset(words(mask(text))))
        score += 0.08 if goal.question == is_question(text) else -0.08
        score -= 0.2 if lesson.visit and not visiting else 0.0
        score -= 0.05 if lesson.missing else 0.0
        score -= 0.02 * len(lesson.steps)
        quoted = [value.text for value in values(text) if value.kind == "quoted"]
        score += (
            0.1 if lesson.visit and any(len(name) > 2 and contains_phrase(goal.text, name) for name in quoted) else 0.0
        )
        wanted = sum(value.kind in ("quoted", "date") for value in goal.values)
        score -= 0.03 * min(abs(len(quoted) - wanted), 4)
        score += 0.08 * bool(named) * (1 if lesson.about else -1)
        score += 0.2 if score >= 0.15 and lesson.offers(goal) else 0.0
        scored.append((score, lesson))
    scored.sort(key=lambda item: (-item[0], len(item[1].steps), item[1].id))
    return scored


def similarity(goal: frozenset[str], label: frozenset[str]) -> float:
    """Share of the goal's words in the label, and of the label's in the goal, the former counting twice."""
    if not goal or not label:
        return 0.0
    shared = len(goal & label)
    return (2 * shared / len(goal) + shared / len(label)) / 3
