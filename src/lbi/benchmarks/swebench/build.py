"""Builds an instance so that it can be run here: its tree with the bug, its patches, tests and interpreter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lbi.benchmarks.swebench.instance import Instance
from lbi.benchmarks.swebench.interpreters import binds, interpreter
from lbi.benchmarks.swebench.patches import PatchError, apply, changed, difference, is_source, is_test
from lbi.benchmarks.swebench.recipes import Recipe, draft
from lbi.benchmarks.swebench.sdists import unpacked
from lbi.benchmarks.swebench.test_results import ANY_SOURCE
from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox import beneath
from lbi.sandbox.beneath import Beneath, Refused
from lbi.sandbox.interpreter import prefixes

#: not copied with a repository: its history, which would show what was changed, and what tools leave behind
LEFT_OUT = (".git", ".venv", "__pycache__", ".pytest_cache")


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
        tests=_contents(fixed, tests),
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
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with Beneath(repository) as source, Beneath(folder) as target:
            beneath.copy(source, target, skip=LEFT_OUT)
        names = dict.fromkeys(name.partition("::")[0] for name in (*instance.fail_to_pass, *instance.pass_to_pass))
        tests = _contents(folder, names)
    except Refused as error:
        raise UserError(f"{instance.instance_id}: the test {error}, in {repository}") from None
    except OSError as error:
        raise UserError(f"{instance.instance_id}: cannot copy {repository}: {error.strerror or error}") from None
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

    The tests replace whatever the patch made of them; where a link or a file is in their way, the patch put it there.
    Raises PatchError, and EnvironmentFailure where this machine is at fault.
    """
    scratch: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="lbi-graded-")
    folder = Path(scratch.name) / "repository"
    with ExitStack() as unless_it_applies:
        unless_it_applies.callback(scratch.cleanup)
        folder.mkdir()
        try:
            with Beneath(built.tree) as source, Beneath(folder) as tree:
                beneath.copy(source, tree)
                apply(patch, folder)
                for path, content in built.tests.items():
                    _write(tree, path, content)
        except OSError as error:
            raise EnvironmentFailure(f"cannot copy {built.tree}: {error.strerror or error}") from None
        unless_it_applies.pop_all()
    return scratch


def _contents(folder: Path, paths: Iterable[str]) -> dict[str, bytes | None]:
    """Raises Refused for a path that leads out of the folder, or through a link."""
    with Beneath(folder) as tree:
        items = {path: tree.item(path) for path in paths}
    return {path: item[1] if item and item[0] != beneath.LINK else None for path, item in items.items()}


def _write(tree: Beneath, path: str, content: bytes | None) -> None:
    try:
        if content is not None:
            tree.clear(path)
            tree.write(path, content)
        elif tree.item(path) is not None:
            tree.remove(path)
    except Refused as error:
        raise PatchError(f"the test {error}") from None
    except NotADirectoryError as error:
        raise PatchError(f"the test {path} cannot be written: {error.strerror}") from None
