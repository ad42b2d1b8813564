"""Who does which work of a run: one process alone, or several that take from the same run folder.

A process alone leases in memory and writes nothing. One that joins makes itself known in the database and waits until
all others have written down what they hold; from then on every piece of work is claimed there before it is begun. A
claim holds as long as its holder's heart beats, and is taken over after that.
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
LEASE = (
    60.0  # seconds without one after which a claim may be taken over; of a process that is known to be dead, at once
)
POLL = 0.25  # seconds after which work that another process does is looked at again
State = Literal["mine", "theirs", "done"]
UNRECORDED = ("stage", "label")  # kinds of work that no single record shows to be done


class WorkKey(NamedTuple):
    """What work is the outcome of: kind and key of its record."""

    kind: str
    key: str


class Leases:
    """The leases of one process. ``take`` work, and say how it ended: ``done``, ``give_up`` or ``free``."""

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
        """Begin to take part. ``alone``: no other process can be at work, so what an earlier one claimed is void.

        Otherwise this waits until every other process has written down what it holds.
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
        """What is still held is free for others."""
        self._stop.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
            await self._store.write(lambda db: _leave(db, self._worker))

    async def take(self, key: WorkKey) -> State:
        """Claim work: ``mine`` to do, ``theirs`` while another process does it, ``done`` if there is nothing to do.

        Raises UserError if this process slept so long that others have taken over what it held.
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
        """The work is done, and what came of it is written."""
        with self._guard:
            if key.kind in UNRECORDED:
                self._held[key] = "done"
            else:
                self._held.pop(key, None)
        if self.shared:
            self._store.write(lambda db: _set(db, key, self._worker, "done"))

    def give_up(self, key: WorkKey) -> None:
        """Nobody shall try it again while this run of the program lasts."""
        with self._guard:
            self._held[key] = "given up"
        if self.shared:
            self._store.write(lambda db: _set(db, key, self._worker, "given up"))

    def free(self, key: WorkKey) -> None:
        """It was not done, and anybody may."""
        self._forget(key)
        if self.shared:
            self._store.write(lambda db: _set(db, key, self._worker, ""))

    @contextlib.asynccontextmanager
    async def turn(self, key: WorkKey, gate: asyncio.Semaphore | None = None) -> AsyncIterator[bool]:
        """Wait for one's turn at work: True = do it now, False = it was done or given up by another process.

        The gate is held while this process does the work, and not while it waits for another one.
        """
        while True:
            async with gate or contextlib.nullcontext():
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
        last = time.monotonic()
        while not self._stop.wait(self._beat):
            now = time.monotonic()
            if self.shared and now - last > self._lease:
                self._late = now - last
                return
            last = now
            try:
                newest, others = self._store.write(lambda db: _beat(db, self._worker)).wait()
                if others and not self.shared:
                    self._share(newest)
                elif self.shared:
                    self._store.write(functools.partial(_knows, worker=self._worker, newest=newest)).wait()
            except (UserError, sqlite3.Error):
                return  # the run's own writes say it, and end the run

    def _share(self, newest: int) -> None:
        """Write down what is held, in one transaction with the word that the newcomers are known."""
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
    """(number of the newest process, how many others there are)"""
    db.execute("UPDATE worker SET seen = ? WHERE number = ?", (time.time(), worker))
    newest, count = db.execute("SELECT max(number), count(*) FROM worker").fetchone()
    return int(newest or 0), int(count) - 1


def _knows(db: sqlite3.Connection, worker: int, newest: int) -> None:
    db.execute("UPDATE worker SET knows = ? WHERE number = ?", (newest, worker))


def _known(db: sqlite3.Connection, worker: int, lease: float) -> bool:
    """Whether all that live have written down what they hold since this one came."""
    rows = db.execute("SELECT number FROM worker WHERE number < ? AND knows < ?", (worker, worker)).fetchall()
    return not any(_lives(db, number, lease) for (number,) in rows)


def _lives(db: sqlite3.Connection, worker: int, lease: float) -> bool:
    """Whether its heart beats; of a process on this machine, whether it is there at all."""
    sql = "SELECT pid, host FROM worker WHERE number = ? AND seen > ?"
    found = db.execute(sql, (worker, time.time() - lease)).fetchone()
    if found is None:
        return False
    if found[1] == os.uname().nodename:
        try:
            os.kill(found[0], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
    return True


def _write_down(db: sqlite3.Connection, worker: int, held: dict[WorkKey, str], newest: int) -> None:
    rows = [(*key, worker, state) for key, state in held.items()]
    db.executemany("INSERT OR REPLACE INTO claim VALUES(?, ?, ?, ?)", rows)
    _knows(db, worker, newest)


def _take(db: sqlite3.Connection, key: WorkKey, worker: int, lease: float) -> State:
    if db.execute("SELECT 1 FROM record WHERE kind = ? AND key = ?", key).fetchone():
        return "done"
    found = db.execute("SELECT worker, state FROM claim WHERE kind = ? AND key = ?", key).fetchone()
    if found is not None and found[1] in ("done", "given up"):
        return "done"
    if found is not None and found[0] != worker and _lives(db, found[0], lease):
        return "theirs"
    db.execute("INSERT OR REPLACE INTO claim VALUES(?, ?, ?, 'held')", (*key, worker))
    return "mine"


def _set(db: sqlite3.Connection, key: WorkKey, worker: int, state: str) -> None:
    """Another state of one's own claim; '' = none."""
    if state:
        db.execute("UPDATE claim SET state = ? WHERE kind = ? AND key = ? AND worker = ?", (state, *key, worker))
    else:
        db.execute("DELETE FROM claim WHERE kind = ? AND key = ? AND worker = ?", (*key, worker))
