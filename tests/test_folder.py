"""Temporary folders go with their process, also where it was killed; nobody removes those of a living one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbi.environments.web.application import Application
from lbi.environments.web.environment import WebEnvironments
from lbi.storage.tempdirs import LOCK, OwnFolder, remove_leftovers

OWNER = """
import sys
from lbi.storage.tempdirs import OwnFolder
folder = OwnFolder("app")
(folder.path / "state").mkdir()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made in this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@contextmanager
def owner(room: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process with a folder of its own."""
    environ = {**os.environ, "TMPDIR": str(room)}
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.communicate()


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not(room: Path) -> None:
    own = OwnFolder("app")
    with owner(room) as (dead, left), owner(room) as (_, kept):
        dead.kill()
        dead.wait()
        assert remove_leftovers() == [left]
        assert not left.exists()
        assert (kept / "state").is_dir()
        assert own.path.is_dir()
    assert remove_leftovers() == [kept]


def test_only_folders_of_this_kind_are_removed(room: Path) -> None:
    other = room / "other"
    (room / "lbi-someone-elses").mkdir()
    other.mkdir()
    (other / LOCK).touch()
    (room / "lbi-link").symlink_to(other)
    (room / "lbi-traceback.txt").touch()
    assert remove_leftovers() == []
    assert len(list(room.iterdir())) == 4
    assert (other / LOCK).is_file()


def test_a_folder_is_removed_once(room: Path) -> None:
    folder = OwnFolder("app")
    folder.remove()
    assert not folder.path.exists()
    again = os.open(os.devnull, os.O_RDONLY)  # may be given the number of the lock that was let go
    folder.remove()
    os.close(again)


async def test_web_environments_clear_up_when_they_open_the_first(room: Path) -> None:
    with owner(room) as (dead, left):
        dead.kill()
        dead.wait()
        environments = WebEnvironments(Application(name="site", base_url="http://127.0.0.1:9"))
        await environments.open()
        assert not left.exists()
        assert list(room.glob("lbi-*"))
        await environments.close()
    assert not list(room.glob("lbi-*"))
