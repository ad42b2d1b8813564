"""A damaged run folder: one line says which file and what is wrong, and nothing is lost or begins anew."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lbi.cli.report import report
from lbi.errors import UserError
from lbi.records import Example, Result
from lbi.storage.damage import DamagedRun
from lbi.storage.run_folder import RunFolder, Store
from running import lbi
from test_earlier_runs import FIXTURE

CONFIG: dict[str, Any] = {"name": "run", "synthesis": {"rollouts": 3}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("run.db", "config.json"):
        shutil.copy(FIXTURE / name, folder)
    return folder


def halved(run: Path) -> None:
    content = (run / "run.db").read_bytes()
    (run / "run.db").write_bytes(content[: len(content) // 2])


def overwritten(run: Path) -> None:
    content = bytearray((run / "run.db").read_bytes())
    for at in range(3 * 4096, len(content), 5 * 4096):
        content[at : at + 4096] = b"x" * 4096
    (run / "run.db").write_bytes(content)


def changed_record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        with sqlite3.connect(run / "run.db") as db:
            key, packed = db.execute("SELECT key, body FROM record WHERE kind = 'result' ORDER BY key").fetchone()
            body = json.loads(zstandard.ZstdDecompressor().decompress(packed))
            change(body)
            packed = zstandard.ZstdCompressor().compress(json.dumps(body).encode())
            db.execute("UPDATE record SET body = ? WHERE kind = 'result' AND key = ?", (packed, key))
        db.close()

    return damage


def without_texts(run: Path) -> None:
    with sqlite3.connect(run / "run.db") as db:
        db.execute("DELETE FROM text")
    db.close()


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "text for a database": ("run.db", lambda run: (run / "run.db").write_text("hello " * 9000)),
    "zero bytes": ("run.db", lambda run: (run / "run.db").write_bytes(bytes(70_000))),
    "half": ("run.db", halved),
    "pages overwritten": ("run.db", overwritten),
    "unknown field": ("run.db", changed_record(lambda body: body.update(new_field=1))),
    "field of another type": ("run.db", changed_record(lambda body: body.update(score="high"))),
    "missing field": ("run.db", changed_record(lambda body: body.pop("arm"))),
    "no texts": ("run.db", without_texts),
    "config is no JSON": ("config.json", lambda run: (run / "config.json").write_text('{"name": ')),
    "config is a list": ("config.json", lambda run: (run / "config.json").write_text("[]")),
    "config is binary": ("config.json", lambda run: (run / "config.json").write_bytes(b"\xff\xfe\0")),
    "config is nested": ("config.json", lambda run: (run / "config.json").write_text("[" * 100_000)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_one_line_that_names_the_file_and_what_can_be_saved(name: str, run: Path) -> None:
    file, damage = DAMAGES[name]
    damage(run)
    with pytest.raises(DamagedRun) as raised:
        report(run, False, False, True)
    message = str(raised.value)
    assert message.startswith(f"{run / file} is damaged (")
    assert "--salvage" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", DAMAGES)
def test_what_can_be_read_is_saved_and_what_is_left_out_is_said(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, damage = DAMAGES[name]
    damage(run)
    before = {each.name: each.read_bytes() for each in run.iterdir()}
    assert report(run, False, False, True, salvaging=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert any(line.startswith(file) for line in printed["left_out"])
    assert (run / "salvaged" / "report.html").is_file()
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_record_with_an_unknown_field_costs_nothing_but_itself(run: Path) -> None:
    with RunFolder(run, writing=False) as folder:
        results, examples = folder.store.count("result"), folder.store.count("example")
    changed_record(lambda body: body.update(new_field=1))(run)
    report(run, False, False, True, salvaging=True)
    with RunFolder(run / "salvaged", writing=False) as folder:
        assert len(folder.store.all("result", Result)) == results - 1
        assert len(folder.store.all("example", Example)) == examples


def test_of_half_a_database_some_rows_are_read(run: Path) -> None:
    overwritten(run)
    report(run, False, False, True, salvaging=True)
    with RunFolder(run / "salvaged", writing=False) as folder:
        assert folder.store.count("example") + folder.store.count("trajectory") + folder.store.count("task") > 0


@pytest.mark.slow
def test_the_command_line_says_it_in_one_line(run: Path) -> None:
    halved(run)
    for command in (["report"], ["export", "--format", "trl"], ["calls"], ["run", "--quiet"]):
        ran = lbi(*command, run)
        assert ran.returncode == 2
        [line] = ran.stderr.strip().splitlines()
        assert "run.db is damaged" in line


EMPTY: dict[str, Callable[[Path], object]] = {
    "missing": lambda run: (run / "run.db").unlink(),
    "of no bytes": lambda run: (run / "run.db").write_bytes(b""),
    "without tables": lambda run: (run / "run.db").unlink() or sqlite3.connect(run / "run.db").execute("VACUUM"),
}
BESIDE: dict[str, Callable[[Path], object]] = {
    "summary.json": lambda run: (run / "summary.json").write_text("{}"),
    "report.html": lambda run: (run / "report.html").write_text("<html>"),
    "blobs": lambda run: (
        (run / "blobs" / "ab").mkdir(parents=True),
        (run / "blobs" / "ab" / "x.png").write_bytes(b"1"),
    ),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("empty", EMPTY)
def test_an_empty_database_beside_results_is_never_a_fresh_start(empty: str, beside: str, run: Path) -> None:
    EMPTY[empty](run)
    BESIDE[beside](run)
    before = sorted(each.name for each in run.iterdir())
    for writing in (True, False):
        with pytest.raises(DamagedRun, match=beside):
            RunFolder(run, CONFIG if writing else None, writing=writing)
    assert sorted(each.name for each in run.iterdir() if each.name not in ("lock", "lock.joined")) == before


def test_a_start_that_failed_before_its_first_record_binds_nobody(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", CONFIG) as folder:
        folder.save_image(b"png")
        (folder.path / "report.html").write_text("<html>nothing yet")
    with RunFolder(tmp_path / "run", {**CONFIG, "name": "other"}) as folder:
        assert folder.config["name"] == "other"


def test_a_run_that_is_just_starting_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "run.db")) as db:
        db.execute("PRAGMA journal_mode=WAL")  # the first thing that a run does to it
        with pytest.raises(UserError, match="holds nothing yet, as a run that is just starting: look again") as raised:
            RunFolder(tmp_path / "run", writing=False)
    assert not isinstance(raised.value, DamagedRun)
    with RunFolder(tmp_path / "run", CONFIG), RunFolder(tmp_path / "run", writing=False) as reading:
        assert reading.store.count("task") == 0, "from then on it can be looked at"
        (tmp_path / "run" / "config.json").unlink()
        with pytest.raises(UserError, match="not there yet, as of a run that is just starting") as raised:
            _ = reading.config
    assert not isinstance(raised.value, DamagedRun)


def test_whoever_looks_sees_no_table_or_all(tmp_path: Path) -> None:
    file, seen = tmp_path / "run.db", set()

    class Watched(sqlite3.Connection):
        def executescript(self, script: str) -> sqlite3.Cursor:
            statements = [f"{each};" for each in script.split(";") if each.strip()]
            with contextlib.closing(sqlite3.connect(file)) as other:
                for statement in statements:
                    self.execute(statement)
                    (count,) = other.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()
                    seen.add(count)
            return self.cursor()

    connect = sqlite3.connect

    def watched(*args: Any, **given: Any) -> sqlite3.Connection:
        return connect(*args, **given) if args[0] == file else connect(*args, **given, factory=Watched)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3, "connect", watched)
        Store(file).close()
    assert len(seen) == 2
    assert min(seen) == 0
