"""README and docs: the file tree equals the listing, the blocks parse, and the worked example works."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from running import answer, environ, lbi

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def _blocks(language: str, text: str = README) -> list[str]:
    """Contents of the fenced blocks of one language."""
    found: list[str] = []
    opened: str | None = None
    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            opened = line.strip("`\n") if opened is None else None
            if opened == language:
                found.append("")
        elif opened == language:
            found[-1] += line
    return found


def test_every_block_of_toml_parses() -> None:
    pages = [README, *(page.read_text() for page in (ROOT / "docs").glob("*.md"))]
    blocks = [block for page in pages for block in _blocks("toml", page)]
    assert len(blocks) >= 5
    for block in blocks:
        tomllib.loads(block)


def test_it_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) <= 220


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^lbi ((?:tasks )?\w+)", README, flags=re.MULTILINE))))
def test_every_command_exists_with_the_options_shown(command: str) -> None:
    said = lbi(*command.split(), "--help").stdout
    assert f"lbi {command}" in said
    for line in re.findall(rf"^lbi {command}\b(.*)$", README, flags=re.MULTILINE):
        for option in re.findall(r"(--[\w-]+)", line.split("#")[0]):
            assert option in said, f"{option} of: lbi {command}{line}"


@pytest.mark.browser
@pytest.mark.slow
def test_the_worked_example_works_as_it_stands_and_examples_do_not_hurt(tmp_path: Path) -> None:
    """The commands on examples/notes, as they are written, and then the lines of Python."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    block = next(block for block in _blocks("sh") if "lbi check application examples/notes" in block)
    for line in block.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        assert program == "lbi"
        done = lbi(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    rates = {row["arm"]: row["success"] for row in answer("report", "runs/notes", cwd=tmp_path)["arms"]}
    assert rates["backward"] >= rates["baseline"]
    (script,) = _blocks("python")
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environ(), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout.splitlines()) > 3, ran.stdout
