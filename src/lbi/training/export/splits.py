"""The split into training and validation by lineage: {"m3f9...": "train"} by example id.

Examples of one document, task or trajectory resemble each other, so all of them are on one side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

from lbi.records import digest_of
from lbi.training.export.turns import Side, TrainingExample

Told = Literal["with an instruction that is trained on"]
SideOrTold = Side | Told | None
TOLD: Told = "with an instruction that is trained on"  # in place of a side: what is known already validates nothing
_UNKNOWN = ""  # root of an example whose parents are not among the examples


def root_of(lesson: TrainingExample) -> str:
    """The root of an example's lineage: its document, else its task, else its trajectory."""
    task = lesson.trajectory.task
    if document := lesson.example.document or task.document:
        return f"document {document}"
    if task.instruction.strip():
        return f"task {digest_of([task.environment, task.instruction])}"
    return f"trajectory {lesson.trajectory.id}"


def sides_of(lessons: Sequence[TrainingExample], split: float, seed: int) -> dict[str, Side | None]:
    """{example id: side}; None if its roots are on both sides, or are not known. ``split`` = 0: all are for training.

    A composed example is on the side of the examples that it was composed of. It never moves other examples: if they
    are on different sides, it gets None.
    """
    roots = _roots(lessons)
    plain: dict[str, set[str]] = {}
    composed: dict[str, set[str]] = {}
    for lesson in lessons:
        group = composed if lesson.example.parents else plain
        group.setdefault(lesson.trajectory.id, set()).update(roots[lesson.example.id])
    sides: dict[str, Side | None] = {}
    for lesson in lessons:
        trajectory_roots = plain.get(lesson.trajectory.id) or composed[lesson.trajectory.id]
        root_sides = {_side(root, split, seed) for root in roots[lesson.example.id] | trajectory_roots}
        sides[lesson.example.id] = "train" if split == 0 else root_sides.pop() if len(root_sides) == 1 else None
    return sides


def without_told(lessons: Sequence[TrainingExample], sides: Mapping[str, Side | None]) -> dict[str, SideOrTold]:
    """The sides, with TOLD for an example for validation whose instruction an example for training has too.

    Two documents may lead to the same instruction, and roll-outs of two tasks to the same steps. Whatever part of the
    training set is taken in the end, validation is the same.
    """
    kept = [lesson for lesson in lessons if lesson.example.kept]
    trained = {_said(lesson) for lesson in kept if sides[lesson.example.id] == "train"}
    validation = [lesson for lesson in kept if sides[lesson.example.id] == "validation"]
    told = {lesson.example.id for lesson in validation if _said(lesson) in trained}
    return {example: TOLD if example in told else side for example, side in sides.items()}


def _said(lesson: TrainingExample) -> str:
    return " ".join(lesson.example.instruction.casefold().split())


def _roots(lessons: Sequence[TrainingExample]) -> dict[str, frozenset[str]]:
    """The roots of each example; a composed one has those of its parents, as it contains their steps."""
    lesson_of = {lesson.example.id: lesson for lesson in lessons}
    known: dict[str, frozenset[str]] = {}

    def roots_of(example: str) -> frozenset[str]:
        if example not in lesson_of:
            return frozenset({_UNKNOWN})
        if example not in known:
            lesson = lesson_of[example]
            parts = frozenset().union(*(roots_of(parent) for parent in lesson.example.parents))
            documents = {lesson.example.document, lesson.trajectory.task.document} - {""}
            own = {f"document {document}" for document in documents}
            known[example] = (parts | own) if parts else frozenset({root_of(lesson)})
        return known[example]

    return {example: roots_of(example) for example in lesson_of}


def _side(root: str, split: float, seed: int) -> Side | None:
    """The side of a root, by a hash, so that it depends neither on the order nor on what is added later."""
    if root == _UNKNOWN:
        return None
    digest = hashlib.blake2b(f"{seed}:{root}".encode(), digest_size=8).digest()
    return "validation" if int.from_bytes(digest, "big") / 2**64 < split else "train"
