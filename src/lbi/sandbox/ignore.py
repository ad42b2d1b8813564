"""Which changes of a folder git would show: those of ignored files are left out, unless git tracks the file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.sandbox.patch import Change

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

#: files that tools leave behind; ignored also where no .gitignore names them
LEFT_BEHIND = (
    *("__pycache__/", "*.py[co]", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".tox/", ".nox/"),
    *("*.egg-info/", ".coverage", ".cache/", "node_modules/.cache/", ".DS_Store"),
)


def not_ignored(source: Path, changes: Iterable[Change]) -> list[Change]:
    """The changes that count; the .gitignore files of the pristine folder decide."""
    return [
        change
        for change in changes
        if not ignored(source, change.path) or (change.old is not None and change.path in _tracked(source))
    ]


def ignored(source: Path, path: str) -> bool:
    """Whether a file, or a folder that it is in, is ignored; the deepest .gitignore with a matching rule wins."""
    parts = path.split("/")
    verdict = bool(_spec(source, "").check_file(path).include)
    for depth in range(1, len(parts)):
        deeper = _spec(source, "/".join(parts[:depth])).check_file("/".join(parts[depth:])).include
        verdict = verdict if deeper is None else deeper
    return verdict


@lru_cache(maxsize=4096)
def _spec(source: Path, folder: str) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    lines: list[str] = [] if folder else list(LEFT_BEHIND)
    file = source / folder / ".gitignore"
    if file.is_file():
        lines += file.read_text(errors="replace").splitlines()
    return GitIgnoreSpec.from_lines(lines)


@lru_cache(maxsize=64)
def _tracked(source: Path) -> frozenset[str]:
    """Files that git tracks; none where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(source), "-c", "core.fsmonitor=false", "-c", "safe.directory=*", "ls-files", "-z"],
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset(done.stdout.decode(errors="surrogateescape").split("\0")) if done.returncode == 0 else frozenset()
