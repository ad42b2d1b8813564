"""The writing thread: groups share a commit, a failure is its own write's only, and nobody's error is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbi.errors import UserError
from lbi.storage.writer import Writer


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    database = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE row(n INTEGER PRIMARY KEY)")
    opened = Writer(database)
    yield opened
    opened.close()


def insert(number: object):
    return lambda db: db.execute("INSERT INTO row VALUES(?)", (number,)).rowcount


def numbers(tmp_path: Path) -> list[int]:
    with sqlite3.connect(tmp_path / "x.db") as database:
        found = [row[0] for row in database.execute("SELECT n FROM row ORDER BY n")]
    database.close()
    return found


async def test_what_was_awaited_is_there_for_everybody(writer, tmp_path):
    assert await writer.submit(insert(1)) == 1
    assert numbers(tmp_path) == [1]


def held(writer: Writer) -> threading.Event:
    """Keep the thread at work until the event is set, so that what follows becomes one group."""
    go, begun = threading.Event(), threading.Event()

    def wait(db: sqlite3.Connection) -> None:
        begun.set()
        go.wait(20)

    writer.submit(wait)
    assert begun.wait(20)
    return go


def test_what_came_during_a_commit_shares_the_next_one(writer):
    commits: list[str] = []
    go = held(writer)
    writes = [writer.submit(insert(n)) for n in range(3000)]
    writer._db.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
    go.set()
    assert [write.wait() for write in writes] == [1] * 3000
    assert len(commits) == 1 + 3, "one for what was under way, and groups of at most 1,024 rows"


def test_a_write_that_fails_takes_none_of_its_group_along(writer, tmp_path):
    go = held(writer)
    writes = [writer.submit(insert(n)) for n in (1, 2, "no number", 2, 3)]
    go.set()
    outcomes = []
    for write in writes:
        try:
            outcomes.append(write.wait())
        except sqlite3.Error as error:
            outcomes.append(type(error).__name__)
    assert outcomes == [1, 1, "IntegrityError", "IntegrityError", 1]
    assert numbers(tmp_path) == [1, 2, 3]


def test_an_error_that_nobody_waited_for_comes_up_later(writer):
    writer.submit(insert("no number"))
    with pytest.raises(sqlite3.IntegrityError):
        writer.flush()
    writer.flush()
    assert writer.submit(insert(7)).wait() == 1


async def test_a_write_whose_task_was_cancelled_is_carried_out(writer, tmp_path):
    go = held(writer)

    async def write() -> None:
        await writer.submit(insert(5))

    task = asyncio.create_task(write())
    await asyncio.sleep(0)
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    writer.flush()
    assert numbers(tmp_path) == [5]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_ever_for_a_thread_that_ended(writer):
    go = held(writer)
    writes = [writer.submit(lambda db: 1 / 0), writer.submit(insert(1))]
    go.set()
    for write in writes:
        with pytest.raises(RuntimeError, match="ended"):
            write.wait()
    writer._thread.join(20)
    with pytest.raises(UserError, match="closed already"):
        writer.submit(insert(2))


def test_after_the_end_nothing_is_taken_and_closing_twice_is_harmless(writer):
    writer.submit(insert(1)).wait()
    writer.close()
    writer.close()
    with pytest.raises(UserError, match="closed already"):
        writer.submit(insert(2))
