"""The exploring agent: covers an application instead of wandering in it. Needs no model."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from lbi.agents import AgentParts
from lbi.observations.parse import Element, Page
from lbi.protocols import Decision
from lbi.records import Observation, Step, Task, Trajectory, digest_of
from lbi_offline.coverage import Coverage, Offer, Offered, is_refused, key_of, shown
from lbi_offline.forms import CHOICE_ROLES, TEXT_ROLES, TOGGLE_ROLES, Form, called, enters, form_of, is_empty, leaves
from lbi_offline.goal import Move, click, enter, finish, goto, made
from lbi_offline.invent import asked, invent, type_of
from lbi_offline.lexical import labels, words
from lbi_offline.places import bare, page_of

AIMS = 5  # handed to one episode
ASIDE = 2  # things tried on the page that an aim led to
RETRIES = 2  # of a form that was refused
WORTH = 1.0  # what is wanted less is not tried
EAGER = 1.8  # nor, on the way to something else, what is wanted less than this

#: what an episode sets out to try, where, and what to unfold there first
Aim = tuple[Offered, str, tuple[str, ...]]


@dataclass(frozen=True)
class Moment:
    """All that a decision rests on."""

    task: Task
    history: tuple[Step, ...]
    observation: Observation
    rng: random.Random

    @cached_property
    def page(self) -> Page:
        return page_of(self.observation)

    @cached_property
    def seen(self) -> tuple[Observation, ...]:
        return (*(step.observation for step in self.history), self.observation)

    @cached_property
    def entered(self) -> int:
        """How many steps at the end of the history have entered something."""
        others = [at for at, step in enumerate(self.history) if not enters(step.action)]
        return len(self.history) - 1 - (others[-1] if others else -1)

    def pressed(self, element: Element) -> int:
        """How often something of this role and name was clicked in this episode."""
        target = (element.role, element.name)
        return sum((step.action.role, step.action.name) == target for step in self.history)

    @cached_property
    def refused(self) -> Element | None:
        """The button whose press before the last entries was refused, as its form still shows."""
        at = len(self.history) - self.entered - 1
        action = self.history[at].action if at >= 0 else None
        if action is None or action.role != "button":
            return None
        button = page_of(self.seen[at]).find(action.role, action.name, action.nth)
        still = button is not None and is_refused(self.seen[at], self.seen[at + 1], button)
        return self.page.find(action.role, action.name, action.nth) if still else None

    def message(self, field: Element) -> str:
        """Of what is said since a form was refused or an entry failed: what names the field; failing that, all."""
        at = len(self.history) - self.entered
        before, after = (set(shown(self.seen[i]).splitlines()) for i in (max(at - 1, 0), at))
        lines = [re.sub(r"\[e\d+\]", "", line) for line in sorted(after - before)] if self.refused else []
        lines += [self.seen[at].error, self.observation.error]
        own = [line for line in lines if set(labels(called(field))) & set(labels(line))]
        return "\n".join(own or lines).strip()


class Explorer:
    """All episodes share the coverage, which grows between rounds only: who finishes first changes nothing."""

    name = "explore"

    def __init__(self, seed: int = 0, aims: int = AIMS) -> None:
        self.seed, self.aims = seed, aims
        self.coverage = Coverage()
        self.attempts: Counter[str] = Counter()  # by task, in finished rounds
        self._aims: dict[str, list[Aim]] = {}
        self._sought: Counter[Offered] = Counter()  # how often something was handed out

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in a finished round, in the order of its tasks."""
        finished = list(trajectories)
        self.coverage.learn(finished)
        self.attempts.update(trajectory.task.id for trajectory in finished)

    def prepare(self, tasks: Sequence[Task]) -> None:
        """Hand out to each task of the coming round what is most worth trying; what its words name counts more."""
        offers, sent = self.coverage.offers, self._sought
        hopes = {o: self.coverage.want(o) - 0.9 * max(sent[o] - it.tries - 1, 0) for o, it in offers.items() if it.urls}
        wants = {offered: want for offered, want in hopes.items() if want >= WORTH}
        again = {o: offer for o, offer in offers.items() if offer.changed and offer.urls and o not in wants}
        wants |= {offered: 1 / (1 + offer.tries) for offered, offer in again.items()}  # with other values
        self._aims = {task.id: [] for task in tasks}
        for turn, task in itertools.product(range(self.aims), tasks):
            rng, named = self._rng(task, turn), set(words(task.instruction))
            scored = [(want + _fit(o, named) + 0.3 * rng.random(), o) for o, want in sorted(wants.items())]
            if scored:
                _, best = max(scored)
                del wants[best]
                self._sought[best] += 1
                self._aims[task.id].append((best, rng.choice(offers[best].urls), offers[best].via))

    def _rng(self, task: Task, number: int) -> random.Random:
        return random.Random(digest_of([self.seed, task.id, self.attempts[task.id], number]))

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        action, reason = self._next(Moment(task, history, observation, self._rng(task, len(history))))
        return Decision(action=action, reason=reason)

    def _next(self, now: Moment) -> Move:
        if (button := self._begun(now)) is not None:
            return self._in_form(now, button)
        if (element := self._aside(now)) is not None:
            return self._begin(now, element)
        for aim in self._aims.get(now.task.id, ()):
            if (move := self._pursue(now, aim)) is not None:
                return move
        element = self._choose(now, WORTH)
        return self._begin(now, element) if element is not None else (finish(), "nothing left to try on this page")

    def _pursue(self, now: Moment, aim: Aim) -> Move | None:
        """The way to the aim, what unfolds it, the aim itself; None when it was tried or is not where it was."""
        offered, url, via = aim
        if self._tried(now, offered):
            return None
        reason = f"to try {offered[2] or offered[1]}"
        recent = {step.action.name for step in now.history[-4:] if bare(step.observation.url) == bare(now.page.url)}
        folds = [e for e in now.page.elements if e.ref and e.name in via and e.name not in recent]
        if folds and bare(now.page.url) == bare(url):
            return click(min(folds, key=lambda element: via.index(element.name))), reason
        element = self.coverage.offered(now.page).get(offered)
        if element is not None:
            return self._begin(now, element)
        if any(step.action.value == url for step in now.history) or any(bare(o.url) == bare(url) for o in now.seen):
            return None
        link = next((e for e in now.page.elements if e.role == "link" and e.url == url), None)
        return (click(link) if link is not None and not now.pressed(link) else goto(url)), reason

    def _tried(self, now: Moment, offered: Offered) -> bool:
        """Whether a step of this episode pressed it, or came to where it leads."""
        if offered[0] == "to":
            return any(self.coverage.pattern(after.url) == offered[1] for after in now.seen[1:])
        pages = [(page_of(step.observation), step.action) for step in now.history if not enters(step.action)]
        hits = [(page, page.find(action.role, action.name, action.nth)) for page, action in pages]
        return any(hit is not None and self.coverage.offered_by(page, hit) == offered for page, hit in hits)

    def _aside(self, now: Moment) -> Element | None:
        """What is new on the page that a press led to: what was just made can be changed and deleted."""
        for at in range(len(now.history) - 1, max(len(now.history) - ASIDE, 0) - 1, -1):
            step, after = now.history[at], now.seen[at + 1]
            stays = bare(step.observation.url) == bare(after.url) and shown(step.observation) != shown(after)
            opened = stays and step.action.kind == "click" and step.action.role != "button" and not enters(step.action)
            if opened or made(step, after):
                return self._choose(now, EAGER)
        return None

    def _choose(self, now: Moment, least: float) -> Element | None:
        """What is least known of what this page offers."""
        named = set(words(now.task.instruction))
        scored = [
            (want + _fit(offered, named) + 0.8 * now.rng.random(), offered, element)
            for offered, element in self.coverage.offered(now.page).items()
            if (want := self.coverage.want(offered)) >= least and not now.pressed(element)
            if not element.url or all(self.coverage.pattern(o.url) != offered[1] for o in now.seen)
        ]
        return max(scored, key=lambda item: item[:2])[2] if scored else None

    def _begun(self, now: Moment) -> Element | None:
        """The button of the form that was refused, or is being filled: of an aim, or the one least known."""
        if now.refused is not None:
            sent = form_of(now.page, (now.refused.role, now.refused.name)) or Form((), ())
            again = now.pressed(now.refused) <= RETRIES and (now.entered or self._to_mend(now, sent))
            return now.refused if again else None
        last = now.history[-1].action if now.entered else None
        form = form_of(now.page, (last.role, last.name)) if last is not None else None
        aims = {aim[0] for aim in self._aims.get(now.task.id, ())}
        buttons = [b for b in (form.buttons if form else ()) if not leaves(b.name) and not now.pressed(b)]
        offers = [(offered, b) for b in buttons if (offered := self.coverage.offered_by(now.page, b))]
        return max(offers, key=lambda o: (o[0] in aims, self.coverage.want(o[0])))[1] if offers else None

    def _begin(self, now: Moment, element: Element) -> Move:
        """Press it at once, or fill its form first."""
        form = form_of(now.page, (element.role, element.name)) if element.role == "button" else None
        if form is not None and form.fields and not leaves(element.name):
            return self._in_form(now, element)
        return click(element), f"to see what {element.name} does"

    def _in_form(self, now: Moment, button: Element) -> Move:
        """Fill the next field of the button's form, or press the button."""
        form = form_of(now.page, (button.role, button.name)) or Form((), (button,))
        for field in self._to_mend(now, form) if now.refused else self._to_fill(now, form, button):
            if action := self._entry(now, field):
                return action, f"to fill {called(field)}"
        return click(button), f"to see what {button.name} does"

    def _to_fill(self, now: Moment, form: Form, button: Element) -> list[Element]:
        """First what a form can hardly do without, then what no change had; drawn once for each visit of a form."""
        offered = self.coverage.offered_by(now.page, button)
        offer = self.coverage.offers.get(offered, Offer()) if offered else Offer()
        draw = self._rng(now.task, len(now.history) - now.entered)
        limit = draw.choice((2, 3, 5)) if offer.changed else draw.choice((3, 5, 10))  # fields filled at once
        if now.entered >= limit:
            return []
        done = _entered_last(now)
        free = [e for e in form.fields if (e.role, e.name) not in done]
        needed = [e for e in free if e.role in TEXT_ROLES and is_empty(e)][: 1 if offer.changed else 2]
        needed += [e for e in free if e.role in CHOICE_ROLES and is_empty(e)]
        radio = any(role == "radio" for role, _ in done)
        rest = [e for e in free if e not in needed and not (radio and e.role == "radio") and not e.has("checked")]
        draw.shuffle(rest)
        left = offer.left or {key_of(e) for e in free}
        rest.sort(key=lambda e: (key_of(e) not in left, e.role not in TEXT_ROLES))  # texts: of them most is said
        return [*needed, *(e for e in rest if key_of(e) in left or (e.role in TEXT_ROLES and is_empty(e)))]

    @staticmethod
    def _to_mend(now: Moment, form: Form) -> list[Element]:
        """Fields of a refused form that are marked, named by a message or empty; failing these, those with a type."""
        done = _entered_last(now)
        free = [e for e in form.fields if e.role not in TOGGLE_ROLES and (e.role, e.name) not in done]
        marked = [e for e in free if e.has("invalid") or set(labels(called(e))) & set(labels(now.message(e)))]
        kept = any(e.role in TEXT_ROLES and not is_empty(e) for e in form.fields)  # then what is empty was missing
        wrong = [*marked, *(e for e in free if kept and is_empty(e) and e not in marked)]
        return wrong or [e for e in free if not now.entered and type_of(e) and now.message(e)]

    @staticmethod
    def _entry(now: Moment, field: Element) -> str:
        if field.role in TEXT_ROLES:
            return enter(field, invent(field, now.page, now.rng, asked(now.message(field))))
        others = [option for option in field.options if option.strip() and option != field.value]
        return enter(field, now.rng.choice(others or [""])) if others or field.role in TOGGLE_ROLES else ""


def _entered_last(now: Moment) -> set[tuple[str, str]]:
    """Fields entered since the last press; one that did not take its value is to be entered once more."""
    targets = [(step.action.role, step.action.name) for step in now.history[len(now.history) - now.entered :]]
    again = targets and now.observation.error and targets.count(targets[-1]) < RETRIES
    return set(targets[:-1] if again else targets)


def _fit(offered: Offered, wanted: set[str]) -> float:
    """Up to 0.4 for a name that the task says."""
    named = set(words(offered[2] or re.sub(r"\W+", " ", offered[1])))
    return 0.4 * len(named & wanted) / len(named) if named else 0.0


def create(parts: AgentParts) -> Explorer:
    return Explorer(seed=parts.sample)
