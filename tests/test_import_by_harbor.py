"""Sessions of Claude Code and Codex, which are not run here, as Harbor understands them: what it reads of one is what
we read, and what it writes for the program to resume reads like the trajectory that it wrote it from."""

from __future__ import annotations

from pathlib import Path

import pytest

from claude_session import usual
from lbi.records import Trajectory
from own_environments import installed, wheel_of
from test_consumers import HARBOR, PROGRAMS, asked
from test_import import TRACES, done, read

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

NEEDED = ("pydantic", "toml", "pathspec", "shortuuid", "platformdirs", "jinja2")


@pytest.fixture(scope="module")
def harbor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(an interpreter, the wheel); of what Harbor wants, its converters need little."""
    folder = tmp_path_factory.mktemp("harbor")
    return installed(folder / "venv", *NEEDED, python="3.12"), wheel_of(HARBOR, folder)


def converted(harbor: tuple[Path, Path], way: str, program: str, file: Path, out: Path) -> Path:
    python, wheel = harbor
    assert asked(python, PROGRAMS / "harbor_sessions.py", wheel, way, program, file, out) > 0
    return out


def told(trajectories: list[Trajectory]) -> list[tuple[str, list[str]]]:
    return [(each.task.instruction, done(each)) for each in trajectories]


def test_what_harbor_reads_of_a_session_of_claude_code_is_what_we_read(
    harbor: tuple[Path, Path], tmp_path: Path
) -> None:
    # Harbor keeps no folder, from which paths could be told
    session = usual(cwd="").write(tmp_path / "3f2a0001-0000-4000-8000-000000000001.jsonl")
    theirs, _ = read(converted(harbor, "read", "claude_code", session, tmp_path / "atif.json"))
    ours, _ = read(session)
    assert told(theirs) == told(ours)
    assert len(ours) == 2


def test_what_harbor_reads_of_a_rollout_of_codex_is_what_we_read(harbor: tuple[Path, Path], tmp_path: Path) -> None:
    session = tmp_path / "rollout.jsonl"
    session.write_text((TRACES / "codex.jsonl").read_text().replace('"source": "exec"', '"source": "cli"'))
    theirs, _ = read(converted(harbor, "read", "codex", session, tmp_path / "atif.json"))
    ours, _ = read(session)
    assert told(theirs) == told(ours)
    assert [page.text for page in theirs[0].observations[1:]] == [page.text for page in ours[0].observations[1:]]


@pytest.mark.parametrize("program", ["claude_code", "codex"])
def test_a_session_that_harbor_writes_reads_like_the_trajectory(
    harbor: tuple[Path, Path], tmp_path: Path, program: str
) -> None:
    session = converted(harbor, "write", program, TRACES / "atif.json", tmp_path / "session.jsonl")
    # sessions to resume hold what was copied from an earlier one, too, and call themselves headless
    earlier, *rest = read(session, "headless")[0]
    trajectory, *_ = read(TRACES / "atif.json")[0]
    assert done(earlier)[0] == 'reserve(article="chair")'
    assert [done(each) for each in rest] == [done(trajectory)]
