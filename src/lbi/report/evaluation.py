"""Results -> what the report shows of the evaluation: arms, differences, categories, and the table of tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lbi.records import Result, Usage
from lbi.report import charts
from lbi.report.charts import Bar, Interval, points
from lbi.report.gather import Gathered, outcome_of

INFRASTRUCTURE = ("environment", "harness")
MAX_TASKS = 600  # rows of the table of tasks


@dataclass(frozen=True)
class Mark:
    """One episode in the table of tasks."""

    outcome: str
    anchor: str
    hint: str


@dataclass(frozen=True)
class Row:
    """One held-out task in the table of tasks: per arm, a mark per seed."""

    name: str
    level: int
    instruction: str
    cells: list[list[Mark]]


@dataclass(frozen=True)
class ArmRow:
    """One arm; the ends of the interval are None where it could not be computed."""

    name: str
    n: int
    rate: float
    low: float | None
    high: float | None
    environment: int
    harness: int
    model: int
    steps: float
    tokens: float
    cost: float | None
    reference: bool


def arms(run: Gathered) -> dict[str, Any]:
    """The table of arms and its chart."""
    rows = [_arm(name, [result for result in run.results if result.arm == name]) for name in run.arms]
    bars = [Interval(row.name, row.low, row.rate, row.high, f"{points(row.rate)}%") for row in rows]
    chart = charts.intervals("chart-arms", "Success rate of each arm", bars) if rows else Markup()
    return {"rows": rows, "chart": chart, "about": ""}


def _arm(name: str, results: list[Result]) -> ArmRow:
    fair = [result for result in results if result.fault not in INFRASTRUCTURE]
    usage = sum((result.usage for result in results), Usage())
    faults = Counter(result.fault for result in results)
    return ArmRow(
        name=name,
        n=len(fair),
        rate=sum(result.score for result in fair) / max(len(fair), 1),
        low=None,
        high=None,
        environment=faults["environment"],
        harness=faults["harness"],
        model=faults["model"],
        steps=sum(result.steps for result in fair) / max(len(fair), 1),
        tokens=(usage.input_tokens + usage.output_tokens) / max(len(results), 1),
        cost=usage.cost,
        reference=False,
    )


def comparisons(run: Gathered) -> dict[str, Any]:
    return {"rows": [], "chart": Markup(), "about": ""}


def headline(arms: dict[str, Any], comparisons: dict[str, Any]) -> list[str]:
    return []


def groups(run: Gathered) -> list[dict[str, Any]]:
    """Success per category and per level, one bar per arm."""
    wanted: list[tuple[str, str, Callable[[Result], str]]] = [
        ("categories", "Category", lambda result: result.category),
        ("levels", "Level", lambda result: f"level {result.level}" if result.level else ""),
    ]
    found = [_group(run, name, title, of) for name, title, of in wanted]
    return [group for group in found if group["rows"]]


def _group(run: Gathered, name: str, title: str, of: Callable[[Result], str]) -> dict[str, Any]:
    labels = sorted({of(result) for result in run.results} - {""})
    rows = []
    for label in labels:
        cells = [[r for r in run.results if of(r) == label and r.arm == arm] for arm in run.arms]
        rows.append((label, [_bar(index, cell) for index, cell in enumerate(cells)]))
    chart = charts.bars(f"chart-{name}", f"Success by {title.lower()} and arm", run.arms, rows) if rows else Markup()
    table = [(label, [bar.text for bar in bars]) for label, bars in rows]
    return {"title": title, "chart": chart, "rows": table, "arms": run.arms}


def _bar(series: int, results: list[Result]) -> Bar:
    scores = [result.score for result in results if result.fault not in INFRASTRUCTURE]
    if not scores:
        return Bar(series, None, "no result")
    return Bar(series, sum(scores) / len(scores), f"{points(sum(scores) / len(scores))}% of {len(scores)}")


def matrix(run: Gathered, anchors: frozenset[str]) -> dict[str, Any]:
    """Held-out tasks x arms, grouped by category; tasks nobody has attempted are rows without marks."""
    by_task: dict[str, list[Result]] = {name: [] for name in run.heldout}
    for result in sorted(run.results, key=lambda result: result.seed):
        by_task.setdefault(result.task, []).append(result)
    names = sorted(by_task, key=lambda name: (_category(run, name, by_task[name]), name))
    categories: dict[str, list[Row]] = {}
    for name in names[:MAX_TASKS]:
        row = _row(run, name, by_task[name], anchors)
        categories.setdefault(_category(run, name, by_task[name]), []).append(row)
    seeds = sorted({result.seed for result in run.results})
    return {
        "arms": run.arms,
        "groups": list(categories.items()),
        "left_out": max(len(names) - MAX_TASKS, 0),
        "seeds": ", ".join(str(seed) for seed in seeds) or "none yet",
    }


def _category(run: Gathered, name: str, results: list[Result]) -> str:
    return run.heldout[name].category if name in run.heldout else results[0].category if results else ""


def _row(run: Gathered, name: str, results: list[Result], anchors: frozenset[str]) -> Row:
    task = run.heldout.get(name)
    level = task.level if task else results[0].level if results else 0
    cells = [[_mark(run, result, anchors) for result in results if result.arm == arm] for arm in run.arms]
    return Row(name, level, task.instruction if task else "", cells)


def _mark(run: Gathered, result: Result, anchors: frozenset[str]) -> Mark:
    entry = run.episodes.get((result.arm, result.seed, result.task))
    outcome = outcome_of(result)
    words = {"solved": "solved", "part": f"score {result.score:.2f}", "missed": "not solved"}
    hint = f"{result.arm}, seed {result.seed}: {words.get(outcome, f'error of the {result.fault}')}"
    return Mark(outcome, entry.anchor if entry and entry.anchor in anchors else "", hint)
