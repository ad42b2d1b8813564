"""A small repository to put into a sandbox, and a mark for tests that need bubblewrap."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="bubblewrap is not installed; `apt-get install bubblewrap`"
)
FILES = {
    "README.md": "# Greeter\n\nRun the tests with `python3 -m unittest`.\n",
    "src/greeter.py": 'def greet(name):\n    return "Hello, " + name\n',
    "src/empty.py": "",
    "test_greeter.py": (
        "import sys, unittest\nsys.path.insert(0, 'src')\nfrom greeter import greet\n\n\n"
        "class Greets(unittest.TestCase):\n    def test_by_name(self):\n"
        "        self.assertEqual(greet('Ada'), 'Hello, Ada')\n"
    ),
    ".gitignore": "build/\n*.log\n",
    "kept.log": "tracked although ignored\n",
}


def repository(path: Path, *, git: bool = True) -> Path:
    """A project with a test, under git."""
    for name, text in FILES.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    (path / "run.sh").write_text("#!/bin/sh\necho run\n")
    (path / "run.sh").chmod(0o755)
    if git:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        for command in (["init", "-q"], ["add", "-f", "."], [*who, "commit", "-q", "-m", "start"]):
            subprocess.run(["git", *command], cwd=path, check=True, capture_output=True)
    return path
