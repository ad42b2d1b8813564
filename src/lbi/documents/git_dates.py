"""The date of each file of a repository, by git: {"src/pkg/mod.py": "2025-01-31T12:00:00+00:00"}."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

#: dates that archives are given in place of real ones (1980: zip, 2020-02-02: hatch)
_MADE_UP = frozenset({"1970-01-01", "1980-01-01", "1985-10-26", "2020-02-02"})


def file_dates(folder: Path) -> dict[str, str]:
    """{path in the folder: ISO time of the file's last commit}; without a git history, for all that of the newest file.

    A file that was changed since its last commit, or was never committed, is left out.
    """
    committed = _committed(folder)
    if committed is not None:
        return committed
    newest = _newest(folder)
    return dict.fromkeys(_files(folder), newest) if newest else {}


def _files(folder: Path) -> list[str]:
    paths = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(root, name).relative_to(folder).as_posix() for name in files]
    return paths


def _newest(folder: Path) -> str:
    moments = [datetime.fromtimestamp((folder / path).lstat().st_mtime, UTC) for path in _files(folder)]
    plausible = [moment for moment in moments if moment.date().isoformat() not in _MADE_UP]
    return max(plausible).isoformat(timespec="seconds") if plausible else ""


def _committed(folder: Path) -> dict[str, str] | None:
    """Dates of the last commits; None if the folder is not the root of a repository, or git is not installed."""
    if not (folder / ".git").exists() or shutil.which("git") is None:
        return None
    # newest first, so the first commit that names a file is its last one; merges list what they change
    printed = _git(folder, "log", "-m", "--first-parent", "--no-renames", "--name-only", "-z", "--format=%x01%cI")
    dates: dict[str, str] = {}
    for commit in printed.split("\x01")[1:]:
        date, _, names = commit.partition("\n")
        date, _, first = date.partition("\0")
        for name in (first, *names.split("\0")):
            if name.strip("\n"):
                dates.setdefault(name.strip("\n"), date)
    for entry in _git(folder, "status", "--porcelain", "-z", "--no-renames").split("\0"):
        dates.pop(entry[3:], None)
    return {path: date for path, date in dates.items() if (folder / path).is_file()}


def _git(folder: Path, *arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # the folder's own git settings may name programs to run: those that log and status would run are turned off
    settings = (
        "-c",
        "core.fsmonitor=false",
        "-c",
        "log.showSignature=false",
        "-c",
        f"safe.directory={folder.resolve()}",
    )
    completed = subprocess.run(
        ["git", "-C", str(folder), *settings, *arguments], env=env, capture_output=True, timeout=300, check=False
    )
    return completed.stdout.decode("utf-8", "replace") if completed.returncode == 0 else ""
