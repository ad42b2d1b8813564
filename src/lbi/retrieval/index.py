"""Agentic retrieval: task, observation and query -> the examples to show at this step (paper, sec. 2.4, Algorithm 2).

Examples in which the current observation occurs (the same one, or similar ones by BM25), and examples that fit the
query. Both are ranked by lbi.retrieval.ranking, and none is shown whose score is below the threshold of the index
(lbi.retrieval.threshold). ``lbi.retrieval.build`` writes what is searched here.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from lbi.errors import UserError
from lbi.observations.normalise import observation_key
from lbi.protocols import Shown
from lbi.records import Example, Observation, Task, Trajectory
from lbi.retrieval.bm25 import TextIndex
from lbi.retrieval.build import ExampleVectors, write_index
from lbi.retrieval.part import page_text
from lbi.retrieval.ranking import ADDS, Fit, Ranker, Taught, uses_of
from lbi.retrieval.stored import CACHED_EXAMPLES, Stored, make_room
from lbi.retrieval.texts import without_values
from lbi.retrieval.threshold import Thresholds, calibrated
from lbi.retrieval.versions import FORMAT, Manifest, current_build, manifest_of

if TYPE_CHECKING:
    from array import array

    from lbi.models.embeddings import Vectors

Why = Literal["observation", "query", "content"]
MAX_PAGES = 16  # similar observations to look at
MAX_PER_PAGE = 3  # examples by the content of one page
MAX_PER_REQUEST = 2  # examples per search whose instructions differ in their values alone
MAX_PER_ENDING = 1  # examples per search that end with the same action on the same kind of page
CACHED_FITS = 32


class Hit(NamedTuple):
    """An example that is shown: its row, the index of the observation that it is shown for, and how well it fits."""

    row: int
    at: int
    score: float
    why: Why
    adds: bool = True


class ExampleIndex:
    """A searchable index of examples, open until ``close``. Read-only: a new version is another folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._stored = Stored(folder / part for part in manifest.parts)
        self._ranker = Ranker(folder)
        self._instructions = self._ranker.said
        self._observations = TextIndex.open(folder / "observations")
        self._fits: dict[str, Fit] = {}
        self._taught_by: dict[int, Taught] = {}
        self._size = manifest.examples
        self.dates = frozenset(manifest.dates)
        """All dates of examples."""
        self.thresholds: Thresholds = calibrated(folder, self._ranker, self._stored.left_out, self._stored.operations)

    @classmethod
    def build(
        cls,
        path: Path,
        examples: Sequence[Example],
        trajectories: Mapping[str, Trajectory],
        vectors: ExampleVectors | None = None,
        dates: Mapping[str, str] | None = None,
        last: Collection[str] = (),
    ) -> ExampleIndex:
        """Index the examples in the folder ``path``, as ``lbi.retrieval.build.write_index`` does, and open it."""
        write_index(path, examples, trajectories, vectors, dates, last)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> ExampleIndex:
        """Open the index in a folder. Raises UserError if there is none."""
        for _ in range(3):  # another process may replace the build between reading its name and opening it
            name = current_build(path)
            manifest = manifest_of(path, name)
            if manifest is not None and manifest.format == FORMAT:
                try:
                    return cls(path / name, manifest)
                except (OSError, ValueError, sqlite3.Error):
                    if current_build(path) == name:
                        raise
        raise UserError(f"no index of examples in {path}; `lbi run` makes one")

    def close(self) -> None:
        self._ranker.close()
        self._stored.close()

    def __len__(self) -> int:
        return self._size

    def example(self, id_: str) -> tuple[Example, Trajectory] | None:
        """An example by its id."""
        row = self._stored.row_of(id_)
        return None if row is None else self.pair(row)

    def pair(self, row: int) -> tuple[Example, Trajectory]:
        """An example by its row, with its trajectory."""
        example = self._stored.example(row)
        return example, self._stored.trajectory(example.trajectory)

    def rows(self) -> array[int]:
        """The rows of all examples, those of one trajectory together. Takes seconds of many."""
        return self._stored.rows()

    def first(self, count: int) -> list[Example]:
        """Some examples, the shortest ones."""
        return self._stored.first(count)

    def counts(self) -> Mapping[str, Counter[str]]:
        """How many examples there are of each tier and operation, and on each kind of page. Takes seconds of many."""
        return self._stored.counts()

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
        task_vector: Vectors | None = None,
        by_words: bool = True,
    ) -> tuple[Shown, ...]:
        """At most ``m1`` examples by the observation, ``m2`` others by the query and ``m3`` others by content.

        The one that fits best comes first, then those that add to what is before them: another operation, and a word of
        the request that none before has. Others follow, and none comes that fits too little; those by content are the
        last, and are from the pages whose text fits the instruction best, whatever their own instructions are.
        ``vector`` and ``task_vector``: the embedded query and the embedded instruction of the task, both without their
        values (lbi.retrieval.texts), for dense retrieval. ``by_words`` = False: by vectors alone. Pages are compared by
        their words all the same.

        Examples of the task itself or of its document are never returned, nor those that ``exclude`` names by the id
        of a document, task, trajectory or example that they come from, or by the tag of a date.
        """
        without = {task.id, task.document, *exclude} - {""}
        shown_marks: set[str] = set()
        fit = self._fit(task.instruction, without, task_vector, by_words)
        hits = self._by_observation(fit, observation, m1, without, shown_marks)
        fit_query = fit if query == task.instruction else self._fit(query, without, vector, by_words)
        rows = self._distinct(lambda limit: fit_query.rows[:limit], m2, shown_marks)
        at = self._nearest(rows, observation)
        hits += [Hit(row, at, fit_query.scores[row], "query") for row, at in zip(rows, at, strict=True)]
        hits.sort(key=lambda hit: -hit.score)
        hits = self._what_adds_first(hits, self._ranker.words(task.instruction) | self._ranker.words(query))
        hits += [Hit(*hit, 0.0, "content") for hit in self._by_content(task.instruction, m3, without, shown_marks)]
        return tuple(self._shown(hit) for hit in hits)

    def _fit(self, request: str, without: set[str], vector: Vectors | None, by_words: bool) -> Fit:
        """How well the examples fit a request, and how well they must."""
        dense = vector is not None and self._ranker.dense
        least = self.thresholds.of(by_words, dense)
        ranked = self._ranker.ranked(request, without, vector, by_words=by_words)
        known = self._fits.get(request)
        if known is None or known.ranked is not ranked:  # an agent has the same request at every step
            make_room(self._fits, CACHED_FITS)
            self._fits[request] = known = Fit(ranked, least, max(2 * (by_words + dense), 1), self._stored.pages_of)
        return known

    # by observation

    def _by_observation(
        self, fit: Fit, observation: Observation, count: int, without: set[str], shown_marks: set[str]
    ) -> list[Hit]:
        """Examples with this observation, then with less and less similar ones.

        Those with the same observation are ordered by how well they fit the task's instruction. That they have the page
        counts as much as one of the rankings that the fit is made of.
        """
        hits: list[Hit] = []
        for rank, key in enumerate(self._pages(observation), 1):
            if len(hits) >= count:
                break
            scores = fit.with_page(key, rank)

            def on_page(limit: int, key: int = key, scores: dict[int, float] = scores) -> list[int]:
                rows = list(scores)[:limit]
                return rows if fit.least else self._filled_up(rows, key, limit, without)

            rows = self._distinct(on_page, count - len(hits), shown_marks)
            hits += [Hit(row, self._stored.at(row, key), scores.get(row, 0.0), "observation") for row in rows]
        return hits

    def _filled_up(self, rows: list[int], key: int, limit: int, without: set[str]) -> list[int]:
        """Those rows, and then others with the observation, which have nothing to do with the instruction."""
        others = (row for row, _ in self._instructions.best("", limit + len(rows), keys=[key], without=without))
        return [*rows, *(row for row in others if row not in set(rows))][:limit]

    def _pages(self, observation: Observation) -> Iterator[int]:
        """The key of the observation, then the keys of similar ones, which are searched for only if they are needed.

        None for one that says nothing, as where a conversation begins: all that began so would be taken for alike.
        """
        if not (observation.text or observation.url or observation.title):
            return
        same = observation_key(observation)
        yield same
        for row, _ in self._observations.best(page_text(observation), MAX_PAGES):
            if (key := _signed(row)) != same:
                yield key

    # by query

    def _nearest(self, rows: list[int], observation: Observation) -> list[int]:
        """For each example the index of its observation that is the current one, or is most similar to it."""
        places = [self._stored.places(row) for row in rows]
        keys = {key for pairs in places for _, key in pairs}
        scores: dict[int, float] = {}
        if keys:
            hits = self._observations.best(page_text(observation), len(keys), keys=keys)
            scores = {_signed(row): score for row, score in hits}
        scores[observation_key(observation)] = float("inf")
        return [_best_place(pairs, scores) for pairs in places]

    # by content

    def _by_content(
        self, instruction: str, count: int, without: set[str], shown_marks: set[str]
    ) -> list[tuple[int, int]]:
        """(row, index of the observation) of examples with a page whose text fits the instruction.

        Examples whose last step was on that page come first. Few examples are taken for each page, as its text does not
        tell which of them is meant.
        """
        places: list[tuple[int, int]] = []
        words = without_values(instruction)
        for key in [_signed(row) for row, _ in self._observations.best(instruction, MAX_PAGES)] if count > 0 else []:
            if len(places) >= count:
                break

            def ranked(limit: int, key: int = key) -> list[int]:
                rows = [row for row, _ in self._instructions.best(words, limit, keys=[key], without=without)]
                return sorted(rows, key=lambda row: self._stored.at(row, key) != self._stored.end(row))

            rows = self._distinct(ranked, min(MAX_PER_PAGE, count - len(places)), shown_marks)
            places += [(row, self._stored.at(row, key)) for row in rows]
        return places

    def _what_adds_first(self, hits: list[Hit], words: set[str]) -> list[Hit]:
        uses = uses_of([self._taught(hit.row) for hit in hits], words)
        ordered = sorted(zip(hits, uses, strict=True), key=lambda pair: pair[1])
        return [hit._replace(adds=use == ADDS) for hit, use in ordered]

    def _taught(self, row: int) -> Taught:
        if row not in self._taught_by:
            make_room(self._taught_by, CACHED_EXAMPLES)
            operation, words = self._stored.taught(row)
            self._taught_by[row] = Taught(operation or f"row {row}", self._instructions.stems(words))
        return self._taught_by[row]

    # parts

    def _distinct(self, ranked: Callable[[int], list[int]], count: int, shown_marks: set[str]) -> list[int]:
        """The first ``count`` rows that share no mark with ``shown_marks`` or each other; their marks are added."""
        limit = 2 * count + 8
        while count > 0:
            rows = ranked(limit)
            chosen: list[int] = []
            marks = set(shown_marks)
            counts: Counter[str] = Counter()
            for row, (row_marks, request, ending) in zip(rows, self._stored.marks(rows), strict=True):
                if len(chosen) == count:
                    break
                if not marks & row_marks and counts[request] < MAX_PER_REQUEST and counts[ending] < MAX_PER_ENDING:
                    chosen.append(row)
                    marks |= row_marks
                    counts.update((request, ending))
            if len(chosen) == count or len(rows) < limit:
                shown_marks |= marks
                return chosen
            limit *= 4
        return []

    def _shown(self, hit: Hit) -> Shown:
        example = self._stored.example(hit.row)
        trajectory = self._stored.trajectory(example.trajectory)
        return Shown(example=example, trajectory=trajectory, at=hit.at, why=hit.why, adds=hit.adds)


def _best_place(pairs: Sequence[tuple[int, int]], scores: Mapping[int, float]) -> int:
    best = max(scores.get(key, 0.0) for _, key in pairs)
    alike = [at for at, key in pairs if scores.get(key, 0.0) == best]
    return max(alike) if best > 0 else min(alike)


def _signed(row: int) -> int:
    """The key of an observation from its row, which is the key as an unsigned number."""
    return row - (1 << 64) if row >= 1 << 63 else row
