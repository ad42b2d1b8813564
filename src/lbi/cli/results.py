"""grade, of a benchmark that brings its own runner: what that left -> a line for each kind of task, and one for all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from lbi import plugins
from lbi.cli import open_console
from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.protocols import GradedTask, GradesResults

MOST_TOLD = 20  # tasks without a score that are named


def grade_results(benchmark: str, results: Path, checkout: str, as_json: bool) -> int:
    """Print it; 1 if a task has no score. Raises UserError."""
    plug_in = plugins.load("benchmarks", benchmark.partition(":")[0])
    if not isinstance(plug_in, GradesResults):
        raise UserError(f"the benchmark {benchmark!r} has no format of results that is read here")
    graded = plug_in.grade(results, checkout)
    without = [each for each in graded if each.score is None]
    rows = {category: _row([each for each in graded if each.category == category]) for category in _categories(graded)}
    if as_json:
        tasks = {each.task: {"score": each.score, "reason": each.reason} for each in graded}
        say(json.dumps({"all": _row(graded), "categories": rows, "tasks": tasks}, indent=2, ensure_ascii=False))
    else:
        _print({**rows, "all": _row(graded)}, without)
    return 1 if without else 0


def _categories(graded: Sequence[GradedTask]) -> list[str]:
    return sorted({each.category for each in graded})


def _row(graded: Sequence[GradedTask]) -> dict[str, Any]:
    """Those without a score are in no rate; what all would come to if they were 0 stands beside it."""
    scores = [each.score for each in graded if each.score is not None]
    rate = sum(scores) / len(scores) if scores else None
    return {"tasks": len(graded), "scored": len(scores), "sum": sum(scores), "rate": rate}


def _print(rows: dict[str, dict[str, Any]], without: Sequence[GradedTask]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("", "tasks", "scored", "sum of scores", "rate of those scored"):
        table.add_column(name, justify="left" if not name else "right")
    for name, row in rows.items():
        rate = "-" if row["rate"] is None else f"{row['rate']:.1%}"
        table.add_row(name, str(row["tasks"]), str(row["scored"]), f"{row['sum']:g}", rate)
    open_console().print(table)
    for each in without[:MOST_TOLD]:
        open_console().print(escape(f"no score: {each.category}/{each.task}: {each.reason}"))
    if len(without) > MOST_TOLD:
        say(f"and {len(without) - MOST_TOLD} more without a score; --json has them all")
