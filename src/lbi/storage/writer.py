"""One thread that does all writes of a database, in groups: ``await writer.submit(lambda db: db.execute(...))``.

A group is what was submitted while the group before was being committed. So no write waits for others, and many writes
share a commit. A write is acknowledged after the commit of its group.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from lbi.errors import UserError

T = TypeVar("T")
MAX_ROWS = 1024  # rows in a group


class Written(Generic[T]):
    """A write that may not be finished. Await it, or call ``wait`` in plain code; both raise the error if it failed.

    Doing neither is fine: writes are done in order, so when a later one is acknowledged, this one is on the disk too.
    """

    def __init__(self, work: Callable[[sqlite3.Connection], T], rows: int) -> None:
        self.work = work
        self.rows = rows
        self.awaited = False  # whether a caller will get the error, if there is one
        self.done: Future[T] = Future()
        self.done.set_running_or_notify_cancel()  # a caller that stops waiting does not stop the write

    def wait(self) -> T:
        self.awaited = True
        return self.done.result()

    def __await__(self) -> Generator[Any, None, T]:
        self.awaited = True
        if self.done.done():
            return self.done.result()
        return (yield from asyncio.wrap_future(self.done).__await__())


class Writer:
    """Owns the only connection that writes. ``submit`` from any thread; ``close`` it at the end.

    Writes are done in the order of their submission. If one fails, the others of its group are written nevertheless.
    """

    def __init__(self, db: sqlite3.Connection, *, rolled_back: Callable[[], None] = lambda: None) -> None:
        """``rolled_back`` is called in the writing thread when a group was undone; then its writes are tried singly."""
        self._db = db
        self._rolled_back = rolled_back
        self._queue: queue.SimpleQueue[Written[Any] | None] = queue.SimpleQueue()
        self._state = threading.Condition()
        self._submitted = self._finished = 0
        self._failed: queue.SimpleQueue[Written[Any]] = queue.SimpleQueue()  # those that nobody was waiting for
        self._closed = False
        self._at_work: list[Written[Any]] = []
        self._thread = threading.Thread(target=self._run, name="lbi-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T], rows: int = 1) -> Written[T]:
        """Do ``work`` in a transaction, in the writing thread. Raises the error of an earlier write not awaited."""
        self._complain()
        written = Written(work, rows)
        with self._state:
            if self._closed:
                raise UserError("the run's database is closed already")
            self._submitted += 1
            self._queue.put(written)
        return written

    def flush(self) -> None:
        """Wait until every write submitted before is on the disk or has failed. Raises as ``submit`` does."""
        with self._state:
            wanted = self._submitted
            self._state.wait_for(lambda: self._finished >= wanted)
        self._complain()

    def close(self) -> None:
        """Finish all submitted writes and close the connection. Calling it again does nothing."""
        with self._state:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._db.close()
        self._complain()

    def _complain(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                written = self._failed.get_nowait()
                if not written.awaited:
                    written.wait()

    def _run(self) -> None:
        try:
            while group := self._group():
                self._at_work = group
                outcomes = self._together(group) or [self._alone(written) for written in group]
                for written, outcome in zip(group, outcomes, strict=True):
                    self._tell(written, outcome)
                self._finish(len(group))
        finally:  # whatever ended the thread, no caller may wait for ever
            self._give_up()

    def _finish(self, count: int) -> None:
        self._at_work = []
        with self._state:
            self._finished += count
            self._state.notify_all()

    def _give_up(self) -> None:
        with self._state:
            self._closed = True
        left = [written for written in self._at_work if not written.done.done()]
        with contextlib.suppress(queue.Empty):
            while True:
                written = self._queue.get_nowait()
                left += [written] if written is not None else []
        for written in left:
            self._tell(written, (None, RuntimeError("the thread that writes the run's database ended")))
        with self._state:
            self._finished = self._submitted
            self._state.notify_all()

    def _group(self) -> list[Written[Any]]:
        """The writes that are waiting, at least one; empty when the writer is closed."""
        first = self._queue.get()
        if first is None:
            return []
        group, rows = [first], first.rows
        with contextlib.suppress(queue.Empty):
            while rows < MAX_ROWS:
                following = self._queue.get_nowait()
                if following is None:
                    self._queue.put(None)  # the end, for the next turn
                    break
                group.append(following)
                rows += following.rows
        return group

    def _together(self, group: list[Written[Any]]) -> list[tuple[Any, BaseException | None]] | None:
        """Do all writes in one transaction. None if it failed and nothing was written."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            values: list[tuple[Any, BaseException | None]] = [(written.work(self._db), None) for written in group]
            self._db.execute("COMMIT")
        except sqlite3.Error:  # which write is to blame shows when each is done alone
            self._undo()
            return None
        return values

    def _alone(self, written: Written[Any]) -> tuple[Any, BaseException | None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            value = written.work(self._db)
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._undo()
            failure = UserError(
                f"the run's database cannot be written ({error}); make room or make it writable, "
                "then start the same command again: nothing finished is lost"
            )
            failure.__cause__ = error
            return None, failure
        except sqlite3.Error as error:
            self._undo()
            return None, error
        return value, None

    def _undo(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        self._rolled_back()

    def _tell(self, written: Written[Any], outcome: tuple[Any, BaseException | None]) -> None:
        value, error = outcome
        if error is None:
            written.done.set_result(value)
            return
        written.done.set_exception(error)
        if not written.awaited:
            self._failed.put(written)
