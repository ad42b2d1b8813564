"""A damaged run folder -> a folder with what can still be read of it, and what had to be left out.

Rows are read from both ends of each table, as a page that is destroyed hides what lies behind it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbi.config import Config
from lbi.errors import UserError
from lbi.evaluation.calibration import JUDGED
from lbi.models.pricing import Price
from lbi.records import Document, Example, Record, Result, Task, Trajectory, UsedModel
from lbi.storage.damage import DamagedRun
from lbi.storage.database import SCHEMA, Store
from lbi.storage.files import write_atomically
from lbi.storage.images import ELSEWHERE
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.filters.replay import Replayed

_TABLES = ("record", "text", "failure", "call", "failed_call", "meter")
_TYPES: dict[str, type[Record]] = {
    **{"document": Document, "task": Task, "heldout": Task, "example": Example, "result": Result, "price": Price},
    **dict.fromkeys(("trajectory", "trimmed", "composition", "episode"), Trajectory),
    **{"model": UsedModel, "replay": Replayed, JUDGED: Example},
}


def salvage(run: Path) -> tuple[Path, list[str]]:
    """The folder RUN/salvaged, made anew, and one line for everything that was left out. RUN itself stays as it is."""
    if not run.is_dir():
        raise UserError(f"no run in {run}: there is no such folder")
    out = run / "salvaged"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    left_out = [*_config(run, out), *_database(run / "run.db", out / "run.db"), *_records(out / "run.db")]
    if (run / "blobs").is_dir():
        (out / "blobs").symlink_to(Path("..", "blobs"))
    if (run / ELSEWHERE).is_file():
        shutil.copyfile(run / ELSEWHERE, out / ELSEWHERE)
    if _is_json(run / "summary.json"):
        shutil.copyfile(run / "summary.json", out / "summary.json")
    elif (run / "summary.json").exists():
        left_out.append("summary.json: cannot be read")
    return out, left_out


def _is_json(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        return False


def _config(run: Path, out: Path) -> Iterator[str]:
    config = run / "config.json"
    try:
        stored = Config.model_validate(json.loads(config.read_text(encoding="utf-8"))).identity()
    except (OSError, ValueError, RecursionError) as error:
        yield f"config.json: cannot be read ({' '.join(str(error).split())[:120]}); defaults stand in its place"
        stored = Config().identity()
    write_atomically(out / "config.json", json.dumps(stored, indent=2).encode())


def _database(source: Path, target: Path) -> Iterator[str]:
    """Copy what rows can be read."""
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as writing:
        writing.executescript(SCHEMA)
        if not source.is_file():
            yield "run.db: missing"
            return
        for name in _TABLES:
            rows, problem = _rows(source, name)
            columns = len(writing.execute(f"PRAGMA table_info({name})").fetchall())
            fitting = [row for row in rows if len(row) == columns]
            writing.execute("BEGIN")
            writing.executemany(f"INSERT OR REPLACE INTO {name} VALUES({', '.join('?' * columns)})", fitting)
            writing.execute("COMMIT")
            if problem:
                yield f"run.db: of the table {name}, all but {len(fitting)} rows ({problem})"


def _rows(source: Path, name: str) -> tuple[list[tuple[Any, ...]], str]:
    """The rows of a table as far as they can be read from its beginning and from its end, and what stopped that."""
    order = {"text": "id", "meter": "stage, name"}.get(name, "rowid")
    found: dict[tuple[Any, ...], None] = {}
    problem = ""
    with contextlib.closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as reading:
        for direction in ("ASC", "DESC"):
            by = ", ".join(f"{column} {direction}" for column in order.split(", "))
            try:
                for row in reading.execute(f"SELECT * FROM {name} ORDER BY {by}"):
                    found[row] = None
            except sqlite3.Error as error:
                problem = str(error)
            if not problem:
                break
    return list(found), problem


def _records(file: Path) -> Iterator[str]:
    """Remove the records that are none, such as those with fields of another version or without their text."""
    left_out: Counter[str] = Counter()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
    store = Store(file)
    try:
        for kind, type_ in _TYPES.items():
            for key in sorted(store.keys(kind)):
                try:
                    store.get(kind, key, type_)
                except DamagedRun:
                    left_out[kind] += 1
                    gone = (kind, key)
                    store.write(
                        lambda db, gone=gone: db.execute("DELETE FROM record WHERE kind = ? AND key = ?", gone)  # type: ignore[misc]
                    ).wait()
    finally:
        store.close()
    yield from (f"run.db: {count} of the records {kind}" for kind, count in left_out.items())


def opened(run: Path) -> tuple[RunFolder, list[str]]:
    """What could be saved of a run, to be read as a run."""
    folder, left_out = salvage(run)
    return RunFolder(folder, writing=False), left_out
