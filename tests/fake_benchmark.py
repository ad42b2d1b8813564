"""A benchmark as another distribution brings it: it proves itself, and two of its tasks are not as they should be."""

from __future__ import annotations

from collections.abc import Sequence

from lbi.errors import UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut
from lbi.protocols import CheckedTask
from lbi.records import Check, Task


def load(selection: str = "", checkout: str = "") -> Benchmark:
    if not checkout:
        raise UserError("riddles: give a checkout")
    faults = {"faulty": {"faulty": "nobody knows"}, "away": {"not_runnable": "its site is not here"}}
    names = selection.split(",") if selection else ["right", "wrong", "faulty", "away"]
    tasks = [
        HeldOut(name=name, instruction=f"Solve {name}", check=Check(grader=name), **faults.get(name, {}))
        for name in names
    ]
    return Benchmark(name="riddles", environment="web", task=tuple(tasks))


async def check(tasks: Sequence[Task], checkout: str) -> list[CheckedTask]:
    gold = {"right": 1.0, "wrong": 0.0, "faulty": 1.0, "away": 1.0}
    return [
        CheckedTask(
            task=task.name,
            gold=gold[task.name],
            nothing=float(task.name == "faulty"),
            problem="" if task.name == "right" else f"{task.name} in {checkout}",
        )
        for task in tasks
    ]
