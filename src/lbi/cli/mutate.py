"""tasks mutate: a repository -> a file of tasks whose bugs were made on purpose."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from lbi.benchmarks.swebench.interpreters import interpreter, prefixes
from lbi.benchmarks.swebench.mutations.run import Ground, Tried, baseline, candidates, fingerprint, opened, tried
from lbi.benchmarks.swebench.mutations.tasks import Tries, same_effect, write_tasks
from lbi.errors import EnvironmentFailure, UserError
from lbi.monitoring.progress import Progress

ATTEMPTS = 3  # of a mutation whose sandbox broke


@dataclass(frozen=True)
class Wanted:
    """What the command line says."""

    repository: Path
    out: Path
    count: int
    limit: int
    seed: int
    only: list[str]
    tests: list[str]
    python: Path | None
    requirements: list[str]
    workers: int
    seconds: float
    unsafe: bool


def mutate(wanted: Wanted, as_json: bool, quiet: bool) -> int:
    """Write the tasks and print what the mutations came to; 1 if none breaks a test."""
    if not wanted.repository.is_dir():
        raise UserError(f"no repository at {wanted.repository}: there is no such folder")
    if not wanted.out.parent.is_dir():
        raise UserError(f"cannot write {wanted.out}: there is no folder {wanted.out.parent}")
    if wanted.out.resolve().is_relative_to(wanted.repository.resolve()):
        raise UserError(f"{wanted.out} lies in the repository, in which nothing is written; choose another --out")
    ground = _ground(wanted)
    tries = Tries(wanted.out.with_suffix(".tried.jsonl"), fingerprint(ground))
    found = asyncio.run(_search(wanted, ground, tries, Progress(Console(stderr=True), quiet=quiet or as_json)))
    assert tries.baseline is not None
    write_tasks(wanted.out, ground, tries.baseline, found)
    counts = dict(sorted(tries.counts().items()))
    if as_json:
        print(json.dumps({"tasks": len(found), "tried": counts, "file": str(wanted.out)}, indent=2))
    else:
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        print(f"{len(found)} tasks in {wanted.out}; mutations tried so far: {said}")
    return 0 if found else 1


def _ground(wanted: Wanted) -> Ground:
    if wanted.python and wanted.requirements:
        raise UserError("--python is an interpreter that has everything, --with is installed into a fresh one; choose")
    if wanted.python and not wanted.python.is_file():
        raise UserError(f"no interpreter at {wanted.python}")
    own = wanted.repository / ".venv" / "bin" / "python"
    python = wanted.python or (own if own.is_file() and not wanted.requirements else None)
    if python is None:
        python = interpreter(("pytest", *wanted.requirements)) / "bin" / "python"
    python = python.absolute()  # not resolved: a virtual environment is known by the link
    return Ground(
        repository=wanted.repository,
        python=python,
        binds=prefixes(python),
        tests=tuple(wanted.tests),
        wall_seconds=wanted.seconds,
        unsafe=wanted.unsafe,
    )


async def _search(wanted: Wanted, ground: Ground, tries: Tries, progress: Progress) -> list[Tried]:
    """Try mutations in their order until as many as wanted break something; what was tried before is not again."""
    chosen = candidates(ground.repository, wanted.only, wanted.seed)[: wanted.limit or None]
    if tries.baseline is None:
        with progress.stage("tests as they are", 1) as stage:
            tries.begin(await baseline(ground))
            stage.advance()
    assert tries.baseline is not None
    before = tries.baseline
    queue = iter(enumerate(chosen))
    found: dict[int, Tried] = {}
    with progress.stage("mutations that break tests", wanted.count) as stage:

        def enough() -> bool:
            return len(_chosen(found, wanted.count)) >= wanted.count

        async def worker() -> None:
            """One sandbox, and a fresh one where it broke."""
            waiting = next(queue, None)
            broke = 0
            while waiting is not None and not enough():
                try:
                    async with opened(ground, before.limit) as sandbox:
                        while waiting is not None and not enough():
                            at, mutation = waiting
                            known = tries.get(mutation.id)
                            result = known or await tried(sandbox, ground, before, mutation)
                            if known is None:
                                tries.add(result)
                            if result.verdict == "breaks":
                                was = len(_chosen(found, wanted.count))
                                found[at] = result
                                stage.advance(len(_chosen(found, wanted.count)) - was)
                            waiting, broke = next(queue, None), 0
                except EnvironmentFailure:
                    broke += 1
                    if broke >= ATTEMPTS:
                        raise

        async with asyncio.TaskGroup() as group:
            for _ in range(wanted.workers):
                group.create_task(worker())
    return _chosen(found, wanted.count)


def _chosen(found: dict[int, Tried], count: int) -> list[Tried]:
    """The first of each effect, in the order of the candidates."""
    different: dict[str, Tried] = {}
    for at in sorted(found):
        different.setdefault(same_effect(found[at]), found[at])
    return list(different.values())[:count]
