"""An index of examples -> the score from which on an example is worth showing, by leaving one out at a time.

The instructions of about 200 examples are looked up among the examples of other roll-outs. The threshold is the score
that nearly all of those reach that turn out to be of the same operation. No held-out task has a part in it. Half of
their words are left out, as all labels have one author, and who asks later words it otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lbi.retrieval.ranking import Ranker, Scored
from lbi.storage.files import write_atomically

KEPT = 0.95  # of the right ones that are found among the first
AMONG = 5  # first examples, each of another operation
LEAST = 20  # right ones from which on a threshold means something
FILE = "threshold.json"


class LeftOut(NamedTuple):
    """An example as a request: its instruction in other words, the roll-out that must not answer it, its operation."""

    row: int
    asked: str
    trajectory: str
    operation: str


class Thresholds(NamedTuple):
    """By words alone, and by words and vectors. 0 = there were too few examples to tell."""

    lexical: float = 0.0
    hybrid: float = 0.0


#: {row: its operation} of rows
OperationsOf = Callable[[Sequence[int]], Mapping[int, str]]


def calibrated(
    folder: Path, ranker: Ranker, read: Callable[[], Sequence[LeftOut]], operations: OperationsOf
) -> Thresholds:
    """The thresholds of an index, worked out when they are first asked for and kept in its folder.

    ``read``: the examples that are asked for in other words.
    """
    file = folder / FILE
    if not file.is_file():
        examples = read()
        hybrid = _threshold(ranker, examples, operations, dense=True) if ranker.dense else 0.0
        thresholds = Thresholds(_threshold(ranker, examples, operations, dense=False), hybrid)
        write_atomically(file, json.dumps(thresholds._asdict()).encode())
    return Thresholds(**json.loads(file.read_text()))


def _threshold(ranker: Ranker, examples: Sequence[LeftOut], operations: OperationsOf, *, dense: bool) -> float:
    right: list[float] = []
    for left_out in examples:
        vector = ranker.asked(left_out.row) if dense else None
        ranked = ranker.ranked(left_out.asked, {left_out.trajectory}, vector)
        operation_of = operations([row for row, _ in ranked])
        right += [
            score for row, score in first_of_each(ranked, operation_of) if operation_of[row] == left_out.operation
        ]
    return quantile(right, 1 - KEPT) if len(right) >= LEAST else 0.0


def first_of_each(ranked: Sequence[Scored], operations: Mapping[int, str]) -> list[Scored]:
    """The best example of each operation, for the first operations of a ranking."""
    first: dict[str, Scored] = {}
    for row, score in ranked:
        first.setdefault(operations[row], (row, score))
        if len(first) == AMONG:
            break
    return list(first.values())


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values is below."""
    return sorted(values)[int(share * len(values))]
