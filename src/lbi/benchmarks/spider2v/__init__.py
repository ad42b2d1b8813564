"""Spider2-V (xlang-ai): data tools on a desktop, from a checkout; spider2v:excel,jupyter,dbt,dagster or TASK,TASK."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Sequence

from lbi.benchmarks.spider2v.checkout import RUN, Checkout, Official, opened
from lbi.benchmarks.spider2v.known import FAULTY
from lbi.errors import UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut
from lbi.protocols import CheckedTask
from lbi.records import Check, Task

__all__ = ["check", "load"]

ABSTRACT = 2  # level of the instructions that say what, and not how


def load(selection: str = "", checkout: str = "") -> Benchmark:
    """All 494 tasks, or those of programs and names: ``dbt,excel-1d17d234``; "abstract" and "verbose" choose wordings.

    Raises UserError for a selection that there is not, and for what is no checkout.
    """
    from_checkout = opened(checkout)
    chosen = _chosen(from_checkout, [part.strip() for part in selection.split(",") if part.strip()])
    tasks = tuple(_held_out(from_checkout, task) for task in chosen)
    return Benchmark(name="spider2v", environment="spider2v", task=tasks)


async def check(tasks: Sequence[Task], checkout: str) -> list[CheckedTask]:
    """Each task by its expected file and by doing nothing."""
    from lbi.benchmarks.spider2v import by_files, interpreters

    from_checkout = opened(checkout)
    official = [from_checkout.tasks[task.name] for task in tasks]
    by_file = [task for task in official if task.name not in from_checkout.not_runnable and by_files.provable(task)]
    python = await asyncio.to_thread(interpreters.grader)
    return await by_files.prove(from_checkout, python, by_file)


def _held_out(checkout: Checkout, task: Official) -> HeldOut:
    return HeldOut(
        name=task.name,
        instruction=task.instruction,
        category=task.app,
        level=1 if "verbose" in task.tags else ABSTRACT,
        check=Check(grader=task.name),
        faulty=FAULTY.get(task.id[:8], ""),
        not_runnable=checkout.not_runnable.get(task.name, ""),
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
