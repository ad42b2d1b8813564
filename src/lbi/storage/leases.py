"""Leases on pieces of work, so that several processes can share a run folder and none does what another one does.

A process that is alone holds its leases in memory. One that joins registers in the database, and waits until the others
have written their leases there; from then on every piece of work is leased there before it is begun (table ``claim``).
A lease holds as long as its process sends heartbeats, and can be taken over after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from typing import Literal, NamedTuple

from lbi.errors import UserError
from lbi.storage.database import Store

BEAT = 1.0  # seconds between heartbeats
#: seconds without a heartbeat after which a lease may be taken over; at once if the process is known to be dead
LEASE = 60.0
POLL = 0.25  # seconds between two looks at work that another process does
State = Literal["mine", "theirs", "done"]
UNRECORDED = ("stage", "label")  # kinds of work with several records or none, so that no record shows them to be done


class WorkKey(NamedTuple):
    """A piece of work, named by kind and key of the record that is its outcome."""

    kind: str
    key: str


class Leases:
    """The leases of one process. ``take`` one, and end it by ``done``, ``give_up`` or ``free``; ``lease`` does both."""

    def __init__(self, store: Store, *, beat: float = BEAT, lease: float = LEASE) -> None:
        self._store = store
        self._beat, self._lease = beat, lease
        self._guard = threading.Lock()
        self._held: dict[WorkKey, str] = {}  # held, given up, or done
        self._worker = 0
        self.shared = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._late: float = 0.0

    async def enter(self, *, alone: bool) -> None:
        """Register this process. ``alone``: no other one can be at work, so leases of earlier ones are void.

        Otherwise this waits until every other process has written its leases to the database.
        """
        self._worker = await self._store.write(lambda db: _enter(db, void=alone))
        if not alone:
            self.shared = True
        self._thread = threading.Thread(target=self._keep_beating, name="lbi-heartbeat", daemon=True)
        self._thread.start()
        while not alone:
            if await self._store.write(lambda db: _known(db, self._worker, self._lease)):
                return
            await asyncio.sleep(self._beat / 4)

    async def leave(self) -> None:
        """Stop the heartbeat, and give back all leases that are still held."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            await self._store.write(lambda db: _leave(db, self._worker))

    async def take(self, key: WorkKey) -> State:
        """Lease work. ``mine``: do it; ``theirs``: another process is doing it; ``done``: there is nothing to do.

        Raises UserError if this process stood still for so long that others may have taken over its leases.
        """
        if self._late:
            raise UserError(
                f"this process stood still for {self._late:.0f} s, and others may have taken over its work; "
                "start it again with --join"
            )
        with self._guard:
            if self._held.get(key) in ("given up", "done"):
                return "done"
            self._held[key] = "held"
            if not self.shared:
                return "mine"
        state = await self._store.write(lambda db: _take(db, key, self._worker, self._lease))
        if state != "mine":
            self._forget(key)
        return state

    def done(self, key: WorkKey) -> None:
        """End a lease: the work is done, and its outcome is written."""
        with self._guard:
            if key.kind in UNRECORDED:
                self._held[key] = "done"
            else:
                self._held.pop(key, None)
        if self.shared:
            self._store.write(lambda db: _set(db, key, self._worker, "done"))

    def give_up(self, key: WorkKey) -> None:
        """End a lease: the work failed for good, and no process of this run shall try it again."""
        with self._guard:
            self._held[key] = "given up"
        if self.shared:
            self._store.write(lambda db: _set(db, key, self._worker, "given up"))

    def free(self, key: WorkKey) -> None:
        """End a lease: the work was not done, and any process may do it."""
        self._forget(key)
        if self.shared:
            self._store.write(lambda db: _set(db, key, self._worker, ""))

    @contextlib.asynccontextmanager
    async def lease(self, key: WorkKey, slots: asyncio.Semaphore | None = None) -> AsyncIterator[bool]:
        """Hold a lease while the body runs. True = do the work; False = another process has done it or given it up.

        Waits while another process is doing it. Of ``slots``, one is held while this process works, not while it waits.
        """
        while True:
            async with slots or contextlib.nullcontext():
                state = await self.take(key)
                if state == "mine":
                    with contextlib.ExitStack() as undone:
                        undone.callback(self.free, key)
                        yield True
                        undone.pop_all()
                    self.done(key)
                    return
            if state == "done":
                yield False
                return
            await asyncio.sleep(POLL)

    def _forget(self, key: WorkKey) -> None:
        with self._guard:
            self._held.pop(key, None)

    def _keep_beating(self) -> None:
        last_beat = time.monotonic()
        while not self._stop.wait(self._beat):
            now = time.monotonic()
            if self.shared and now - last_beat > self._lease:
                self._late = now - last_beat
                return
            last_beat = now
            try:
                newest, others = self._store.write(lambda db: _beat(db, self._worker)).wait()
                if others and not self.shared:
                    self._share(newest)
                elif self.shared:
                    self._store.write(functools.partial(_knows, worker=self._worker, newest=newest)).wait()
            except (UserError, sqlite3.Error):
                return  # the run's own writes fail in the same way, and end the run with a message

    def _share(self, newest: int) -> None:
        """Write the leases to the database, in one transaction with the newest process that this one knows of."""
        with self._guard:
            self.shared = True
            held = dict(self._held)
            written = self._store.write(lambda db: _write_down(db, self._worker, held, newest))
        written.wait()


SCHEMA = """
CREATE TABLE IF NOT EXISTS worker(
  number INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER, host TEXT, seen REAL, knows INTEGER);
CREATE TABLE IF NOT EXISTS claim(kind TEXT, key TEXT, worker INTEGER, state TEXT, PRIMARY KEY(kind, key)) WITHOUT ROWID;
"""


def _enter(db: sqlite3.Connection, *, void: bool) -> int:
    for statement in SCHEMA.split(";"):
        db.execute(statement)
    if void:
        db.execute("DELETE FROM claim")
        db.execute("DELETE FROM worker")
    row = (os.getpid(), os.uname().nodename, time.time())
    number = int(db.execute("INSERT INTO worker VALUES(NULL, ?, ?, ?, 0)", row).lastrowid or 0)
    db.execute("UPDATE worker SET knows = number WHERE number = ?", (number,))
    return number


def _leave(db: sqlite3.Connection, worker: int) -> None:
    db.execute("DELETE FROM claim WHERE worker = ? AND state = 'held'", (worker,))
    db.execute("DELETE FROM worker WHERE number = ?", (worker,))


def _beat(db: sqlite3.Connection, worker: int) -> tuple[int, int]:
    """Record a heartbeat. Returns (number of the newest process, number of other processes)."""
    db.execute("UPDATE worker SET seen = ? WHERE number = ?", (time.time(), worker))
    newest, count = db.execute("SELECT max(number), count(*) FROM worker").fetchone()
    return int(newest or 0), int(count) - 1


def _knows(db: sqlite3.Connection, worker: int, newest: int) -> None:
    db.execute("UPDATE worker SET knows = ? WHERE number = ?", (newest, worker))


def _known(db: sqlite3.Connection, worker: int, lease: float) -> bool:
    """Whether every living process has written its leases to the database since this one registered."""
    rows = db.execute("SELECT number FROM worker WHERE number < ? AND knows < ?", (worker, worker)).fetchall()
    return not any(_lives(db, number, lease) for (number,) in rows)


def _lives(db: sqlite3.Connection, worker: int, lease: float) -> bool:
    """Whether a process has sent a heartbeat within ``lease`` seconds and, if it is on this machine, still exists."""
    sql = "SELECT pid, host FROM worker WHERE number = ? AND seen > ?"
    row = db.execute(sql, (worker, time.time() - lease)).fetchone()
    if row is None:
        return False
    return row[1] != os.uname().nodename or is_alive(row[0])


def is_alive(process: int) -> bool:
    """Whether this machine has a process of this id, whosever it is."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no id at all: better taken for alive
        return True
    return True


def _write_down(db: sqlite3.Connection, worker: int, held: dict[WorkKey, str], newest: int) -> None:
    rows = [(*key, worker, state) for key, state in held.items()]
    db.executemany("INSERT OR REPLACE INTO claim VALUES(?, ?, ?, ?)", rows)
    _knows(db, worker, newest)


def _take(db: sqlite3.Connection, key: WorkKey, worker: int, lease: float) -> State:
    if db.execute("SELECT 1 FROM record WHERE kind = ? AND key = ?", key).fetchone():
        return "done"
    claim = db.execute("SELECT worker, state FROM claim WHERE kind = ? AND key = ?", key).fetchone()
    if claim is not None and claim[1] in ("done", "given up"):
        return "done"
    if claim is not None and claim[0] != worker and _lives(db, claim[0], lease):
        return "theirs"
    db.execute("INSERT OR REPLACE INTO claim VALUES(?, ?, ?, 'held')", (*key, worker))
    return "mine"


def _set(db: sqlite3.Connection, key: WorkKey, worker: int, state: str) -> None:
    """Change the state of one of this process's leases; "" = remove it."""
    if state:
        db.execute("UPDATE claim SET state = ? WHERE kind = ? AND key = ? AND worker = ?", (state, *key, worker))
    else:
        db.execute("DELETE FROM claim WHERE kind = ? AND key = ? AND worker = ?", (*key, worker))
