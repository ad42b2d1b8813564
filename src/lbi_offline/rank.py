"""Which of the retrieved examples teaches what the goal asks for: how much of the goal each explains, and no more."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from lbi_offline.assign import assign, is_labelled
from lbi_offline.forms import SEND_WORDS, called
from lbi_offline.goal import Goal
from lbi_offline.lesson import Atlas, Lesson
from lbi_offline.lexical import contains_phrase, is_question, labels, mask, words

CLOSE_ENOUGH = 0.35  # a lesson that scores less teaches nothing about the goal
VERBS = frozenset(words("create change delete close find"))
UNKNOWN = 0.25  # weight of a word of the goal that no lesson says

#: what speaks for a lesson, and how much
WEIGHTS = {
    "explained": 0.6,  # share of the goal's words that its instruction says, or that name the goal's thing
    "offered": 0.35,  # ... that only its forms say: names of fields, options, headings
    "precision": 0.3,  # share of its instruction's words that the goal says
    "button": 0.15,  # the goal says the whole name of its button
    "unsaid": -0.3,  # share of the words of its button, where they do not only send a form, that the goal does not say
    "placed": 0.25,  # share of the goal's values that its forms have a place for
    "homeless": -0.2,  # number of the goal's quoted values that they have no place for, twice if it says which place
    "thing": 0.15,  # the goal's thing is known
    "missing": -0.25,  # it is about a thing, and the goal names none of the kind
    "purpose": 0.3,  # it leads somewhere and the goal asks to be told or shown, or it changes what is to be changed
    "destroys": -0.4,  # it deletes and the goal does not, or the other way round
    "verbs": -0.25,  # what it does is something else than what the goal asks for
    "long": -0.1,  # operations beyond the first
}


def rank(lessons: Sequence[Lesson], goal: Goal, atlas: Atlas) -> list[tuple[float, Lesson]]:
    """Lessons by score, the best first."""
    usable = [lesson for lesson in lessons if lesson.operations]
    weights = weigh(usable, goal)
    shares = [(features(lesson, goal, weights, atlas), lesson) for lesson in usable]
    scored = [(sum(WEIGHTS[name] * value for name, value in own.items()), lesson) for own, lesson in shares]
    return sorted(scored, key=lambda item: (-item[0], len(item[1].operations), item[1].procedure.id))


def weigh(lessons: Sequence[Lesson], goal: Goal) -> dict[str, float]:
    """Words of the goal, and how much each tells: the fewer lessons say it, the more."""
    count = Counter(word for lesson in lessons for word in lesson.procedure.label)
    offered = {word for lesson in lessons for word in lesson.procedure.offers}
    asked = goal.words | {word for word in labels(mask(goal.text)) if count[word]}
    for value in goal.values:  # "set "Email notifications" to ..."
        if value.kind == "quoted" and any(_is_field(lesson, value.text) for lesson in lessons):
            asked |= set(labels(value.text))
    known = {word for word in asked if count[word] or word in offered}
    return {word: 1 / (1 + math.log(1 + count[word])) if word in known else UNKNOWN for word in asked}


def features(lesson: Lesson, goal: Goal, weights: Mapping[str, float], atlas: Atlas) -> dict[str, float]:
    """By the names of ``WEIGHTS``; what is left out is 0."""
    label = lesson.procedure.label
    total = sum(weights.values()) or 1.0
    thing = {word for name in lesson.names for word in words(name)} & weights.keys()
    explained = sum(weights[word] for word in weights.keys() & label | thing) / total
    rest = (weights.keys() & lesson.procedure.offers) - label - thing
    button = lesson.operations[-1].commit.name
    special = set(words(button)) - SEND_WORDS
    return {
        "explained": explained,
        # what a form offers speaks for an example only as far as its instruction does
        "offered": min(1.0, 0.2 + explained) * sum(weights[word] for word in rest) / total,
        "precision": len(label & (weights.keys() | goal.spoken)) / len(label) if label else 0.0,
        "button": float(len(button.split()) > 1 and set(labels(button)) <= set(labels(goal.text))),
        "unsaid": len(special - goal.spoken - goal.words) / len(special) if special and goal.changes else 0.0,
        "thing": float(lesson.instead is not None),
        "missing": (0.2 if lesson.ways else 1.0) if lesson.missing else 0.0,
        "purpose": _purpose(lesson, goal),
        "long": len(lesson.operations) - 1.0,
        **_verbs(lesson, goal),
        **_values(lesson, goal, atlas),
    }


def _purpose(lesson: Lesson, goal: Goal) -> float:
    """A question or a visit wants to be led somewhere, a wish for change a change."""
    if goal.changes:
        return -1.0 if lesson.procedure.visit else 0.2 if lesson.procedure.changes else -0.3
    alike = 0.2 * (goal.question == is_question(lesson.procedure.instruction))
    return alike + (-1.0 if lesson.procedure.changes else 0.5 if lesson.procedure.visit else 0.0)


def _verbs(lesson: Lesson, goal: Goal) -> dict[str, float]:
    """What is done must be what is asked for: to create something, to change it and to delete it are three things."""
    own, asked = lesson.procedure.label & VERBS, goal.words & VERBS
    if goal.question:
        return {}
    if ("delete" in own) != ("delete" in asked):
        return {"destroys": 1.0}
    creates = lesson.procedure.changes and ("create" in own) != goal.makes
    differ = (creates or not own & asked) if asked else bool(own)
    return {"verbs": (1.0 if own and asked else 0.4) * differ}


def _is_field(lesson: Lesson, text: str) -> bool:
    """Whether a quoted text is the name of a field of the lesson's forms."""
    own = set(labels(text))
    return any(set(labels(called(field))) == own for operation in lesson.operations for field in operation.fields)


def _values(lesson: Lesson, goal: Goal, atlas: Atlas) -> dict[str, float]:
    """Whether the goal's values find a field, an option or a thing."""
    values = [value for value in goal.values if value.kind in ("quoted", "date")]
    label, things = mask(lesson.procedure.instruction), lesson.names | (atlas.names if lesson.about else frozenset())
    known = [v.text.lower() in things or contains_phrase(label, v.text) or _is_field(lesson, v.text) for v in values]
    left = [value for value, at_home in zip(values, known, strict=True) if not at_home]
    if not left:  # nothing is to be entered
        types = any(action.kind == "fill" for operation in lesson.operations for action in operation.entered)
        return {"placed": float(bool(values)), "homeless": 0.5 * (types and goal.changes)}
    placed: set[int] = set()
    for operation in lesson.operations:
        entered = {(action.role, action.name): action.value for action in operation.entered}
        fields = () if operation.visit else operation.fields
        fillings = assign(goal.text, left, fields, entered, atlas.names, atlas.fields)
        placed |= {filling.used.start for filling in fillings if filling.used}
    lost = [value for value in left if value.start not in placed]
    homeless = float(len(lost) + sum(is_labelled(value, atlas.fields) for value in lost))
    return {"placed": (sum(known) + len(placed)) / len(values), "homeless": homeless}
