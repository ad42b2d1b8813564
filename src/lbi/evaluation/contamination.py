"""Contamination: finds the synthesised instruction nearest to each held-out task, and says whether it is a duplicate.

Nearest(task="ticket-create-minimal", example="m3f9...", similarity=0.41, flag=False)
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lbi.records import Record, Task

NEAR = 0.9  # similarity above which an instruction is a near duplicate
_CHUNK = 2_000  # instructions compared at a time, to limit memory

Bag = Counter[str]
Floats = npt.NDArray[np.float64]


class Nearest(Record):
    """The synthesised instruction most similar to a held-out task; ``example`` is "" if there are no instructions."""

    task: str  # its name, or its id
    instruction: str
    example: str = ""
    nearest: str = ""
    similarity: float = 0.0  # 0..1
    flag: bool = False  # an exact or near duplicate
    exact: bool = False


def nearest(tasks: Sequence[Task], instructions: Sequence[tuple[str, str]], *, near: float = NEAR) -> list[Nearest]:
    """For each task the most similar of ``instructions``, which are pairs (example id, instruction).

    Similarity is the larger of two numbers: the Jaccard index of the sets of words, and the cosine of the counts of
    three-character sequences, both after folding case, punctuation and blanks. 1 means equal after folding; above
    ``near`` it is a near duplicate. Of equally similar instructions one with the same text is taken, else the first.
    """
    folded_tasks = [_fold(task.instruction) for task in tasks]
    folded_instructions = [_fold(instruction) for _, instruction in instructions]
    scores = np.full(len(tasks), -1.0)
    best = np.zeros(len(tasks), dtype=np.int64)
    for start in range(0, len(folded_instructions), _CHUNK):
        block = similarities(folded_tasks, folded_instructions[start : start + _CHUNK])
        top = block.argmax(axis=1)
        block_scores = block[np.arange(len(tasks)), top]
        best = np.where(block_scores > scores, start + top, best)
        scores = np.maximum(scores, block_scores)
    row_of_text = {folded: row for row, folded in reversed(list(enumerate(folded_instructions)))}
    best = np.array(
        [row_of_text.get(folded, row) for folded, row in zip(folded_tasks, best, strict=True)], dtype=np.int64
    )
    return [
        _nearest(task, instructions[int(row)] if instructions else None, float(score), folded, near)
        for task, folded, row, score in zip(tasks, folded_tasks, best, scores, strict=True)
    ]


def _nearest(task: Task, match: tuple[str, str] | None, score: float, folded: str, near: float) -> Nearest:
    name = task.name or task.id
    if match is None:
        return Nearest(task=name, instruction=task.instruction)
    example, text = match
    exact = _fold(text) == folded
    return Nearest(
        task=name,
        instruction=task.instruction,
        example=example,
        nearest=text,
        similarity=1.0 if exact else score,
        flag=exact or score > near,
        exact=exact,
    )


def similarities(left: Sequence[str], right: Sequence[str]) -> Floats:
    """The similarity of each folded text on the left to each on the right: shape (left, right), values 0..1."""
    return np.maximum(_jaccard(left, right), _cosine(left, right))


def _jaccard(left: Sequence[str], right: Sequence[str]) -> Floats:
    ours, theirs = [_words(text) for text in left], [_words(text) for text in right]
    shared = _dot(ours, theirs)
    sizes = np.array([len(bag) for bag in ours], dtype=np.float64)
    either = sizes[:, None] + np.array([len(bag) for bag in theirs]) - shared
    return _over(shared, either)


def _cosine(left: Sequence[str], right: Sequence[str]) -> Floats:
    ours, theirs = [_runs(text) for text in left], [_runs(text) for text in right]
    return np.minimum(_over(_dot(ours, theirs), _lengths(ours)[:, None] * _lengths(theirs)), 1.0)


def _dot(ours: Sequence[Bag], theirs: Sequence[Bag]) -> Floats:
    """Dot products of the counts: shape (ours, theirs). Only what occurs in ``ours`` contributes, and has a column."""
    columns = {name: at for at, name in enumerate(dict.fromkeys(name for bag in ours for name in bag))}

    def table(bags: Sequence[Bag]) -> Floats:
        cells = [
            (row, columns[name], bag[name]) for row, bag in enumerate(bags) for name in bag.keys() & columns.keys()
        ]
        dense = np.zeros((len(bags), len(columns)))
        if cells:
            rows, at, counts = zip(*cells, strict=True)
            dense[rows, at] = counts
        return dense

    products: Floats = np.matmul(table(ours), table(theirs).T)
    return products


def _lengths(bags: Sequence[Bag]) -> Floats:
    squares = (sum(count * count for count in bag.values()) for bag in bags)
    return np.array([math.sqrt(square) for square in squares], dtype=np.float64)


def _over(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _fold(text: str) -> str:
    """The words of a text in lower case, without punctuation, with one blank between them."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", plain).strip()


def _words(folded: str) -> Bag:
    return Counter(set(folded.split()))


def _runs(folded: str) -> Bag:
    padded = f" {folded} "
    return Counter(padded[at : at + 3] for at in range(len(padded) - 2))
