"""Held-out tasks -> the end of a run whose checks name what is not there: a table, a column, a program, a file."""

from __future__ import annotations

from lbi.context import RunContext
from lbi.evaluation.benchmark import Benchmark, load_benchmarks
from lbi.protocols import Environments, ReadsChecks
from lbi.storage.validation import several


async def look_up_checks(context: RunContext) -> None:
    """Before anything of a run is paid for. Raises UserError."""
    if context.config.benchmark:
        await look_up_names(load_benchmarks(context.config.benchmark, context.config.checkout), context.environments)


async def look_up_names(benchmark: Benchmark, environments: Environments) -> None:
    """Raises UserError with a line for each mistake. May install the application."""
    if not isinstance(environments, ReadsChecks):
        return
    mistakes: list[str] = []
    for task in benchmark.task:
        mistakes += [f"task {task.name!r}: {mistake}" for mistake in await environments.mistakes(task.check)]
    if mistakes:
        raise several(f"benchmark {benchmark.name}", mistakes)
