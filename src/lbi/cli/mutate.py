"""tasks mutate: a repository -> a file of tasks whose bugs were made on purpose."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from lbi.benchmarks.swebench.interpreters import interpreter
from lbi.benchmarks.swebench.mutations.run import Ground, Tried, baseline, candidates, fingerprint, opened, tried
from lbi.benchmarks.swebench.mutations.tasks import Tries, same_effect, write_tasks
from lbi.errors import EnvironmentFailure, UserError
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.monitoring.terminal import say
from lbi.sandbox.interpreter import prefixes

ATTEMPTS = 3  # of a mutation whose sandbox broke


@dataclass(frozen=True)
class MutationOptions:
    """What the command line says: where, how many, which and how."""

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


def mutate(options: MutationOptions, as_json: bool, quiet: bool) -> int:
    """Write the tasks and print what the mutations came to; 1 if none breaks a test."""
    if not options.repository.is_dir():
        raise UserError(f"no repository at {options.repository}: there is no such folder")
    if not options.out.parent.is_dir():
        raise UserError(f"cannot write {options.out}: there is no folder {options.out.parent}")
    if options.out.resolve().is_relative_to(options.repository.resolve()):
        raise UserError(f"{options.out} lies in the repository, in which nothing is written; choose another --out")
    ground = _ground(options)
    tries = Tries(options.out.with_suffix(".tried.jsonl"), fingerprint(ground))
    tasks = asyncio.run(
        _search(options, ground, tries, Progress(terminal.open_console(stderr=True), quiet=quiet or as_json))
    )
    assert tries.baseline is not None
    write_tasks(options.out, ground, tries.baseline, tasks)
    counts = dict(sorted(tries.counts().items()))
    if as_json:
        say(json.dumps({"tasks": len(tasks), "tried": counts, "file": str(options.out)}, indent=2))
    else:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        say(f"{len(tasks)} tasks in {options.out}; mutations tried so far: {verdicts}")
    return 0 if tasks else 1


def _ground(options: MutationOptions) -> Ground:
    if options.python and options.requirements:
        raise UserError("--python is an interpreter that has everything, --with is installed into a fresh one; choose")
    if options.python and not options.python.is_file():
        raise UserError(f"no interpreter at {options.python}")
    own = options.repository / ".venv" / "bin" / "python"
    python = options.python or (own if own.is_file() and not options.requirements else None)
    if python is None:
        python = interpreter(("pytest", *options.requirements)) / "bin" / "python"
    python = python.absolute()  # not resolved: a virtual environment is known by the link
    return Ground(
        repository=options.repository,
        python=python,
        binds=prefixes(python),
        tests=tuple(options.tests),
        wall_seconds=options.seconds,
        unsafe=options.unsafe,
    )


async def _search(options: MutationOptions, ground: Ground, tries: Tries, progress: Progress) -> list[Tried]:
    """Try mutations in their order until as many as asked for break something; none is tried twice."""
    chosen = candidates(ground.repository, options.only, options.seed)[: options.limit or None]
    if tries.baseline is None:
        with progress.stage("tests as they are", 1) as stage:
            tries.begin(await baseline(ground))
            stage.advance()
    assert tries.baseline is not None
    before = tries.baseline
    queue = iter(enumerate(chosen))
    breaking: dict[int, Tried] = {}
    with progress.stage("mutations that break tests", options.count) as stage:

        def enough() -> bool:
            return len(_chosen(breaking, options.count)) >= options.count

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
                                was = len(_chosen(breaking, options.count))
                                breaking[at] = result
                                stage.advance(len(_chosen(breaking, options.count)) - was)
                            waiting, broke = next(queue, None), 0
                except EnvironmentFailure:
                    broke += 1
                    if broke >= ATTEMPTS:
                        raise

        async with asyncio.TaskGroup() as group:
            for _ in range(options.workers):
                group.create_task(worker())
    return _chosen(breaking, options.count)


def _chosen(breaking: dict[int, Tried], count: int) -> list[Tried]:
    """The first of each effect, in the order of the candidates."""
    different: dict[str, Tried] = {}
    for at in sorted(breaking):
        different.setdefault(same_effect(breaking[at]), breaking[at])
    return list(different.values())[:count]
