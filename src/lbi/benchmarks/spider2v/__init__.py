"""Spider2-V (xlang-ai): data tools on a desktop, from a checkout; spider2v:excel,jupyter,dbt,dagster or TASK,TASK."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.benchmarks.spider2v import desktop
from lbi.benchmarks.spider2v.checkout import COMMANDS, RUN, Checkout, Official, apps_of, opened
from lbi.benchmarks.spider2v.gold import gold_of
from lbi.benchmarks.spider2v.known import FAULTY
from lbi.benchmarks.spider2v.terminal import ACTIONS
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.errors import UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut
from lbi.protocols import CheckedTask, GradedTask, Json
from lbi.records import Check, Task

if TYPE_CHECKING:
    from lbi.benchmarks.spider2v.environment import Spider2VEnvironments

__all__ = ["ACTIONS", "RESOURCE", "check", "config", "create", "documents", "family", "grade", "load", "packages"]

RESOURCE = "desktop"  # of a machine of a cluster

ABSTRACT = 2  # level of the instructions that say what, and not how


def load(selection: str = "", checkout: str = "") -> Benchmark:
    """All 494 tasks, or those of programs and names: ``dbt,excel-1d17d234``; "abstract" and "verbose" choose wordings.

    Raises UserError for a selection that there is not, and for what is no checkout.
    """
    from_checkout = opened(checkout)
    chosen = _chosen(from_checkout, [part.strip() for part in selection.split(",") if part.strip()])
    tasks = tuple(_held_out(from_checkout, task) for task in chosen)
    return Benchmark(name="spider2v", environment="spider2v", task=tasks)


def config(selection: str, checkout: str) -> Json:
    """What is measured is the agent alone, on one desktop at a time; arms that learn before are for a config."""
    arms = [{"name": "baseline", "agent": "react"}]
    return {
        "environment": "spider2v",
        "workers": 1,
        "synthesis": {"rollouts": 1},
        "evaluation": {"arms": arms, "step_limit": 30},
    }


def family(config: Config) -> str:
    """What is practised on first: a program with windows, or one of commands."""
    return "shell" if apps_of(_apps(config))[0] in COMMANDS else "web"


def create(config: Config, save_image: Callable[[bytes], str]) -> Spider2VEnvironments:
    """Raises UserError where no checkout is given. What is not installed is told by the tasks that need it."""
    from lbi.benchmarks.spider2v.environment import Spider2VEnvironments

    return Spider2VEnvironments(
        opened(config.checkout),
        _apps(config),
        screenshots=config.web.screenshots,
        save_image=save_image,
    )


async def documents(environments: Spider2VEnvironments) -> tuple[DocumentSource, ...]:
    """What the programs of the chosen tasks say of themselves, from their installed packages."""
    from lbi.benchmarks.spider2v.manuals import manuals_of

    return await manuals_of(environments)


def packages() -> list[str]:
    """What is not installed of what its tasks need, by the names of Debian's packages."""
    return desktop.packages()


async def check(tasks: Sequence[Task], checkout: str) -> list[CheckedTask]:
    """Each task by its solution and by doing nothing: by files alone, or on a desktop."""
    from lbi.benchmarks.spider2v.proof import prove

    return await prove(opened(checkout), tasks)


def grade(results: Path, checkout: str) -> list[GradedTask]:
    """The results that Spider2-V's own runner leaves, by whole ids, or ours, by names of tasks. Raises UserError."""
    from lbi.evaluation.runner_results import read_results

    tasks = opened(checkout).tasks.values() if checkout else ()
    known = {f"{task.app}/{name}": task.name for task in tasks for name in (task.id, task.name)}
    return read_results(results, known or None)


def _apps(config: Config) -> list[str]:
    """What the chosen tasks begin with, such as dbt of spider2v:dbt-1137ff65."""
    names = [config.benchmark] if isinstance(config.benchmark, str) else config.benchmark
    return [part.strip().partition("-")[0] for name in names for part in name.partition(":")[2].split(",")]


def _held_out(checkout: Checkout, task: Official) -> HeldOut:
    return HeldOut(
        name=task.name,
        instruction=task.instruction,
        category=task.app,
        level=1 if "verbose" in task.tags else ABSTRACT,
        check=Check(grader=task.name),
        gold=gold_of(checkout, task),
        faulty=FAULTY.get(task.id[:8], ""),
        not_runnable=checkout.not_runnable.get(task.name) or desktop.lacking(task.app),
    )


def _chosen(checkout: Checkout, parts: list[str]) -> list[Official]:
    tasks = list(checkout.tasks.values())
    wordings = [part for part in parts if part in ("abstract", "verbose")]
    named = [part for part in parts if part not in wordings]
    if named:
        apps = {task.app for task in tasks}
        for part in named:
            if part not in apps and part not in checkout.tasks:
                near = difflib.get_close_matches(part, [*apps, *checkout.tasks], n=3, cutoff=0.4)
                hint = f"nearest: {', '.join(near)}" if near else f"choose of {', '.join(RUN)}"
                raise UserError(f"spider2v has no tasks {part!r}; {hint}")
        tasks = [task for task in tasks if task.app in named or task.name in named]
    return [task for task in tasks if not wordings or set(wordings) & set(task.tags)]
