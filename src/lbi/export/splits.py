"""Lineage of examples -> the side of a train/validation split: {"m3f9...": "train"} by example.

Examples of one document, task or trajectory resemble each other, so together they are on one side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lbi.export.turns import Lesson, Side
from lbi.records import digest_of

_UNKNOWN = ""  # the root of a part that is not among the examples


def root_of(lesson: Lesson) -> str:
    """What an example comes from: its document, else its task, else its trajectory."""
    task = lesson.trajectory.task
    if document := lesson.example.document or task.document:
        return f"document {document}"
    if task.instruction.strip():
        return f"task {digest_of([task.environment, task.instruction])}"
    return f"trajectory {lesson.trajectory.id}"


def sides_of(lessons: Sequence[Lesson], split: float, seed: int) -> dict[str, Side | None]:
    """The side of each example by its id; None where what it was made of is on both sides, or not known.

    A composed example follows its parts. It never moves the others of its trajectory: if they disagree, it goes.
    """
    roots = _roots(lessons)
    plain: dict[str, set[str]] = {}
    composed: dict[str, set[str]] = {}
    for lesson in lessons:
        group = composed if lesson.example.parents else plain
        group.setdefault(lesson.trajectory.id, set()).update(roots[lesson.example.id])
    sides: dict[str, Side | None] = {}
    for lesson in lessons:
        around = plain.get(lesson.trajectory.id) or composed[lesson.trajectory.id]
        found = {_side(root, split, seed) for root in roots[lesson.example.id] | around}
        sides[lesson.example.id] = "train" if split == 0 else found.pop() if len(found) == 1 else None
    return sides


def _roots(lessons: Sequence[Lesson]) -> dict[str, frozenset[str]]:
    """The roots of each example; those of a composed one are its parts', as it holds their steps."""
    lesson_of = {lesson.example.id: lesson for lesson in lessons}
    known: dict[str, frozenset[str]] = {}

    def of(example: str) -> frozenset[str]:
        if example not in lesson_of:
            return frozenset({_UNKNOWN})
        if example not in known:
            lesson = lesson_of[example]
            parts = frozenset().union(*(of(parent) for parent in lesson.example.parents))
            documents = {lesson.example.document, lesson.trajectory.task.document} - {""}
            own = {f"document {document}" for document in documents}
            known[example] = (parts | own) if parts else frozenset({root_of(lesson)})
        return known[example]

    return {example: of(example) for example in lesson_of}


def _side(root: str, split: float, seed: int) -> Side | None:
    """A hash decides, so that neither the order nor what is added later moves anything to the other side."""
    if root == _UNKNOWN:
        return None
    digest = hashlib.blake2b(f"{seed}:{root}".encode(), digest_size=8).digest()
    return "validation" if int.from_bytes(digest, "big") / 2**64 < split else "train"
