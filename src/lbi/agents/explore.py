"""The exploring agent: covers an application instead of wandering in it. Needs no model.

Before each round it hands out what is least known (``prepare``), to each episode other things. An episode goes to the
page of each of its aims, fills the form before its button is pressed, looks at what came of it, and takes the next.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lbi.agents import Parts
from lbi.observations.parse import Element, Page
from lbi.offline.coverage import Coverage, Offer, Offered, key_of
from lbi.offline.forms import (
    CHOICE_ROLES,
    FIELD_ROLES,
    TEXT_ROLES,
    TOGGLE_ROLES,
    Form,
    find,
    form_of,
    forms,
    is_empty,
    is_shy,
    usable,
)
from lbi.offline.goal import FILLING, page_of
from lbi.offline.invent import invent, pick
from lbi.offline.lexical import words
from lbi.protocols import Decision
from lbi.records import Observation, Step, Task, Trajectory, digest_of

NAME = "explore"
AIMS = 5  # handed to one episode
ASIDE = 2  # things tried on the page that an aim led to
DETOUR = 4  # steps to an aim by links; then its address is typed
MOST = 5  # fields filled at once
WORTH = 1.0  # what is wanted less is not tried
DELETES = frozenset(words("delete remove"))
EAGER = 1.8  # nor, on the way to something else, what is wanted less than this


@dataclass(frozen=True)
class Aim:
    """What an episode sets out to try, and where."""

    offered: Offered
    url: str
    via: tuple[str, ...] = ()


@dataclass(frozen=True)
class Moment:
    """All that a decision rests on."""

    task: Task
    history: tuple[Step, ...]
    observation: Observation
    page: Page
    rng: random.Random

    def done(self, element: Element) -> bool:
        """Whether it was pressed in this episode already, here or elsewhere."""
        key = (element.role, element.name)
        return any((s.action.role, s.action.name) == key and s.action.kind == "click" for s in self.history)


class Explorer:
    """All episodes share the coverage, which grows between rounds only: who finishes first changes nothing."""

    name = NAME

    def __init__(self, seed: int = 0, aims: int = AIMS) -> None:
        self.seed, self.aims = seed, aims
        self.coverage = Coverage()
        self._aims: dict[str, list[Aim]] = {}
        self.attempts: Counter[str] = Counter()  # by task, in finished rounds
        self._set_out: Counter[Offered] = Counter()  # how often an episode went there, whether it got to try or not

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in a finished round, in the order of its tasks."""
        found = list(trajectories)
        self.coverage.learn(found)
        self.attempts.update(trajectory.task.id for trajectory in found)
        for trajectory in found:
            for number, aim in enumerate(self._aims.get(trajectory.task.id, ()), 1):
                self._set_out[aim.offered] += any(s.reason.startswith(f"aim {number},") for s in trajectory.steps)

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Hand out to each task of the coming round what is most worth trying; what its words name counts more."""
        open_ = {offered: want for offered in self.coverage.offers if (want := self._want(offered)) >= WORTH}
        if len(open_) < len(tasks):  # all is known: the least known of it once more, with other things and values
            open_ |= {
                o: 1 / (1 + offer.tries) for o, offer in self.coverage.offers.items() if offer.changed and offer.urls
            }
        self._aims = {task.id: [] for task in tasks}
        for _ in range(self.aims):
            for task in tasks:
                rng = random.Random(digest_of([self.seed, task.id, self.attempts[task.id], len(self._aims[task.id])]))
                wanted = set(words(task.instruction))
                scored = [(want + _fit(o, wanted) + 0.3 * rng.random(), o) for o, want in sorted(open_.items())]
                if scored:
                    _, best = max(scored)
                    open_.pop(best)
                    self._aims[task.id].append(self._aim(best, rng))

    def _want(self, offered: Offered) -> float:
        offer = self.coverage.offers[offered]
        missed = max(self._set_out[offered] - offer.tries, 0)
        return self.coverage.want(offered) - 0.9 * missed if offer.urls else 0.0

    def _aim(self, offered: Offered, rng: random.Random) -> Aim:
        offer = self.coverage.offers[offered]
        return Aim(
            offered, rng.choice(offer.urls), self.coverage.unfold_for(offered) if offered[0] == "form" else offer.via
        )

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        rng = random.Random(digest_of([self.seed, task.id, self.attempts[task.id], len(history)]))
        action, reason = self._next(Moment(task, history, observation, page_of(observation), rng))
        return Decision(action=action, reason=reason)

    def _next(self, now: Moment) -> tuple[str, str]:
        pending = self._pending(now) or self._refused(now)
        if pending is not None and (move := self._in_form(now, pending)) is not None:
            return move
        if (aside := self._aside(now)) is not None:
            return self._begin(now, aside)
        for number, aim in enumerate(self._aims.get(now.task.id, ())):
            if not any(step.reason.startswith(f"aim {number + 2}") for step in now.history) and (
                move := self._pursue(now, number + 1, aim)
            ):
                return move
        element = self._choose(now, WORTH)
        return self._begin(now, element) if element is not None else ('finish("")', "nothing left to try here")

    # aims

    def _pursue(self, now: Moment, number: int, aim: Aim) -> tuple[str, str] | None:
        """The way to the aim and what unfolds it; None when it was tried or is not where it was."""
        name = aim.offered[2] or aim.offered[1]
        reason = f"aim {number}, {name}"
        mine = [step for step in now.history if step.reason.startswith(f"aim {number},")]
        since = now.history[now.history.index(mine[0]) :] if mine else ()
        if (move := self._go(now, aim.url, len(mine), since, reason)) is not None:
            return move
        if aim.offered[0] == "to" or any(_pressed(step, aim.offered[2]) for step in since[1:]):
            return None
        if (fold := self._unfold(now, aim.via, since)) is not None:
            return fold, reason
        element = self.coverage.offered(now.page).get(aim.offered)
        return self._begin(now, element) if element is not None else None

    def _go(self, now: Moment, url: str, done: int, since: Sequence[Step], reason: str) -> tuple[str, str] | None:
        """To an aim's page: by the link that is known to lead there, as a user would; failing that, by its address."""
        if any(step.reason == reason and step.action.kind == "goto" and step.action.value == url for step in since):
            return None
        if done and (now.page.url == url or self._followed(now, since, reason) or now.observation.error):
            return None
        link = next((e for e in now.page.elements if e.role == "link" and e.url == url and usable(e)), None)
        if link is not None:
            return f"click({link.ref})", f"{reason}"
        origin = self.coverage.origins.get(url)
        if origin is not None and origin.url != url and done < DETOUR:
            if now.page.url != origin.url and not done:
                return f"goto({json.dumps(origin.url, ensure_ascii=False)})", reason
            if (fold := self._unfold(now, origin.via, since)) is not None:
                return fold, reason
        return f"goto({json.dumps(url, ensure_ascii=False)})", reason

    @staticmethod
    def _followed(now: Moment, since: Sequence[Step], reason: str) -> bool:
        """Whether a link was clicked for this aim and led to another page."""
        pages = [*(step.observation.url for step in since), now.page.url]
        return any(
            step.reason == reason
            and step.action.role == "link"
            and pages[at].split("#")[0] != pages[at + 1].split("#")[0]
            for at, step in enumerate(since)
        )

    @staticmethod
    def _unfold(now: Moment, via: Sequence[str], since: Sequence[Step]) -> str | None:
        for fold in via:
            element = next((e for e in now.page.elements if e.name == fold and usable(e)), None)
            if element is not None and not any(step.action.name == fold for step in since):
                return f"click({element.ref})"
        return None

    def _aside(self, now: Moment) -> Element | None:
        """What is new on the page that a press led to: what was just made can be changed and deleted."""
        seen = [*(step.observation for step in now.history), now.observation]
        for at in range(len(now.history) - 1, max(len(now.history) - ASIDE, 0) - 1, -1):
            step, before, after = now.history[at], seen[at], seen[at + 1]
            opened = step.reason.startswith("try: ") and before.url == after.url and before.text != after.text
            made = step.reason.startswith("press: ") and not _fills(step) and before.digest != after.digest
            if opened or made:
                return self._choose(now, EAGER)
        return None

    def _choose(self, now: Moment, least: float) -> Element | None:
        """What is least known of what this page offers."""
        wanted = set(words(now.task.instruction))
        scored = [
            (want + _fit(offered, wanted) + 0.8 * now.rng.random(), offered, element)
            for offered, element in self.coverage.offered(now.page).items()
            if (want := self.coverage.want(offered)) >= least and not now.done(element) and not self._been(now, element)
        ]
        return max(scored, key=lambda item: item[:2])[2] if scored else None

    def _been(self, now: Moment, element: Element) -> bool:
        """Whether a link leads to where this episode has been."""
        pattern = self.coverage.pattern
        return bool(element.url) and any(pattern(s.observation.url) == pattern(element.url) for s in now.history)

    # forms

    def _begin(self, now: Moment, element: Element) -> tuple[str, str]:
        """Press it at once, or fill its form first."""
        if not usable(element):
            return self._tick(now, element)
        form = form_of(now.page, (element.role, element.name)) if element.role == "button" else None
        if form is not None and (fold := self._hidden(now, element, form)):
            return fold, f"open: {element.name}"
        if form is not None and form.fields and not is_shy(element.name):
            move = self._in_form(now, (element.role, element.name))
            if move is not None:
                return move
        return f"click({element.ref})", f"press: {element.name}" if element.role == "button" else f"try: {element.name}"

    def _hidden(self, now: Moment, button: Element, form: Form) -> str | None:
        """What brings to light the fields of a form that no change had yet; None if some are here, or none known."""
        offered = self.coverage.offered_by(now.page, button)
        offer = self.coverage.offers.get(offered) if offered else None
        if offered is None or offer is None or {key_of(e) for e in form.fields} & self.coverage.left(offer):
            return None
        return self._unfold(now, self.coverage.unfold_for(offered), now.history[-4:])

    @staticmethod
    def _tick(now: Moment, button: Element) -> tuple[str, str]:
        """A button that is locked may wait for a row to be chosen: the nearest above it, as the first may be all.

        Where one row of all can be marked, what does not delete waits for that."""
        ticks = [e for e in now.page.elements if e.role in TOGGLE_ROLES and usable(e) and e.line < button.line]
        free = [e for e in ticks if "checked" not in e.states and e.role == "checkbox"]
        marks = [e for e in ticks if "checked" not in e.states and e.role == "radio" and not e.name.strip()]
        free = marks if marks and not set(words(button.name)) & DELETES else free
        if not free or (now.history and now.history[-1].reason == f"unlock: {button.name}"):
            return 'scroll("down")', f"press: {button.name}"
        return f"click({free[-1].ref})", f"unlock: {button.name}"

    @staticmethod
    def _pending(now: Moment) -> tuple[str, str] | None:
        """The button whose form is being filled, or that was locked until now."""
        if not now.history:
            return None
        last = now.history[-1]
        for start in ("press: ", "unlock: ", "open: "):
            if last.reason.startswith(start) and (_fills(last) or start == "open: "):
                return ("button", last.reason.removeprefix(start))
        return None

    @staticmethod
    def _refused(now: Moment) -> tuple[str, str] | None:
        """The button just pressed, if its form is still here with something empty in it: then that was missing."""
        if not now.history or not now.history[-1].reason.startswith("press: ") or _fills(now.history[-1]):
            return None
        last = now.history[-1]
        button = (last.action.role, last.action.name)
        again = sum((s.action.role, s.action.name) == button for s in now.history) > 2
        target = find(now.page, *button)
        if again or target is None or now.page.url.split("#")[0] != last.observation.url.split("#")[0]:
            return None
        form = next((f for f in forms(now.page) if target in f.buttons), None)
        kept = form is not None and any(e.role in TEXT_ROLES and e.value.strip() for e in form.fields)
        return button if kept and form is not None and any(is_empty(e) for e in form.fields) else None

    def _in_form(self, now: Moment, button: tuple[str, str]) -> tuple[str, str] | None:
        """Fill the next field of the button's form, or press the button."""
        target = find(now.page, *button)
        if target is None:
            return None
        reason = f"press: {button[1]}"
        form = next((f for f in forms(now.page) if target in f.buttons), Form((), (target,)))
        if now.history and now.history[-1].reason.startswith("unlock: "):
            return f"click({target.ref})", reason
        for element in self._to_fill(now, form, target):
            move = self._fill(element, now.page, now.rng)
            if move:
                return move, reason
        return f"click({target.ref})", reason

    def _to_fill(self, now: Moment, form: Form, button: Element) -> list[Element]:
        """Next what a form can hardly do without (its first text box, choices not yet made), then what no change had.

        What is to be filled is drawn once for each visit of a form; the number of fields is part of the draw.
        """
        filled = _filled(now.history)
        offered = self.coverage.offered_by(now.page, button)
        offer = self.coverage.offers.get(offered, Offer()) if offered else Offer()
        draw = random.Random(
            digest_of([self.seed, now.task.id, self.attempts[now.task.id], len(now.history) - len(filled)])
        )
        refused = offer.idle > 0 and not offer.changed  # something entered did not suit
        limit = draw.choice((1, 2)) if refused else draw.choice((2, 3, MOST)) if offer.tries else draw.choice((3, MOST))
        free = [e for e in form.fields if (e.role, e.name) not in filled and e.role in FIELD_ROLES]
        empty = [e for e in free if e.role in TEXT_ROLES and is_empty(e)]
        needed = [*empty[:1], *(e for e in free if e.role in CHOICE_ROLES and is_empty(e))]
        if len(filled) >= limit:
            return []
        left = self.coverage.left(offer) or {key_of(e) for e in free}
        radio = any(role == "radio" for role, _ in filled)
        rest = [e for e in free if e not in needed and not (radio and e.role == "radio")]
        draw.shuffle(rest)
        fresh = [e for e in rest if key_of(e) in left and _settable(e)]
        fresh.sort(key=lambda e: e.role not in TEXT_ROLES)  # words first: they are what most is said of
        others = [e for e in rest if e not in fresh and e.role not in TOGGLE_ROLES and is_empty(e)]
        return [*needed, *fresh, *others]

    def _fill(self, element: Element, page: Page, rng: random.Random) -> str:
        if element.role in TOGGLE_ROLES:
            return f"click({element.ref})"
        if element.role in CHOICE_ROLES:
            option = pick(element, rng)
            return f"select({element.ref}, {json.dumps(option, ensure_ascii=False)})" if option else ""
        offers = [o for o in self.coverage.offers.values() if key_of(element) in o.fields]
        refused = bool(offers) and not any(o.changed for o in offers) and any(o.idle for o in offers)
        names = self.coverage.names if refused and rng.random() < 0.5 else ()
        value = rng.choice(names) if names else invent(element, page, self.coverage.values, rng)
        return f"fill({element.ref}, {json.dumps(value, ensure_ascii=False)})"


def _settable(element: Element) -> bool:
    if element.role in CHOICE_ROLES:
        return len(element.options) > 1
    return element.role in TEXT_ROLES or "checked" not in element.states


def _fit(offered: Offered, wanted: set[str]) -> float:
    """Up to 0.4 for a name that the task says."""
    named = set(words(offered[2] or re.sub(r"\W+", " ", offered[1])))
    return 0.4 * len(named & wanted) / len(named) if named else 0.0


def _fills(step: Step) -> bool:
    return step.action.kind in FILLING or step.action.role in TOGGLE_ROLES


def _pressed(step: Step, name: str) -> bool:
    return step.action.kind == "click" and not _fills(step) and re.sub(r"\d+", "0", step.action.name)[:80] == name


def _filled(history: Sequence[Step]) -> set[tuple[str, str]]:
    """Fields entered since the last press."""
    keys: set[tuple[str, str]] = set()
    for step in reversed(history):
        if not _fills(step):
            break
        keys.add((step.action.role, step.action.name))
    return keys


def create(parts: Parts) -> Explorer:
    """``parts.sample`` is the seed."""
    return Explorer(seed=parts.sample)
