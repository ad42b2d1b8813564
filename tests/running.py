"""Runs lbi as a person does: in a process of its own, or in this one where a command ends early."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from lbi.cli.app import app


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "lbi", *map(str, arguments)]


def environ(**more: str) -> dict[str, str]:
    """Variables of a process that a test starts: no colours, a width that breaks no line, no key, no hub's settings."""
    own = ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN")
    passed = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY") and name not in own}
    return passed | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONWARNINGS": "error"} | more


def lbi(*arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environ(**more), capture_output=True, text=True, timeout=300
    )


def lbi_here(*arguments: str | Path, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """The same in this process: quicker, for commands that end before they open a run folder."""
    output, errors, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        for name, value in environ(**more).items():
            patch.setenv(name, value)
        patch.chdir(cwd or Path())
        try:
            app(list(map(str, arguments)), prog_name="lbi")
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(["lbi", *map(str, arguments)], code, output.getvalue(), errors.getvalue())


def answer(*arguments: str | Path, cwd: Path | None = None, here: bool = False, **more: str) -> Any:
    """What a command prints with --json; it must succeed."""
    ran = (lbi_here if here else lbi)(*arguments, "--json", cwd=cwd, **more)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
