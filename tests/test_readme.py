"""README and docs: the file tree equals the listing, the blocks parse, and the worked example works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from running import lbi

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
    blocks = _blocks("toml") + _blocks("toml", (ROOT / "docs" / "formats.md").read_text())
    assert len(blocks) >= 5
    for block in blocks:
        tomllib.loads(block)


@pytest.mark.parametrize("command", sorted(set(re.findall(r"^lbi ((?:tasks )?\w+)", README, flags=re.MULTILINE))))
def test_every_command_exists_with_the_options_shown(command: str) -> None:
    said = lbi(*command.split(), "--help").stdout
    assert f"lbi {command}" in said
    for line in re.findall(rf"^lbi {command}\b(.*)$", README, flags=re.MULTILINE):
        for option in re.findall(r"(--[\w-]+)", line.split("#")[0]):
            assert option in said, f"{option} of: lbi {command}{line}"


@pytest.mark.browser
@pytest.mark.slow
def test_the_worked_example_works_as_it_stands(tmp_path: Path) -> None:
    for block in _blocks("toml"):
        name = re.match(r"# ([\w.]+\.toml)", block)
        if name:
            (tmp_path / name[1]).write_text(block)
    assert {file.name for file in tmp_path.iterdir()} == {"notes.toml", "tasks.toml", "lbi.toml"}
    for what in (("application", "notes.toml"), ("benchmark", "tasks.toml")):
        done = lbi("check", *what, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    done = lbi("run", "lbi.toml", "--out", "runs/notes", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "notes" / "report.html").is_file()
