"""The state digest of an application's database: what counts as a change, and what does not."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lbi.environments.web.application import State
from lbi.environments.web.database import Database, timeless

NOW = 1_800_000_000.0
TODAY = datetime.fromtimestamp(NOW, UTC)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("'a',1800000000", "'a',<now>"),
        ("1800000000123", "<now>"),
        ("1799999999123456,'b'", "<now>,'b'"),
        (f"'{TODAY:%Y-%m-%d %H:%M:%S}'", "'<now>'"),
        (f"'{TODAY + timedelta(hours=3):%Y-%m-%dT%H:%M}'", "'<now>'"),
        # an older or a later moment, a day, another number and a part of one stay as they are
        ("1700000000", "1700000000"),
        (f"'{TODAY + timedelta(days=40):%Y-%m-%d %H:%M:%S}'", f"'{TODAY + timedelta(days=40):%Y-%m-%d %H:%M:%S}'"),
        (f"'{TODAY:%Y-%m-%d}'", f"'{TODAY:%Y-%m-%d}'"),
        ("18000000001", "18000000001"),
        ("'x1800000000'", "'x1800000000'"),
        ("'9999-99-99 99:99'", "'9999-99-99 99:99'"),
    ],
)
def test_moments_of_today_are_all_one(row, expected):
    assert timeless(row, NOW) == expected


def test_that_something_was_done_counts_and_when_does_not(tmp_path: Path):
    file = tmp_path / "app.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as live:
        live.execute("CREATE TABLE milestone (name TEXT, completed INTEGER)")
        live.execute("INSERT INTO milestone VALUES ('one', 0)")
        database = Database(file, State(database="app.db"))
        digests = [database.digest()]
        for completed in (time.time(), time.time() - 60, 1_700_000_000, 0):
            live.execute("UPDATE milestone SET completed = ?", (int(completed * 1e6),))
            digests.append(database.digest())
        database.close()
    assert digests[0] != digests[1] == digests[2]
    assert digests[2] != digests[3]
    assert digests[4] == digests[0]
