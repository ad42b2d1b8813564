"""An example as a lesson: what it fills and presses, what it is about, and how far a history has followed it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from lbi.contracts import Shown
from lbi.environments.snapshot import Page, parse_observation
from lbi.offline.forms import Key
from lbi.offline.lexical import Value, is_question, mask, values, words
from lbi.offline.places import entity, named_link, siblings, swap
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


@dataclass
class Lesson:
    """One retrieved example, bound to a goal: ``about`` is its entity, ``instead`` the goal's."""

    shown: Shown
    goal: Goal
    here: Page
    about: str = field(init=False, default="")
    instead: str = field(init=False, default="")
    fits: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        pages = [*self.pages, self.here]
        for observation in self.observations:
            self.about = entity(observation.url, self.pages)
            if self.about:
                self.instead = self._counterpart(observation.url, pages)
                self.fits = bool(self.instead)
                break
        self.instead = self.instead or self.about

    @property
    def id(self) -> str:
        return self.shown.example.id

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

    @cached_property
    def known(self) -> dict[Key, str]:
        """The fields it filled, and with what."""
        actions = [step.action for step in self.steps]
        return {(a.role, a.name): a.value for a in actions if a.kind in FILLING or a.role in ("checkbox", "radio")}

    def _counterpart(self, url: str, pages: Sequence[Page]) -> str:
        """What the goal names where the lesson names its own entity; "" = nothing that would fit."""
        text = self.goal.text.lower()
        if any(value.text.lower() == self.about.lower() for value in self.goal.values):
            return self.about
        known = named_link(self.goal.text, pages, url)
        if known:
            return known
        numbered = self.about.isdigit()
        if not numbered and set(words(self.about)) and set(words(self.about)) <= set(words(text)):
            return self.about
        kinds = ("number",) if numbered else ("name", "quoted")
        for kind in kinds:
            fitting = [value for value in self.goal.values if value.kind == kind and self._could_be(value)]
            if fitting:
                return fitting[0].text
        return ""

    def _could_be(self, value: Value) -> bool:
        """An unknown name may be an entity only where the lesson's own was new too, or a number by its look."""
        if value.kind == "number":
            return value.text.isdigit()
        first = self.observations[0].url
        return value.text in siblings(first, [*self.pages, self.here]) or " " not in value.text

    def address(self, observation: Observation) -> str:
        """Where the goal's counterpart of an observation is."""
        return swap(observation.url, self.about, self.instead)

    def name(self, name: str) -> str:
        """A name of the lesson's interface, with the goal's entity in it."""
        if not self.about or self.about == self.instead or self.about not in name:
            return name
        return name.replace(self.about, self.instead)

    def progress(self, history: Sequence[Step]) -> int:
        """How many of its steps are done: fields it filled may have been left out, what it pressed may not."""
        done = 0
        for step in history:
            if step.action.kind and not step.observation.error:
                done = self._advance(done, step.action)
        return done

    def _advance(self, done: int, action: Action) -> int:
        for index in range(done, len(self.steps)):
            own = self.steps[index].action
            if own.kind == action.kind and self._same_target(own, action):
                return index + 1
            if own.kind not in FILLING and own.role not in ("checkbox", "radio"):
                return done
        return done

    def _same_target(self, own: Action, action: Action) -> bool:
        if own.kind in ("goto",):
            return swap(own.value, self.about, self.instead) == action.value
        return own.role == action.role and action.name in (own.name, self.name(own.name))


def rank(lessons: Sequence[Lesson], goal: Goal) -> list[tuple[float, Lesson]]:
    """Lessons by how well their *instruction* matches the goal's; what it says decides, not what it does."""
    labels = [frozenset(words(mask(lesson.shown.example.instruction))) for lesson in lessons]
    scored = []
    for lesson, label in zip(lessons, labels, strict=True):
        score = similarity(goal.words, label)
        score += 0.08 if goal.question == is_question(lesson.shown.example.instruction) else -0.08
        score -= 0.0 if lesson.fits else 0.35
        slots = sum(value.kind == "quoted" for value in values(lesson.shown.example.instruction))
        wanted = sum(value.kind in ("quoted", "date") for value in goal.values)
        score -= 0.03 * min(abs(slots - wanted), 4)
        scored.append((score, lesson))
    scored.sort(key=lambda item: (-item[0], len(item[1].steps), item[1].id))
    return scored


def similarity(goal: frozenset[str], label: frozenset[str]) -> float:
    """Share of the goal's words in the label, and of the label's in the goal, the former counting twice."""
    if not goal or not label:
        return 0.0
    shared = len(goal & label)
    return (2 * shared / len(goal) + shared / len(label)) / 3
