"""Which changes of a folder git would show: those of ignored files are left out, unless git tracks the file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.sandbox.beneath import Beneath
from lbi.sandbox.git import git_of
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
    with contextlib.suppress(OSError), Beneath(source) as tree:  # none, or one behind a link, says nothing
        lines += tree.read(f"{folder}/.gitignore" if folder else ".gitignore").decode(errors="replace").splitlines()
    return GitIgnoreSpec.from_lines(filter(_is_pattern, lines))


def _is_pattern(line: str) -> bool:
    """Git passes over a line that says nothing, such as a lone "!"; the library refuses the whole file for it."""
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def _tracked(source: Path) -> frozenset[str]:
    """Files that git tracks; none where there is no git or no repository."""
    with contextlib.suppress(OSError), git_of(source) as git:
        done = git.run("ls-files", "-z") if git else None
        if done and done.exit_code:  # an index in parts
            done = git.run("ls-tree", "-r", "-z", "--name-only", git.head) if git else None
        return frozenset(os.fsdecode(done.output).split("\0")) if done and not done.exit_code else frozenset()
    return frozenset()
