"""One step of the operation of an example, on the goal's thing and with the goal's values."""

from __future__ import annotations

import itertools
import json
import re

from lbi.observations.parse import Element
from lbi.offline.assign import Filling, assign, holds
from lbi.offline.folds import unfold, unfold_for
from lbi.offline.forms import (
    CHOICE_ROLES,
    PRESS_WORDS,
    TOGGLE_ROLES,
    Form,
    called,
    find,
    form_of,
    is_empty,
    is_locked,
    is_shy,
    row_of,
    surroundings,
    usable,
)
from lbi.offline.ground import best_button, search
from lbi.offline.lesson import Lesson
from lbi.offline.lexical import SYNONYMS, labels, words
from lbi.offline.places import place, thing_in
from lbi.offline.procedure import Operation
from lbi.offline.revise import revision, unused
from lbi.offline.senses import sense_of
from lbi.offline.situation import Move, Situation, click, enter, fill, finish, goto, path
from lbi.records import Action

BESIDE = 2  # words of the goal that must stand beside a link that is one of many
#: how the reason for the last step of an example ends
LAST = "and that is the last step"
#: how the reason for a step to the page of an example begins
WAY = "the way to"


def is_at(here: Situation, lesson: Lesson) -> bool:
    """Whether the page is the one where the example goes on."""
    return lesson.current is not None and _at(here, lesson, lesson.current)


def follow(here: Situation, lesson: Lesson) -> Move | None:
    """The next step of its operation: to its page, what opens its form, its fields, its press; None = it cannot."""
    operation = lesson.current
    if operation is None:
        left = lesson.operations[-1]  # a form that was only filled
        unsent = here.goal.changes and not lesson.changes and left.run
        return (_send(here, lesson, left) if unsent else None) or finish(here, "the example is complete")
    if not _at(here, lesson, operation):
        return _approach(here, lesson, operation)
    if operation.visit:
        return None if lesson.changes or here.goal.changes else finish(here, "this is where the example leads")
    if not _present(here, lesson, operation) and (move := _open(here, operation)):
        return move
    return _fill(here, lesson, operation) or _press(here, lesson, operation)


# the way


def _at(here: Situation, lesson: Lesson, operation: Operation) -> bool:
    """Whether this is the operation's page, about the goal's thing."""
    if lesson.everywhere and _present(here, lesson, operation):
        return True
    if lesson.done and not lesson.like(here.page.url):
        return _present(here, lesson, operation)  # a later operation goes on where the one before led
    if lesson.missing:
        return lesson.like(here.page.url) and _came_by_link(here)
    place = lesson.place_of(operation)
    return path(here.page.url) == path(place) and (
        _query(here.page.url) == _query(place) or _present(here, lesson, operation)
    )


def _query(url: str) -> str:
    return url.partition("?")[2].partition("#")[0]


def _came_by_link(here: Situation) -> bool:
    return any(step.action.role == "link" and "beside what is asked for" in step.reason for step in here.history[-8:])


def _approach(here: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    if not lesson.missing:
        return _go(here, lesson.place_of(operation))
    return _by_link(here, lesson) or _to_parent(here, lesson) or _search(here, lesson)


def _go(here: Situation, url: str) -> Move | None:
    """By a link if there is one, by its address otherwise; once."""
    wanted = url.split("#")[0]
    for element in here.page.elements:
        if element.role == "link" and element.url == wanted and not here.pressed(element) and usable(element):
            return click(element), f"{WAY} {wanted}"
    action = goto(wanted)
    return None if here.tried(action) else (action, f"{WAY} {wanted}")


def _by_link(here: Situation, lesson: Lesson) -> Move | None:
    """On the page that holds such links: the one whose surroundings say what the goal says."""
    names = {name for url, name in lesson.ways if path(url) == path(here.page.url)}
    links = [
        e
        for e in here.page.elements
        if e.role == "link" and usable(e) and e.name in names and lesson.like(e.url) and not _is_its_name(e, lesson)
    ]
    if not links or any(here.pressed(e) for e in links):
        return None
    element = find(here.page, links[0].role, links[0].name, here.about)
    telling = here.about - lesson.vocabulary - set(words(lesson.shown.example.instruction))
    if element is None or len(surroundings(here.page, element, links) & telling) < BESIDE:
        return None
    return click(element), "the one beside what is asked for"


def _is_its_name(link: Element, lesson: Lesson) -> bool:
    """Whether a link is called like the thing it leads to: then it is not one of many "edit", but another thing."""
    about = lesson.about
    thing = thing_in(link.url, about.prefix, numbered=about.id.isdigit()) if about else None
    bare = re.sub(r"\W+", "", thing.id).lower() if thing else ""
    return len(bare) > 1 and bare in re.sub(r"\W+", "", link.name).lower()


def _to_parent(here: Situation, lesson: Lesson) -> Move | None:
    """To a page that holds the link which the example came by."""
    for url, _ in lesson.ways:
        if path(url) != path(here.page.url) and (move := _go(here, url)):
            return move
    return None


def _search(here: Situation, lesson: Lesson) -> Move | None:
    """By the site's own search, for what names the thing: never take another instead."""
    entered: set[str] = set()  # what is to be typed into the form does not say which thing it is about
    form, run = lesson.operations[lesson.done].form, lesson.operations[lesson.done].run
    if form is not None:
        known = {(action.role, action.name): action.value for action in run}
        for filling in assign(here.goal.text, here.free_values(), form.fields, known, here.frame, here.named):
            if filling.used is not None and (set(labels(called(filling.field))) & set(filling.used.before[:2])):
                entered.add(filling.used.text)
    return search(here, set(words(lesson.shown.example.instruction)) | lesson.vocabulary, entered)


# the operation


def _element(here: Situation, lesson: Lesson, action: Action) -> Element | None:
    return find(here.page, action.role, lesson.name(action.name), here.about)


def _present(here: Situation, lesson: Lesson, operation: Operation) -> bool:
    """Whether its form is here, as far as it can be seen without opening anything."""
    wanted = [a for a in (*operation.run, operation.commit) if a.role and a.role not in TOGGLE_ROLES]
    return any(True for a in wanted) and all(_element(here, lesson, a) is not None for a in wanted)


def _open(here: Situation, operation: Operation) -> Move | None:
    """Click what the example clicked on this page before its form could be used."""
    for action in operation.opened:
        element = find(here.page, action.role, action.name)
        if element is not None and not here.pressed(element):
            return click(element), "opens what is needed"
    return None


def _fill(here: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    """The next field to fill in the operation's form; None when nothing is left to fill."""
    form = _form(here, lesson, operation)
    if form is None:
        return None
    if here.goal.changes and (move := revision(here, form)):
        return move
    known = {(a.role, a.name): lesson.name(a.value) for a in operation.run}
    thing = lesson.instead.id if lesson.instead else ""
    values = [v for v in unused(here, form, here.free_values()) if not thing or v.text not in (thing, f"#{thing}")]
    values = [v for v in values if not lesson.names_thing(v.text)]
    frame = here.frame - known.keys()
    for filling in assign(here.goal.text, values, form.fields, known, frame, here.named):
        as_it_is = holds(filling.field, filling.value) and not is_locked(filling.field)
        if not as_it_is and not here.has_filled(filling.field):
            better = unfold_for(here, filling, form.fields, known, frame) if here.goal.changes else None
            return better or _unlock(here, filling.field) or (enter(filling), "a value of the instruction")
    if here.goal.changes and (move := unfold(here, here.examples)):
        return move
    return _unmarked(here, lesson, operation) or _required(here, form, known) or _toggle(here, operation, form)


def _unlock(here: Situation, field: Element) -> Move | None:
    """Choose what stands beside the field, without which it cannot be used or does not count."""
    beside = [
        e for e in here.page.elements if e.name == field.beside and e.role in TOGGLE_ROLES and e.line < field.line
    ]
    if not beside or field.line - beside[-1].line > 1 or beside[-1].has("checked"):
        return None
    return None if here.pressed(beside[-1]) else (click(beside[-1]), "what its field needs")


def _unmarked(here: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    """Where the example typed and the goal has no value: the word after the kind of thing, "the colour *mauve*"."""
    typed = [e for a in operation.run if a.kind == "fill" and (e := _element(here, lesson, a)) is not None]
    if not typed or not here.goal.changes or any(here.has_filled(e) for e in typed) or here.free_values():
        return None
    kinds = {word for part in place(operation.url, lesson.about).split() for word in labels(part)}
    tokens = re.findall(r"[^\W_][\w.-]*", here.goal.text)
    for before, token in itertools.pairwise(tokens):
        fresh = not set(labels(token)) & (lesson.vocabulary | kinds) and words(token) and token.lower() not in SYNONYMS
        fresh = fresh and token.lower() not in ("without", "but", "not", "no")
        if fresh and (set(labels(before)) & kinds or before.lower() == "as"):
            return fill(typed[0], token.rstrip(".-")), "the word that says which"
    return None


def _form(here: Situation, lesson: Lesson, operation: Operation) -> Form | None:
    """The form of the press, or where it has none of its own, of what was filled."""
    for action in (*operation.run, operation.commit):
        element = _element(here, lesson, action) if action.role else None
        if element is not None and (form := form_of(here.page, (element.role, element.name))) and form.fields:
            return form if operation.run or element.role == "button" else None
    return None


def _required(here: Situation, form: Form, known: dict[tuple[str, str], str]) -> Move | None:
    """A choice that shows only a placeholder must be made: as in the example, where the instruction says nothing."""
    for field in form.fields:
        value = known.get((field.role, field.name), "")
        if value.strip() and field.role in CHOICE_ROLES and is_empty(field) and value in field.options:
            return enter(Filling(field, value)), "as in the example, for want of a value"
    return None


def _toggle(here: Situation, operation: Operation, form: Form) -> Move | None:
    """Radio buttons are part of the way (which kind of change this is): as the lesson did. Rows: the goal's own."""
    for action in operation.run:
        if action.role not in TOGGLE_ROLES:
            continue
        rows = [e for e in form.fields if e.role == action.role and not e.name.strip()]
        if not action.name.strip() and rows:
            return _tick(here, rows)
        sense = sense_of(action.name)
        if sense and sense not in here.goal.senses:
            continue  # which kind of change it is, the goal says
        element = find(here.page, action.role, action.name)
        if action.role == "radio" and element in form.fields and element and not holds(element, ""):
            return None if here.pressed(element) else (click(element), "as in the example")
    return None


def _tick(here: Situation, rows: list[Element]) -> Move | None:
    """The row that the goal names; none, rather than another one."""
    for element in rows:
        row = row_of(here.page, element)
        cells = [cell for cell in row if len(cell) > 1]
        said = any(value.text.lower() == cell.lower() for cell in cells for value in here.goal.values) or any(
            set(words(cell)) and set(words(cell)) <= here.about for cell in cells[:1]
        )
        if said and not holds(element, "") and not here.pressed(element):
            return click(element), "the row that is asked for"
    return None


def _press(here: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    own = operation.commit
    typed = [action for action in operation.run if action.kind == "fill"]
    if typed and not here.filled:
        return None  # an empty form says nothing that anybody wanted
    last = lesson.done + 1 == len(lesson.operations)
    reason = f"as in the example, {LAST}" if last else "as in the example"
    if here.goal.changes and operation.run and not operation.changes and (move := _send(here, lesson, operation)):
        return move
    if own.kind == "finish":
        return finish(here, "the example is complete")
    if own.kind == "press" and not own.role:
        return f"press({json.dumps(own.value)})", reason
    element = _element(here, lesson, own)
    if element is None or (here.pressed(element) and own.kind == "click"):
        return None
    if own.kind == "press":
        return f"press({element.ref}, {json.dumps(own.value)})", reason
    if own.kind in ("fill", "select"):
        return None  # what it entered was nobody's wish
    return click(element), reason


def _send(here: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    """Where the example filled a form and left it: the button that sends the form."""
    form = _form(here, lesson, operation)
    button = best_button(here, form) if form and here.filled else None
    if button is None or is_shy(button.name) or not set(words(button.name)) & PRESS_WORDS:
        return None
    return click(button), f"sends the form that the example filled, {LAST}"
