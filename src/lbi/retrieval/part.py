"""One database of an index: some examples, their trajectories, and where each observation occurs. Never changed."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from lbi.observations.normalise import kind_of_place, normalise, normalise_url
from lbi.records import Example, Observation, Record, Trajectory, digest_of
from lbi.storage.secrets import mask, masked

if TYPE_CHECKING:
    from lbi.retrieval.build import Plan

MAPPED = 1 << 36  # bytes of a database that are read without being copied
_MARKS = re.compile(r"^(?:URL|Title):|<time>|<id>|<temporary>", re.MULTILINE)

SCHEMA = """
CREATE TABLE example(
    row INTEGER PRIMARY KEY, id TEXT, content INTEGER, trajectory TEXT, said TEXT, done TEXT, asked TEXT, ends TEXT,
    operation TEXT, does TEXT, tier TEXT, asked_for TEXT, words TEXT, body TEXT
);
CREATE TABLE trajectory(id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE place(row INTEGER, at INTEGER, key INTEGER, PRIMARY KEY(row, at)) WITHOUT ROWID;
CREATE TABLE page(key INTEGER PRIMARY KEY, kind TEXT);
"""
#: made at the end, when they are written in one go
INDEXES = """
CREATE UNIQUE INDEX example_id ON example(id);
CREATE INDEX example_asked ON example(row) WHERE asked_for != '';
"""


class Part:
    """A database, open for reading until ``close``."""

    def __init__(self, file: Path) -> None:
        # it is never changed, so it can be opened as immutable: without locks a look-up takes a third of the time
        address = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(address, uri=True, check_same_thread=False)
        self._db.execute(f"PRAGMA mmap_size = {MAPPED}")
        self._unpack = zstandard.ZstdDecompressor()

    def all(self, sql: str, *values: object) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def each(self, sql: str) -> Iterable[Any]:
        return self._db.execute(sql)

    def one(self, sql: str, *values: object) -> Any:
        """The first column of the first row; None if there is none."""
        found = self._db.execute(sql, values).fetchone()
        return found[0] if found else None

    def trajectory(self, id_: str) -> Trajectory | None:
        packed = self.one("SELECT body FROM trajectory WHERE id = ?", id_)
        return None if packed is None else Trajectory.model_validate_json(self._unpack.decompress(packed))

    def close(self) -> None:
        self._db.close()

    @staticmethod
    def joined(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
        """The databases of what was added become one. Returns the names that there are now."""
        first, *others, last = names
        target = folder / f"{last}.joined"
        target.unlink(missing_ok=True)
        with closing(sqlite3.connect(target)) as db:
            db.executescript(SCHEMA)
            for name in (*others, last):
                db.execute("ATTACH ? AS other", (str(folder / name),))
                for table in ("example", "trajectory", "place", "page"):
                    db.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM other.{table}")
                db.commit()
                db.execute("DETACH other")
            db.executescript(INDEXES)
        for name in (*others, last):
            (folder / name).unlink()
        target.rename(folder / last)
        return first, last


def written_examples(
    file: Path, plan: Plan, keys: Mapping[str, Sequence[int]], before: Sequence[Part]
) -> list[tuple[int, str]]:
    """Write a database. Returns (key, text) of each observation that is followed by an action and new to ``before``."""
    pack = zstandard.ZstdCompressor(level=3)
    pages = _pages(plan, keys)
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = OFF")  # a file that is written half is thrown away
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(SCHEMA)
        values = ", ".join("?" * 14)
        db.executemany(f"INSERT INTO example VALUES({values})", _examples(plan))
        db.executemany("INSERT INTO place VALUES(?, ?, ?)", _places(plan, keys))
        known = {id_ for id_ in plan.trajectories if any(_has(part, "trajectory", "id", id_) for part in before)}
        ids = sorted(plan.trajectories.keys() - known)
        packed = ((id_, pack.compress(_as_json(plan.trajectories[id_]).encode())) for id_ in ids)
        db.executemany("INSERT INTO trajectory VALUES(?, ?)", packed)
        new = [key for key in sorted(pages) if not any(_has(part, "page", "key", key) for part in before)]
        kinds = ((key, mask(kind_of_place(normalise_url(pages[key].url).partition("?")[0]))) for key in new)
        db.executemany("INSERT INTO page VALUES(?, ?)", kinds)
        db.executescript(INDEXES)
        db.commit()
    return [(key, page_text(pages[key])) for key in new]


def page_text(observation: Observation) -> str:
    """The text by which observations are searched: normalised, without the labels that all of them have."""
    return _MARKS.sub(" ", mask(normalise(observation)))


def told_apart_by(example: Example, dates: Mapping[str, str] | None, last: Collection[str] = ()) -> int:
    """A hash of what may change of an example, as SQLite keeps numbers."""
    verdicts = [verdict.model_dump(mode="json") for verdict in example.verdicts]
    date, comes_last = (dates or {}).get(example.id, ""), example.id in last
    said = json.dumps([example.id, example.tier, date, comes_last, verdicts], ensure_ascii=False)
    return int.from_bytes(hashlib.blake2b(said.encode(), digest_size=8).digest(), "big", signed=True)


def _has(part: Part, table: str, column: str, value: object) -> bool:
    return part.one(f"SELECT 1 FROM {table} WHERE {column} = ?", value) is not None


def _pages(plan: Plan, keys: Mapping[str, Sequence[int]]) -> dict[int, Observation]:
    pages: dict[int, Observation] = {}
    for example in plan.examples:
        seen = plan.trajectories[example.trajectory].observations
        for at in range(example.start, example.end):
            pages.setdefault(keys[example.trajectory][at], seen[at])
    return pages


def _places(plan: Plan, keys: Mapping[str, Sequence[int]]) -> Iterable[tuple[int, int, int]]:
    for row, example in zip(plan.rows, plan.examples, strict=True):
        for at in range(example.start, example.end):
            yield row, at, keys[example.trajectory][at]


def _examples(plan: Plan) -> Iterable[tuple[object, ...]]:
    grounded = {id_: [action.grounded for action in walk.actions] for id_, walk in plan.trajectories.items()}
    endings: dict[tuple[str, int], str] = {}
    for at, (row, example) in enumerate(zip(plan.rows, plan.examples, strict=True)):
        trajectory, actions = plan.trajectories[example.trajectory], grounded[example.trajectory]
        did = actions[example.start : example.end]
        ending = trajectory.id, example.end
        if ending not in endings:
            endings[ending] = _ending_hash(actions[example.end - 1], trajectory.steps[example.end - 1].observation)
        operation = plan.operations.of_actions(did)
        yield (
            row,
            example.id,
            told_apart_by(example, plan.dates, plan.last),
            trajectory.id,
            *_marks(example, did),
            _request_hash(example.instruction),
            endings[ending],
            digest_of(operation.alike) if operation else "",
            mask(str(operation)) if operation else "",
            example.tier,
            plan.texts.asked[at],
            f"{plan.texts.said[at]} {plan.texts.done[at]}",
            _as_json(example),
        )


def _as_json(record: Record) -> str:
    return json.dumps(masked(record.model_dump(mode="json")), ensure_ascii=False)


def _marks(example: Example, actions: Sequence[str]) -> tuple[str, str]:
    """Two hashes. Examples that share one teach the same: same instruction, and same trajectory or same actions."""
    instruction = " ".join(example.instruction.casefold().split())
    return digest_of([instruction, example.trajectory]), digest_of([instruction, actions])


def _request_hash(instruction: str) -> str:
    """A hash of the instruction without its values: the same for 'Open lamp "3"' and 'Open lamp "4"'."""
    return digest_of(re.sub(r"\"[^\"]*\"|'[^']*'|\d+", "", instruction).split())


def _ending_hash(grounded: str, page: Observation) -> str:
    """A hash of the last step: its action, and the address of its page without numbers and query."""
    return digest_of([grounded, re.sub(r"\d+", "0", page.url.split("?")[0].split("#")[0])])
