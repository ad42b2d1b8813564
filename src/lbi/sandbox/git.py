"""Git over files that nobody vouches for: it gets objects and our settings, never a repository's own.

A repository's settings, hooks, filters, attributes, file watcher and submodules can each name a program to run. So git
is pointed at a folder of ours, and at a repository's objects only: there is nothing of the repository that it could
obey, nor an index that it could rewrite.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lbi.errors import UserError
from lbi.sandbox.beneath import Beneath
from lbi.sandbox.host import Ended, program, run_on_host

SECONDS = 120.0
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SETTINGS = (
    "[core]\n\trepositoryformatversion = {version}\n\tbare = true\n\tfsmonitor = false\n\thooksPath = /dev/null\n"
)
_SHA256 = "[extensions]\n\tobjectformat = sha256\n"
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # wins over any protocol.NAME.allow
}


@dataclass(frozen=True)
class Git:
    """Git with a folder of its own, in which it may write, and maybe the objects of a repository, which it reads."""

    folder: Path
    head: str = ""
    """The commit that the repository is at."""
    objects: Path | None = None
    index: Path | None = None

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = SECONDS, memory: int = 0) -> Ended:
        """``memory`` in bytes; 0 = as much as there is.

        Raises UserError where git is not installed, OSError where it cannot run or takes too long.
        """
        if program("git") is None:
            raise UserError("patches need git; install it (Debian: apt-get install git)")
        env = _ENVIRONMENT | {"PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": str(self.folder)}
        if self.objects:
            env["GIT_OBJECT_DIRECTORY"] = str(self.objects)
        if self.index:
            env["GIT_INDEX_FILE"] = str(self.index)
        command = ["git", "--no-pager", *arguments]
        return run_on_host(command, env=env, timeout=timeout, cwd=self.folder, stdin=stdin, memory=memory)


@contextlib.contextmanager
def fresh_git() -> Iterator[Git]:
    """Git with an empty store."""
    with tempfile.TemporaryDirectory(prefix="lbi-git-") as scratch:
        yield Git(_store(Path(scratch) / "git", ""))


@contextlib.contextmanager
def git_of(repository: Path) -> Iterator[Git | None]:
    """Git over the objects of a repository; None where there are none, or no commit, or git is not installed."""
    place = _git_folder(repository)
    head = _head(place) if place and program("git") else ""
    if place is None or not head:
        yield None
        return
    common = _common(place)
    with tempfile.TemporaryDirectory(prefix="lbi-git-") as scratch:
        folder = _store(Path(scratch) / "git", head)
        if shallow := _text(common, "shallow"):
            (folder / "shallow").write_text(shallow)
        yield Git(folder, head, common / "objects", place / "index")


def head_of(repository: Path) -> str:
    """The hash of the commit that a repository is at, or "" where there is none. Git itself is not needed."""
    place = _git_folder(repository)
    return _head(place) if place else ""


def _store(folder: Path, head: str) -> Path:
    for name in ("objects", "refs"):
        (folder / name).mkdir(parents=True)
    wide = len(head) == 64
    (folder / "config").write_text(_SETTINGS.format(version=int(wide)) + (_SHA256 if wide else ""))
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    return folder


def _git_folder(repository: Path) -> Path | None:
    """The folder .git, or the one that a file of that name leads to (work trees, submodules)."""
    try:
        with Beneath(repository) as tree:
            if tree.is_folder(".git"):
                return repository / ".git"
            said = tree.read(".git").decode("utf-8", "surrogateescape").strip()
    except OSError:
        return None
    return repository / said.removeprefix("gitdir: ") if said.startswith("gitdir: ") else None


def _common(place: Path) -> Path:
    """Where the objects and branches of a work tree lie."""
    said = _text(place, "commondir").strip()
    return place / said if said else place


def _head(place: Path) -> str:
    """The hash of the commit at HEAD, or ""."""
    said = _text(place, "HEAD").strip()
    if said.startswith("ref: refs/"):
        name = said.removeprefix("ref: ")
        common = _common(place)
        packed = (line.split(" ") for line in _text(common, "packed-refs").splitlines())
        said = _text(common, name).strip() or next((each[0] for each in packed if each[1:] == [name]), "")
    return said if _HASH.fullmatch(said) else ""


def _text(folder: Path, path: str) -> str:
    """A small file of git's, or "" where there is none that can be read."""
    try:
        with Beneath(folder) as tree:
            return tree.read(path).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
