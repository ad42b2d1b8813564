"""MiniWoB++: 125 tasks of one small page each, which says itself what an episode earned; miniwob:TASK,TASK@SEED."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from lbi.benchmarks.miniwob.site import pages_folder
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.web.actions import ACTIONS
from lbi.errors import UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut
from lbi.protocols import Agent, Json
from lbi.records import Check, Task

if TYPE_CHECKING:
    from lbi.benchmarks.miniwob.environment import MiniwobEnvironments

__all__ = ["ACTIONS", "RESOURCE", "config", "create", "documents", "load", "solver"]

RESOURCE = "browser"  # of a machine of a cluster

PRACTICE = 1000  # first seed of the problems that agents may learn on
PROBLEMS = 4  # of each page to learn on
CHECK = Check(grader="miniwob")


def load(selection: str = "", checkout: str = "") -> Benchmark:
    """All tasks with seed 0, or the selected: ``click-button,click-tab@3``. ``checkout`` holds pages of another place.

    A problem follows from task and seed; the instructions of seeds 0 to 9 are stored with us, as only the page knows
    them. Raises UserError for a task or seed that there is not.
    """
    pages_folder(checkout)
    chosen = [_parts(part.strip()) for part in selection.split(",") if part.strip()] or [(n, 0) for n in instructions()]
    return Benchmark(
        name="miniwob", environment="miniwob", task=tuple(_held_out(name, seed) for name, seed in dict.fromkeys(chosen))
    )


def config(selection: str, checkout: str) -> Json:
    """What is measured is the agent alone; set ``synthesis.rollouts`` and arms to learn from other problems before."""
    arms = [{"name": "baseline", "agent": "react"}]
    return {"environment": "miniwob", "synthesis": {"rollouts": 1}, "evaluation": {"arms": arms}}


def create(config: Config, save_image: Callable[[bytes], str]) -> MiniwobEnvironments:
    """Raises UserError where the pages are not installed."""
    from lbi.benchmarks.miniwob.environment import MiniwobEnvironments  # loads the browser's driver

    return MiniwobEnvironments(config.checkout, config.web.screenshots, save_image)


async def documents(environments: MiniwobEnvironments) -> tuple[DocumentSource, ...]:
    """One for each problem to practise on: what its page says is to be done. None of them is a problem of a task."""
    return tuple(
        DocumentSource(
            title=name,
            text=texts[number],
            format="markdown",
            start_url=f"/miniwob/{name}.html?seed={PRACTICE + number}",
        )
        for number in range(PROBLEMS)
        for name, texts in _stored("practice.json").items()
    )


def solver(task: Task, checkout: str = "") -> Agent | None:
    """The program that solves the task by our actions, for those of which it has been shown that they can be."""
    from lbi.benchmarks.miniwob.solutions import SOLUTIONS, Solver

    solution = SOLUTIONS.get(task.name.partition("@")[0])
    return Solver(solution) if solution else None


def instructions() -> dict[str, list[str]]:
    """{task: its instruction with seed 0, 1, ...}, as the pages gave them."""
    return _stored("instructions.json")


@cache
def _stored(name: str) -> dict[str, list[str]]:
    stored: dict[str, list[str]] = json.loads(resources.files(__name__).joinpath(name).read_text("utf-8"))
    return stored


def _parts(task: str) -> tuple[str, int]:
    name, _, seed = task.partition("@")
    if name not in instructions():
        near = difflib.get_close_matches(name, instructions(), n=3, cutoff=0.3)
        raise UserError(f"miniwob has no task {name!r}; nearest: {', '.join(near) or 'none'}")
    seeds = len(instructions()[name])
    if seed and not (seed.isdigit() and int(seed) < seeds):
        raise UserError(f"miniwob: {task}: the seeds of a task are 0 to {seeds - 1}")
    return name, int(seed or 0)


def _held_out(name: str, seed: int) -> HeldOut:
    return HeldOut(
        name=f"{name}@{seed}" if seed else name,
        instruction=instructions()[name][seed],
        category=name.partition("-")[0],
        check=CHECK,
        start_url=f"/miniwob/{name}.html?seed={seed}",
    )
