"""Programs of others in environments of their own, as what they want excludes what we have, or one another.

Made by uv and pip from the index that these are set to; where that has not what is wanted, the test is skipped and
says so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

LARGE = "LBI_LARGE_DOWNLOADS"


def installed(folder: Path, *packages: str, alone: Sequence[str] = (), python: str | Path = sys.executable) -> Path:
    """An interpreter with these packages. ``alone``: those that are installed without what they need."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(uv).exists():
        pytest.skip("no uv here")
    there = folder / "bin" / "python"
    install = [uv, "pip", "install", "-q", "--python", str(there)]
    commands = [[uv, "venv", "-q", "--no-python-downloads", "--python", _interpreter(str(python)), str(folder)]]
    commands += [[*install, *packages]] * bool(packages) + [[*install, "--no-deps", *alone]] * bool(alone)
    for command in commands:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=900)
        if ran.returncode:
            wanted = ", ".join((*packages, *alone)) or f"Python {python}"
            pytest.skip(f"{wanted} cannot be had here: {(ran.stderr.strip() or '?').splitlines()[-1]}")
    return there


def needs_a_large_download(megabytes: int) -> None:
    """Skip what would make every run of the tests minutes longer, unless it is asked for."""
    if os.environ.get(LARGE) != "1":
        pytest.skip(f"fetches {megabytes} MB; set {LARGE}=1")


def _interpreter(python: str) -> str:
    """Of a version such as "3.12" that pyenv keeps the interpreter itself: the name on PATH may be one of its shims,
    which refuses to start unless the version is chosen, and uv gives up at the first that refuses."""
    if not re.fullmatch(r"3\.\d+", python):
        return python
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = sorted(root.glob(f"versions/{python}.*/bin/python{python}"))
    return str(kept[-1]) if kept else python


def wheel_of(package: str, folder: Path) -> Path:
    """The wheel of a package for a newer Python, of which nothing is installed: some need little of what they want."""
    pip = [shutil.which("pip") or ""] if shutil.which("pip") else [sys.executable, "-m", "pip"]
    wheel = [*pip, "download", "-q", "--no-deps", "--only-binary", ":all:", "--python-version", "3.13"]
    ran = subprocess.run([*wheel, "-d", str(folder), package], capture_output=True, text=True, timeout=300)
    if ran.returncode:
        pytest.skip(f"{package} cannot be had here: {(ran.stderr.strip() or '?').splitlines()[-1]}")
    (file,) = folder.glob(f"{package.partition('=')[0]}-*.whl")
    return file
