"""Instruction, history, page and retrieved examples -> the next action and why.

It follows the example that explains the goal, and without one grounds the instruction's words in the page.
"""

from __future__ import annotations

from lbi.protocols import Fields
from lbi_offline.examples import procedure_of
from lbi_offline.follow import follow
from lbi_offline.goal import Goal, Move, Situation, finish
from lbi_offline.ground import answer_of, ground
from lbi_offline.lesson import Atlas, Lesson
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
    ranked = rank(lessons, now.goal, atlas.names)
    least = max(CLOSE_ENOUGH, NEAR_THE_BEST * ranked[0][0]) if ranked else CLOSE_ENOUGH
    near = [lesson for score, lesson in ranked if score >= least]
    begun = any(lesson.done and lesson.current for lesson in near)
    if now.goal.changes and now.just_changed and not begun and _is_placed(now, atlas.names):
        return finish(), "the form was sent with every value of the instruction"
    # half of one and half of another is neither: what was begun comes first
    for lesson in sorted(near, key=lambda lesson: -lesson.done):
        presses = any(operation.commit.role == "button" and not operation.entered for operation in lesson.operations)
        if not now.goal.changes and (lesson.procedure.changes or presses):
            continue
        move = follow(now, lesson, atlas.names)
        if move is not None and not now.tried(move[0]):
            return (finish(answer_of(now)), move[1]) if move[0] == finish() else move
    return ground(now)


def _is_placed(now: Situation, names: frozenset[str]) -> bool:
    """Whether the goal's quoted values were sent, but for those that are names of existing things; some were."""
    left = {value.start for value in now.unplaced() if value.kind == "quoted" and value.text.lower() not in names}
    return not left and len(now.unplaced()) < len(now.goal.values)
