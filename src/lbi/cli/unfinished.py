"""A run that was stopped -> what it leaves undone: ["attempts: 12 of 29", "held-out tasks measured: 0 of 21"]."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lbi.config import Config, resolve
from lbi.context import money_spent
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmarks
from lbi.evaluation.holdout import tasks_wanted
from lbi.records import Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import without_idle_steps

OPTION = re.compile(r"--budget(=.*)?")


def unfinished(path: Path, command: Sequence[str]) -> str:
    """Lines that say what a used-up budget leaves undone, and the command that continues. "" where nothing is known.

    ``command`` is the one that was stopped; the budget in it is raised to twice of what is spent.
    """
    try:
        with RunFolder(path, writing=False) as run:
            config = resolve(run.config, str(path / "config.json"))
            stages = [*_synthesis(run, config), *_evaluation(run, config)]
            more = max(1, math.ceil(2 * money_spent(run)))
    except (UserError, OSError):
        return ""
    lines = ["Done so far:", *(f"  {line}" for line in stages), f"Continue: {_with_budget(command, more)}"]
    return "\n".join(lines)


def _synthesis(run: RunFolder, config: Config) -> list[str]:
    store = run.store
    attempts = config.synthesis.rollouts * len(config.seeds)
    trajectories = [without_idle_steps(trajectory) for _, trajectory in store.all("trajectory", Trajectory)]
    labelled = {key.split("/")[1] for key in store.keys("example")}
    with_steps = {trajectory.id for trajectory in trajectories if trajectory.steps}
    proposed, wanted = store.count("task"), tasks_wanted(config)
    return [
        f"tasks proposed: {min(proposed, wanted)} of {wanted}",
        f"attempts: {len(trajectories)} of {attempts}",
        f"attempts labelled: {len(with_steps & labelled)} of {len(with_steps)}",
    ]


def _evaluation(run: RunFolder, config: Config) -> list[str]:
    tasks = {task.name for _, task in run.store.all("heldout", Task)}
    episodes_each = (len(config.evaluation.arms) + len(config.evaluation.growth)) * len(config.seeds)
    measured = Counter(key.split("/", 2)[2] for key in run.store.keys("result"))
    complete = sum(measured[task] >= episodes_each for task in tasks)
    known = len(tasks) or _held_out_tasks(config)
    if not known:
        return ["held-out tasks: none is chosen yet"]
    episodes = sum(measured[task] for task in tasks)
    return [
        f"held-out tasks measured in all arms: {complete} of {known} "
        f"({episodes} of {known * episodes_each} episodes); what is not measured is in no rate"
    ]


def _held_out_tasks(config: Config) -> int:
    """How many a benchmark gives; without one that depends on what is proposed."""
    if not config.benchmark:
        return 0
    number = len(load_benchmarks(config.benchmark, config.checkout).runnable)
    return min(number, config.evaluation.tasks) if config.evaluation.tasks else number


def _with_budget(command: Sequence[str], dollars: int) -> str:
    kept: list[str] = []
    skip = False
    for part in command:
        if not skip and not OPTION.fullmatch(part):
            kept.append(part)
        skip = part == "--budget"
    return shlex.join([*kept, "--budget", f"{dollars}usd"])
