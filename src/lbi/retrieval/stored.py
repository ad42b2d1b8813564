"""The rows of an index -> what its databases say of them (lbi.retrieval.part)."""

from __future__ import annotations

import json
import threading
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from lbi.records import Example, Trajectory
from lbi.retrieval.part import Part
from lbi.retrieval.threshold import LeftOut

CACHED_TRAJECTORIES = 512
CACHED_EXAMPLES = 4096
CACHED_MARKS = 50_000

Marks = tuple[frozenset[str], str, str]  # two marks, the hash of the request, that of the ending


class Stored:
    """All databases of one version of an index, open until ``close``."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = tuple(files)
        self._parts = [Part(file) for file in self._files]
        self._trajectories: dict[str, Trajectory] = {}
        self._examples: dict[int, Example] = {}
        self._marked: dict[int, Marks] = {}
        self._guard = threading.Lock()  # examples are also shown to who knows their ids, beside look-ups

    def close(self) -> None:
        for part in self._parts:
            part.close()

    def row_of(self, id_: str) -> int | None:
        """The row of an example."""
        return next((row for (row,) in self._all("SELECT row FROM example WHERE id = ?", id_)), None)

    def first(self, count: int) -> list[Example]:
        """Some examples, in the order of their rows."""
        rows = [row for (row,) in self._all("SELECT row FROM example ORDER BY row LIMIT ?", count)]
        return [self.example(row) for row in sorted(rows)[:count]]

    def rows(self) -> array[int]:
        """The rows of all examples, those of one trajectory together, in the order of their spans."""
        span = ", ".join(f"json_extract(body, '$.{field}')" for field in ("kind", "start", "end"))
        sql = f"SELECT row FROM example ORDER BY trajectory, {span}"
        return array("q", (row for part in self._parts for (row,) in part.each(sql)))

    def left_out(self) -> list[LeftOut]:
        """The examples that are asked for in other words, each as the request that it would be, by row."""
        sql = "SELECT row, asked_for, trajectory, operation FROM example WHERE asked_for != ''"
        return sorted(LeftOut(*values) for values in self._all(sql))

    def operations(self, rows: Sequence[int]) -> dict[int, str]:
        """{row: its operation}."""
        return dict(self._of_rows("SELECT row, operation FROM example", rows))

    def pages_of(self, rows: Sequence[int]) -> dict[int, list[int]]:
        """{key of an observation: those of the rows that have it, in their order}."""
        keys_of: dict[int, set[int]] = {}
        for row, key in self._of_rows("SELECT row, key FROM place", rows):
            keys_of.setdefault(row, set()).add(key)
        pages: dict[int, list[int]] = {}
        for row in rows:
            for key in keys_of.get(row, ()):
                pages.setdefault(key, []).append(row)
        return pages

    def places(self, row: int) -> list[tuple[int, int]]:
        """(index of the observation, its key) of an example."""
        return self._all("SELECT at, key FROM place WHERE row = ?", row)

    def at(self, row: int, key: int) -> int:
        """The index of an observation in its trajectory; the last one in the example if it occurs several times."""
        return max(at for at, other in self.places(row) if other == key)

    def end(self, row: int) -> int:
        """The index of the observation before an example's last step."""
        return max(at for at, _ in self.places(row))

    def taught(self, row: int) -> tuple[str, str]:
        """The operation, and the words by which an example is found."""
        ((operation, words),) = self._all("SELECT operation, words FROM example WHERE row = ?", row)
        return operation, words

    def marks(self, rows: Sequence[int]) -> list[Marks]:
        new = [row for row in rows if row not in self._marked]
        if len(self._marked) + len(new) > CACHED_MARKS:
            self._marked, new = {}, list(rows)
        sql = "SELECT row, said, done, asked, ends FROM example"
        for row, instruction, actions, request, ending in self._of_rows(sql, new):
            self._marked[row] = (frozenset((instruction, actions)), request, ending)
        return [self._marked[row] for row in rows]

    def example(self, row: int) -> Example:
        with self._guard:
            if row not in self._examples:
                make_room(self._examples, CACHED_EXAMPLES)
                ((body,),) = self._all("SELECT body FROM example WHERE row = ?", row)
                self._examples[row] = Example.model_validate_json(body)
            return self._examples[row]

    def trajectory(self, id_: str) -> Trajectory:
        with self._guard:
            if id_ not in self._trajectories:
                make_room(self._trajectories, CACHED_TRAJECTORIES)
                self._trajectories[id_] = next(found for part in self._parts if (found := part.trajectory(id_)))
            return self._trajectories[id_]

    def counts(self) -> Mapping[str, Counter[str]]:
        """How many examples there are of each tier and operation, and on each kind of page. Takes seconds of many."""
        counted: dict[str, Counter[str]] = {"tiers": Counter(), "operations": Counter(), "pages": Counter()}
        with ExitStack() as stack:
            parts = [Part(file) for file in self._files]  # not those that look-ups in another thread read from
            for part in parts:
                stack.callback(part.close)
            kinds = dict(row for part in parts for row in part.all("SELECT key, kind FROM page"))
            for part in parts:
                counted["tiers"].update(dict(part.all("SELECT tier, count(*) FROM example GROUP BY tier")))
                counted["operations"].update(dict(part.all("SELECT does, count(*) FROM example GROUP BY does")))
                for _, places in groupby(part.each("SELECT row, key FROM place ORDER BY row"), itemgetter(0)):
                    counted["pages"].update({kinds[key] for _, key in places})
        return counted

    def _all(self, sql: str, *values: object) -> list[Any]:
        return [row for part in self._parts for row in part.all(sql, *values)]

    def _of_rows(self, select: str, rows: Sequence[int]) -> list[Any]:
        if not rows:
            return []
        return self._all(f"{select} WHERE row IN (SELECT value FROM json_each(?))", json.dumps(rows))


def make_room(cache: dict[Any, Any], limit: int) -> None:
    if len(cache) >= limit:
        del cache[next(iter(cache))]
