"""Finds the mutations of a repository that break its tests. Each is tried in a sandbox; the repository is only read."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lbi.benchmarks.swebench.mutations.operators import Mutation, compiles, mutated, mutations
from lbi.benchmarks.swebench.patches import is_source
from lbi.benchmarks.swebench.test_results import ANY_SOURCE, REPRODUCIBLE, contradicts, run_pytest
from lbi.errors import UserError
from lbi.records import Record, digest_of
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.beneath import Beneath, Refused
from lbi.sandbox.protocol import Sandbox, SandboxLimits

#: what a mutation did to the tests; only one that breaks some becomes a task
Verdict = Literal["breaks", "survives", "no python", "stopped", "no report"]
SLOWER = 3.0  # a mutant's tests may take this many times as long as the pristine repository's
LEAST = 5.0  # and at least this many seconds


@dataclass(frozen=True)
class Ground:
    """The repository that is mutated, and how its tests are run."""

    repository: Path
    python: Path
    """Interpreter that has pytest and what the repository needs."""
    binds: tuple[Path, ...]
    tests: tuple[str, ...] = ()
    """Files or folders for pytest; empty = what it finds."""
    wall_seconds: float = 300.0
    """Of one run of the pristine repository's tests."""
    backend: str = "auto"
    unsafe: bool = False


class Baseline(Record):
    """The tests that pass in the pristine repository, and how long all of them take."""

    passed: tuple[str, ...]
    seconds: float

    @property
    def limit(self) -> float:
        """Seconds for a mutant's run."""
        return max(LEAST, SLOWER * self.seconds)


class Tried(Record):
    """What one mutation did to the tests."""

    mutation: Mutation
    verdict: Verdict
    broken: tuple[str, ...] = ()  # tests that passed before and do not now
    seconds: float = 0.0


def candidates(repository: Path, only: Sequence[str], seed: int) -> list[Mutation]:
    """Every mutation of the sources, shuffled by ``seed``, the operators by turns. Raises UserError if there is none.

    ``only`` are files or folders of the repository; empty = all of its sources.
    """
    by_operator: dict[str, list[Mutation]] = {}
    for path in _sources(repository, only):
        try:
            text = content_of(repository, path).decode()
            for mutation in mutations(text, path):
                by_operator.setdefault(mutation.operator, []).append(mutation)
        except (SyntaxError, ValueError, RecursionError):
            continue  # a file for another Python, or none at all
    if not by_operator:
        raise UserError(f"nothing to mutate in {repository}: no Python source with a function outside of its tests")
    chance = random.Random(f"mutate/{seed}")
    for operator in sorted(by_operator):
        chance.shuffle(by_operator[operator])
    return list(_in_turns([by_operator[operator] for operator in sorted(by_operator)]))


def _sources(repository: Path, only: Sequence[str]) -> list[str]:
    paths = sorted({path for root in only or [""] for path in _python_files(repository, _relative(repository, root))})
    return [path for path in paths if is_source(path) and not any(_is_foreign(part) for part in path.split("/"))]


def _relative(repository: Path, path: str) -> str:
    """The path of a file or folder within the repository. Raises UserError where it lies elsewhere."""
    absolute = Path(os.path.abspath(repository / path))
    if not path or absolute == repository.absolute():
        return ""
    if not absolute.is_relative_to(repository.absolute()):
        raise UserError(f"no {absolute} in the repository {repository}")
    return absolute.relative_to(repository.absolute()).as_posix()


def _python_files(repository: Path, folder: str) -> list[str]:
    """Python files that are reached through no link, which could lead out of the repository."""
    try:
        with Beneath(repository) as tree:
            if folder and not tree.is_folder(folder):
                tree.reading(folder).close()
                return [folder]
            return [path for path, kind in tree.walk(folder=folder) if path.endswith(".py") and stat.S_ISREG(kind)]
    except OSError as error:
        shown = str(error) if isinstance(error, Refused) else f"no {folder or '.'}: {error.strerror}"
        raise UserError(f"{shown}, in the repository {repository}") from None


def content_of(repository: Path, path: str) -> bytes:
    """A file of the repository. Raises UserError for what is none any more."""
    try:
        with Beneath(repository) as tree:
            return tree.read(path)
    except OSError as error:
        raise UserError(f"cannot read {path} in {repository}: {error.strerror or error}") from None


def _is_foreign(part: str) -> bool:
    """Whether a name on a path belongs to something other than the repository's own sources."""
    return part.startswith(".") or part in ("build", "dist", "node_modules", "venv", "site-packages", "setup.py")


def _in_turns(groups: Iterable[list[Mutation]]) -> Iterator[Mutation]:
    waiting = [iter(group) for group in groups]
    while waiting:
        for group in tuple(waiting):
            following = next(group, None)
            if following is None:
                waiting.remove(group)
            else:
                yield following


@asynccontextmanager
async def opened(ground: Ground, limit: float) -> AsyncIterator[Sandbox]:
    """A sandbox over the repository, in which the tests may run for ``limit`` seconds."""
    limits = SandboxLimits(wall_seconds=limit, cpu_seconds=int(limit) + 1)
    async with open_sandbox(
        ground.repository,
        backend=ground.backend,
        limits=limits,
        binds=ground.binds,
        env=REPRODUCIBLE,
        unsafe=ground.unsafe,
    ) as sandbox:
        yield sandbox


async def baseline(ground: Ground) -> Baseline:
    """Run the tests of the pristine repository twice; those that pass both times count. Raises UserError."""
    async with opened(ground, ground.wall_seconds) as sandbox:
        passed: set[str] | None = None
        for _ in range(2):
            results, done = await run_pytest(sandbox, ground.python, ground.tests, ANY_SOURCE)
            now = {name for name, status in results.items() if status == "passed"}
            if done.ended != "exited":
                raise UserError(
                    f"the tests of {ground.repository} were stopped ({done.ended}); choose some with --tests, "
                    "or give them more --seconds"
                )
            if contradicts(results, done.exit_code):
                raise UserError(
                    f"the tests of {ground.repository} end with exit code {done.exit_code} though none of them failed "
                    "(a sub-test, or a plug-in), so no grade could be told from it; choose others with --tests"
                )
            passed = now if passed is None else passed & now
            await sandbox.reset()
    if not passed:
        last = "\n".join(done.output.strip().splitlines()[-12:])
        raise UserError(f"no test of {ground.repository} passes, so none can be broken:\n{last}")
    return Baseline(passed=tuple(sorted(passed)), seconds=done.seconds)


async def tried(sandbox: Sandbox, ground: Ground, before: Baseline, mutation: Mutation) -> Tried:
    """Run the tests with a mutation, then reset the sandbox."""
    content = content_of(ground.repository, mutation.path)
    if not compiles(content, mutation):
        return Tried(mutation=mutation, verdict="no python")
    await sandbox.upload(mutation.path, mutated(content, mutation))
    results, done = await run_pytest(sandbox, ground.python, ground.tests, ANY_SOURCE)
    await sandbox.reset()
    if done.ended != "exited":
        return Tried(mutation=mutation, verdict="stopped", seconds=done.seconds)
    if not results:
        return Tried(mutation=mutation, verdict="no report", seconds=done.seconds)
    broken = tuple(name for name in before.passed if results.get(name) != "passed")
    return Tried(mutation=mutation, verdict="breaks" if broken else "survives", broken=broken, seconds=done.seconds)


def fingerprint(ground: Ground) -> str:
    """Hash of everything that decides what a mutation does: the Python files, the tests, the interpreter."""
    paths = [path for path in sorted(_python_files(ground.repository, "")) if "/." not in f"/{path}"]
    contents = [(path, digest_of(content_of(ground.repository, path).hex())) for path in paths]
    return digest_of([contents, ground.tests, str(ground.python)])
