"""A request -> all examples that have to do with it, best first, each with a score from 0 to 1.

An example is compared with the request by what was asked for and by what was done (lbi.retrieval.texts), each by its
words and, where there are vectors, by its meaning, or by that alone. The two or four rankings become one by reciprocal
rank fusion; an example that is the first of each has the score 1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbi.retrieval.bm25 import TextIndex, best_first
from lbi.retrieval.texts import without_values

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors
    from lbi.retrieval.dense import Nearest

RRF_K = 60  # the constant of reciprocal rank fusion
DEPTH = 400  # of each ranking; who comes later would add less than an eighth of what the first does
CACHED_RANKINGS = 64  # an agent often has the same request at several steps

Scored = tuple[int, float]


class Ranker:
    """Ranks the rows of one index. ``said`` and ``done`` are its texts."""

    def __init__(self, folder: Path) -> None:
        self.said = TextIndex.open(folder / "said")
        self.done = TextIndex.open(folder / "done")
        self._vectors, self._asked = _opened(folder)
        self._known: dict[tuple[str, frozenset[str], int, bytes, bool], list[Scored]] = {}
        self._beside = ThreadPoolExecutor(1, "vectors")  # starts its thread when it has something to do

    def close(self) -> None:
        self._beside.shutdown()

    @property
    def dense(self) -> bool:
        """Whether the examples have vectors."""
        return bool(self._vectors)

    def asked(self, row: int) -> Vectors | None:
        """The vector of what an example's instruction asks for, in other words."""
        return None if self._asked is None else self._asked.of_row(row)

    def words(self, request: str) -> set[str]:
        """The words of a request that some example has, without those that say little."""
        words = without_values(request)
        return {*self.said.words(words), *self.done.words(words)} if words else set()

    def ranked(
        self,
        request: str,
        without: Collection[str],
        vector: Vectors | None = None,
        depth: int = DEPTH,
        *,
        by_words: bool = True,
    ) -> list[Scored]:
        """(row, score) of the examples that fit a request, best first; ties are ordered by row.

        ``without``: no examples with one of these tags. ``vector``: the request embedded, without its values.
        ``by_words`` = False: by that alone.
        """
        used = vector if self._vectors else None
        key = (request, frozenset(without), depth, b"" if used is None else used.tobytes(), by_words)
        if key not in self._known:
            if len(self._known) >= CACHED_RANKINGS:
                del self._known[next(iter(self._known))]
            self._known[key] = self._ranked(request, without, used, depth, by_words)
        return self._known[key]

    def _ranked(
        self, request: str, without: Collection[str], vector: Vectors | None, depth: int, by_words: bool
    ) -> list[Scored]:
        # while words are looked up here, vectors are in another thread: of many examples both take milliseconds
        meant = None if vector is None else self._beside.submit(self._nearest, vector, without, depth)
        words, texts = without_values(request), (self.said, self.done) if by_words else ()
        rankings = [[row for row, _ in each.best(words, depth, without=without)] for each in texts]
        return fused([*rankings, *(meant.result() if meant else ())])

    def _nearest(self, vector: Vectors, without: Collection[str], depth: int) -> list[list[int]]:
        forbidden = self.said.tagged(without)
        return [vectors.best(vector, depth, forbidden) for vectors in self._vectors]


class Fit:
    """How well examples fit a request by several rankings together, and the least with which one is shown."""

    def __init__(
        self,
        ranked: list[Scored],
        least: float,
        rankings: int,
        pages_of: Callable[[list[int]], dict[int, list[int]]],
    ) -> None:
        self.ranked = ranked
        self.least = least
        self.scores = dict(ranked)
        self.rows = [row for row, score in ranked if score >= least]
        self._rankings = rankings
        self._pages_of = pages_of

    def with_page(self, key: int, rank: int) -> dict[int, float]:
        """The scores, best first, of those that are shown for having a page, which is the ``rank``-th most similar one:
        it counts as one more ranking."""
        share = (RRF_K + 1) / (RRF_K + rank)
        scores = {
            row: (self._rankings * self.scores[row] + share) / (self._rankings + 1)
            for row in self._by_page.get(key, ())
        }
        return {row: score for row, score in scores.items() if score >= self.least}

    @cached_property
    def _by_page(self) -> dict[int, list[int]]:
        """Of those that are shown for having a page, if it is the most similar one."""
        enough = ((self._rankings + 1) * self.least - 1) / self._rankings - 1e-9
        return self._pages_of([row for row, score in self.ranked if score >= enough])


class Taught(NamedTuple):
    """What an example teaches: its operation, and the words of what it was asked for and what it does."""

    operation: str
    words: frozenset[str]


#: whether an example adds to those before it, is of another operation that was not asked for in words, or neither
ADDS, OTHER, SAME = range(3)


def uses_of(ranked: Sequence[Taught], asked: Collection[str]) -> list[int]:
    """Of examples, best first: the first adds, and so does each of another operation that has a further word asked for.

    Among the examples of a run, asked for by words of their own labels, one that adds is of the operation that was
    meant two to thirteen times as often as another one after the first (docs/decisions/0034).
    """
    told: set[str] = set()
    operations: set[str] = set()
    uses: list[int] = []
    for each in ranked:
        new = each.words.intersection(asked) - told
        uses.append(SAME if each.operation in operations else ADDS if new or not uses else OTHER)
        told |= new if uses[-1] == ADDS else set()
        operations.add(each.operation)
    return uses


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


def _opened(folder: Path) -> tuple[list[Nearest], Nearest | None]:
    """The vectors of what was said and done, and those of what was asked for in other words; none without vectors."""
    if not any(folder.glob("said-*.npy")) and not (folder / "said.faiss").is_file():
        return [], None
    from lbi.retrieval.dense import Nearest

    return [Nearest(folder, "said"), Nearest(folder, "done")], Nearest(folder, "asked")
