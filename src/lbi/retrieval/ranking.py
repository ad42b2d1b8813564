"""A request -> all examples that have to do with it, best first, each with a score from 0 to 1.

An example is compared with the request by what was asked for and by what was done (lbi.retrieval.texts), each by its
words and, where there are vectors, by its meaning. The two or four rankings become one by reciprocal rank fusion; an
example that is the first of each has the score 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.retrieval.bm25 import TextIndex, best_first
from lbi.retrieval.texts import without_values

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors

RRF_K = 60  # the constant of reciprocal rank fusion
DEPTH = 400  # of each ranking; who comes later would add less than an eighth of what the first does
CACHED_RANKINGS = 64  # an agent often has the same request at several steps

Scored = tuple[int, float]


class Ranker:
    """Ranks the rows of one index. ``said`` and ``done`` are its texts."""

    def __init__(self, folder: Path) -> None:
        self.said = TextIndex.open(folder / "said")
        self.done = TextIndex.open(folder / "done")
        self._vectors = [vectors for name in ("said", "done") if (vectors := _load(folder / f"{name}.npy")) is not None]
        self._asked = _load(folder / "asked.npy")
        self._known: dict[tuple[str, frozenset[str], int, bytes], list[Scored]] = {}

    @property
    def dense(self) -> bool:
        """Whether the examples have vectors."""
        return bool(self._vectors)

    def asked(self, row: int) -> Vectors | None:
        """The vector of what an example's instruction asks for, in other words."""
        return None if self._asked is None else self._asked[row]

    def ranked(
        self, request: str, without: Collection[str], vector: Vectors | None = None, depth: int = DEPTH
    ) -> list[Scored]:
        """(row, score) of the examples that fit a request, best first; ties are ordered by row.

        ``without``: no examples with one of these tags. ``vector``: the request embedded, without its values.
        """
        used = vector if self._vectors else None
        key = (request, frozenset(without), depth, b"" if used is None else used.tobytes())
        if key not in self._known:
            if len(self._known) >= CACHED_RANKINGS:
                del self._known[next(iter(self._known))]
            self._known[key] = self._ranked(request, without, used, depth)
        return self._known[key]

    def _ranked(self, request: str, without: Collection[str], vector: Vectors | None, depth: int) -> list[Scored]:
        words = without_values(request)
        rankings = [[row for row, _ in texts.best(words, depth, without=without)] for texts in (self.said, self.done)]
        if vector is not None:
            forbidden = self.said.tagged(without)
            rankings += [_nearest(vectors, vector, forbidden, depth) for vectors in self._vectors]
        return fused(rankings)


def fused(rankings: Sequence[Iterable[int]]) -> list[Scored]:
    """Several rankings of rows as one, by reciprocal rank fusion; ties are ordered by row.

    A score is the share of what a row has that is the first of every ranking.
    """
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RRF_K + rank)
    best = len(rankings) / (RRF_K + 1)
    return best_first((row, score / best) for row, score in scores.items())


def _nearest(vectors: Vectors, vector: Vectors, forbidden: Collection[int], depth: int) -> list[int]:
    """The rows whose vectors are most like this one, those that are alike in the order of the rows."""
    import numpy

    likeness = vectors @ vector
    wanted = depth + len(forbidden)
    if wanted < len(likeness):  # a whole sort of many is slow
        least = numpy.partition(likeness, len(likeness) - wanted)[len(likeness) - wanted]
        rows = (likeness >= least).nonzero()[0]
        order = rows[(-likeness[rows]).argsort(kind="stable")]
    else:
        order = (-likeness).argsort(kind="stable")
    return [row for row in order.tolist() if row not in forbidden][:depth]


def _load(file: Path) -> Vectors | None:
    if not file.is_file():
        return None
    import numpy

    vectors: Vectors = numpy.load(file)
    return vectors
