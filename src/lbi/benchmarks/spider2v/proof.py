"""Proves tasks before anyone pays: solution 1, nothing 0; by the checkout's files alone, or on a desktop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lbi.benchmarks.spider2v import by_files
from lbi.benchmarks.spider2v.checkout import Checkout, Official
from lbi.benchmarks.spider2v.desktop import lacking
from lbi.benchmarks.spider2v.environment import Spider2VEnvironment, Spider2VEnvironments
from lbi.benchmarks.spider2v.judge import Verdict
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.monitoring.progress import Progress
from lbi.monitoring.terminal import open_console
from lbi.protocols import CheckedTask
from lbi.records import Task

NOTHING = ('finish("")',)


async def prove(checkout: Checkout, tasks: Sequence[Task]) -> list[CheckedTask]:
    """One row for each task that can be run; what fails is told by its row, and keeps no other from being tried."""
    official = {task.name: checkout.tasks[task.name] for task in tasks if task.name not in checkout.not_runnable}
    files = [one for task in tasks if not task.gold and (one := official.get(task.name)) and by_files.provable(one)]
    done = {row.task: row for row in await _by_files(checkout, files)}
    rest = [task for task in tasks if task.name in official and task.name not in done and not lacking(task.category)]
    if rest:
        environments = Spider2VEnvironments(
            checkout, {task.category for task in rest}, screenshots=False, save_image=lambda png: ""
        )
        try:
            environment = await environments.open()
            with Progress(open_console(stderr=True)).stage("check on a desktop", len(rest)) as stage:
                for task in rest:
                    done[task.name] = await _on_a_desktop(environment, task)
                    stage.advance()
        finally:
            await environments.close()
    return [done[task.name] for task in tasks if task.name in done]


async def _by_files(checkout: Checkout, tasks: Sequence[Official]) -> list[CheckedTask]:
    from lbi.benchmarks.spider2v import interpreters

    try:
        python = await asyncio.to_thread(interpreters.grader) if tasks else None
        return await by_files.prove(checkout, python, tasks) if python else []
    except (UserError, ScoreError, EnvironmentFailure) as error:
        return [CheckedTask(task=task.name, problem=" ".join(str(error).split())) for task in tasks]


async def _on_a_desktop(environment: Spider2VEnvironment, task: Task) -> CheckedTask:
    nothing = await _tried(environment, task, NOTHING)
    if not task.gold:
        problem = "" if nothing[0] == 0 else f"nothing: {nothing[1] if nothing[0] is None else 'scores'}"
        return CheckedTask(task=task.name, nothing=nothing[0], problem=problem)
    return by_files.checked(task.name, await _tried(environment, task, task.gold), nothing)


async def _tried(environment: Spider2VEnvironment, task: Task, actions: Sequence[str]) -> Verdict:
    try:
        await environment.reset(task)
        for action in actions:
            outcome = await environment.step(action)
            if outcome.observation.error and not outcome.done:
                return None, f"{action[:80]}: {outcome.observation.error}"
        return await environment.score(task, "")
    except (EnvironmentFailure, ScoreError) as error:
        return None, str(error)
