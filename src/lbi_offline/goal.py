"""An instruction taken apart, and the situation in which the next action is decided."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass
from functools import cached_property

from lbi.observations.parse import Element, Page
from lbi.records import Observation, Step
from lbi_offline.forms import CHOICE_ROLES, FILLING, TOGGLE_ROLES, enters, option_name
from lbi_offline.lexical import Value, is_question, labels, mask, stem, values, words
from lbi_offline.places import bare, page_of

Move = tuple[str, str]  # action, reason
_MAKES = re.compile(
    r"\b(?:create|add|write|open|start|enter|make|register|report|file|post|publish|set up|insert|raise)"
    r" (?:a|an|another|one more|new)\b(?! (?:comment|note|reply|remark))",
    re.IGNORECASE,
)
_SHOWS = re.compile(
    r"(?:^|[.!?]\s+|\band )(?:please )?(?:open|show|go to|look at|look up|see|view|find|visit|display)\b", re.I
)
NAME_WORD, TEXT_WORDS = stem("name"), frozenset(words("comment description"))
_CHANGES = frozenset(words("create change delete comment close save"))


@dataclass(frozen=True)
class Goal:
    """What an instruction asks for, of what, and with which values."""

    text: str

    @cached_property
    def spoken(self) -> frozenset[str]:
        """All of its words, values included."""
        return frozenset(words(self.text)) | frozenset(labels(self.text))

    @cached_property
    def words(self) -> frozenset[str]:
        """Words of what is to be done, without values."""
        asked = frozenset(words(mask(self.text)))
        return asked | {"create"} if self.makes else asked

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return values(self.text)

    @cached_property
    def makes(self) -> bool:
        """Whether something is to come into being that was not there."""
        return _MAKES.search(mask(self.text)) is not None

    @property
    def question(self) -> bool:
        return is_question(self.text)

    @cached_property
    def visits(self) -> bool:
        """Whether it asks to be shown something, and for nothing to be changed."""
        orders = _SHOWS.search(self.text) is not None
        return orders and not self.question and not self.makes and not _CHANGES & self.words

    @property
    def changes(self) -> bool:
        """Whether something is to be different afterwards."""
        return not self.question and not self.visits


@dataclass(frozen=True)
class Situation:
    """All that one decision rests on. What was done is read from actions, observations and state digests only."""

    goal: Goal
    observation: Observation
    history: tuple[Step, ...]

    @cached_property
    def page(self) -> Page:
        return page_of(self.observation)

    @cached_property
    def seen(self) -> tuple[Observation, ...]:
        """The observations of the episode, the current one last."""
        return (*(step.observation for step in self.history), self.observation)

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """Pages of the episode, the current one first."""
        return tuple(map(page_of, reversed(self.seen)))

    def tried(self, action: str) -> bool:
        """Whether this was done on this page, as it is now, already: a second time leads nowhere new."""
        now = self.observation.text
        return any(step.action.text == action and step.observation.text == now for step in self.history)

    def pressed(self, element: Element) -> bool:
        """Whether this element was clicked on this page already, whatever its reference was then."""
        url, target = bare(self.observation.url), (element.role, element.name, element.nth)
        steps = [step for step in self.history if bare(step.observation.url) == url and not enters(step.action)]
        return any((step.action.role, step.action.name, step.action.nth) == target for step in steps)

    @cached_property
    def filled(self) -> frozenset[tuple[str, str, int]]:
        """Fields entered since the last action that was none of entering."""
        last = itertools.takewhile(lambda step: enters(step.action), reversed(self.history))
        return frozenset((step.action.role, step.action.name, step.action.nth) for step in last)

    def has_filled(self, element: Element) -> bool:
        return (element.role, element.name, element.nth) in self.filled

    @cached_property
    def presses(self) -> tuple[int, ...]:
        """Indexes of the steps that changed the state other than by entering something or opening a page."""
        return tuple(at for at in range(len(self.history)) if made(self.history[at], self.seen[at + 1]))

    @property
    def just_changed(self) -> bool:
        return len(self.history) - 1 in self.presses

    @cached_property
    def about(self) -> frozenset[str]:
        """All words of the goal, values included: what tells apart elements of one name."""
        return self.goal.words | {word for value in self.goal.values for word in words(value.text)}

    def unplaced(self) -> list[Value]:
        """Values that no form took which was sent since, and that are no name of a link that led here."""
        last = max(self.presses, default=-1)
        sent = {option_name(step.action.value) for step in self.history[: last + 1] if step.action.kind in FILLING}
        led = {step.action.name.strip().lower() for step in self.history if step.action.role == "link"}
        return [value for value in self.goal.values if value.text not in sent and value.text.lower() not in led]


def made(step: Step, after: Observation) -> bool:
    """Whether a step changed the state other than by entering something or opening a page, which some sites count."""
    before, role = step.observation, step.action.role
    if enters(step.action) or after.error or (role in ("link", "") and bare(before.url) != bare(after.url)):
        return False
    differs = before.digest != after.digest
    return differs if before.digest or after.digest else role == "button" and before.text != after.text


def click(element: Element) -> str:
    return f"click({element.ref})"


def goto(url: str) -> str:
    return f"goto({_quoted(url)})"


def enter(field: Element, value: str) -> str:
    """The action that puts a value into a field; a switch is clicked."""
    if field.role in TOGGLE_ROLES:
        return click(field)
    return f"{'select' if field.role in CHOICE_ROLES else 'fill'}({field.ref}, {_quoted(value)})"


def finish(answer: str = "") -> str:
    return f"finish({_quoted(answer)})"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
