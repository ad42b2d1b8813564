"""A folder of skills installs into the harnesses of others: Harbor and verifiers, by their own loaders.

Both want other versions of libraries than we have, so each is asked in a process of its own (see test_consumers).
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from own_environments import installed, wheel_of
from running import lbi_here
from skilled_run import make_skilled_run
from test_consumers import HARBOR, PROGRAMS, asked

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

VERIFIERS = "verifiers==0.4.0"
NAMES = ["lamps-lamps", "lamps-new", "lamps-rooms"]


@pytest.fixture(scope="module")
def skills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = asyncio.run(make_skilled_run(tmp_path_factory.mktemp("skilled")))
    ran = lbi_here("skills", run)
    assert ran.returncode == 0, ran.stderr
    return run / "skills"


def test_harbor_takes_the_folder_as_its_skills(skills: Path, tmp_path: Path) -> None:
    file = wheel_of(HARBOR, tmp_path)
    found = asked(Path(sys.executable), PROGRAMS / "read_harbor_skills.py", file, skills)
    assert sorted(found) == NAMES
    assert all(digest.startswith("sha256:") for digest in found.values())
    one = asked(Path(sys.executable), PROGRAMS / "read_harbor_skills.py", file, skills / "lamps-new")
    assert one == {"lamps-new": found["lamps-new"]}


def test_verifiers_installs_every_file_where_its_agents_look_for_skills(skills: Path, tmp_path: Path) -> None:
    python = installed(tmp_path / "venv", VERIFIERS)
    found = asked(python, PROGRAMS / "read_verifiers_skills.py", skills)
    files = [file for name in NAMES for file in (skills / name).rglob("*") if file.is_file()]
    assert found == {
        file.relative_to(skills).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }
