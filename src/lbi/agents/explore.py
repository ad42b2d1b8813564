"""The exploring agent: attempts a task where it can, and covers the application where it cannot.

Each episode goes to a place where something is least tried (weighted by what the task's words name), does it - a form
is filled before its button is pressed - and goes on from there for a few steps. Needs no model.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lbi.agents import Parts
from lbi.contracts import Decision
from lbi.environments.snapshot import Element, Page
from lbi.offline.coverage import Affordance, Coverage, signature
from lbi.offline.forms import (
    CHOICE_ROLES,
    FIELD_ROLES,
    TEXT_ROLES,
    TOGGLE_ROLES,
    Form,
    find,
    forms,
    is_empty,
    is_shy,
    usable,
)
from lbi.offline.invent import invent, pick
from lbi.offline.lesson import FILLING, page_of
from lbi.offline.lexical import words
from lbi.records import Observation, Step, Task, Trajectory, digest_of

NAME = "explore"


@dataclass(frozen=True)
class Aim:
    """What an episode sets out to try, and where."""

    url: str
    affordance: Affordance


class Explorer:
    """All episodes share the coverage, which grows between rounds only: who finishes first changes nothing."""

    name = NAME

    def __init__(self, seed: int = 0, follow_up: int = 3) -> None:
        self.seed = seed
        self.follow_up = follow_up  # further things to try after the aim
        self.coverage = Coverage()
        self.attempts: Counter[str] = Counter()  # by task, in finished rounds

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in a finished round, in the order of its tasks."""
        finished = list(trajectories)
        self.coverage.learn(finished)
        self.attempts.update(trajectory.task.id for trajectory in finished)

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        page = page_of(observation)
        again = self.attempts[task.id]  # else a further attempt would be drawn as the first one was
        key = digest_of([self.seed, task.id, again] if again else [self.seed, task.id])
        aim = self._aim(task, random.Random(key))
        action, reason = self._next(task, history, page, aim, random.Random(f"{key}/{len(history)}"))
        return Decision(action=action, reason=reason)

    def _aim(self, task: Task, rng: random.Random) -> Aim | None:
        """One of the least-tried things at the places seen, or a link not yet followed; the task's words weigh in."""
        wanted = set(words(task.instruction))
        scored: list[tuple[float, Aim]] = []
        for name, place in self.coverage.places.items():
            for affordance in place.offers:
                if affordance in place.dead or not place.urls:
                    continue
                score = self._worth(affordance, self.coverage.tries(name, affordance), wanted) + 0.8 * rng.random()
                scored.append((score, Aim(rng.choice(place.urls), affordance)))
        for pattern, urls in self.coverage.targets.items():
            affordance = ("to", pattern)
            score = self._worth(affordance, self.coverage.tries("", affordance), wanted) + 0.8 * rng.random()
            scored.append((score, Aim(rng.choice(urls), affordance)))
        return max(scored, key=lambda item: item[0])[1] if scored else None

    @staticmethod
    def _worth(affordance: Affordance, tries: float, wanted: set[str]) -> float:
        kind, name = affordance
        named = set(words(name))
        fit = len(named & wanted) / len(named) if named else 0.0
        if kind == "button" and is_shy(name):
            return float(0.6 - math.sqrt(tries))
        base = {"submit": 2.0, "button": 1.8, "fold": 1.4, "to": 1.3}.get(kind, 0.7)
        return float(base + 0.8 * fit - 1.1 * math.sqrt(tries))

    def _next(
        self, task: Task, history: tuple[Step, ...], page: Page, aim: Aim | None, rng: random.Random
    ) -> tuple[str, str]:
        pending = self._pending(history) or self._refused(history, page)
        if pending is not None:
            move = self._in_form(page, pending, history, rng)
            if move is not None:
                return move
        if aim is not None and not self._arrived(history, aim):
            return self._go(page, aim)
        element = self._choose(task, history, page, aim, rng)
        if element is None or self._spent(history, aim) > self.follow_up:
            return 'finish("")', "nothing left to try here"
        return self._begin(page, element, history, rng)

    @staticmethod
    def _arrived(history: tuple[Step, ...], aim: Aim) -> bool:
        return any(step.action.value == aim.url or step.reason.startswith("go:") for step in history)

    @staticmethod
    def _go(page: Page, aim: Aim) -> tuple[str, str]:
        link = next((e for e in page.elements if e.role == "link" and e.url == aim.url and usable(e)), None)
        reason = f"go: {aim.affordance[1]} is the least tried"
        if link is not None:
            return f"click({link.ref})", reason
        if page.url == aim.url:
            return 'scroll("down")', reason
        return f"goto({json.dumps(aim.url, ensure_ascii=False)})", reason

    @staticmethod
    def _spent(history: tuple[Step, ...], aim: Aim | None) -> int:
        return sum(step.action.kind == "click" and step.reason.startswith(("try:", "press:")) for step in history)

    def _choose(
        self, task: Task, history: tuple[Step, ...], page: Page, aim: Aim | None, rng: random.Random
    ) -> Element | None:
        """The aim if it is here, else what is least tried on this page."""
        offered = self.coverage.offered(page)
        done = {(s.action.role, s.action.name) for s in history}
        if aim is not None and aim.affordance in offered and aim.affordance[0] != "to":
            element = offered[aim.affordance]
            if (element.role, element.name) not in done:
                return element
        wanted = set(words(task.instruction))
        scored = []
        for affordance, element in offered.items():
            if (element.role, element.name) in done or self.coverage.dead(page, affordance):
                continue
            tries = self.coverage.tries(signature(page), affordance)
            scored.append((self._worth(affordance, tries, wanted) + 0.6 * rng.random(), element))
        return max(scored, key=lambda item: item[0])[1] if scored else None

    def _begin(self, page: Page, element: Element, history: tuple[Step, ...], rng: random.Random) -> tuple[str, str]:
        """Press it at once, or fill its form first."""
        form = next((f for f in forms(page) if any(b is element or b == element for b in f.buttons)), None)
        reason = f"press: {element.name}"
        if form is not None and form.fields and not is_shy(element.name):
            move = self._in_form(page, (element.role, element.name), history, rng, reason=reason)
            if move is not None:
                return move
        return f"click({element.ref})", f"try: {element.name}"

    @staticmethod
    def _pending(history: tuple[Step, ...]) -> tuple[str, str] | None:
        """The button whose form is being filled."""
        if not history:
            return None
        last = history[-1]
        filling = last.action.kind in FILLING or last.action.role in TOGGLE_ROLES
        if filling and last.reason.startswith("press: "):
            return ("button", last.reason.removeprefix("press: "))
        return None

    @staticmethod
    def _refused(history: tuple[Step, ...], page: Page) -> tuple[str, str] | None:
        """The button just pressed, if its form is still here with something empty in it: then that was missing."""
        if not history or not history[-1].reason.startswith("press: ") or history[-1].action.kind != "click":
            return None
        last = history[-1]
        button = (last.action.role, last.action.name)
        again = sum((s.action.role, s.action.name) == button for s in history) > 2
        target = find(page, *button)
        if again or target is None or page.url.split("#")[0] != last.observation.url.split("#")[0]:
            return None
        form = next((f for f in forms(page) if target in f.buttons), None)
        kept = form is not None and any(e.role in TEXT_ROLES and e.value.strip() for e in form.fields)
        return button if kept and form is not None and any(is_empty(e) for e in form.fields) else None

    def _in_form(
        self,
        page: Page,
        button: tuple[str, str],
        history: tuple[Step, ...],
        rng: random.Random,
        reason: str = "",
    ) -> tuple[str, str] | None:
        """Fill the next field of the button's form, or press the button."""
        target = find(page, *button)
        if target is None:
            return None
        reason = reason or f"press: {button[1]}"
        form = next((f for f in forms(page) if target in f.buttons), Form((), (target,)))
        for element in self._to_fill(form, page, history, rng):
            move = self._fill(element, page, rng)
            if move:
                return move, reason
        return f"click({target.ref})", reason

    def _to_fill(self, form: Form, page: Page, history: tuple[Step, ...], rng: random.Random) -> list[Element]:
        """Empty text boxes first, then a few choices; how many is drawn once for each visit of a form."""
        filled = self._filled(history)
        count = len(filled)
        draw = random.Random(f"{self.seed}/{signature(page)}/{len(history) - count}")
        limit = draw.choice((2, 3, 4, 6))
        if count >= limit:
            return []
        open_fields = [e for e in form.fields if (e.role, e.name) not in filled and e.role in FIELD_ROLES]
        empty = [e for e in open_fields if e.role in TEXT_ROLES and is_empty(e)]
        unchosen = [e for e in open_fields if e.role in CHOICE_ROLES and is_empty(e)]
        choices = [e for e in open_fields if e.role in CHOICE_ROLES and len(e.options) > 1 and e not in unchosen]
        others = [e for e in open_fields if e.role in TEXT_ROLES and e.value.strip()]
        toggles = [e for e in open_fields if e.role in TOGGLE_ROLES and "checked" not in e.states]
        draw.shuffle(choices)
        draw.shuffle(toggles)
        rest = [*choices, *empty[1:], *unchosen, *others[:1], *toggles[:1]]
        draw.shuffle(rest)
        return [*empty[:1], *rest]

    @staticmethod
    def _filled(history: tuple[Step, ...]) -> set[tuple[str, str]]:
        keys: set[tuple[str, str]] = set()
        for step in reversed(history):
            if step.action.kind not in FILLING and step.action.role not in TOGGLE_ROLES:
                break
            keys.add((step.action.role, step.action.name))
        return keys

    def _fill(self, element: Element, page: Page, rng: random.Random) -> str:
        if element.role in TOGGLE_ROLES:
            return f"click({element.ref})"
        if element.role in CHOICE_ROLES:
            option = pick(element, rng)
            return f"select({element.ref}, {json.dumps(option, ensure_ascii=False)})" if option else ""
        value = invent(element, page, self.coverage.values, rng)
        return f"fill({element.ref}, {json.dumps(value, ensure_ascii=False)})"


def create(parts: Parts) -> Explorer:
    """``parts.sample`` is the seed."""
    return Explorer(seed=parts.sample)
