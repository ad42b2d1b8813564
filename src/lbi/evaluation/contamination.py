"""Held-out tasks x synthesised instructions -> the nearest instruction of each task, and whether it is a duplicate.

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

NEAR = 0.9
_CHUNK = 2_000  # instructions that are compared at a time, for memory

Bag = Counter[str]
Floats = npt.NDArray[np.float64]


class Nearest(Record):
    """The synthesised instruction that resembles a held-out task most; ``example`` is "" where there is none."""

    task: str  # its name, or its id
    instruction: str
    example: str = ""
    nearest: str = ""
    similarity: float = 0.0  # 0..1
    flag: bool = False  # an exact or near duplicate
    exact: bool = False


def nearest(tasks: Sequence[Task], instructions: Sequence[tuple[str, str]], *, near: float = NEAR) -> list[Nearest]:
    """For each task the (example id, instruction) with the highest similarity; of equal ones the same text first.

    Similarity is the larger of the Jaccard index of the words and the cosine of the counts of three-character runs,
    both after folding case, punctuation and blanks; 1 means equal after folding. Above ``near`` it is a near duplicate.
    """
    asked = [_fold(task.instruction) for task in tasks]
    offered = [_fold(instruction) for _, instruction in instructions]
    scores = np.full(len(tasks), -1.0)
    best = np.zeros(len(tasks), dtype=np.int64)
    for start in range(0, len(offered), _CHUNK):
        block = similarities(asked, offered[start : start + _CHUNK])
        top = block.argmax(axis=1)
        found = block[np.arange(len(tasks)), top]
        best = np.where(found > scores, start + top, best)
        scores = np.maximum(scores, found)
    same = {folded: at for at, folded in reversed(list(enumerate(offered)))}
    best = np.array([same.get(folded, at) for folded, at in zip(asked, best, strict=True)], dtype=np.int64)
    return [
        _nearest(task, instructions[int(at)] if instructions else None, float(score), folded, near)
        for task, folded, at, score in zip(tasks, asked, best, scores, strict=True)
    ]


def _nearest(task: Task, found: tuple[str, str] | None, score: float, folded: str, near: float) -> Nearest:
    name = task.name or task.id
    if found is None:
        return Nearest(task=name, instruction=task.instruction)
    example, text = found
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
    """Similarity of each folded text on the left with each on the right: (left, right), 0..1."""
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
    """Products of the bags. Only what occurs on the left needs a column: nothing else can contribute."""
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
    """Words in lower case with one blank between them; what is said in other punctuation is the same."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", plain).strip()


def _words(folded: str) -> Bag:
    return Counter(set(folded.split()))


def _runs(folded: str) -> Bag:
    padded = f" {folded} "
    return Counter(padded[at : at + 3] for at in range(len(padded) - 2))
