"""What is wrong with a run folder, before it is taken for another one: a database that is none, or an empty one."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from lbi.errors import UserError

OURS = 0x4C4249  # the mark of a database that a run has opened (SQLite's application_id)
#: what only a run with records leaves behind
_LEFT_BY_A_RUN = ("summary.json", "report.html", "blobs")
_DAMAGE = ("no such table", "no such column", "malformed", "not a database", "file is encrypted")


class DamagedRun(UserError):
    """A file of a run folder cannot be read as what it is. One line: which file, what is wrong, what can be saved."""

    def __init__(self, file: Path, what: str) -> None:
        self.file = file
        run = file.parent
        super().__init__(
            f"{file} is damaged ({' '.join(what.split())[:200]}); `lbi report {run} --salvage` shows what can still be "
            "read of the run, and a new run needs another --out"
        )


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error tells of a file that is none of ours, or destroyed; not of a disk or of other processes."""
    return type(error) is sqlite3.DatabaseError or any(words in str(error) for words in _DAMAGE)


def refuse_an_empty_database(folder: Path) -> None:
    """A run that has left results must not begin anew because its database is gone. Raises DamagedRun."""
    file = folder / "run.db"
    found = [name for name in _LEFT_BY_A_RUN if _filled(folder / name)]
    if found and _is_bare(file):
        what = "is empty" if file.exists() else "is missing"
        raise DamagedRun(file, f"it {what}, while {' and '.join(found)} of an earlier run lie beside it")


def _filled(path: Path) -> bool:
    if path.is_dir():
        return any(each.is_file() for each in path.glob("*/*"))
    return path.is_file() and path.stat().st_size > 0


def _is_bare(file: Path) -> bool:
    """Whether there is neither a record nor a call in a database, and no run of ours has opened it."""
    if not file.is_file() or (file.stat().st_size == 0 and not Path(f"{file}-wal").exists()):
        return True
    with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as db:
        try:
            if db.execute("PRAGMA application_id").fetchone()[0] == OURS:
                return False
            return not any(db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in ("record", "call"))
        except sqlite3.OperationalError as error:
            return "no such table" in str(error)
