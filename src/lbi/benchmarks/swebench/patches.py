"""Patches by git: the difference of two folders as a patch, and a patch applied to a folder."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path, PurePosixPath

from lbi.errors import EnvironmentFailure, UserError

TEST_FOLDERS = frozenset({"test", "tests", "testing"})
_PATHS = re.compile(r"^(?:---|\+\+\+) [ab]/(.*?)\t?$", re.MULTILINE)


class PatchError(Exception):
    """A patch does not apply, which is its author's fault; the message is git's."""


def is_test(path: str) -> bool:
    """Whether a file belongs to a repository's tests: tests/x.py, pkg/tests/data.json, test_x.py, tests.py."""
    file = PurePosixPath(path)
    named = any(fnmatch.fnmatch(file.name, pattern) for pattern in ("test_*.py", "*_test.py", "conftest.py"))
    return named or path == "tests.py" or bool(TEST_FOLDERS & set(file.parts[:-1]))


def is_source(path: str) -> bool:
    """Whether a file is code of the repository itself."""
    file = PurePosixPath(path)
    return file.suffix == ".py" and not is_test(path) and not {"docs", "doc", "examples"} & set(file.parts)


def changed(old: Path, new: Path) -> list[str]:
    """Paths that differ between two folders, in order."""
    before, after = _listed(old), _listed(new)
    return [
        path
        for path in sorted(before | after)
        if path not in before or path not in after or (old / path).read_bytes() != (new / path).read_bytes()
    ]


def difference(old: Path, new: Path, paths: list[str]) -> str:
    """The patch from ``old`` to ``new`` for some paths; neither folder is written to."""
    if not paths:
        return ""
    with tempfile.TemporaryDirectory(prefix="lbi-diff-") as scratch:
        store = Path(scratch) / "git"
        _git("init", "-q", "--bare", str(store))
        trees = [_tree(store, folder, paths) for folder in (old, new)]
        options = ("--no-color", "--no-ext-diff", "--no-renames", "--binary", "--src-prefix=a/", "--dst-prefix=b/")
        return _git(f"--git-dir={store}", "diff", *options, *trees).stdout


def edited(path: str, old: bytes, new: bytes) -> str:
    """The patch of one file whose content changes."""
    with tempfile.TemporaryDirectory(prefix="lbi-edit-") as scratch:
        before, after = Path(scratch) / "old", Path(scratch) / "new"
        for folder, content in ((before, old), (after, new)):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_bytes(content)
        return difference(before, after, [path])


def apply(patch: str, folder: Path) -> None:
    """Change a folder by a patch; all of it or nothing. Raises PatchError. Paths out of the folder are refused."""
    if not patch.strip():
        return
    text = patch if patch.endswith("\n") else patch + "\n"
    done = _git("apply", "--whitespace=nowarn", "-", cwd=folder, stdin=text, check=False)
    if done.returncode:
        raise PatchError(done.stderr.strip() or "the patch does not apply")


def paths_in(patch: str) -> list[str]:
    """Paths that a patch names, in order, each once."""
    return list(dict.fromkeys(_PATHS.findall(patch)))


def _listed(folder: Path) -> set[str]:
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return {path for file in files if "__pycache__/" not in (path := file.relative_to(folder).as_posix())}


def _tree(store: Path, folder: Path, paths: list[str]) -> str:
    """Write those of the paths that exist in a folder into git's store, and return the id of their tree."""
    _git(f"--git-dir={store}", "read-tree", "--empty")
    existing = "".join(f"{path}\0" for path in paths if (folder / path).is_file())
    options = (f"--git-dir={store}", f"--work-tree={folder}", "-c", "core.autocrlf=false")
    _git(*options, "update-index", "--add", "-z", "--stdin", cwd=folder, stdin=existing)
    return _git(f"--git-dir={store}", "write-tree").stdout.strip()


def _git(
    *arguments: str, cwd: Path | None = None, stdin: str = "", check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run git without any user's settings, and without the repository that the folder may happen to lie in."""
    program = shutil.which("git")
    if program is None:
        raise UserError("patches need git; install it (Debian: apt-get install git)")
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C.UTF-8"}
    if cwd is not None:
        env["GIT_CEILING_DIRECTORIES"] = str(cwd.resolve().parent)
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=env,
        input=stdin.encode("utf-8", "surrogateescape"),
        capture_output=True,
        timeout=120,
    )
    texts = [part.decode("utf-8", "surrogateescape") for part in (done.stdout, done.stderr)]
    if check and done.returncode:
        raise EnvironmentFailure(f"git {arguments[0]} failed: {texts[1].strip()}")
    return subprocess.CompletedProcess(done.args, done.returncode, texts[0], texts[1])
