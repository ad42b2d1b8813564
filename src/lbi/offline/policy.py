"""Instruction, history, page and retrieved examples -> the next action. No language model, no application's words.

With an example whose instruction is close it follows that example (alignment, substitution of values and of what the
example is about); without one it grounds the instruction's words in the names on the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lbi.contracts import Fields
from lbi.environments.snapshot import Element, Page
from lbi.offline.answers import answer
from lbi.offline.forms import (
    CHOICE_ROLES,
    FIELD_ROLES,
    PRESS_WORDS,
    SHY_WORDS,
    TEXT_ROLES,
    TOGGLE_ROLES,
    Filling,
    Form,
    Key,
    assign,
    find,
    form_of,
    forms,
    holds,
    is_empty,
    usable,
)
from lbi.offline.lesson import FILLING, Goal, Lesson, page_of, rank
from lbi.offline.lexical import Value, contains_phrase, labels, stem, words
from lbi.records import Observation, Step

#: a lesson whose instruction is less like the goal than this teaches nothing about it
CLOSE_ENOUGH = 0.42
#: how the reason for the last step of an example ends
LAST = "and that is the last step"


@dataclass(frozen=True)
class Situation:
    """Everything a decision rests on."""

    goal: Goal
    page: Page
    observation: Observation
    history: tuple[Step, ...]
    frame: frozenset[Key]
    documents: frozenset[str]  # words of the documents' sentences about the goal

    def tried(self, action: str) -> bool:
        """Whether this was done on this page already: a second time leads nowhere new."""
        return any(s.observation.url == self.page.url and s.action.text == action for s in self.history) or any(
            action.startswith("goto(") and s.action.text == action for s in self.history
        )

    def pressed(self, element: Element) -> bool:
        """Whether this element, whatever its reference then was, was clicked on this page already."""
        key = (element.role, element.name)
        return any(
            (s.action.role, s.action.name) == key and s.action.kind == "click" and s.observation.url == self.page.url
            for s in self.history
        )

    @property
    def filled(self) -> set[Key]:
        """Fields filled since the last page was loaded."""
        keys: set[Key] = set()
        for step in reversed(self.history):
            if step.action.kind not in FILLING and step.action.role not in TOGGLE_ROLES:
                break
            keys.add((step.action.role, step.action.name))
        return keys

    @property
    def about(self) -> frozenset[str]:
        """All words of the goal, values included: what tells apart elements of one name."""
        return self.goal.words | {word for value in self.goal.values for word in words(value.text)}

    @property
    def named(self) -> frozenset[str]:
        """Values of the goal by which a link was called on some page seen: names of things that exist."""
        pages = [self.page, *(page_of(step.observation) for step in self.history)]
        links = {e.name.strip().lower() for page in pages for e in page.elements if e.role == "link"}
        return frozenset(v.text.lower() for v in self.goal.values if v.kind == "quoted" and v.text.lower() in links)

    def free_values(self) -> list[Value]:
        """Values that no earlier step has put anywhere, and that do not name where we are or how we came here."""
        spent = {
            s.action.value for s in self.history if s.action.kind in FILLING and s.observation.url != self.page.url
        }
        led = {s.action.name.strip().lower() for s in self.history if s.action.role == "link"}
        here = self.page.title.lower()
        return [
            value
            for value in self.goal.values
            if value.text not in spent
            and value.text.lower() not in led
            and not (len(value.text) > 3 and value.text.lower() in here)
        ]


Move = tuple[str, str]  # action, reason


def act(fields: Fields) -> Move:
    """The next action and why."""
    assert fields.task is not None
    assert fields.observation is not None
    page = page_of(fields.observation)
    goal = Goal(fields.task.instruction)
    seen = [page, *(page_of(step.observation) for step in fields.history)]
    shown = [Lesson(item, goal, seen, page.url) for item in fields.examples]
    here = Situation(
        goal=goal,
        page=page,
        observation=fields.observation,
        history=fields.history,
        frame=_frame(page, fields.history, shown),
        documents=_guidance(goal, [document.text for document in fields.documents]),
    )
    if _carried_out(here):
        return finish(here, "the example was carried out")
    for score, lesson in _in_order(rank(shown, goal, here.named), fields.history):
        if score >= CLOSE_ENOUGH:
            move = follow(here, lesson)
            if move is not None:
                return move[0], f"following {lesson.id}: {move[1]}"
    return ground(here)


def _carried_out(here: Situation) -> bool:
    """The last step was the last of an example that changes something; whether it is still among those shown or not."""
    return bool(here.history) and here.history[-1].reason.endswith(LAST) and not here.observation.error


def _in_order(ranked: list[tuple[float, Lesson]], history: Sequence[Step]) -> list[tuple[float, Lesson]]:
    """The lesson that the last step followed comes first: half of one and half of another is neither."""
    last = re.match(r"following (\w+):", history[-1].reason) if history else None
    current = last[1] if last else ""
    return sorted(ranked, key=lambda item: item[1].id != current)


# with a lesson


def follow(here: Situation, lesson: Lesson) -> Move | None:
    """The lesson's next step on this page, the way to it, or None if it cannot be followed from here."""
    done = lesson.progress(here.history)
    if done >= len(lesson.steps):
        return _complete(here, lesson)
    if lesson.missing:
        return _locate(here)
    if done == 0 and not _at(here.page.url, lesson, 0):
        return _go(here, lesson, 0)
    filling = _fill(here, lesson, done)
    if filling is not None:
        return filling
    while done < len(lesson.steps) and _is_filling(lesson.steps[done]):
        done += 1
    if done >= len(lesson.steps):
        return _complete(here, lesson)
    return _press(here, lesson, done)


def _complete(here: Situation, lesson: Lesson) -> Move | None:
    """A lesson that only leads somewhere ends a task that asks no more; otherwise the task goes on from there."""
    if not lesson.changes and _changes(here.goal):
        return None
    return finish(here, "the example is complete")


def _changes(goal: Goal) -> bool:
    """Whether the goal wants something to be different afterwards: neither a question, nor a visit, nor a search."""
    return not goal.question and not goal.visits and stem("search") not in goal.words


def _locate(here: Situation) -> Move | None:
    """Find the thing that the goal names: by a link to it, or by the site's own search; never take another instead."""
    for value in sorted(here.goal.values, key=lambda value: -len(value.text)):
        for element in here.page.elements:
            named = element.role == "link" and usable(element) and value.text.lower() in element.name.lower()
            if named and not here.pressed(element):
                return click(element), f"leads to {value.text}"
    return _search(here)


def _search(here: Situation) -> Move | None:
    boxes = [e for e in here.page.elements if e.role in TEXT_ROLES and usable(e) and stem("search") in labels(e.name)]
    names = [value for value in here.goal.values if value.kind == "quoted" or value.kind == "name"]
    if not boxes or not names:
        return None
    box, name = boxes[0], names[0].text
    if holds(box, name):
        press = f'press({box.ref}, "Enter")'
        return None if here.tried(press) else (press, f"search for {name}")
    asked = any(step.action.value == name and step.action.kind == "fill" for step in here.history)
    return None if asked else (f"fill({box.ref}, {json.dumps(name, ensure_ascii=False)})", f"search for {name}")


def _is_filling(step: Step) -> bool:
    return step.action.kind in FILLING or step.action.role in ("checkbox", "radio")


def _at(url: str, lesson: Lesson, index: int) -> bool:
    wanted = lesson.address(lesson.observations[index])
    return _path(url) == _path(wanted)


def _path(url: str) -> str:
    return url.split("?")[0].split("#")[0].rstrip("/")


def _go(here: Situation, lesson: Lesson, index: int) -> Move | None:
    """To the page where a step of the lesson was taken: by a link if there is one, by its address otherwise."""
    wanted = lesson.address(lesson.observations[index])
    for element in here.page.elements:
        if element.role == "link" and element.url == wanted and not here.pressed(element) and usable(element):
            return click(element), f"the example begins at {wanted}"
    action = f"goto({json.dumps(wanted, ensure_ascii=False)})"
    return None if here.tried(action) else (action, f"the example begins at {wanted}")


def _fill(here: Situation, lesson: Lesson, done: int) -> Move | None:
    """The next field to fill in the form that the lesson fills from here on; None when nothing is left to fill."""
    run = []
    while done and _is_filling(lesson.steps[done - 1]):  # a field may have been filled before its turn
        done -= 1
    for step in lesson.steps[done:]:
        if not _is_filling(step):
            break
        run.append(step.action)
    if not run:
        return None
    first = next((e for a in run if (e := find(here.page, a.role, a.name))), None)
    form = form_of(here.page, (first.role, first.name)) if first else None
    if form is None:
        return None
    known = {(a.role, a.name): lesson.name(a.value) for a in run}
    thing = lesson.instead.id if lesson.instead else ""
    values = [v for v in here.free_values() if not thing or v.text not in (thing, f"#{thing}")]
    for filling in assign(here.goal.text, values, form.fields, known, here.frame, here.named):
        if not holds(filling.field, filling.value) and (filling.field.role, filling.field.name) not in here.filled:
            return enter(filling), "a value of the instruction"
    return _required(here, form, known) or _toggle(here, run, form)


def _required(here: Situation, form: Form, known: Mapping[Key, str]) -> Move | None:
    """A choice that shows only a placeholder must be made: as in the example, where the instruction says nothing."""
    for field in form.fields:
        value = known.get((field.role, field.name), "")
        if field.role in CHOICE_ROLES and is_empty(field) and value in field.options:
            return enter(Filling(field, value)), "as in the example, for want of a value"
    return None


def _toggle(here: Situation, run: Sequence[object], form: Form) -> Move | None:
    """Radio buttons are part of the way (which kind of change this is), not a value: chosen as the lesson did."""
    for action in run:
        role, name = getattr(action, "role", ""), getattr(action, "name", "")
        element = find(here.page, role, name)
        if role == "radio" and element in form.fields and element and not holds(element, ""):
            return None if here.pressed(element) else (click(element), "as in the example")
    return None


def _press(here: Situation, lesson: Lesson, done: int) -> Move | None:
    own = lesson.steps[done].action
    if own.kind == "goto":
        return _go(here, lesson, done + 1)
    if own.kind == "finish":
        return finish(here, "the example is complete")
    if own.kind in ("back", "scroll"):
        return f"{own.kind}({json.dumps(own.value) if own.kind == 'scroll' else ''})", "as in the example"
    if own.role == "link" and lesson.moves(done):
        return _go(here, lesson, done + 1)
    element = find(here.page, own.role, lesson.name(own.name), here.about) or _counterpart(here, lesson, done)
    if element is None:
        if own.kind == "press" and not own.role:
            return f"press({json.dumps(own.value)})", "as in the example"
        later = done + 1
        return _go(here, lesson, later) if own.role == "link" and later < len(lesson.observations) else None
    if here.pressed(element) and own.kind == "click":
        return None
    last = done + 1 == len(lesson.steps) and (lesson.changes or (lesson.enters and not _changes(here.goal)))
    reason = f"as in the example, {LAST}" if last else "as in the example"
    if own.kind == "press":
        return f"press({element.ref}, {json.dumps(own.value)})", reason
    return click(element), reason


def _counterpart(here: Situation, lesson: Lesson, done: int) -> Element | None:
    """The link that leads where the lesson's link led, with the goal's entity in place of the lesson's."""
    wanted = lesson.address(lesson.observations[done + 1])
    links = [e for e in here.page.elements if e.role == "link" and usable(e)]
    return next((e for e in links if e.url == wanted), None)


# without one


def ground(here: Situation) -> Move:
    """Fill what the instruction gives values for, press what its words name, answer what the page tells."""
    told = answer(here.goal, here.page) if here.goal.question else None
    if told and told.sure and here.history:
        return _finish(told.text, "the page tells")
    if _just_sent(here):
        return finish(here, "sent")
    if _arrived(here):
        return finish(here, "this is what was asked for")
    for form in sorted(_to_fill(here), key=lambda form: -_form_score(here, form)):
        for filling in assign(here.goal.text, here.free_values(), form.fields, {}, here.frame, here.named):
            key = (filling.field.role, filling.field.name)
            if not holds(filling.field, filling.value) and key not in here.filled:
                return enter(filling), "a value of the instruction"
        if here.filled & {(e.role, e.name) for e in form.fields}:
            button = _best_button(here, form)
            if button is not None:
                return click(button), "the form is filled"
    element = _best_element(here)
    if element is not None:
        return click(element), "its name is in the instruction"
    return finish(here, "nothing here is named by the instruction")


def _to_fill(here: Situation) -> list[Form]:
    """A question changes nothing: for it only the forms that stand on every page (a search) may be used."""
    if not here.goal.question:
        return forms(here.page)
    return [
        form for form in forms(here.page) if form.fields and all((e.role, e.name) in here.frame for e in form.fields)
    ]


def _form_score(here: Situation, form: Form) -> float:
    names = {word for e in (*form.fields, *form.buttons) for word in labels(e.name)}
    return len(names & here.goal.words) - 2.0 * all((e.role, e.name) in here.frame for e in form.fields)


def _arrived(here: Situation) -> bool:
    """The last step followed a link that is called by much of what the goal asks to see."""
    if not here.goal.visits or not here.history or here.observation.error:
        return False
    last = here.history[-1].action
    named = set(words(last.name)) & (here.goal.words - {"open"})
    return last.role == "link" and len(named) >= max(1, 0.5 * len(here.goal.words - {"open"}))


def _just_sent(here: Situation) -> bool:
    """The last step pressed a button on a form that this agent had filled."""
    if len(here.history) < 2 or here.observation.error:
        return False
    last, before = here.history[-1].action, here.history[-2].action
    return (
        last.kind in ("click", "press") and last.role in ("button", "textbox", "searchbox") and before.kind in FILLING
    )


def _best_button(here: Situation, form: Form) -> Element | None:
    def score(element: Element) -> float:
        named = set(words(element.name))
        return (
            2 * len(named & here.goal.words) + bool(named & PRESS_WORDS) - 2 * bool(named & SHY_WORDS - here.goal.words)
        )

    free = [e for e in form.buttons if not here.pressed(e)]
    return max(free, key=score, default=None)


def _best_element(here: Situation) -> Element | None:
    """The link or button whose name the instruction (or what the documents say of it) mentions most completely."""
    best: tuple[float, Element | None] = (0.45, None)
    for element in here.page.elements:
        if element.role not in ("link", "button", "tab", "menuitem") or not usable(element) or here.pressed(element):
            continue
        if element.role == "button" and _is_empty_form(here.page, element):
            continue
        if element.url and any(_path(s.observation.url) == _path(element.url) for s in here.history):
            continue
        if element.url and _path(element.url) == _path(here.page.url):
            continue
        if any((s.action.role, s.action.name) == (element.role, element.name) for s in here.history):
            continue  # what led here leads nowhere else
        score = _name_score(element, here)
        if score > best[0]:
            best = (score, element)
    return find(here.page, best[1].role, best[1].name, here.about) if best[1] else None


def _name_score(element: Element, here: Situation) -> float:
    named = set(words(element.name))
    if not named or not re.search(r"[^\W\d_]{2}|#\d", element.name):
        return 0.0
    said = any(_names(element.name, value.text) for value in here.goal.values)
    hits = len(named) if said else len(named & here.goal.words)
    guided = len(named & here.documents) / len(named)
    shy = bool(named & SHY_WORDS - here.goal.words)
    return hits / len(named) + 0.1 * hits + 0.3 * guided - 0.5 * shy


def _is_empty_form(page: Page, button: Element) -> bool:
    """Whether the button would send a form in which nothing is entered: a search for nothing."""
    form = form_of(page, (button.role, button.name))
    texts = [field for field in form.fields if field.role in TEXT_ROLES] if form else []
    return bool(texts) and all(is_empty(field) for field in texts)


def _names(name: str, value: str) -> bool:
    """Whether an element is called by a value, or a part of its name is: "#7: Green lamp" by "Green lamp"."""
    return len(value) > 2 and (name.strip().lower() == value.lower() or (" " in value and contains_phrase(name, value)))


def _guidance(goal: Goal, texts: Sequence[str]) -> frozenset[str]:
    """Words of the documents' sentences that share most with the goal."""
    found: set[str] = set()
    for text in texts:
        for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
            said = set(words(sentence))
            if len(said & goal.words) >= max(2, 0.5 * len(goal.words)):
                found |= said
    return frozenset(found)


def _frame(page: Page, history: Sequence[Step], lessons: Sequence[Lesson]) -> frozenset[Key]:
    """Fields that stand on every page seen: a site-wide search box is no part of the task's form."""
    pages = {_path(page.url): page}
    for step in history:
        pages.setdefault(_path(step.observation.url), page_of(step.observation))
    for lesson in lessons:
        for other in lesson.pages:
            pages.setdefault(_path(other.url), other)
    if len(pages) < 2:
        return frozenset()
    sets = [{(e.role, e.name) for e in other.elements if e.role in FIELD_ROLES} for other in pages.values()]
    return frozenset(set.intersection(*sets))


# actions as the environment takes them


def click(element: Element) -> str:
    return f"click({element.ref})"


def enter(filling: Filling) -> str:
    if filling.field.role in TOGGLE_ROLES:
        return click(filling.field)
    verb = "select" if filling.field.role in ("combobox", "listbox") else "fill"
    return f"{verb}({filling.field.ref}, {json.dumps(filling.value, ensure_ascii=False)})"


def finish(here: Situation, reason: str) -> Move:
    told = answer(here.goal, here.page) if here.goal.question else None
    return _finish(told.text if told else "", reason)


def _finish(text: str, reason: str) -> Move:
    return f"finish({json.dumps(text, ensure_ascii=False)})", reason
