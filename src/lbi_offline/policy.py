"""Instruction, history, page and retrieved examples -> the next action and why."""

from __future__ import annotations

import re

from lbi.protocols import Fields
from lbi_offline.assign import field_names, is_labelled
from lbi_offline.examples import procedure_of
from lbi_offline.follow import follow
from lbi_offline.forms import enters, searches
from lbi_offline.goal import Goal, Move, Situation, finish
from lbi_offline.ground import answer_of, ground, reading
from lbi_offline.lesson import Atlas, Lesson
from lbi_offline.lexical import Value, labels
from lbi_offline.rank import CLOSE_ENOUGH, rank

NEAR_THE_BEST = 0.7  # share of the best lesson's score that another must have to take its place


def act(fields: Fields) -> Move:
    """Follow the best example that can be followed, or ground the instruction's words in the page."""
    assert fields.task is not None
    assert fields.observation is not None
    now = Situation(Goal(fields.task.instruction), fields.observation, fields.history)
    procedures = [procedure_of(shown) for shown in fields.examples]
    atlas = Atlas(now.goal, procedures, now.pages)
    lessons = [Lesson(procedure, now, atlas) for procedure in procedures if procedure.operations]
    ranked = rank(lessons, now.goal, atlas)
    least = max(CLOSE_ENOUGH, NEAR_THE_BEST * ranked[0][0]) if ranked else CLOSE_ENOUGH
    near = [lesson for score, lesson in ranked if score >= least]
    deeds = [(step.action, enters(step.action), set(labels(step.action.name))) for step in now.history]
    acted = any(entered or (action.role == "button" and name <= now.goal.spoken) for action, entered, name in deeds)
    begun = any(lesson.done and lesson.current for lesson in near)
    if now.goal.changes and now.just_changed and not begun and acted and not _left(now, atlas.names):
        return finish(), "the form was sent with every value of the instruction"
    # half of one and half of another is neither: what was begun comes first
    for lesson in sorted(near, key=lambda lesson: -lesson.done):
        if _is_beside(lesson, now, atlas.names):
            continue
        move = follow(now, lesson, atlas)
        if move is not None and move[0] == finish() and now.goal.changes and _left(now, atlas.names):
            continue  # what the example did is done, and more was asked for
        if move is not None and not now.tried(move[0]):
            return (finish(answer_of(now) or reading(now)), move[1]) if move[0] == finish() else move
    return ground(now, more=any(is_labelled(value, atlas.fields) for value in _left(now, atlas.names)))


def _is_beside(lesson: Lesson, now: Situation, names: frozenset[str]) -> bool:
    """Whether it changes something where nothing is to be, or where something is, only searches or lacks a field."""
    if not now.goal.changes:
        presses = any(operation.commit.role == "button" and not operation.entered for operation in lesson.operations)
        return lesson.procedure.changes or presses
    free = _left(now, names | lesson.names)
    own = field_names(field for operation in lesson.operations for field in operation.fields)
    here = [value for value in free if is_labelled(value, field_names(now.page.elements))]
    named = [value for value in free if re.search(r"\bthe \w+\s+$", now.goal.text[: value.start])]
    said = lesson.procedure.label | lesson.procedure.offers
    lacks = any(not is_labelled(v, own) for v in here) or any(not said & set(v.before[:1]) for v in named)
    searching = all(o.fields and all(map(searches, o.fields)) for o in lesson.operations)
    return lacks or (searching and "find" not in now.goal.words)


def _left(now: Situation, names: frozenset[str]) -> list[Value]:
    """Quoted values that were not sent and are no names of existing things."""
    return [value for value in now.unplaced() if value.kind == "quoted" and value.text.lower() not in names]
