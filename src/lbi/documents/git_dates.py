"""The date of each file of a repository, by git: {"src/pkg/mod.py": "2025-01-31T12:00:00+00:00"}."""

from __future__ import annotations

import contextlib
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from lbi.sandbox.beneath import Beneath
from lbi.sandbox.git import Git, git_of
from lbi.sandbox.host import program

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
    with git_of(folder) as git:
        if git is None:
            return None if not (folder / ".git").exists() or program("git") is None else {}
        # newest first, so the first commit that names a file is its last one; merges list what they change
        options = (
            "-m",
            "--first-parent",
            "--no-renames",
            "--name-only",
            "-z",
            "--format=%x01%cI",
            "--no-show-signature",
        )
        printed = _printed(git, "log", *options, git.head)
        dates: dict[str, str] = {}
        for commit in printed.split("\x01")[1:]:
            date, _, names = commit.partition("\n")
            date, _, first = date.partition("\0")
            for name in (first, *names.split("\0")):
                if name.strip("\n"):
                    dates.setdefault(name.strip("\n"), date)
        unchanged = _unchanged(folder, _printed(git, "ls-tree", "-r", "-z", git.head))
    return {path: date for path, date in dates.items() if path in unchanged}


def _unchanged(folder: Path, listed: str) -> set[str]:
    """Files that are as they were committed; compared here, as git would run what the repository calls filters."""
    same = set()
    with Beneath(folder) as tree:
        for entry in listed.split("\0")[:-1]:
            head, _, path = entry.partition("\t")
            _, kind, blob = head.split()
            with contextlib.suppress(OSError):  # it is gone, or lies behind a link now
                if kind == "blob" and _blob(tree.read(path), len(blob)) == blob:
                    same.add(path)
    return same


def _blob(content: bytes, length: int) -> str:
    """Git's hash of a content."""
    kind = hashlib.sha256 if length == 64 else hashlib.sha1
    return kind(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _printed(git: Git, *arguments: str) -> str:
    try:
        done = git.run(*arguments, timeout=300)
    except OSError:
        return ""
    return done.output.decode("utf-8", "surrogateescape") if done.exit_code == 0 else ""
