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
    """By words alone, by words and vectors, and by vectors alone. 0 = there were too few examples to tell."""

    lexical: float = 0.0
    hybrid: float = 0.0
    dense: float = 0.0

    def of(self, by_words: bool, by_vectors: bool) -> float:
        """Where both are false nothing is found, and none is needed."""
        return (self.hybrid if by_vectors else self.lexical) if by_words else self.dense


#: {row: its operation} of rows
OperationsOf = Callable[[Sequence[int]], Mapping[int, str]]


def calibrated(
    folder: Path, ranker: Ranker, read: Callable[[], Sequence[LeftOut]], operations: OperationsOf
) -> Thresholds:
    """The thresholds of an index, worked out when they are first asked for and kept in its folder.

    ``read``: the examples that are asked for in other words.
    """
    file = folder / FILE
    known: dict[str, float] = json.loads(file.read_text()) if file.is_file() else {}
    ways = {"lexical": (True, False)} | ({"hybrid": (True, True), "dense": (False, True)} if ranker.dense else {})
    if missing := ways.keys() - known.keys():  # an older version knew no "dense"
        examples = read()
        known |= {name: _threshold(ranker, examples, operations, *ways[name]) for name in missing}
        write_atomically(file, json.dumps(Thresholds(**known)._asdict()).encode())
    return Thresholds(**known)


def _threshold(
    ranker: Ranker, examples: Sequence[LeftOut], operations: OperationsOf, by_words: bool, by_vectors: bool
) -> float:
    right: list[float] = []
    for left_out in examples:
        vector = ranker.asked(left_out.row) if by_vectors else None
        ranked = ranker.ranked(left_out.asked, {left_out.trajectory}, vector, by_words=by_words)
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
