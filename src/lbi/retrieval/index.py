"""Task, observation and query -> the examples to show at this step (paper, sec. 2.4 and Algorithm 2).

First examples in which the current observation occurs (exactly, then by BM25), then examples whose instruction fits the
query. ``lbi.retrieval.build`` writes what is searched.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import zstandard

from lbi.errors import UserError
from lbi.observations.normalise import observation_key
from lbi.protocols import Shown
from lbi.records import Example, Observation, Task, Trajectory
from lbi.retrieval.bm25 import TextIndex
from lbi.retrieval.build import current, searchable, write_index

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors

PAGES = 16  # similar observations that are looked at, at most
RRF = 60  # of reciprocal rank fusion
OF_A_PAGE = 3  # examples by the content of one page, at most
ALIKE = 2  # examples that ask for the same with other values, at most, of each of the two searches
OF_AN_END = 1  # ... that end with the same action on the same kind of page
CACHED = 512  # trajectories kept in memory
READ = 4096  # ... and examples
ASKED = 64  # rankings kept: an agent asks the same at many steps
MARKED = 50_000  # examples whose marks are kept


class ExampleIndex:
    """Examples that can be searched. Read-only and open for as long as it is used."""

    def __init__(self, folder: Path) -> None:
        # immutable, as no build is ever written to again: without locks a look-up takes a third of the time
        file = (folder / "examples.db").absolute().as_uri()
        self._db = sqlite3.connect(f"{file}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        self._instructions = TextIndex.open(folder / "instructions")
        self._observations = TextIndex.open(folder / "observations")
        self._vectors = _load_vectors(folder / "vectors.npy")
        self._unpack = zstandard.ZstdDecompressor()
        self._trajectories: dict[str, Trajectory] = {}
        self._examples: dict[int, Example] = {}
        self._rankings: dict[tuple[str, int, frozenset[str]], list[int]] = {}
        self._marked: dict[int, tuple[frozenset[str], str, str]] = {}

    @classmethod
    def build(
        cls,
        path: Path,
        examples: Sequence[Example],
        trajectories: Mapping[str, Trajectory],
        vectors: Vectors | None = None,
        dates: Mapping[str, str] | None = None,
    ) -> ExampleIndex:
        """Index the examples in the folder ``path``, as ``lbi.retrieval.build.write_index`` does, and open it."""
        return cls(path / write_index(path, examples, trajectories, vectors, dates))

    @classmethod
    def open(cls, path: Path) -> ExampleIndex:
        """Open the index in a folder. Raises UserError if there is none."""
        for _ in range(3):  # a build may put another one in its place between reading its name and opening it
            name = current(path)
            if name and (path / name).is_dir():
                return cls(path / name)
        raise UserError(f"no index of examples in {path}; `lbi run` makes one")

    def close(self) -> None:
        self._db.close()

    def __len__(self) -> int:
        return len(self._instructions)

    def search(
        self,
        task: Task,
        observation: Observation,
        query: str,
        *,
        m1: int = 5,
        m2: int = 5,
        m3: int = 0,
        exclude: Collection[str] = (),
        vector: Vectors | None = None,
    ) -> tuple[Shown, ...]:
        """At most ``m1`` examples by the observation, ``m2`` others by the query, ``m3`` by content; the best first.

        By content: what was done on the pages that say most of what the instruction says, whatever it was called.

        Never shown: examples of the task itself or of its document, and those that ``exclude`` names by the id of
        a document, task, trajectory or example they come from, or by a date's tag. ``vector`` is the embedded query.
        """
        without = {task.id, task.document, *exclude} - {""}
        seen: set[str] = set()
        by_page = self._by_observation(task.instruction, observation, m1, without, seen)
        rows = self._by_query(query, m2, without, seen, vector)
        by_query = zip(rows, self._nearest(rows, observation), strict=True)
        by_content = self._by_content(task.instruction, m3, without, seen)
        shown = [self._shown(row, at, "observation") for row, at in by_page]
        shown += [self._shown(row, at, "query") for row, at in by_query]
        return (*shown, *(self._shown(row, at, "content") for row, at in by_content))

    # by observation

    def _by_observation(
        self, instruction: str, observation: Observation, count: int, without: set[str], seen: set[str]
    ) -> list[tuple[int, int]]:
        """(row, at) of examples with this observation, then with ever less similar ones; ties by the instruction."""
        found: list[tuple[int, int]] = []
        for key in self._pages(observation):
            if len(found) >= count:
                break

            def ranked(limit: int, key: int = key) -> list[int]:
                return [row for row, _ in self._instructions.best(instruction, limit, keys=[key], without=without)]

            rows = self._distinct(ranked, count - len(found), seen)
            found += [(row, self._at(row, key)) for row in rows]
        return found

    def _pages(self, observation: Observation) -> Iterator[int]:
        """The key of the observation, then those of similar ones, which cost a search and are made when asked for."""
        same = observation_key(observation)
        yield same
        for row, _ in self._observations.best(searchable(observation), PAGES):
            if (key := _signed(row)) != same:
                yield key

    def _at(self, row: int, key: int) -> int:
        """Where in an example an observation occurs: the last time, as what was done before led back to it."""
        return int(self._one("SELECT max(at) FROM place WHERE row = ? AND key = ?", row, key))

    # by query

    def _by_query(self, query: str, count: int, without: set[str], seen: set[str], vector: Vectors | None) -> list[int]:
        if vector is None or self._vectors is None:
            return self._distinct(lambda limit: self._lexical(query, limit, without), count, seen)
        dense = self._dense(vector, without)
        return self._distinct(
            lambda limit: fuse(self._lexical(query, limit, without), dense[:limit])[:limit], count, seen
        )

    def _lexical(self, query: str, limit: int, without: set[str]) -> list[int]:
        key = (query, limit, frozenset(without))
        if key not in self._rankings:
            _make_room(self._rankings, ASKED)
            self._rankings[key] = [row for row, _ in self._instructions.best(query, limit, without=without)]
        return self._rankings[key]

    def _dense(self, vector: Vectors, without: set[str]) -> list[int]:
        assert self._vectors is not None
        forbidden = self._instructions.tagged(without)
        order = (-(self._vectors @ vector)).argsort(kind="stable")
        return [row for row in order.tolist() if row not in forbidden]

    def _nearest(self, rows: list[int], observation: Observation) -> list[int]:
        """For each example the index of its observation that is, or most resembles, the current one."""
        places = [self._db.execute("SELECT at, key FROM place WHERE row = ?", (row,)).fetchall() for row in rows]
        keys = {key for pairs in places for _, key in pairs}
        scores: dict[int, float] = {}
        if keys:
            hits = self._observations.best(searchable(observation), len(keys), keys=keys)
            scores = {_signed(row): score for row, score in hits}
        scores[observation_key(observation)] = float("inf")
        return [_best_place(pairs, scores) for pairs in places]

    # by content

    def _by_content(self, instruction: str, count: int, without: set[str], seen: set[str]) -> list[tuple[int, int]]:
        """(row, at) of examples that ended with a step on a page that says most of the instruction; failing that,
        of such as came by it. Few of each page, as the page says nothing of which is meant."""
        found: list[tuple[int, int]] = []
        for key in [_signed(row) for row, _ in self._observations.best(instruction, PAGES)] if count > 0 else []:
            if len(found) >= count:
                break

            def ranked(limit: int, key: int = key) -> list[int]:
                rows = [row for row, _ in self._instructions.best(instruction, limit, keys=[key], without=without)]
                return sorted(rows, key=lambda row: self._at(row, key) != self._end(row))

            rows = self._distinct(ranked, min(OF_A_PAGE, count - len(found)), seen)
            found += [(row, self._at(row, key)) for row in rows]
        return found

    def _end(self, row: int) -> int:
        """Where an example's last step was taken."""
        return int(self._one("SELECT max(at) FROM place WHERE row = ?", row))

    # parts

    def _distinct(self, ranked: Callable[[int], list[int]], count: int, seen: set[str]) -> list[int]:
        """The first ``count`` rows without the marks of what was ``seen``, or of each other."""
        limit = 2 * count + 8
        while count > 0:
            rows = ranked(limit)
            fresh: list[int] = []
            marks = set(seen)
            alike: Counter[str] = Counter()
            for row, (mine, asked_, ends) in zip(rows, self._marks(rows), strict=True):
                if len(fresh) == count:
                    break
                if not marks & mine and alike[asked_] < ALIKE and alike[ends] < OF_AN_END:
                    fresh.append(row)
                    marks |= mine
                    alike.update((asked_, ends))
            if len(fresh) == count or len(rows) < limit:
                seen |= marks
                return fresh
            limit *= 4
        return []

    def _marks(self, rows: list[int]) -> list[tuple[frozenset[str], str, str]]:
        """For each row the marks that it shares with those that would add nothing to it, what it asks for, and how
        it ends."""
        new = [row for row in rows if row not in self._marked]
        if len(self._marked) + len(new) > MARKED:
            self._marked, new = {}, rows
        sql = "SELECT row, said, done, asked, ends FROM example WHERE row IN (SELECT value FROM json_each(?))"
        for row, said, done, asked, ends in self._db.execute(sql, (json.dumps(new),)) if new else ():
            self._marked[row] = (frozenset((said, done)), asked, ends)
        return [self._marked[row] for row in rows]

    def _shown(self, row: int, at: int, why: Literal["observation", "query", "content"]) -> Shown:
        if row not in self._examples:
            _make_room(self._examples, READ)
            self._examples[row] = Example.model_validate_json(self._one("SELECT body FROM example WHERE row = ?", row))
        example = self._examples[row]
        return Shown(example=example, trajectory=self._trajectory(example.trajectory), at=at, why=why)

    def _trajectory(self, id_: str) -> Trajectory:
        found = self._trajectories.get(id_)
        if found is None:
            packed = self._one("SELECT body FROM trajectory WHERE id = ?", id_)
            found = Trajectory.model_validate_json(self._unpack.decompress(packed))
            _make_room(self._trajectories, CACHED)
            self._trajectories[id_] = found
        return found

    def _one(self, sql: str, *values: object) -> Any:
        value: Any = self._db.execute(sql, values).fetchone()[0]
        return value


def _make_room(kept: dict[Any, Any], most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]


def fuse(*rankings: Sequence[int]) -> list[int]:
    """Reciprocal rank fusion: rows of several rankings as one, ties by row."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking, start=1):
            scores[row] = scores.get(row, 0.0) + 1.0 / (RRF + rank)
    return sorted(scores, key=lambda row: (-scores[row], row))


def _best_place(pairs: Sequence[tuple[int, int]], scores: Mapping[int, float]) -> int:
    best = max(scores.get(key, 0.0) for _, key in pairs)
    alike = [at for at, key in pairs if scores.get(key, 0.0) == best]
    return max(alike) if best > 0 else min(alike)


def _signed(row: int) -> int:
    """The key of an observation, from its row, which cannot be negative."""
    return row - (1 << 64) if row >= 1 << 63 else row


def _load_vectors(file: Path) -> Vectors | None:
    if not file.is_file():
        return None
    import numpy

    found: Vectors = numpy.load(file)
    return found
