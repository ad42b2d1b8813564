"""The run folder: config, database of records and calls, images by hash. The only thing that remembers.

A record is a row under (kind, key), where the key says what work it is the outcome of ("m3f9/0": first attempt at task
m3f9). Success is a row; a classified failure is a row of its own; a kill leaves no row. Resuming is the set difference.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import zstandard

from lbi.contracts import Reply
from lbi.errors import UserError
from lbi.records import Record, Sent, Usage, digest_of

R = TypeVar("R", bound=Record)

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
CREATE TABLE IF NOT EXISTS meter(stage TEXT, name TEXT, value REAL, PRIMARY KEY(stage, name)) WITHOUT ROWID;
"""


class RunFolder:
    """One run on disk. Refuses a second process, and a config other than the one it was started with.

    ``config`` holds the parts of the resolved config that decide what the records mean; None = take it as it is.
    """

    def __init__(self, path: Path, config: dict[str, Any] | None = None, *, writing: bool = True) -> None:
        self.path = path
        self._lock: int | None = None
        if not writing and not (path / "run.db").is_file():
            raise UserError(f"no run in {path}: there is no run.db; `lbi run CONFIG --out {path}` makes one")
        try:
            path.mkdir(parents=True, exist_ok=True)
            if writing:
                self._take_lock()
            self.store = Store(path / "run.db", writing=writing)
            if config is not None:
                self._remember(config)
        except OSError as error:
            self._release()
            raise UserError(
                f"cannot use the run folder {path}: {error.strerror or error}; choose another --out"
            ) from error
        except sqlite3.Error as error:
            self._release()
            raise UserError(
                f"cannot open {path / 'run.db'}: {error}; make room or make it writable, or choose another --out"
            ) from error
        except UserError:
            self._release()
            raise

    def _take_lock(self) -> None:
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._lock, 32).decode().strip()
            os.close(self._lock)
            self._lock = None
            raise UserError(
                f"the run folder {self.path} is in use by process {pid}; wait for it, or choose another --out"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def _remember(self, config: dict[str, Any]) -> None:
        file = self.path / "config.json"
        if not file.exists() or self.store.empty:  # a start that failed before its first record binds nobody
            write_atomically(file, json.dumps(config, indent=2, ensure_ascii=False).encode())
            return
        known = json.loads(file.read_text())
        old, new = _binding(known), _binding(config)
        changed = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        if changed:
            raise UserError(
                f"the run folder {self.path} belongs to another config (different: {', '.join(changed)}); "
                "choose another --out, or go back to that config to continue it"
            )
        if known != config:
            write_atomically(file, json.dumps(config, indent=2, ensure_ascii=False).encode())

    @property
    def config(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.path / "config.json").read_text())
        return loaded

    def save_image(self, png: bytes) -> str:
        """Keep a PNG under the hash of its bytes and return the hash."""
        name = hashlib.blake2b(png, digest_size=16).hexdigest()
        file = self.path / "blobs" / name[:2] / f"{name}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, png)
        return name

    def load_image(self, name: str) -> bytes:
        return (self.path / "blobs" / name[:2] / f"{name}.png").read_bytes()

    def close(self) -> None:
        self.store.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _binding(config: dict[str, Any]) -> dict[str, Any]:
    """A config without what may be another when the run goes on: what a call costs decides nothing but the bill."""
    models = config.get("models")
    if not isinstance(models, dict):
        return config
    return {**config, "models": {key: value for key, value in models.items() if key not in ("prices", "batch")}}


def write_atomically(file: Path, content: bytes) -> None:
    """A reader sees the old file or the new one, never half of it, also after a kill."""
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


class Store:
    """Records, failures, model calls and meters of one run in SQLite (WAL; every put is on disk before it returns)."""

    def __init__(self, file: Path, *, writing: bool = True) -> None:
        self._guard = threading.RLock()
        mode = "rwc" if writing else "ro"
        self._db = sqlite3.connect(f"file:{file}?mode={mode}", uri=True, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA busy_timeout=10000")
        if writing:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)
        self._pack = zstandard.ZstdCompressor(level=3)
        self._unpack = zstandard.ZstdDecompressor()

    def close(self) -> None:
        with self._guard:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                with contextlib.suppress(sqlite3.OperationalError):
                    self._db.execute("ROLLBACK")
                raise UserError(
                    f"the run's database cannot be written ({error}); make room or make it writable, "
                    "then start the same command again: nothing finished is lost"
                ) from error
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    # records

    def put(self, kind: str, key: str, record: Record) -> None:
        self.put_many(kind, [(key, record)])

    def put_many(self, kind: str, rows: Iterable[tuple[str, Record]]) -> None:
        with self._transaction() as db:
            for key, record in rows:
                body, texts = _fold(record.model_dump(mode="json"))
                db.executemany(
                    "INSERT OR IGNORE INTO text VALUES(?, ?)",
                    [(name, self._pack.compress(text.encode())) for name, text in texts.items()],
                )
                packed = self._pack.compress(json.dumps(body, ensure_ascii=False).encode())
                row = (kind, key, record.id, packed, time.time())
                db.execute("INSERT OR REPLACE INTO record VALUES(?, ?, ?, ?, ?)", row)
                db.execute("DELETE FROM failure WHERE kind = ? AND key = ?", (kind, key))

    def keys(self, kind: str) -> set[str]:
        return {row[0] for row in self._rows("SELECT key FROM record WHERE kind = ?", (kind,))}

    @property
    def empty(self) -> bool:
        """Whether nothing was done or paid yet."""
        (found,) = self._rows("SELECT (SELECT count(*) FROM record) + (SELECT count(*) FROM call)")
        return int(found[0]) == 0

    def count(self, kind: str) -> int:
        return int(self._rows("SELECT count(*) FROM record WHERE kind = ?", (kind,))[0][0])

    def get(self, kind: str, key: str, type_: type[R]) -> R | None:
        rows = self._rows("SELECT body FROM record WHERE kind = ? AND key = ?", (kind, key))
        return self._record(rows[0][0], type_) if rows else None

    def by_id(self, kind: str, id_: str, type_: type[R]) -> R | None:
        rows = self._rows("SELECT body FROM record WHERE kind = ? AND id = ?", (kind, id_))
        return self._record(rows[0][0], type_) if rows else None

    def all(self, kind: str, type_: type[R]) -> list[tuple[str, R]]:
        """Every (key, record) of a kind, in the order of the keys, so that no result depends on who finished first."""
        rows = self._rows("SELECT key, body FROM record WHERE kind = ? ORDER BY key", (kind,))
        return [(key, self._record(body, type_)) for key, body in rows]

    def _record(self, packed: bytes, type_: type[R]) -> R:
        body = json.loads(self._unpack.decompress(packed))
        return type_.model_validate(self._unfold(body))

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
        return str(self._unpack.decompress(rows[0][0]).decode())

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._guard:
            return self._db.execute(sql, values).fetchall()

    # failures

    def fail(self, kind: str, key: str, boundary: str, message: str) -> int:
        """Record a classified failure and return how often this work has failed now."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO failure VALUES(?, ?, ?, ?, 1, ?) ON CONFLICT(kind, key) DO UPDATE SET "
                "boundary = excluded.boundary, message = excluded.message, attempts = attempts + 1, "
                "created = excluded.created",
                (kind, key, boundary, message, time.time()),
            )
            row = db.execute("SELECT attempts FROM failure WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return int(row[0])

    def failures(self, kind: str = "") -> list[dict[str, Any]]:
        names = ("kind", "key", "boundary", "message", "attempts")
        sql = f"SELECT {', '.join(names)} FROM failure WHERE kind = ? OR ? = '' ORDER BY kind, key"
        return [dict(zip(names, row, strict=True)) for row in self._rows(sql, (kind, kind))]

    # model calls

    def get_call(self, key: str) -> Reply | None:
        rows = self._rows("SELECT model, reply, usage FROM call WHERE key = ?", (key,))
        if not rows:
            return None
        model, reply, usage = rows[0]
        text = self._unpack.decompress(reply).decode()
        return Reply(text=text, model=model, usage=Usage.model_validate_json(usage))

    def put_call(self, key: str, role: str, stage: str, model: str, messages_json: str, reply: Reply) -> None:
        packed = (self._pack.compress(messages_json.encode()), self._pack.compress(reply.text.encode()))
        with self._transaction() as db:
            row = (key, role, stage, model, *packed, reply.usage.model_dump_json(), time.time())
            db.execute("INSERT OR IGNORE INTO call VALUES(?, ?, ?, ?, ?, ?, ?, ?)", row)
            db.execute("DELETE FROM failed_call WHERE key = ?", (key,))

    def fail_call(
        self, key: str, role: str, stage: str, model: str, messages_json: str, message: str, usage: Usage
    ) -> None:
        """Keep what was asked without success, and what all attempts together cost. It is never an answer."""
        packed = self._pack.compress(messages_json.encode())
        with self._transaction() as db:
            found = db.execute("SELECT usage, attempts FROM failed_call WHERE key = ?", (key,)).fetchone()
            before, attempts = (Usage.model_validate_json(found[0]), found[1]) if found else (Usage(), 0)
            row = (key, role, stage, model, packed, message, (before + usage).model_dump_json(), attempts + 1)
            db.execute("INSERT OR REPLACE INTO failed_call VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, time.time()))

    # batches of calls that wait at a provider

    def begin_batch(self, mark: str, model: str, keys: Sequence[str]) -> None:
        """What is about to be sent; whether it arrives nobody knows yet."""
        packed = self._pack.compress(json.dumps(list(keys)).encode())
        with self._transaction() as db:
            db.execute("INSERT INTO batch VALUES(?, ?, '', ?, 0, ?)", (mark, model, packed, time.time()))

    def name_batch(self, mark: str, name: str) -> None:
        with self._transaction() as db:
            db.execute("UPDATE batch SET name = ? WHERE mark = ?", (name, mark))

    def end_batch(self, mark: str) -> None:
        """Nothing is to be had from it any more."""
        with self._transaction() as db:
            db.execute("UPDATE batch SET ended = 1 WHERE mark = ?", (mark,))

    def batch_names(self) -> set[str]:
        return {row[0] for row in self._rows("SELECT name FROM batch WHERE name != ''")}

    def open_batches(self, model: str) -> list[Sent]:
        """Those that have not ended, oldest first."""
        sql = "SELECT mark, name, keys, created FROM batch WHERE model = ? AND NOT ended ORDER BY created, mark"
        return [
            Sent(mark=mark, name=name, keys=json.loads(self._unpack.decompress(keys)), created=created)
            for mark, name, keys, created in self._rows(sql, (model,))
        ]

    # meters: calls, tokens, money and seconds per stage

    def add(self, stage: str, **amounts: float) -> None:
        with self._transaction() as db:
            db.executemany(
                "INSERT INTO meter VALUES(?, ?, ?) "
                "ON CONFLICT(stage, name) DO UPDATE SET value = value + excluded.value",
                [(stage, name, value) for name, value in amounts.items()],
            )

    def meters(self) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for stage, name, value in self._rows("SELECT stage, name, value FROM meter"):
            found.setdefault(stage, {})[name] = value
        return found


def _fold(value: Any) -> tuple[Any, dict[str, str]]:
    """Replace the long text of observations by its hash: the same page is stored once, however often it was seen."""
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
