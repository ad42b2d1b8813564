"""A benchmark -> one row per task: does its gold solution score 1, and does doing nothing score 0?"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbi import plugins
from lbi.config import Config, Shell
from lbi.environments import open_environments
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut, is_plug_in, load_benchmark
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.protocols import Agent, CheckedTask, ChecksItself, Environment, Environments, HasSolutions
from lbi.records import Task
from lbi.rollouts.loop import in_parallel, rollout

Row = dict[str, Any]  # what, passed, found; of a benchmark's task also task, gold and nothing
NOTHING = ('finish("")',)
NO_GOLD = "the task has no gold solution, so only doing nothing was tried"
SOLUTION_STEPS = 60  # of a solution that looks at the page
Trial = tuple[Task, str]  # "gold" or "nothing"


async def check_benchmark(
    name: str, checkout: str, only: str, workers: int, quiet: bool, *, unsafe: bool = False
) -> list[Row]:
    """Try every task both ways, each from the pristine state; a benchmark that checks itself does so.

    ``only`` names tasks, separated by commas. Raises UserError for one that there is not.
    """
    benchmark = load_benchmark(name, checkout)
    plug_in = plugins.load("benchmarks", name.partition(":")[0]) if is_plug_in(name) else None
    wanted, known = list(filter(None, only.split(","))), [task.name for task in benchmark.task]
    if unknown := next((each for each in wanted if each not in known), None):
        near = difflib.get_close_matches(unknown, known, n=3, cutoff=0.3)
        raise UserError(f"benchmark {name} has no task {unknown!r}; nearest: {', '.join(near) or 'none'}")
    chosen = [task for task in benchmark.task if not wanted or task.name in wanted]
    alone = isinstance(plug_in, ChecksItself)
    tasks = benchmark.tasks(benchmark.environment, [task for task in chosen if alone or not task.not_runnable])
    checked: list[CheckedTask] = []
    if isinstance(plug_in, ChecksItself):
        checked = await plug_in.check(tasks, checkout)
    elif tasks:
        environments = open_environments(_config(benchmark, name, checkout, unsafe), lambda png: "")
        solvers = {
            task.name: plug_in.solver(task, checkout) if isinstance(plug_in, HasSolutions) else None for task in tasks
        }
        checked = await _try_all(environments, tasks, solvers, f"check {benchmark.name}", workers, quiet)
    found = {task.task: task for task in checked}
    return [_row(benchmark.name, _with_what_is_known(task, found.get(task.name))) for task in chosen]


def _with_what_is_known(task: HeldOut, found: CheckedTask | None) -> CheckedTask:
    known = {"faulty": task.faulty, "not_runnable": task.not_runnable}
    return (found or CheckedTask(task=task.name)).model_copy(update=known)


async def _try_all(
    environments: Environments,
    tasks: Sequence[Task],
    solvers: Mapping[str, Agent | None],
    headline: str,
    workers: int,
    quiet: bool,
) -> list[CheckedTask]:
    """Each task by its solution and by doing nothing. Closes the environments."""
    outcomes: dict[tuple[str, str], tuple[float | None, str]] = {}
    progress = Progress(terminal.open_console(stderr=True), quiet=quiet)
    try:
        trials = [(task, how) for task in tasks for how in ("gold", "nothing")]
        with progress.stage(headline, len(trials)) as stage:

            async def one(environment: Environment, trial: Trial) -> None:
                task, how = trial
                solver = solvers[task.name] if how == "gold" else None
                outcomes[task.name, how] = await _tried(environment, task, how, solver)
                stage.advance()

            def failed(trial: Trial, error: EnvironmentFailure, last: bool) -> None:
                outcomes[trial[0].name, trial[1]] = (None, str(error))

            await in_parallel(environments, trials, one, workers=workers, failed=failed)
    finally:
        await environments.close()
    return [_checked(task, solvers[task.name], outcomes) for task in tasks]


def _config(benchmark: Benchmark, name: str, checkout: str, unsafe: bool) -> Config:
    if is_plug_in(name) and benchmark.environment in plugins.available("benchmarks"):
        return Config(
            environment=benchmark.environment, application=benchmark.application, benchmark=name, checkout=checkout
        )
    application = _application(benchmark, name)
    return Config(environment=benchmark.environment, application=application, shell=Shell(unsafe=unsafe))


def _application(benchmark: Benchmark, name: str) -> str:
    """A name, or a path, which a file of tasks says from where it lies."""
    if not benchmark.application:
        raise UserError(f"benchmark {name} names no application to try its gold solutions on; set application = ...")
    if benchmark.application.endswith(".toml"):
        return str(Path(name).expanduser().parent / benchmark.application)
    return benchmark.application


async def _tried(environment: Environment, task: Task, how: str, solver: Agent | None) -> tuple[float | None, str]:
    """The score, None where there is none, and why."""
    if solver is not None:
        trajectory = await rollout(environment, solver, task, SOLUTION_STEPS)
        for step in trajectory.observations[1:]:
            if step.error:
                return None, f"{trajectory.actions[-1].text}: {step.error}"
        if trajectory.stop != "done":
            return None, trajectory.error or f"the solution does not end within {SOLUTION_STEPS} steps"
        return await _scored(environment, task, trajectory.answer)
    if how == "gold" and not task.gold:
        return None, NO_GOLD
    await environment.reset(task)
    for action in task.gold if how == "gold" else NOTHING:
        outcome = await environment.step(action)
        if outcome.observation.error and not outcome.done:
            return None, f"{action}: {outcome.observation.error}"
        if outcome.done:
            return await _scored(environment, task, outcome.answer)
    return None, 'the solution does not end with finish("...")'


async def _scored(environment: Environment, task: Task, answer: str) -> tuple[float | None, str]:
    try:
        return await environment.score(task, answer)
    except ScoreError as error:
        return None, str(error)


def _checked(
    task: Task, solver: Agent | None, outcomes: dict[tuple[str, str], tuple[float | None, str]]
) -> CheckedTask:
    gold, nothing = outcomes[task.name, "gold"], outcomes[task.name, "nothing"]
    problems = []
    if gold[0] != 1 and (task.gold or solver is not None):
        problems.append(f"gold: {gold[1]}")
    if nothing[0] != 0:
        problems.append("nothing: " + (nothing[1] if nothing[0] is None else "scores without an action"))
    return CheckedTask(task=task.name, gold=gold[0], nothing=nothing[0], problem="; ".join(problems))


def _row(benchmark: str, task: CheckedTask) -> Row:
    note = NO_GOLD if task.gold is None and not task.problem else ""
    known = [("not runnable", task.not_runnable), ("faulty", task.faulty)]
    note = "; ".join(f"{what}: {why}" for what, why in known if why) or note
    return {
        "what": f"{benchmark}: {task.task}",
        "task": task.task,
        "passed": task.passed,
        "gold": task.gold,
        "nothing": task.nothing,
        "found": "; ".join(filter(None, [note, task.problem])),
    }
