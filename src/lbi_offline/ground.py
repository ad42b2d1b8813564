"""Without an example: fill in the instruction's values, press what its words name, answer what the page tells."""

from __future__ import annotations

import re

from lbi.observations.parse import Element
from lbi_offline.assign import assign, holds
from lbi_offline.forms import SHY_WORDS, TEXT_ROLES, Form, find, form_of, forms, searches, send_button, usable
from lbi_offline.goal import Move, Situation, click, enter, finish
from lbi_offline.lexical import Value, contains_phrase, labels, words
from lbi_offline.places import path_of

LEAST = 0.45  # score of a name that is worth pressing
PRESSABLE = ("link", "button", "tab", "menuitem")


def ground(now: Situation) -> Move:
    """The next action and why."""
    if now.goal.changes and now.just_changed and now.history[-1].action.role == "button":
        return finish(), "the form was sent"
    if now.history and (answer := answer_of(now)):
        return finish(answer), "the page tells"
    if now.goal.visits and _has_arrived(now):
        return finish(), "this is what was asked for"
    if (now.goal.changes or "find" in now.goal.words) and (move := _fill(now)):
        return move
    element = _best_named(now)
    if element is not None:
        return click(element), "its name is in the instruction"
    return finish(answer_of(now)), "nothing on this page is named by the instruction"


def answer_of(now: Situation) -> str:
    """The value beside the label, or in the column, whose words a question names best; "" if it names none."""
    pairs = [*now.page.pairs]
    for header, rows in now.page.tables:
        for row in rows:
            if any(len(cell) > 1 and contains_phrase(now.goal.text, cell) for cell in row):
                pairs += zip(header, row, strict=False)
    asked = now.goal.words | set(labels(now.goal.text))

    def share(pair: tuple[str, str]) -> float:
        own = set(labels(pair[0]))
        return len(own & asked) / len(own) if own and not contains_phrase(now.goal.text, pair[1]) else 0.0

    best = max(pairs, key=share, default=("", ""))
    return best[1] if now.goal.question and share(best) > 0.5 else ""


def _has_arrived(now: Situation) -> bool:
    """Whether the last step followed a link that is called by much of what the goal asks to see."""
    if not now.history or now.observation.error:
        return False
    wanted, last = now.about - {"open", "find"}, now.history[-1].action
    return last.role == "link" and 2 * len(set(words(last.name)) & wanted) >= max(1, len(wanted))


def _fill(now: Situation) -> Move | None:
    """The next value into the form whose names say most of the goal; then the button that sends it."""

    def worth(form: Form) -> int:
        return len({word for e in (*form.fields, *form.buttons) for word in labels(e.name)} & now.goal.words)

    own = [form for form in forms(now.page) if "find" in now.goal.words or not all(map(searches, form.fields))]
    for form in sorted(own, key=worth, reverse=True):
        for filling in assign(now.goal.text, _free(now), form.fields):
            if not holds(filling.field, filling.value) and not now.has_filled(filling.field):
                return enter(filling.field, filling.value), "a value of the instruction"
        button = send_button(form, now.goal.words) if any(map(now.has_filled, form.fields)) else None
        if button is not None and not now.pressed(button):
            return click(button), "the form is filled"
    return None


def _free(now: Situation) -> list[Value]:
    """Values to be entered: not those that the page's title says, unless the name of a field stands before them."""
    fields = {word for form in forms(now.page) for field in form.fields for word in labels(field.name)}
    return [v for v in now.unplaced() if fields & set(v.before[:1]) or not contains_phrase(now.page.title, v.text)]


def _best_named(now: Situation) -> Element | None:
    """What is called most like the instruction, of what was not pressed yet and leads to where nobody was."""
    visited = {path_of(observation.url) for observation in now.seen}
    clicked = {(step.action.role, step.action.name) for step in now.history}
    scored = [
        (_name_score(element, now), -element.line, element)
        for element in now.page.elements
        if element.role in PRESSABLE and usable(element) and (element.role, element.name) not in clicked
        if not (element.url and path_of(element.url) in visited)
        if element.role != "button" or (now.goal.changes and not _sends_nothing(now, element))
    ]
    score, _, best = max(scored, key=lambda item: item[:2], default=(0.0, 0, None))
    return find(now.page, best.role, best.name, now.about) if best and score > LEAST else None


def _name_score(element: Element, now: Situation) -> float:
    name, text = set(words(element.name)), element.name.strip()
    if not name or not re.search(r"[^\W\d_]{2}|#\d", text):
        return 0.0
    values = [value.text for value in now.goal.values if len(value.text) > 2]
    # "Green lamp" calls the link "#7: Green lamp" too
    called = any(text.lower() == value.lower() or (" " in value and contains_phrase(text, value)) for value in values)
    hits = len(name) if called else len(name & now.goal.words)
    return hits / len(name) + 0.1 * hits - 0.5 * bool(name & SHY_WORDS - now.goal.words)


def _sends_nothing(now: Situation, button: Element) -> bool:
    """Whether the button is of a form with texts in which nothing was entered."""
    form = form_of(now.page, (button.role, button.name))
    typed = form is not None and any(field.role in TEXT_ROLES for field in form.fields)
    return typed and form is not None and not any(map(now.has_filled, form.fields))
