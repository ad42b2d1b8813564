"""The database of a run (SQLite): records, failures, model calls and meters, each under the key of its work.

Writes go through one thread (lbi.storage.writer): ``await store.put(...)`` returns when the row is on the disk. Reads
see everything that was written before them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import zstandard
from pydantic import ValidationError

from lbi.errors import UserError
from lbi.protocols import Reply
from lbi.records import Record, Sent, Usage, digest_of
from lbi.storage.damage import OURS, DamagedRun, is_damage
from lbi.storage.secrets import holds_secret, mask, masked
from lbi.storage.writer import Writer, Written

R = TypeVar("R", bound=Record)
T = TypeVar("T")
KNOWN = 50_000  # number of stored texts that the writer remembers, so as not to write them again

SCHEMA = """
CREATE TABLE IF NOT EXISTS record(kind TEXT, key TEXT, id TEXT, body BLOB, created REAL, PRIMARY KEY(kind, key));
CREATE INDEX IF NOT EXISTS record_id ON record(kind, id);
CREATE TABLE IF NOT EXISTS text(id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure(
  kind TEXT, key TEXT, boundary TEXT, message TEXT, attempts INTEGER, created REAL, PRIMARY KEY(kind, key));
CREATE TABLE IF NOT EXISTS call(
  key TEXT PRIMARY KEY, role TEXT, stage TEXT, model TEXT, messages BLOB, reply BLOB, usage TEXT, created REAL);
CREATE TABLE IF NOT EXISTS failed_call(
  key TEXT PRIMARY KEY, role TEXT, stage TEXT, model TEXT, messages BLOB, message TEXT, usage TEXT, attempts INTEGER,
  created REAL);
CREATE TABLE IF NOT EXISTS batch(
  mark TEXT PRIMARY KEY, model TEXT, name TEXT, keys BLOB, ended INTEGER, created REAL);
CREATE TABLE IF NOT EXISTS knowledge(
  number INTEGER PRIMARY KEY AUTOINCREMENT, item TEXT, event TEXT, source TEXT, reason TEXT, created REAL,
  UNIQUE(item, event, source));
CREATE TABLE IF NOT EXISTS meter(stage TEXT, name TEXT, value REAL, PRIMARY KEY(stage, name)) WITHOUT ROWID;
"""


def address(file: Path, *, writing: bool = False) -> str:
    """The URI of a run's database.

    On a read-only disk SQLite cannot make its WAL files, so the database is opened as one that nobody changes.
    """
    immutable = not writing and os.statvfs(file.parent).f_flag & os.ST_RDONLY and not Path(f"{file}-wal").exists()
    mode = "mode=rwc" if writing else "mode=ro&immutable=1" if immutable else "mode=ro"
    return f"{file.resolve().as_uri()}?{mode}"


class Store:
    """One run's database, in WAL mode. Every write returns a ``Written``: await it to know that it is on the disk."""

    def __init__(self, file: Path, *, writing: bool = True) -> None:
        self._guard = threading.RLock()
        self._file, self._writing = file, writing
        self._writer: Writer | None = None
        if writing:
            with contextlib.closing(self._connected()) as db:
                db.execute("PRAGMA journal_mode=WAL")
                marked = db.execute("PRAGMA application_id").fetchone()[0] == OURS
                mark = "" if marked else f"PRAGMA application_id={OURS};"
                # whoever looks meanwhile sees none of the tables, or all
                db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}{mark}COMMIT;")
        self._db = self._connected()
        if writing:
            self._db.execute("PRAGMA query_only=1")
        else:
            self._refuse_without_tables()
        self._unpack = zstandard.ZstdDecompressor()
        self._pack = zstandard.ZstdCompressor(level=3)  # of the writing thread
        self._known: set[str] = set()  # of the writing thread: ids of texts that are certainly stored

    def _refuse_without_tables(self) -> None:
        """Raises UserError for a database in which a run that begins has not made its tables yet."""
        try:
            begun = self._db.execute("SELECT EXISTS(SELECT 1 FROM sqlite_master)").fetchone()[0]
        except sqlite3.Error:
            self._db.close()
            raise
        if not begun:
            self._db.close()
            raise UserError(
                f"{self._file} holds nothing yet, as a run that is just starting: look again in a moment; "
                "if nothing is at work there, start its command again"
            )

    def _connected(self) -> sqlite3.Connection:
        place = address(self._file, writing=self._writing)
        db = sqlite3.connect(place, uri=True, check_same_thread=False, isolation_level=None)
        db.execute("PRAGMA busy_timeout=10000")
        db.execute("PRAGMA synchronous=FULL")  # a commit survives the machine too; in groups that costs little
        return db

    def close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        finally:
            with self._guard:
                self._db.close()

    def write(self, work: Callable[[sqlite3.Connection], T], rows: int = 1) -> Written[T]:
        """Let the writing thread do ``work``, in one transaction with other writes.

        Awaiting the result raises UserError if the database cannot be written.
        """
        with self._guard:
            if self._writer is None:
                self._writer = Writer(self._connected(), rolled_back=self._known.clear)
        return self._writer.submit(work, rows)

    def flush(self) -> None:
        """Wait until everything written before is on the disk."""
        if self._writer is not None:
            self._writer.flush()

    # records

    def put(self, kind: str, key: str, record: Record) -> Written[None]:
        return self.put_many(kind, [(key, record)])

    def put_many(self, kind: str, rows: Iterable[tuple[str, Record]]) -> Written[None]:
        """Write (key, record) rows, all or none. Rows with these keys, and their failures, are replaced."""
        folded = [(key, record.id, *_fold(masked(record.model_dump(mode="json")))) for key, record in rows]
        created = time.time()

        def work(db: sqlite3.Connection) -> None:
            for key, id_, body, texts in folded:
                self._put_texts(db, texts)
                packed = self._pack.compress(json.dumps(body, ensure_ascii=False).encode())
                db.execute("INSERT OR REPLACE INTO record VALUES(?, ?, ?, ?, ?)", (kind, key, id_, packed, created))
                db.execute("DELETE FROM failure WHERE kind = ? AND key = ?", (kind, key))

        return self.write(work, len(folded))

    def _put_texts(self, db: sqlite3.Connection, texts: dict[str, str]) -> None:
        new = {name: text for name, text in texts.items() if name not in self._known}
        if new:
            packed = [(name, self._pack.compress(text.encode())) for name, text in new.items()]
            db.executemany("INSERT OR IGNORE INTO text VALUES(?, ?)", packed)
            if len(self._known) > KNOWN:
                self._known.clear()
            self._known.update(new)

    def keys(self, kind: str) -> set[str]:
        return {row[0] for row in self._rows("SELECT key FROM record WHERE kind = ?", (kind,))}

    @property
    def empty(self) -> bool:
        """Whether there is neither a record of work nor a model call; which models there are is noted before any."""
        noted = "('model', 'price')"
        (row,) = self._rows(
            f"SELECT (SELECT count(*) FROM record WHERE kind NOT IN {noted}) + (SELECT count(*) FROM call)"
        )
        return int(row[0]) == 0

    def count(self, kind: str) -> int:
        return int(self._rows("SELECT count(*) FROM record WHERE kind = ?", (kind,))[0][0])

    def mark(self, *kinds: str) -> str:
        """The same text as long as no record of these kinds is written or removed."""
        told: list[Any] = []
        for kind in sorted(kinds):
            ((count, last),) = self._rows("SELECT count(*), max(rowid) FROM record WHERE kind = ?", (kind,))
            # the last row keeps its number when it is written anew
            told.append([kind, count, last, self._rows("SELECT created FROM record WHERE rowid = ?", (last,))])
        return digest_of(told)

    def get(self, kind: str, key: str, type_: type[R]) -> R | None:
        rows = self._rows("SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key))
        return self._record(rows[0][0], type_) if rows else None

    def all(self, kind: str, type_: type[R]) -> list[tuple[str, R]]:
        """Every (key, record) of a kind, in the order of the keys, so that no result depends on who finished first."""
        rows = self._rows("SELECT key, body FROM record WHERE kind = ? ORDER BY key", (kind,))
        return [(key, self._record(body, type_)) for key, body in rows]

    def under(self, kind: str, prefix: str, type_: type[R]) -> list[tuple[str, R]]:
        """As ``all``, of the keys that begin with ``prefix``."""
        sql = "SELECT key, body FROM record WHERE kind = ? AND key >= ? AND key < ? ORDER BY key"
        rows = self._rows(sql, (kind, prefix, prefix + "\U0010ffff"))
        return [(key, self._record(body, type_)) for key, body in rows]

    def _record(self, packed: bytes, type_: type[R]) -> R:
        """Raises DamagedRun for what is no such record, as of another version, or of a file that was overwritten."""
        try:
            body = json.loads(self._unpack.decompress(packed))
            return type_.model_validate(masked(self._unfold(body)))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise DamagedRun(self._file, f"a record {type_.__name__}: field {field!r}: {first['msg']}") from None
        except (zstandard.ZstdError, ValueError, TypeError, RecursionError) as error:
            raise DamagedRun(self._file, f"a record {type_.__name__} cannot be read: {error}") from None

    def _unfold(self, value: Any) -> Any:
        if isinstance(value, dict):
            if "text_id" in value:
                rest = {key: item for key, item in value.items() if key != "text_id"}
                return {**rest, "text": self._text(value["text_id"])}
            return {key: self._unfold(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._unfold(item) for item in value]
        return value

    def _text(self, name: str) -> str:
        rows = self._rows("SELECT body FROM text WHERE id = ?", (name,))
        if not rows:
            raise ValueError(f"the text {name} is missing")
        return str(self._unpack.decompress(rows[0][0]).decode())

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        self.flush()
        return self._stored(sql, values)

    def read(self, table: str, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a table that another module of the storage writes; none of one that an older run lacks."""
        known = self._rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
        return self._rows(sql, values) if known else []

    def _stored(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """The rows that are stored now, without waiting for writes that are not finished."""
        try:
            with self._guard:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if is_damage(error):
                raise DamagedRun(self._file, str(error)) from error
            raise

    # failures

    def fail(self, kind: str, key: str, boundary: str, message: str) -> Written[int]:
        """Record a failure by its boundary (lbi.errors). The outcome is how often this work has failed so far."""
        created, message = time.time(), mask(message)

        def work(db: sqlite3.Connection) -> int:
            db.execute(
                "INSERT INTO failure VALUES(?, ?, ?, ?, 1, ?) ON CONFLICT(kind, key) DO UPDATE SET "
                "boundary = excluded.boundary, message = excluded.message, attempts = attempts + 1, "
                "created = excluded.created",
                (kind, key, boundary, message, created),
            )
            row = db.execute("SELECT attempts FROM failure WHERE kind = ? AND key = ?", (kind, key)).fetchone()
            return int(row[0])

        return self.write(work)

    def failures(self, kind: str = "") -> list[dict[str, Any]]:
        names = ("kind", "key", "boundary", "message", "attempts")
        sql = f"SELECT {', '.join(names)} FROM failure WHERE kind = ? OR ? = '' ORDER BY kind, key"
        return [masked(dict(zip(names, row, strict=True))) for row in self._rows(sql, (kind, kind))]

    # model calls

    def get_call(self, key: str) -> Reply | None:
        """The stored reply, if its write is finished: waiting for unfinished ones would hold up all other calls."""
        rows = self._stored("SELECT model, reply, usage FROM call WHERE key = ?", (key,))
        if not rows:
            return None
        model, reply, usage = rows[0]
        text = self._unpack.decompress(reply).decode()
        return Reply(text=mask(text), model=model, usage=Usage.model_validate_json(usage))

    def has_answer_of(self, model: str) -> bool:
        """Whether a model has answered a call of this run."""
        return bool(self._rows("SELECT 1 FROM call WHERE model = ? LIMIT 1", (model,)))

    def call_keys(self) -> set[str]:
        return {row[0] for row in self._rows("SELECT key FROM call")}

    def put_call(self, key: str, role: str, stage: str, model: str, messages_json: str, reply: Reply) -> Written[None]:
        created, messages = time.time(), _masked_json(messages_json)

        def work(db: sqlite3.Connection) -> None:
            packed = (self._pack.compress(messages.encode()), self._pack.compress(mask(reply.text).encode()))
            row = (key, role, stage, model, *packed, reply.usage.model_dump_json(), created)
            db.execute("INSERT OR IGNORE INTO call VALUES(?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.execute("DELETE FROM failed_call WHERE key = ?", (key,))

        return self.write(work)

    def fail_call(
        self, key: str, role: str, stage: str, model: str, messages_json: str, message: str, usage: Usage
    ) -> Written[None]:
        """Store a call that got no reply, and what all its attempts cost. It never serves as a reply."""
        created, messages, message = time.time(), _masked_json(messages_json), mask(message)

        def work(db: sqlite3.Connection) -> None:
            stored = db.execute("SELECT usage, attempts FROM failed_call WHERE key = ?", (key,)).fetchone()
            before, attempts = (Usage.model_validate_json(stored[0]), stored[1]) if stored else (Usage(), 0)
            spent = (before + usage).model_dump_json()
            packed = self._pack.compress(messages.encode())
            row = (key, role, stage, model, packed, message, spent, attempts + 1, created)
            db.execute("INSERT OR REPLACE INTO failed_call VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

        return self.write(work)

    # batches of calls at a provider; there are few, and each change is on the disk before the method returns

    def begin_batch(self, mark: str, model: str, keys: Sequence[str]) -> None:
        """Store a batch before it is sent. Whether it arrived is known once ``name_batch`` is called."""
        created = time.time()

        def work(db: sqlite3.Connection) -> None:
            packed = self._pack.compress(json.dumps(list(keys)).encode())
            db.execute("INSERT INTO batch VALUES(?, ?, '', ?, 0, ?)", (mark, model, packed, created))

        self.write(work).wait()

    def name_batch(self, mark: str, name: str) -> None:
        self.write(lambda db: db.execute("UPDATE batch SET name = ? WHERE mark = ?", (name, mark))).wait()

    def end_batch(self, mark: str) -> None:
        """Mark a batch as one from which nothing more can be fetched."""
        self.write(lambda db: db.execute("UPDATE batch SET ended = 1 WHERE mark = ?", (mark,))).wait()

    def batch_names(self) -> set[str]:
        return {row[0] for row in self._rows("SELECT name FROM batch WHERE name != ''")}

    def open_batches(self, model: str) -> list[Sent]:
        """The batches of a model that have not ended, oldest first."""
        sql = "SELECT mark, name, keys, created FROM batch WHERE model = ? AND NOT ended ORDER BY created, mark"
        return [
            Sent(mark=mark, name=name, keys=json.loads(self._unpack.decompress(keys)), created=created)
            for mark, name, keys, created in self._rows(sql, (model,))
        ]

    # meters: calls, tokens, money and seconds per stage

    def add(self, stage: str, **amounts: float) -> Written[None]:
        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO meter VALUES(?, ?, ?) "
                "ON CONFLICT(stage, name) DO UPDATE SET value = value + excluded.value",
                [(stage, name, value) for name, value in amounts.items()],
            )

        return self.write(work)

    def meters(self) -> dict[str, dict[str, float]]:
        meters: dict[str, dict[str, float]] = {}
        for stage, name, value in self._rows("SELECT stage, name, value FROM meter"):
            meters.setdefault(stage, {})[name] = value
        return meters


def _masked_json(text: str) -> str:
    return json.dumps(masked(json.loads(text)), ensure_ascii=False) if holds_secret(text) else text


def _fold(value: Any) -> tuple[Any, dict[str, str]]:
    """(the value with the text of each observation replaced by its hash, {hash: text}): a page is stored only once."""
    texts: dict[str, str] = {}

    def fold(item: Any) -> Any:
        if isinstance(item, dict):
            if "digest" in item and isinstance(item.get("text"), str):
                name = digest_of(item["text"])
                texts[name] = item["text"]
                return {**{key: inner for key, inner in item.items() if key != "text"}, "text_id": name}
            return {key: fold(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [fold(inner) for inner in item]
        return item

    return fold(value), texts
