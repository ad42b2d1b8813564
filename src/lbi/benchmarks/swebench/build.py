"""Builds an instance so that it can be run here: its tree with the bug, its patches, tests and interpreter."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lbi.benchmarks.swebench.instance import Instance
from lbi.benchmarks.swebench.interpreters import binds, interpreter, prefixes
from lbi.benchmarks.swebench.patches import PatchError, apply, changed, difference, is_source, is_test
from lbi.benchmarks.swebench.recipes import Recipe, draft
from lbi.benchmarks.swebench.sdists import unpacked
from lbi.benchmarks.swebench.test_results import ANY_SOURCE
from lbi.errors import UserError


@dataclass(frozen=True)
class Built:
    """An instance that can be run here."""

    instance: Instance
    tree: Path
    """The repository with the bug; never written to."""
    python: Path
    """Interpreter that has what the tests need."""
    binds: tuple[Path, ...]
    """Folders that a sandbox has to show for the interpreter to run."""
    tests: Mapping[str, bytes | None]
    """The content of its test files when a patch is graded; None for a file that is not there then."""
    run: tuple[str, ...]
    """Files that are handed to pytest."""
    source: str = ""
    """Folder of the tree from which its packages are imported; "*" = look in the root and in src."""


def build(recipe: Recipe, cache: Path | None = None) -> Built:
    """Build a recipe's instance from its two source archives. Blocking, seconds the first time. Raises UserError."""
    base = unpacked(recipe.package, recipe.base.version, recipe.base.sha256, cache)
    fixed = unpacked(recipe.package, recipe.fixed.version, recipe.fixed.sha256, cache)
    differing = changed(base, fixed)
    tests = [path for path in differing if is_test(path)]
    patches = {
        "patch": difference(base, fixed, [path for path in differing if is_source(path)]),
        "test_patch": difference(base, fixed, tests),
    }
    instance = draft(recipe).model_copy(update=patches)
    folder = interpreter((f"{recipe.package}=={recipe.base.version}", *recipe.requirements), cache)
    return Built(
        instance=instance,
        tree=base,
        python=folder / "bin" / "python",
        binds=binds(folder),
        tests={path: _content(fixed / path) for path in tests},
        run=recipe.tests,
        source=recipe.source,
    )


def build_mutated(instance: Instance, folder: Path) -> Built:
    """Build an instance whose bug was made on purpose; its tree goes into the empty ``folder``. Raises UserError."""
    mutation = instance.mutation
    if mutation is None:
        raise UserError(f"{instance.instance_id} is no task of `lbi tasks mutate`")
    repository, python = Path(instance.repo), Path(mutation.python)
    if not repository.is_dir() or not python.is_file():
        missing = repository if not repository.is_dir() else python
        raise UserError(f"{instance.instance_id}: {missing} is not there any more; make the tasks anew")
    # without its history, which would show what was changed
    left_out = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".pytest_cache")
    shutil.copytree(repository, folder, symlinks=True, ignore=left_out, dirs_exist_ok=True)
    files = dict.fromkeys(name.partition("::")[0] for name in (*instance.fail_to_pass, *instance.pass_to_pass))
    tests = {path: _content(folder / path) for path in files}
    try:
        apply(mutation.patch, folder)
    except PatchError as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"{instance.instance_id}: {repository} has changed since ({first}); make the tasks anew"
        ) from None
    return Built(instance, folder, python, prefixes(python), tests, mutation.tests, ANY_SOURCE)


def patched(built: Built, patch: str) -> tempfile.TemporaryDirectory[str]:
    """A temporary copy of the tree, in its folder ``repository``, with a patch and the tests that grade it.

    The tests replace whatever the patch made of them. Raises PatchError.
    """
    scratch: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="lbi-graded-")
    folder = Path(scratch.name) / "repository"
    with ExitStack() as unless_it_applies:
        unless_it_applies.callback(scratch.cleanup)
        shutil.copytree(built.tree, folder, symlinks=True)
        apply(patch, folder)
        for path, content in built.tests.items():
            _write(folder / path, content)
        unless_it_applies.pop_all()
    return scratch


def _content(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None


def _write(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink(missing_ok=True)
        return
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    elif file.is_symlink():  # otherwise a patch could have the tests written elsewhere
        file.unlink()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
