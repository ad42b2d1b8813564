"""A benchmark -> one row per task: does its gold solution score 1, and does doing nothing score 0?"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from lbi.config import Config
from lbi.environments import open_environments
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.evaluation.benchmark import Benchmark, load_benchmark
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.protocols import Environment
from lbi.records import Task
from lbi.rollouts.loop import in_parallel

Row = dict[str, Any]  # what, passed, found; of a benchmark's task also task, gold and nothing
NOTHING = ('finish("")',)
NO_GOLD = "the task has no gold solution, so only doing nothing was tried"
Trial = tuple[Task, str]  # "gold" or "nothing"


async def check_benchmark(name: str, only: str, workers: int, quiet: bool) -> list[Row]:
    """Try every task both ways, each from the pristine state."""
    benchmark = load_benchmark(name)
    environments = open_environments(Config(application=_application(benchmark, name)), lambda png: "")
    tasks = _chosen(benchmark.tasks(environments.name), only, name)
    outcomes: dict[tuple[str, str], tuple[float | None, str]] = {}
    progress = Progress(terminal.open_console(stderr=True), quiet=quiet)
    try:
        with progress.stage(f"check {benchmark.name}", 2 * len(tasks)) as stage:

            async def one(environment: Environment, trial: Trial) -> None:
                outcomes[trial[0].name, trial[1]] = await _tried(environment, *trial)
                stage.advance()

            def failed(trial: Trial, error: EnvironmentFailure, last: bool) -> None:
                outcomes[trial[0].name, trial[1]] = (None, str(error))

            trials = [(task, how) for task in tasks for how in ("gold", "nothing")]
            await in_parallel(environments, trials, one, workers=workers, failed=failed)
    finally:
        await environments.close()
    return [_row(benchmark.name, task, outcomes[task.name, "gold"], outcomes[task.name, "nothing"]) for task in tasks]


def _application(benchmark: Benchmark, name: str) -> str:
    """A name, or a path, which a file of tasks says from where it lies."""
    if not benchmark.application:
        raise UserError(f"benchmark {name} names no application to try its gold solutions on; set application = ...")
    if benchmark.application.endswith(".toml"):
        return str(Path(name).expanduser().parent / benchmark.application)
    return benchmark.application


def _chosen(tasks: list[Task], only: str, name: str) -> list[Task]:
    if not only:
        return tasks
    chosen = [task for task in tasks if task.name == only]
    if not chosen:
        near = difflib.get_close_matches(only, [task.name for task in tasks], n=3, cutoff=0.3)
        raise UserError(f"benchmark {name} has no task {only!r}; nearest: {', '.join(near) or 'none'}")
    return chosen


async def _tried(environment: Environment, task: Task, how: str) -> tuple[float | None, str]:
    """The score, None where there is none, and why."""
    if how == "gold" and not task.gold:
        return None, NO_GOLD
    await environment.reset(task)
    for action in task.gold if how == "gold" else NOTHING:
        outcome = await environment.step(action)
        if outcome.observation.error and not outcome.done:
            return None, f"{action}: {outcome.observation.error}"
        if outcome.done:
            try:
                return await environment.score(task, outcome.answer)
            except ScoreError as error:
                return None, str(error)
    return None, 'the solution does not end with finish("...")'


def _row(benchmark: str, task: Task, gold: tuple[float | None, str], nothing: tuple[float | None, str]) -> Row:
    problems = []
    if task.gold and gold[0] != 1:
        problems.append(f"gold: {gold[1]}")
    if nothing[0] != 0:
        problems.append("nothing: " + (nothing[1] if nothing[0] is None else "scores without an action"))
    notes = [] if task.gold else [f"note: {NO_GOLD}"]
    return {
        "what": f"{benchmark}: {task.name}",
        "task": task.name,
        "passed": not problems,
        "gold": gold[0],
        "nothing": nothing[0],
        "found": "; ".join(problems + notes),
    }
