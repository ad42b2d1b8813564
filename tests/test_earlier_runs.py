"""A run folder made by an earlier version (commit 926ffe4, interrupted in its evaluation) is reported and continued."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from lbi.records import Example, Result, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from running import answer, lbi

FIXTURE = Path(__file__).parent / "fixtures" / "run-926ffe4"
MADE_IN = "/srv/larder"  # where its application lay; a config's paths are absolute
ARMS, TASKS, FINISHED = 6, 2, 6


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The folder of the application and of the run, as if they had been made here."""
    for file in FIXTURE.glob("*.toml"):
        shutil.copy(file, tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(FIXTURE / "run.db", run)
    (run / "config.json").write_text((FIXTURE / "config.json").read_text().replace(MADE_IN, str(tmp_path)))
    return tmp_path


def rows(run: Path) -> dict[tuple[str, str], str]:
    """(kind, key) -> id of every record."""
    with sqlite3.connect(run / "run.db") as database:
        return {(kind, key): id_ for kind, key, id_ in database.execute("SELECT kind, key, id FROM record")}


def test_ids_are_the_hashes_that_they_were(earlier: Path) -> None:
    """The class and the content of a record decide its id, so neither may change."""
    with RunFolder(earlier / "run", writing=False) as folder:
        stored = rows(earlier / "run")
        kinds = {"example": Example, "result": Result, "task": Task, "trajectory": Trajectory}
        for kind, class_ in kinds.items():
            for key, record in folder.store.all(kind, class_):
                assert record.id == stored[kind, key]


def test_it_is_reported(earlier: Path) -> None:
    assert answer("report", earlier / "run")["arms"]
    assert "backward" in (earlier / "run" / "report.html").read_text()


@pytest.mark.browser
@pytest.mark.slow
def test_it_is_continued_and_nothing_of_it_is_done_again(earlier: Path) -> None:
    before = rows(earlier / "run")
    assert sum(kind == "result" for kind, _ in before) == FINISHED
    ran = lbi("run", earlier / "run.toml", "--out", earlier / "run", "--quiet")
    assert ran.returncode == 0, ran.stderr
    after = rows(earlier / "run")
    assert before.items() <= after.items()
    assert {kind for kind, _ in after.keys() - before.keys()} == {"result", "episode", "model"}
    assert sum(kind == "result" for kind, _ in after) == ARMS * TASKS
