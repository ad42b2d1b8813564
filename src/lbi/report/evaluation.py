"""Results -> what the report shows of the evaluation: arms, differences, categories, and the table of tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from lbi.evaluation.statistics import ArmSummary, Comparison, compare, summarise, wilson
from lbi.records import INFRASTRUCTURE, Result, Usage
from lbi.report import charts
from lbi.report.charts import Bar, Interval, Point, points
from lbi.report.gather import Gathered, outcome_of

MAX_TASKS = 600  # rows of the table of tasks
#: with fewer tasks that all came out alike, arms may well differ on tasks that nobody tried (rule of three: 5 points)
ENOUGH = 60
TOO_FEW = "too few tasks to tell"
NOT_MEASURED = (
    "Everything ran; nothing was measured: the held-out tasks have no checks, and the offline model, "
    "which is no language model, was their judge."
)


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
    """One arm with its interval, and what it took."""

    summary: ArmSummary
    low: float
    high: float
    model: int  # episodes that ended because the model failed
    steps: float
    tokens: float
    calls: float
    cost: float | None
    reference: bool

    @property
    def rate(self) -> float | None:
        """What it solves; None where too much failed by environment or harness to say."""
        return None if self.summary.no_number else self.summary.mean


def arms(run: Gathered) -> list[ArmRow]:
    """The rows of the table of arms."""
    by_arm = {arm: [result for result in run.results if result.arm == arm] for arm in run.arms}
    return [_arm(run, summarise(results)[0], results) for results in by_arm.values()]


def _arm(run: Gathered, summary: ArmSummary, results: list[Result]) -> ArmRow:
    usage = sum((result.usage for result in results), Usage())
    fair = [result for result in results if result.fault not in INFRASTRUCTURE]
    low, high = _interval(summary)
    return ArmRow(
        summary=summary,
        low=low,
        high=high,
        model=sum(result.fault == "model" for result in results),
        steps=sum(result.steps for result in fair) / max(len(fair), 1),
        tokens=(usage.input_tokens + usage.output_tokens) / max(len(results), 1),
        calls=usage.calls / max(len(results), 1),
        cost=usage.cost,
        reference=summary.arm == run.reference,
    )


def _interval(summary: ArmSummary) -> tuple[float, float]:
    """Resampling tasks that all came out alike says nothing of others, so there the tasks are counted instead."""
    if summary.tasks and summary.high - summary.low < 1e-9:
        return wilson(round(summary.mean * summary.tasks), summary.tasks)
    return summary.low, summary.high


def chart_of_arms(rows: list[ArmRow]) -> Markup:
    bars = [
        Interval(row.summary.arm, row.low if row.summary.tasks > 1 else None, row.rate, row.high, _figures(row))
        for row in rows
        if row.rate is not None
    ]
    if not bars:
        return Markup()
    return charts.intervals("chart-arms", "Success rate of each arm with its 95% interval", bars)


def charts_of_cost(rows: list[ArmRow]) -> list[Markup]:
    """Success over the calls and over the tokens of an episode, a dot for each arm; none where no model was asked."""
    measured = [row for row in rows if row.rate is not None]
    if not any(row.calls for row in measured):
        return []
    quantities = {
        "calls": [(row.summary.arm, Point(row.calls, row.summary.mean)) for row in measured],
        "tokens": [(row.summary.arm, Point(row.tokens, row.summary.mean)) for row in measured],
    }
    return [
        charts.scatter(f"chart-{name}", f"Success and {name} of an episode", f"{name} of an episode", data)
        for name, data in quantities.items()
        if any(point.x for _, point in data)
    ]


def _figures(row: ArmRow) -> str:
    if row.summary.tasks < 2:
        return f"{points(row.summary.mean)}%  {TOO_FEW}"
    return f"{points(row.summary.mean)}%  [{points(row.low)}, {points(row.high)}]"


def interval_of_rate(row: ArmRow) -> str:
    """The 95% interval of an arm's rate, in words, or why it has none."""
    if row.summary.no_number:
        return row.summary.no_number
    return TOO_FEW if row.summary.tasks < 2 else f"{points(row.low)}% – {points(row.high)}%"


def interval_of_difference(row: Comparison) -> str:
    """The 95% interval of a difference in percentage points, or that there is none to be had."""
    return alike(row) or f"{points(row.low, signed=True)} to {points(row.high, signed=True)}"


def alike(row: Comparison) -> str:
    """Why tasks that all differ by the same tell no interval; "" where they tell one."""
    if row.tasks > 1 and row.high - row.low > 1e-9:
        return ""
    return TOO_FEW if row.tasks < ENOUGH else "the same on every task"


def comparisons(run: Gathered) -> list[Comparison]:
    """Every arm that has a number with the reference, as far as they share tasks."""
    numbered = _numbered(run)
    if run.reference not in numbered:
        return []
    shared = {result.task for result in run.results if result.arm == run.reference and _fair(result)}
    able = [
        arm
        for arm in run.arms
        if arm in numbered and any(r.arm == arm and r.task in shared and _fair(r) for r in run.results)
    ]
    return list(compare(run.results, [(arm, run.reference) for arm in able if arm != run.reference]))


def _numbered(run: Gathered) -> frozenset[str]:
    """The arms of which not too much failed by environment or harness."""
    return frozenset(row.arm for row in summarise(run.results, resamples=1) if not row.no_number)


def _fair(result: Result) -> bool:
    return result.fault not in INFRASTRUCTURE


def chart_of_comparisons(rows: list[Comparison]) -> Markup:
    bars = [
        Interval(row.arm, None if alike(row) else row.low, row.difference, row.high, _difference(row)) for row in rows
    ]
    title = f"Difference to {rows[0].baseline} in percentage points, with its 95% interval"
    return charts.intervals("chart-comparisons", title, bars, signed=True)


def _difference(row: Comparison) -> str:
    if alike(row):
        return f"{points(row.difference, signed=True)}  {alike(row)}"
    low, high = points(row.low, signed=True), points(row.high, signed=True)
    return f"{points(row.difference, signed=True)}  [{low}, {high}]"


def headline(run: Gathered, rows: list[ArmRow], compared: list[Comparison]) -> str:
    """The result in one sentence: of the arm that the config follows, else of the one that differs most."""
    if not run.measured:
        return NOT_MEASURED
    by_arm = {row.summary.arm: row for row in rows}
    if not compared:
        row = next((row for row in rows if row.rate is not None), rows[0])
        if row.rate is None:
            return f"{row.summary.arm} has {row.summary.no_number}."
        return f"{row.summary.arm} solves {_solved(row)}."
    followed = str(run.evaluation.get("growth_arm", ""))
    chosen = next((c for c in compared if c.arm == followed), max(compared, key=lambda c: abs(c.difference)))
    return (
        f"{chosen.arm} solves {_solved(by_arm[chosen.arm])}, {chosen.baseline} "
        f"{points(by_arm[chosen.baseline].summary.mean)}%{_how_sure(chosen, len(compared))}."
    )


def _how_sure(row: Comparison, made: int) -> str:
    """The difference, and whether it may be chance, as one of so many comparisons that were made."""
    difference = f": a difference of {points(row.difference, signed=True)} points"
    if alike(row):
        if abs(row.difference) < 1e-9:
            return f": {alike(row) if row.tasks >= ENOUGH else 'too few tasks to tell whether they differ'}"
        return f"{difference}; {alike(row) if row.tasks >= ENOUGH else 'too few tasks to tell whether it is chance'}"
    chance = "" if row.p_holm < 0.05 else ", which may well be chance"
    if row.p < 0.05 <= row.p_holm:  # by itself it is none, and its interval may say so
        chance += f" among {made} comparisons"
    return f"{difference} (95% interval {interval_of_difference(row)}){chance}"


def _solved(row: ArmRow) -> str:
    tasks = "1 held-out task" if row.summary.tasks == 1 else f"{row.summary.tasks} held-out tasks"
    return f"{points(row.summary.mean)}% of {tasks}"


def complete_tasks(run: Gathered) -> int:
    """How many held-out tasks have a result of every arm and seed of the config."""
    arms, seeds = run.evaluation.get("arms"), run.config.get("seeds")
    episodes = len(arms if isinstance(arms, list) else run.arms) * len(seeds if isinstance(seeds, list) else [0])
    counts = Counter(result.task for result in run.results if result.arm in run.arms)
    return sum(counts[name] >= episodes for name in run.heldout)


def groups(run: Gathered) -> list[dict[str, Any]]:
    """Success per category and per level, one bar per arm."""
    divisions: list[tuple[str, str, Callable[[Result], str]]] = [
        ("categories", "Category", lambda result: result.category),
        ("levels", "Level", lambda result: f"level {result.level}" if result.level else ""),
    ]
    groups = [_group(run, name, title, of) for name, title, of in divisions]
    return [group for group in groups if group["rows"]]


def _group(run: Gathered, name: str, title: str, of: Callable[[Result], str]) -> dict[str, Any]:
    labels = sorted({of(result) for result in run.results} - {""})
    told = [result for result in run.results if result.arm in _numbered(run)]
    rows = []
    for label in labels:
        cells = [[r for r in told if of(r) == label and r.arm == arm] for arm in run.arms]
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
    outcome = outcome_of(result, run.measured)
    words = {"solved": "solved", "part": f"score {result.score:.2f}", "missed": "not solved", "ran": "not measured"}
    hint = f"{result.arm}, seed {result.seed}: {words.get(outcome, f'error of the {result.fault}')}"
    return Mark(outcome, entry.anchor if entry and entry.anchor in anchors else "", hint)
