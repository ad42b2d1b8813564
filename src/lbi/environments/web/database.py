"""An application's SQLite file while its server runs: restored, hashed and queried.

``restore`` goes through SQLite's backup API, so that the server's open connections see a committed change of content
instead of a file pulled away under them.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from lbi.environments.web.application import State
from lbi.errors import EnvironmentFailure, ScoreError

BUSY = 10.0  # seconds to wait for writers
DAY = 86_400.0  # seconds
_UNIX_TIME = re.compile(r"(?<![\w.])(\d{10})(?:\d{3}|\d{6})?(?![\w.])")
_ISO_TIME = re.compile(r"(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?")
QUERY_SECONDS = 10.0
#: SQLite's words for a file that cannot be looked at now, whatever is asked
UNREADABLE = (
    *("database is locked", "database table is locked", "database schema is locked", "unable to open database file"),
    *("disk I/O error", "database disk image is malformed", "file is not a database", "locking protocol"),
)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Database:
    """One live file. A read connection stays open, to notice commits of other connections at almost no cost."""

    def __init__(self, path: Path, state: State) -> None:
        self.path = path
        self._file = _identity(path)
        self._ignored_tables = {name.casefold() for name in state.ignore_tables}
        self._ignored_columns = {name.casefold() for name in state.ignore_columns}
        self._reader = _open(path, read_only=True)
        self._version: int | None = None
        self._digest = ""

    def digest(self) -> str:
        """Hash of the rows of all tables and columns that are not ignored; their order does not matter."""
        self._follow()
        try:
            version = self._data_version()
            if version != self._version:
                self._digest = self._hash()
                # read before hashing: a commit in between makes the next call hash again
                self._version = version
            return self._digest
        except sqlite3.Error as error:
            raise EnvironmentFailure(f"cannot read {self.path}: {error}", kind="check") from error

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of one statement that only reads. Raises ScoreError for anything else, or after ten seconds.

        Raises EnvironmentFailure where the file is locked, damaged or gone.
        """
        self._follow()
        deadline = time.monotonic() + QUERY_SECONDS
        self._reader.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        try:
            return self._reader.execute(sql).fetchall()
        except (sqlite3.Error, ValueError) as error:
            if any(words in str(error) for words in UNREADABLE):
                raise EnvironmentFailure(f"cannot read {self.path}: {error}", kind="check") from error
            raise ScoreError(f"the query failed: {error}: {sql}") from error
        finally:
            self._reader.set_progress_handler(None, 0)

    def changed_since(self, version: int) -> bool:
        try:
            replaced = _identity(self.path) != self._file
        except EnvironmentFailure:
            replaced = True
        return replaced or self._data_version() != version

    def version(self) -> int:
        return self._data_version()

    def restore(self, source: Path, afterwards: Iterable[str] = ()) -> None:
        """Make the live content that of ``source``, then run the SQL statements."""
        copy_database(source, self.path)
        self._follow()
        statements = list(afterwards)
        if statements:
            try:
                with closing(_open(self.path)) as live:
                    for statement in statements:
                        live.execute(statement)
            except sqlite3.Error as error:
                raise EnvironmentFailure(f"after_restore failed on {self.path}: {error}") from error

    def close(self) -> None:
        self._reader.close()

    def _data_version(self) -> int:
        try:
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as error:
            raise EnvironmentFailure(f"cannot read {self.path}: {error}", kind="check") from error

    def _follow(self) -> None:
        """Read the file that is there now: a connection to one that was replaced would go on showing the old one."""
        now = _identity(self.path)
        if now != self._file:
            self._reader.close()
            self._reader, self._file, self._version = _open(self.path, read_only=True), now, None

    def _hash(self) -> str:
        whole = hashlib.blake2b(digest_size=8)
        self._reader.execute("BEGIN")
        try:
            for table in self._tables():
                columns = self._columns(table)
                if not columns:
                    continue
                whole.update(f"\0{table}\0{','.join(columns)}\0".encode())
                row = "||','||".join(f"quote({quote(column)})" for column in columns)
                rows = [
                    timeless(values[0] or "") for values in self._reader.execute(f"SELECT {row} FROM {quote(table)}")
                ]
                whole.update("\n".join(sorted(rows)).encode("utf-8", "surrogatepass"))
        finally:
            self._reader.execute("ROLLBACK")
        return whole.hexdigest()

    def _tables(self) -> list[str]:
        rows = self._reader.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
        return [
            name
            for name, sql in rows
            if not name.startswith("sqlite_")
            and name.casefold() not in self._ignored_tables
            and not (sql or "").upper().lstrip().startswith("CREATE VIRTUAL")
        ]

    def _columns(self, table: str) -> list[str]:
        names = [str(row[1]) for row in self._reader.execute(f"PRAGMA table_info({quote(table)})")]
        return [
            name for name in names if not {f"*.{name}".casefold(), f"{table}.{name}".casefold()} & self._ignored_columns
        ]


def _identity(path: Path) -> tuple[int, int]:
    """Which file is at a path. Raises EnvironmentFailure where there is none."""
    try:
        status = path.stat()
    except OSError as error:
        raise EnvironmentFailure(f"cannot read {path}: {error.strerror}", kind="check") from error
    return status.st_dev, status.st_ino


def timeless(row: str, now: float = 0.0) -> str:
    """A row with "<now>" for every moment of the last or next day: when something was done is no part of the state.

    Moments are whole numbers of seconds, milliseconds or microseconds since 1970, and ISO dates with a time (UTC).
    """
    now = now or time.time()
    if not any(
        beginning in row for beginning in _beginnings(int(now // 60))
    ):  # true of nearly every row, and quick to find out
        return row

    def replace_unix(match: re.Match[str]) -> str:
        return "<now>" if abs(int(match[1]) - now) < DAY else match[0]

    def replace_iso(match: re.Match[str]) -> str:
        try:
            moment = datetime.fromisoformat(match[0]).replace(tzinfo=UTC).timestamp()
        except ValueError:
            return match[0]
        return "<now>" if abs(moment - now) < DAY else match[0]

    return _ISO_TIME.sub(replace_iso, _UNIX_TIME.sub(replace_unix, row))


@lru_cache(maxsize=8)
def _beginnings(minute: int) -> frozenset[str]:
    """The first characters of every moment that is about now."""
    moments = [minute * 60 + offset for offset in (-DAY - 60, 0, DAY + 60)]
    days = {datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d") for moment in moments}
    return frozenset({str(int(moment))[:5] for moment in moments} | days)


def copy_database(source: Path, target: Path) -> None:
    """Copy through the backup API, waiting for writers to finish. Raises EnvironmentFailure."""
    deadline = time.monotonic() + BUSY

    def in_time(status: int, remaining: int, total: int) -> None:
        """SQLite's own loop waits for ever where a file is locked."""
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    while True:
        try:
            with closing(_open(source, read_only=True)) as before, closing(_open(target)) as after:
                before.backup(after, pages=-1, progress=in_time, sleep=0.01)
                return
        except sqlite3.OperationalError as error:
            busy = "locked" in str(error) or "busy" in str(error)
            if not busy or time.monotonic() > deadline:
                raise EnvironmentFailure(f"cannot restore {target}: {error}") from error
            time.sleep(0.01)
        except sqlite3.Error as error:
            raise EnvironmentFailure(f"cannot restore {target}: {error}") from error


def _open(path: Path, read_only: bool = False) -> sqlite3.Connection:
    try:
        if not read_only:
            return sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        # a read-only connection to a WAL file needs the -shm file, so it is opened normally and forbidden to write
        address = f"{path.resolve().as_uri()}?mode=rw"
        connection = sqlite3.connect(address, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        return connection
    except sqlite3.Error as error:
        raise EnvironmentFailure(f"cannot open {path}: {error}") from error
