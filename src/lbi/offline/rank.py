"""Which of the retrieved examples teaches what the goal asks for: how much of the goal each explains, and no more."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence

from lbi.offline.forms import CHOICE_ROLES, assign, called
from lbi.offline.goal import Goal, page_of
from lbi.offline.lesson import Lesson
from lbi.offline.lexical import contains_phrase, is_question, labels, mask, words

#: a lesson that explains less of the goal than this teaches nothing about it
CLOSE_ENOUGH = 0.33
#: the same for a question: where an answer stands is more often found by its words than by what somebody did
CLOSE_TO_ANSWER = 0.6
#: what buttons say that send a form, whatever it is for
COMMIT = frozenset(["save", "submit", "apply", "publish", "update", "ok", "confirm", "send", "change", "changes"])
#: words of labels that say nothing
FILLERS = frozenset(labels("with via chosen in on of what and text from the into"))
#: what is done, by the first word of its group of synonyms: one is not another
VERBS = frozenset(words("create change delete close find comment"))
import os
BLIND = float(os.environ.get("BLIND", "0.3"))  # how far what a form offers counts where its instruction says nothing of the goal
UNKNOWN = 0.25  # weight of a word of the goal that no lesson has a word for


def rank(lessons: Sequence[Lesson], goal: Goal, named: Collection[str] = ()) -> list[tuple[float, Lesson]]:
    """Lessons by score, the best first; ``named`` are values that are names of things seen."""
    usable = [lesson for lesson in lessons if lesson.operations]
    known = Counter(word for lesson in usable for word in _label(lesson))
    offered = {word for lesson in usable for word in lesson.vocabulary}
    asked = goal.words | frozenset(labels(mask(goal.text))) - FILLERS
    weight = {
        word: 1 / (1 + math.log(1 + known[word])) if known[word] or word in offered else UNKNOWN
        for word in asked
        if word in goal.words or known[word]
    }
    scored = [(score(lesson, goal, weight, named), lesson) for lesson in usable]
    scored.sort(key=lambda item: (-item[0], len(item[1].operations), item[1].id))
    return scored


def _label(lesson: Lesson) -> frozenset[str]:
    """Words of its instruction without its values, and without a button's name that only says that a form is sent."""
    text = mask(lesson.shown.example.instruction)
    if lesson.everywhere:  # where its form was used says nothing
        text = re.split(r" (?:on|in) ", text, maxsplit=1)[0]
    button = re.split(r" \(| with | on | in ", text, maxsplit=1)[0]
    if {word.lower() for word in re.findall(r"[A-Za-z]+", button)} <= COMMIT:
        text = text[len(button) :]
    return frozenset(labels(text)) - FILLERS


def score(lesson: Lesson, goal: Goal, weight: dict[str, float], named: Collection[str]) -> float:
    """About 0..1.3: the share of the goal explained, whether its values find a place, and what is done too much."""
    label = _label(lesson)
    thing = _thing_words(lesson, goal) - label
    asked = [word for word in weight if word not in thing]
    total = sum(weight[word] for word in asked) or 1.0
    said = sum(weight[word] for word in asked if word in label) / total
    offered = sum(weight[word] * lesson.offers.get(word, 0.0) for word in asked if word not in label) / total
    core = (label - lesson.vocabulary) | (label & weight.keys())
    precision = len(core & weight.keys()) / len(core) if core else 0.0
    # what a form offers speaks for an example only as far as its instruction does
    trust = min(1.0, BLIND + said)
    result = 0.65 * (said + trust * offered) + 0.25 * precision + 0.1 * _literal(lesson, goal)
    result += trust * 0.2 * min(_fields_said(lesson, goal), 2)
    result += _kind(lesson, goal)
    verbs = label & VERBS
    other = bool(verbs and goal.words & VERBS and not verbs & goal.words)
    result -= 0.2 * (other or "delete" in verbs - goal.words)
    places = _places(lesson, goal, named)
    result += trust * places if places > 0 else places
    return result - 0.15 * (len(lesson.operations) - 1)


def _fields_said(lesson: Lesson, goal: Goal) -> int:
    """Fields of its forms that the goal calls by their names, as they are and before a value."""
    text = goal.text.lower()
    names = {
        called(field).lower()
        for operation in lesson.operations
        for field in (operation.form.fields if operation.form and operation.run else ())
    }
    return sum(bool(name) and re.search(rf"\b{re.escape(name)}\b", text) is not None for name in names)


def _literal(lesson: Lesson, goal: Goal) -> float:
    """Share of the label's words that the goal says as they are: "delete" for "delete", not for "remove"."""
    own = set(re.findall(r"[a-z]{3,}", mask(lesson.shown.example.instruction).lower())) - FILLERS
    said = set(re.findall(r"[a-z]{3,}", goal.text.lower()))
    pressed = set(re.findall(r"[a-z]{3,}", lesson.operations[-1].commit.name.lower()))
    whole = len(pressed) > 1 and pressed <= said
    return (len(own & said) / len(own) if own else 0.0) + whole


def _kind(lesson: Lesson, goal: Goal) -> float:
    """A question wants to be led to an answer, a wish for change a change."""
    visiting = goal.question or goal.visits
    if visiting:
        return ((0.25 if goal.visits else 0.1) if lesson.visit else -0.3 if lesson.changes else 0.0) + 0.05 * (
            goal.question == is_question(lesson.shown.example.instruction)
        )
    if not goal.changes:
        return -0.3 if lesson.changes or lesson.visit else 0.0
    return -0.3 if lesson.visit else 0.05 * lesson.changes


def _thing_words(lesson: Lesson, goal: Goal) -> set[str]:
    """Words of the goal that name its thing: nothing else has to explain them."""
    if lesson.instead is None:
        return set()
    own = set(words(lesson.instead.id)) | set(words(lesson.instead.slug))
    return own | {word for name in lesson.called for word in words(name)}


def _places(lesson: Lesson, goal: Goal, named: Collection[str]) -> float:
    """Values of the goal that the lesson has a field, option or thing for; one that has none counts against it."""
    result = (
        (-0.05 if lesson.reachable else -0.18)
        if lesson.missing
        else 0.12
        if lesson.instead is not None
        else -0.1 * bool(named)
    )
    values = [v for v in goal.values if v.kind in ("quoted", "date")]
    if not values:
        return result - 0.04 * sum(len(operation.run) > 0 for operation in lesson.operations) * (not goal.question)
    used: set[int] = set()
    for operation in lesson.operations:
        form = operation.form
        if form is None or operation.visit:
            continue
        known = {(a.role, a.name): a.value for a in operation.run}
        fields = [f for f in form.fields if (f.role, f.name) in known or _asked(goal, f.name) or f.role in CHOICE_ROLES]
        used |= {f.used.start for f in assign(goal.text, values, fields, known, (), named) if f.used}
    if lesson.instead is not None:
        ids = {lesson.instead.id.lower(), lesson.instead.slug.replace("-", " ").lower()}
        used |= {v.start for v in values if v.text.lower() in ids or lesson.names_thing(v.text)}
        used |= {v.start for v in values if v.text.lower() in named and lesson.about is not None}
    label = lesson.shown.example.instruction
    used |= {
        v.start for v in values if contains_phrase(mask(label), v.text) or contains_phrase(_headings(lesson), v.text)
    }
    texts = any(action.kind == "fill" for operation in lesson.operations for action in operation.run)
    return result + 0.25 * len(used) / len(values) - (0.12 if texts else 0.2) * (len(values) - len(used))


def _asked(goal: Goal, name: str) -> bool:
    called = set(labels(name))
    return bool(called) and any(called & {*value.before[:3], *value.after[:1]} for value in goal.values)


def _headings(lesson: Lesson) -> str:
    return " ".join(page_of(lesson.operations[-1].where).headings)
