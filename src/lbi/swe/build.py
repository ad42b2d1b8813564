"""Recipe -> Built: base tree, gold patch, test patch and interpreter, worked out from two source archives."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lbi.swe.instance import Instance
from lbi.swe.interpreters import interpreter
from lbi.swe.patches import apply, changed, difference, is_source, is_test
from lbi.swe.recipes import Recipe
from lbi.swe.sdists import unpacked


@dataclass(frozen=True)
class Built:
    """An instance that can be run here."""

    instance: Instance
    tree: Path
    """The repository with the bug; never written to."""
    interpreter: Path
    """Folder of a virtual environment."""
    tests: Mapping[str, bytes | None]
    """What the test files hold when it is graded; None = the file is not there then."""
    run: tuple[str, ...]
    """Files that are handed to pytest."""
    source: str = ""
    """Folder of the tree from which its packages are imported."""


def build(recipe: Recipe, cache: Path | None = None) -> Built:
    """Blocking, seconds the first time. Raises UserError."""
    base = unpacked(recipe.package, recipe.base.version, recipe.base.sha256, cache)
    fixed = unpacked(recipe.package, recipe.fixed.version, recipe.fixed.sha256, cache)
    differing = changed(base, fixed)
    tests = [path for path in differing if is_test(path)]
    instance = Instance(
        instance_id=recipe.name,
        repo=recipe.repo,
        base_commit=recipe.base.version,
        version=recipe.base.version,
        created_at=recipe.base.date,
        problem_statement=recipe.problem.strip(),
        patch=difference(base, fixed, [path for path in differing if is_source(path)]),
        test_patch=difference(base, fixed, tests),
        fail_to_pass=recipe.fail_to_pass,
        pass_to_pass=recipe.pass_to_pass,
    )
    requirements = (f"{recipe.package}=={recipe.base.version}", *recipe.requirements)
    return Built(
        instance=instance,
        tree=base,
        interpreter=interpreter(requirements, cache),
        tests={path: _content(fixed / path) for path in tests},
        run=recipe.tests,
        source=recipe.source,
    )


def patched(built: Built, patch: str) -> tempfile.TemporaryDirectory[str]:
    """A copy of the tree, in its folder ``repository``, with a patch and the tests that grade it. Raises PatchError.

    The tests are put over whatever the patch made of them.
    """
    scratch: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="lbi-graded-")
    folder = Path(scratch.name) / "repository"
    try:
        shutil.copytree(built.tree, folder, symlinks=True)
        apply(patch, folder)
        for path, content in built.tests.items():
            _put(folder / path, content)
    except BaseException:
        scratch.cleanup()
        raise
    return scratch


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _put(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        return
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    elif file.is_symlink():  # a patch may not lead the tests elsewhere
        file.unlink()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
