"""One step of the operation of an example, on the goal's thing and with the goal's values."""

from __future__ import annotations

import json

from lbi.observations.parse import Element
from lbi.records import Action
from lbi_offline.assign import assign, holds
from lbi_offline.examples import Operation
from lbi_offline.forms import CHOICE_ROLES, TOGGLE_ROLES, Form, find, form_of, is_empty, sends, surroundings, usable
from lbi_offline.goal import Move, Situation, click, enter, finish, goto
from lbi_offline.lesson import Atlas, Lesson
from lbi_offline.lexical import labels, words
from lbi_offline.places import bare, path_of

FROM_EXAMPLE = "as in the example"


def follow(now: Situation, lesson: Lesson, atlas: Atlas) -> Move | None:
    """The next step; None where it cannot go on."""
    operation = lesson.current
    if operation is None:  # where it changed nothing, what it led to may still have to be confirmed
        led = now.goal.changes and not lesson.procedure.changes and "find" not in now.goal.words
        return None if led else (finish(), "the example is complete")
    if not _is_at(now, lesson, operation):
        return _approach(now, lesson, operation)
    if operation.visit:
        return None if now.goal.changes else (finish(), "this is where the example leads")
    if not _is_present(now, lesson, operation):  # click what the example clicked before its form could be used
        for fold in (find(now.page, action.role, action.name) for action in operation.opened):
            if fold is not None and not now.pressed(fold):
                return click(fold), "opens what is needed"
    return _fill(now, lesson, operation, atlas) or _press(now, lesson, operation)


def _is_at(now: Situation, lesson: Lesson, operation: Operation) -> bool:
    """Whether this is the operation's page, about the goal's thing."""
    url, address = now.observation.url, lesson.address(operation.url)
    if lesson.done:
        return _is_present(now, lesson, operation)  # a later operation goes on where the one before led
    if lesson.missing:  # by the last link that was followed
        links = [step.action.name for step in now.history if step.action.role == "link"]
        return lesson.like(url) and bool(links) and links[-1] in {name for _, name in lesson.ways}
    same_query = url.partition("?")[2] == address.partition("?")[2]
    return path_of(url) == path_of(address) and (same_query or _is_present(now, lesson, operation))


def _approach(now: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    """To the operation's page; where the thing is not known, by a link beside what the goal says."""
    if not lesson.missing:
        return _go(now, lesson.address(operation.url))
    url = path_of(now.observation.url)
    for name in sorted({name for way, name in lesson.ways if path_of(way) == url}):
        element = find(now.page, "link", name, now.about)
        if element is not None and lesson.like(element.url) and not now.pressed(element):
            return click(element), "the link beside what is asked for"
    return next((move for way, _ in lesson.ways if path_of(way) != url and (move := _go(now, way))), None)


def _go(now: Situation, url: str) -> Move | None:
    """By a link if there is one, by its address otherwise; once."""
    reason = f"the way to {bare(url)}"
    for element in now.page.elements:
        if element.role == "link" and bare(element.url) == bare(url) and usable(element) and not now.pressed(element):
            return click(element), reason
    went = any(step.action.kind == "goto" and step.action.value == bare(url) for step in now.history)
    return None if went else (goto(bare(url)), reason)


def _element(now: Situation, lesson: Lesson, action: Action) -> Element | None:
    return find(now.page, action.role, lesson.name(action.name), now.about)


def _is_present(now: Situation, lesson: Lesson, operation: Operation) -> bool:
    """Whether its form is on this page, as far as it can be seen without opening anything."""
    wanted = [a for a in (*operation.entered, operation.commit) if a.role and a.role not in TOGGLE_ROLES]
    return bool(wanted) and all(_element(now, lesson, action) is not None for action in wanted)


def _form(now: Situation, lesson: Lesson, operation: Operation) -> Form | None:
    """The form of the press, or where it has none of its own, of what was entered."""
    for action in (operation.commit, *operation.entered):
        element = _element(now, lesson, action) if action.role else None
        form = form_of(now.page, (element.role, element.name)) if element is not None else None
        if form is not None and form.fields and (operation.entered or (element and element.role == "button")):
            return form
    return None


def _fill(now: Situation, lesson: Lesson, operation: Operation, atlas: Atlas) -> Move | None:
    """The next field to fill in the operation's form; None when every value has its place."""
    form = _form(now, lesson, operation)
    if form is None:
        return None
    entered = {(action.role, action.name): lesson.name(action.value) for action in operation.entered}
    free = [value for value in now.unplaced() if value.text.lower() not in lesson.names]
    for filling in assign(now.goal.text, free, form.fields, entered, atlas.names, atlas.fields):
        if not holds(filling.field, filling.value) and not now.has_filled(filling.field):
            return enter(filling.field, filling.value), "a value of the instruction"
    for field in form.fields:  # a choice that shows only a placeholder must be made
        value = entered.get((field.role, field.name), "")
        if field.role in CHOICE_ROLES and is_empty(field) and value in field.options and not now.has_filled(field):
            return enter(field, value), f"{FROM_EXAMPLE}, for want of a value"
    return _toggle(now, operation, form)


def _toggle(now: Situation, operation: Operation, form: Form) -> Move | None:
    """Radio buttons and check boxes with names as in the example; of rows without names the one that the goal names."""
    radio = any(field.role == "radio" and now.has_filled(field) for field in form.fields)
    for action in (action for action in operation.entered if action.role in TOGGLE_ROLES):
        same = [field for field in form.fields if field.role == action.role and field.name == action.name]
        field = find(now.page, action.role, action.name, now.about) if same else None
        row = action.name.strip() or (field and surroundings(now.page, field, same) & now.about)
        other = field is None or (radio and field.role == "radio") or field.has("checked")
        if field and row and not other and not now.has_filled(field) and not now.pressed(field):
            return click(field), FROM_EXAMPLE
    return None


def _press(now: Situation, lesson: Lesson, operation: Operation) -> Move | None:
    """Send the form, or press what the example pressed; an empty form says nothing unless the button says it all."""
    own = operation.commit
    asked = set(labels(own.name)) <= now.goal.spoken | now.goal.words and not sends(own.name)
    if not now.filled and not asked and any(action.kind == "fill" for action in operation.entered):
        return None
    element = _element(now, lesson, own)
    if element is None or now.pressed(element) or own.kind == "finish":
        return None
    if own.kind == "press":
        return f"press({element.ref}, {json.dumps(own.value)})", FROM_EXAMPLE
    return click(element if operation.entered else _called_by_goal(now, element)), FROM_EXAMPLE


def _called_by_goal(now: Situation, element: Element) -> Element:
    """What the example pressed, or what stands beside it and whose whole name alone the instruction says."""
    asked = set(labels(now.goal.text))
    if set(labels(element.name)) <= asked:
        return element
    beside = [e for e in now.page.elements if e.role == element.role and usable(e) and abs(e.line - element.line) <= 9]
    named = [e for e in beside if len(words(e.name)) > 1 and set(labels(e.name)) <= asked]
    return max(named, key=lambda e: len(labels(e.name)), default=element)
