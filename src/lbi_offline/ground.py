"""Without an example: fill in the instruction's values, press what its words name, answer what the page tells."""

from __future__ import annotations

import re

from lbi.observations.parse import Element
from lbi.records import Action
from lbi_offline.assign import assign, field_names, holds
from lbi_offline.forms import SHY_WORDS, TEXT_ROLES, Form, find, forms, searches, send_button, usable
from lbi_offline.goal import Move, Situation, click, enter, finish
from lbi_offline.lexical import contains_phrase, labels, words
from lbi_offline.places import path_of, pattern

LEAST = 0.45  # score of a name that is worth pressing
_SEVERAL = re.compile(r"^(?:which|what) (?:of|(?!(?:is|was|does|has)\b)\w+s)\b|\btheir \w+s\b", re.IGNORECASE)
_COUNTS = re.compile(r"\b(?:numbers?|code|how (?:many|much|long|old|far)|price|year)\b", re.IGNORECASE)
_AMOUNTS = set(labels("quantity count number amount total"))
PRESSABLE = ("link", "button", "tab", "menuitem")


def ground(now: Situation, *, more: bool = False) -> Move:
    """The next action and why; ``more`` = what was sent was not all that the instruction has fields for."""
    if now.goal.changes and now.just_changed and not more and now.history[-1].action.role == "button":
        return finish(), "the form was sent"
    if now.history and (answer := answer_of(now)):
        return finish(answer), "the page tells"
    wanted, last = now.about - {"open", "find"}, now.history[-1].action if now.history else Action(text="")
    arrived = last.role == "link" and 2 * len(set(words(last.name)) & wanted) >= max(1, len(wanted))
    if now.goal.visits and arrived and not now.observation.error:
        return finish(), "this is what was asked for"
    if (now.goal.changes or "find" in now.goal.words) and (move := _fill(now)):
        return move
    element = _best_named(now)
    if element is not None:
        return click(element), "its name is in the instruction"
    return finish(answer_of(now) or reading(now)), "nothing on this page is named by the instruction"


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


def reading(now: Situation) -> str:
    """What a page without such a label says of a question: the things it lists, or its nearest sentence or number."""
    listed: dict[tuple[str, ...], list[str]] = {}
    for link in (e for e in now.page.elements if e.role == "link" and pattern(e.url)[-1:] == ("*",)):
        listed.setdefault(pattern(link.url), []).append(link.name)
    if now.goal.question and _SEVERAL.search(now.goal.text) and listed:
        return ", ".join(dict.fromkeys(max((len(names), names) for names in listed.values())[1]))
    asked = now.goal.words | (_AMOUNTS if "how many" in now.goal.text.lower() else set())
    counts = _COUNTS.search(now.goal.text)  # then only what says a number
    sentences = [part for text in now.page.texts for part in re.split(r"(?<=[.!?])\s+", text)]
    shared = [(len({*words(text)} & asked), -at, text) for at, text in enumerate(sentences)]
    count, _, best = max((s for s in shared if not counts or re.search(r"\d", s[2])), default=(0, 0, ""))
    number = re.search(r"\d+(?:[.,:-]\d+)*", best if counts else "")
    return (number[0] if number else best)[:200] if now.goal.question and count else ""


def _fill(now: Situation) -> Move | None:
    """The next value into the form whose names say most of the goal; then the button that sends it."""

    def worth(form: Form) -> int:
        return len({word for e in (*form.fields, *form.buttons) for word in labels(e.name)} & now.goal.words)

    # not what the page's title says, unless the name of a field stands before it
    fields = {word for form in forms(now.page) for field in form.fields for word in labels(field.name)}
    titled = [value for value in now.unplaced() if contains_phrase(now.page.title, value.text)]
    free = [value for value in now.unplaced() if value not in titled or fields & set(value.before[:1])]
    known = field_names(element for page in now.pages for element in page.elements)
    own = [form for form in forms(now.page) if "find" in now.goal.words or not all(map(searches, form.fields))]
    for form in sorted(own, key=worth, reverse=True):
        for filling in assign(now.goal.text, free, form.fields, known=known):
            if not holds(filling.field, filling.value) and not now.has_filled(filling.field):
                return enter(filling.field, filling.value), "a value of the instruction"
        button = send_button(form, now.goal.words) if any(map(now.has_filled, form.fields)) else None
        if button is not None and not now.pressed(button):
            return click(button), "the form is filled"
    return None


def _best_named(now: Situation) -> Element | None:
    """What is called most like the instruction, of what was not pressed yet and leads to where nobody was."""
    visited = {path_of(observation.url) for observation in now.seen}
    texts = [form for form in forms(now.page) if any(field.role in TEXT_ROLES for field in form.fields)]
    vain = [button for form in texts if not any(map(now.has_filled, form.fields)) for button in form.buttons]
    clicked = {(step.action.role, step.action.name) for step in now.history}
    scored = [
        (_name_score(element, now), -element.line, element)
        for element in now.page.elements
        if element.role in PRESSABLE and usable(element) and (element.role, element.name) not in clicked
        if not (element.url and path_of(element.url) in visited)
        if element.role != "button" or (now.goal.changes and element not in vain)
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
    shy = SHY_WORDS | ({"create"} if now.goal.words & {"change", "delete"} else set())  # what is there is not made anew
    return hits / len(name) + 0.1 * hits - 0.5 * bool(name & shy - now.goal.words)
