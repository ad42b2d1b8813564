"""OSWorld: 369 tasks on a computer with windows, from a checkout; osworld:APP, ID, small. --checkout FOLDER or FILE."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbi.benchmarks.osworld.faults import FAULTS
from lbi.benchmarks.osworld.needs import packages, why_not
from lbi.benchmarks.osworld.suite import Suite
from lbi.benchmarks.osworld.task import TaskFile
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.desktop.actions import ACTIONS as DESKTOP_ACTIONS
from lbi.errors import UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut
from lbi.protocols import Agent, GradedTask
from lbi.records import Check, Task

if TYPE_CHECKING:
    from lbi.benchmarks.osworld.environment import OSWorldEnvironments

__all__ = ["ACTIONS", "RESOURCE", "config", "create", "documents", "family", "grade", "load", "packages", "solver"]

RESOURCE = "desktop"  # of a machine of a cluster

Json = dict[str, Any]
#: with how a task is called infeasible
ACTIONS = DESKTOP_ACTIONS + '\nfinish("infeasible")  end a task that cannot be done on this desktop'
UNREAD = "(its file could not be read)"
GOLD_INFEASIBLE = ('finish("infeasible")',)


def load(selection: str = "", checkout: str = "") -> Benchmark:
    """All tasks of a checkout or those selected; what cannot be run here has a reason. Raises UserError."""
    suite = _suite(checkout)
    return Benchmark(
        name="osworld", environment="osworld", task=tuple(_held_out(suite, name) for name in suite.chosen(selection))
    )


def config(selection: str, checkout: str) -> Json:
    """What is measured is the agent alone; set ``synthesis.rollouts`` and arms to learn from the manuals before."""
    arms = [{"name": "baseline", "agent": "react"}]
    evaluation = {"arms": arms, "step_limit": 15}
    return {"environment": "osworld", "workers": 1, "synthesis": {"rollouts": 1}, "evaluation": evaluation}


def family(config: Config) -> str:
    """Windows are seen and acted on as pages are."""
    return "web"


def create(config: Config, save_image: Callable[[bytes], str]) -> OSWorldEnvironments:
    """Raises UserError where there is no checkout, and for what is not installed."""
    if config.shell.unsafe:
        raise UserError("a desktop runs in its sandbox only: it has no use for --unsafe")
    from lbi.benchmarks.osworld.environment import OSWorldEnvironments

    return OSWorldEnvironments(_suite(config.checkout), ACTIONS, config.web.screenshots, save_image)


async def documents(environments: OSWorldEnvironments) -> tuple[DocumentSource, ...]:
    """The manuals of the programs, as far as they are installed."""
    return environments.documents


def solver(task: Task, checkout: str = "") -> Agent | None:
    """Who follows our script, or puts the file that a result is compared with in its place; None of other tasks."""
    from lbi.benchmarks.osworld.oracle import Follows, solution

    suite = _suite(checkout)
    file = suite.task(task)
    if task.gold:
        return Follows(task.gold)
    return solution(file, suite.places) if file else None


def grade(results: Path, checkout: str) -> list[GradedTask]:
    """The results that OSWorld's own runner leaves. Raises UserError."""
    from lbi.evaluation.runner_results import read_results

    names = _suite(checkout).names if checkout else ()
    return read_results(results, {name: name.partition("/")[2] for name in names} or None)


@cache
def _suite(checkout: str) -> Suite:
    return Suite(checkout)


def _held_out(suite: Suite, name: str) -> HeldOut:
    from lbi.benchmarks.osworld.oracle import gold_of

    app, _, number = name.partition("/")
    file = suite.read(name)
    known = file if isinstance(file, TaskFile) else None
    return HeldOut(
        name=number,
        instruction=known.instruction if known else UNREAD,
        category=app,
        check=Check(grader=name),
        gold=GOLD_INFEASIBLE if known and known.infeasible else gold_of(number),
        faulty=FAULTS.get(number, ""),
        not_runnable=why_not(known, suite.places, suite.evaluators) if known else f"no task of this version: {file}",
    )
