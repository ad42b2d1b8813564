"""A run folder -> what a run came to: as one JSON object, as a few lines for the terminal, and as all its tables."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table

from lbi.context import RunOutcome, money_spent
from lbi.evaluation.statistics import Comparison
from lbi.models.pricing import Price
from lbi.records import INFRASTRUCTURE, Usage
from lbi.report import evaluation
from lbi.report.counts import busy, funnel
from lbi.report.gather import Gathered, gather
from lbi.report.halves import NAMES, as_json, halves
from lbi.report.words import count, decimal, duration, money, percent, plural, sections, signed
from lbi.storage.run_folder import RunFolder

MOST_ARMS = 7  # of the table at the end of a run
MOST_REASONS = 8  # tasks that are named there as not measured


def summary(folder: RunFolder, outcome: RunOutcome | None = None) -> dict[str, Any]:
    """What a program wants to know of a run. Rates are shares of 1, times seconds, money US dollars."""
    run = gather(folder)
    calls = [meter for stage, meter in run.meters.items() if "calls" in meter]
    arms, comparisons = evaluation.arms(run), evaluation.comparisons(run)
    return {
        "run": str(folder.path),
        "report": str(outcome.report if outcome else folder.path / "report.html"),
        "reference": run.reference,
        "measured": bool(arms) and run.measured,
        "offline": run.without_language_model("evaluate"),
        "arms": [_arm(run, row) for row in arms],
        "comparisons": [_comparison(row) for row in comparisons],
        "headline": evaluation.headline(run, arms, comparisons) if arms else "",
        "halves": as_json(halves(run)),
        "funnel": {"documents": _documents(run), **{band.label: band.total for band in funnel(run)}},
        "failures": _failures(run),
        "not_measured": _not_measured(run),
        "seconds": _seconds(run, outcome),
        "busy": busy(run.meters),
        "calls": int(sum(meter["calls"] for meter in calls)),
        "tokens": int(sum(meter.get("input_tokens", 0) + meter.get("output_tokens", 0) for meter in calls)),
        "money": money_spent(folder),
        "calls_without_price": int(sum(meter.get("unpriced", 0) for meter in calls)),
        "stages": [_stage(name, meter) for name, meter in sorted(run.meters.items()) if "calls" in meter],
        "per_kept_example": _per_kept_example(run),
        "prices": [
            {"model": key.rpartition(" ")[0], **price.model_dump()} for key, price in folder.store.all("price", Price)
        ],
        "notes": list(run.notes),
        "held_out_tasks": {"all": len(run.heldout), "measured": evaluation.complete_tasks(run)},
    }


def _stage(name: str, meter: dict[str, float]) -> dict[str, Any]:
    """What one role took in one stage. Tokens read from a cache and written to one are part of those that went in."""
    numbers = ("calls", "hits", "failures", "input_tokens", "cached_tokens", "written_tokens", "output_tokens")
    return {
        "stage": name,
        **{number: int(meter.get(number, 0)) for number in numbers},
        "money": meter.get("cost", 0.0),
        "calls_without_price": int(meter.get("unpriced", 0)),
    }


def _per_kept_example(run: Gathered) -> dict[str, Any] | None:
    """What an example cost that was constructed and kept: everything but the evaluation, divided by their number."""
    kept = sum(example.kept and example.kind != "forward" for example in run.examples)
    spent = [meter for name, meter in run.meters.items() if "calls" in meter and not name.startswith("evaluate")]
    if not kept or not spent:
        return None
    tokens = sum(meter.get("input_tokens", 0) + meter.get("output_tokens", 0) for meter in spent)
    unpriced = any(meter.get("unpriced", 0) for meter in spent)
    cost = None if unpriced else sum(meter.get("cost", 0.0) for meter in spent) / kept
    return {"examples": kept, "tokens": tokens / kept, "money": cost}


def _documents(run: Gathered) -> int:
    return len({document.source for document in run.documents.values()})


def _seconds(run: Gathered, outcome: RunOutcome | None) -> dict[str, float]:
    """Of each stage: of this process where it worked on the run, else of all processes together."""
    if outcome is not None:
        return {stage: round(seconds, 2) for stage, seconds in outcome.times.items()}
    return {stage: round(meter["seconds"], 2) for stage, meter in run.meters.items() if set(meter) == {"seconds"}}


def _comparison(row: Comparison) -> dict[str, Any]:
    """``interval`` says in words what ``low`` and ``high`` tell, or that they tell nothing."""
    return {**row.model_dump(mode="json"), "interval": evaluation.interval_of_difference(row)}


def _arm(run: Gathered, row: evaluation.ArmRow) -> dict[str, Any]:
    results = [result for result in run.results if result.arm == row.summary.arm]
    usage = sum((result.usage for result in results), Usage())
    return {
        "arm": row.summary.arm,
        "success": row.rate,
        "low": row.low,
        "high": row.high,
        "interval": evaluation.interval_of_rate(row),
        "tasks": row.summary.tasks,
        "seeds": row.summary.seeds,
        "results": row.summary.results,
        "environment_errors": row.summary.environment_faults,
        "harness_errors": row.summary.harness_faults,
        "model_errors": row.model,
        "steps": row.steps,
        "calls": usage.calls / max(len(results), 1),
        "tokens": row.tokens,
        "money": row.cost,
        "reference": row.reference,
    }


def _failures(run: Gathered) -> dict[str, int]:
    """Work that is still to be done because it failed, by boundary."""
    return dict(Counter(failure["boundary"] for failure in run.failures))


def _not_measured(run: Gathered) -> list[dict[str, str]]:
    """Held-out tasks that environment or harness failed at, which are in no rate, and why."""
    faulty = [result for result in run.results if result.fault in INFRASTRUCTURE]
    return [
        {"task": each.task, "arm": each.arm, "fault": each.fault, "reason": " ".join(each.reason.split())}
        for each in sorted(faulty, key=lambda each: (each.task, each.arm, each.seed))
    ]


# the end of a run


def print_result(console: Console, result: dict[str, Any], config: str = "") -> None:
    """The result in a sentence, one table, where the report is, and what to do next.

    ``config`` is the config file of the run, as the command line names it.
    """
    console.print(f"\n{_sentence(result)}\n", markup=False, highlight=False)
    if result["arms"]:
        console.print(_table_of_results(result))
        console.print()
    _print_not_measured(console, result)
    console.print(f"Report: {result['report']}", soft_wrap=True, markup=False, highlight=False)
    _next_steps(console, result, config)


def _print_not_measured(console: Console, result: dict[str, Any]) -> None:
    """A line for each task that could not be measured, however many arms that was with."""
    reasons = {each["task"]: f"{each['reason']} ({each['fault']})" for each in result["not_measured"]}
    if not reasons:
        return
    console.print(f"Not the agent's fault and in no rate: {plural(len(reasons), 'task')}.", highlight=False)
    lines = [f"  {task}: {reason}" for task, reason in reasons.items()]
    if len(lines) > MOST_REASONS:
        lines[MOST_REASONS:] = [f"  and {len(lines) - MOST_REASONS} more, in the report"]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    console.print()


def _sentence(result: dict[str, Any]) -> str:
    if not result["headline"]:
        funnel = result["funnel"]
        read = sections(funnel.get("sections", 0), funnel["documents"])
        kept, rollouts = funnel.get("examples kept", 0), funnel.get("trajectories", 0)
        made = f"{plural(kept, 'example')} made from {plural(rollouts, 'roll-out')} and {read}"
        return f"{made}; nothing has been measured yet."
    if result["offline"] and result["measured"]:
        headline = result["headline"].removesuffix(".")
        return f"{headline}. The agent is the offline policy, which is no language model."
    return str(result["headline"])


def _table_of_results(result: dict[str, Any]) -> Table:
    """A line for each arm; the last columns are what a held-out task took."""
    compared = {row["arm"]: row for row in result["comparisons"]}
    measured = ("solved", "difference\n(95% interval)") if result["measured"] else ("tasks",)
    table = Table(box=None, pad_edge=False)
    table.add_column("arm", overflow="fold", vertical="bottom")
    for name in (*measured, "tokens\nper task", "$ per\ntask"):
        table.add_column(name, justify="right", overflow="fold")
    for row in _shown(result):
        other = compared.get(row["arm"])
        why = row["interval"] if row["success"] is None else ""
        cells = [percent(row["success"]), _difference(other) if other else why]
        episodes = row["results"] + row["environment_errors"] + row["harness_errors"]
        spent = None if row["money"] is None else row["money"] / max(episodes, 1)
        cells = cells if result["measured"] else [count(row["tasks"])]
        table.add_row(row["arm"], *cells, count(row["tokens"]), _dollars(spent))
    return table


def _shown(result: dict[str, Any]) -> list[dict[str, Any]]:
    """All arms; of too many, the reference, the one that the headline is about, and those that differ most."""
    arms: list[dict[str, Any]] = result["arms"]
    differences = {row["arm"]: abs(row["difference"]) for row in result["comparisons"]}

    def importance(row: dict[str, Any]) -> tuple[bool, bool, float]:
        name = row["arm"]
        followed = result["headline"].startswith(f"{name} solves")
        return name == result["reference"], followed, differences.get(name, 0.0)

    names = {row["arm"] for row in sorted(arms, key=importance, reverse=True)[:MOST_ARMS]}
    return [row for row in arms if row["arm"] in names]


def _difference(row: dict[str, Any]) -> str:
    """+14.3 (+0.0 to +28.6), or +0.0, too few tasks to tell."""
    difference, interval = signed(row["difference"]), row["interval"]
    return f"{difference} ({interval})" if interval[:1] in "+−" else f"{difference}, {interval}"


def _next_steps(console: Console, result: dict[str, Any], config: str) -> None:
    """Commands to copy, which no line end may break, each with what it is for."""
    run = shlex.quote(result["run"])
    steps = {f"lbi report {run} --tables": "all tables", f"lbi view {run} --open": "every step, prompt and example"}
    if not result["arms"]:
        steps[f"lbi evaluate {run}"] = "what the examples are worth"
    if result["offline"]:
        source = shlex.quote(config or result["run"])
        steps[f"lbi run {source} --model anthropic:NAME --dry-run"] = "the cost with an LLM"
    elif result["funnel"].get("examples kept"):
        steps[f"lbi export {run} --format trl"] = "a training set"
    # what was no document stays none
    failures = {boundary: number for boundary, number in result["failures"].items() if boundary != "document"}
    if failures:
        failed = ", ".join(f"{number} of {boundary}" for boundary, number in failures.items())
        steps["the same command again"] = f"tries again what failed ({failed})"
    width = max(map(len, steps))
    for at, (command, purpose) in enumerate(steps.items()):
        start = "       " if at else "Next:  "
        line = f"{start}{command.ljust(width)}  {purpose}"
        if len(line) > console.width:
            line = f"{start}{command}\n         {purpose}"
        console.print(line, soft_wrap=True, markup=False, highlight=False)


# all tables


def print_tables(console: Console, result: dict[str, Any]) -> None:
    """Everything that is known of a run in figures: from documents to examples, arms, differences, costs and times."""
    funnel = result["funnel"]
    others = (f"{count(number)} {label}" for label, number in funnel.items() if number and label not in _READ)
    read = sections(funnel.get("sections", 0), funnel["documents"])
    console.print("\n" + ", ".join([read, *others]), highlight=False)
    if result["failures"]:
        failed = ", ".join(f"{number} of {boundary}" for boundary, number in result["failures"].items())
        console.print(f"Recorded failures: {failed} (listed in the report)", highlight=False)
    if result["tokens"]:
        console.print(_table_of_stages(result))
    if result["arms"]:
        console.print(_table_of_arms(result) if result["measured"] else _table_of_results(result))
        _print_not_measured(console, result)
    if result["measured"] and result["comparisons"]:
        console.print(_table_of_comparisons(result))
    if result["measured"] and result["halves"]:
        console.print(_table_of_halves(result))
    if result["headline"]:
        console.print(result["headline"], markup=False, highlight=False)
    for note in result["notes"] if result["arms"] else ():
        console.print(f"Note: {note}", markup=False, highlight=False)
    _print_times(console, result)


_READ = ("documents", "sections")


def _table_of_arms(result: dict[str, Any]) -> Table:
    table = _table("Held-out tasks solved", "arm", "success", "95%", "tasks", "errors", "steps", "calls", "tokens", "$")
    for row in result["arms"]:
        errors = row["environment_errors"] + row["harness_errors"]
        table.add_row(
            row["arm"],
            percent(row["success"]),
            _short(row["interval"]),
            f"{row['tasks']}" + (f" × {row['seeds']}" if row["seeds"] > 1 else ""),
            count(errors),
            decimal(row["steps"]),
            decimal(row["calls"]),
            count(row["tokens"]),
            _dollars(row["money"]),
        )
    table.caption = "steps, calls and tokens per task; errors of environment and harness are in no rate"
    if any(_short(row["interval"]) != row["interval"] for row in result["arms"]):
        table.caption += f"; too few: {evaluation.TOO_FEW}"
    return table


def _short(interval: str) -> str:
    return "too few" if interval == evaluation.TOO_FEW else interval


def _table_of_stages(result: dict[str, Any]) -> Table:
    columns = {
        "calls": "calls",
        "hits": "not sent again",
        "input_tokens": "tokens in",
        "cached_tokens": "from cache",
        "written_tokens": "to cache",
        "output_tokens": "out",
    }
    # what there was none of would take the room of what there was
    numbers = {key: name for key, name in columns.items() if any(row[key] for row in result["stages"])}
    table = _table("What the models took", "stage/role", *numbers.values(), "$")
    for row in result["stages"]:
        cost = _dollars(None if row["calls_without_price"] else row["money"])
        table.add_row(row["stage"], *(count(row[number]) for number in numbers), cost)
    each = result["per_kept_example"]
    if each:
        table.caption = (
            f"per kept example ({count(each['examples'])}): {count(each['tokens'])} tokens, {money(each['money'])}"
        )
    return table


def _table_of_comparisons(result: dict[str, Any]) -> Table:
    title = f"Difference to {result['reference']}, in percentage points"
    table = _table(title, "arm", "difference", "95%", "p", "p (Holm)", "better", "worse", "equal")
    for row in result["comparisons"]:
        chances = (f"{row['p']:.3f}", f"{row['p_holm']:.3f}")
        tasks = (count(row["better"]), count(row["worse"]), count(row["equal"]))
        table.add_row(row["arm"], signed(row["difference"]), _short(row["interval"]), *chances, *tasks)
    table.caption = "paired by task; better, worse, equal count tasks"
    return table


def _table_of_halves(result: dict[str, Any]) -> Table:
    halves = result["halves"]
    titles = [f"{half['tasks']} tasks {NAMES[half['seen']]}" for half in halves]
    table = _table(f"Solved, and difference to {result['reference']} in percentage points", "arm", *titles)
    rates = [{row["arm"]: percent(row["success"]) for row in half["arms"]} for half in halves]
    others = [{row["arm"]: row for row in half["comparisons"]} for half in halves]
    for arm in rates[0]:
        cells = []
        for rate, other in zip(rates, others, strict=True):
            row = other.get(arm)
            difference = f"  {_difference(row)}" if row else ""
            cells.append(f"{rate.get(arm, 'no result')}{difference}")
        table.add_row(arm, *cells)
    return table


def _dollars(value: float | None) -> str:
    """In a column of that name; the line below the table says in full what is not known."""
    return "unknown" if value is None else money(value)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False)
    table.add_column(first, overflow="fold", min_width=12)
    for name in others:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _print_times(console: Console, result: dict[str, Any]) -> None:
    seconds = result["seconds"]
    if seconds:
        line = ", ".join(f"{stage} {duration(spent)}" for stage, spent in seconds.items() if stage != "in all")
        whole = f"; in all {duration(seconds['in all'])}" if "in all" in seconds else ""
        console.print(f"Time: {line}{whole} (stages overlap)", highlight=False)
    for name, share in result["busy"].items():
        console.print(f"{name.capitalize()} at work: {share}", highlight=False)
    spent = f"{count(result['calls'])} calls, {count(result['tokens'])} tokens, {money(result['money'])}"
    unpriced = result["calls_without_price"]
    console.print(
        f"Models: {spent}" + (f" and {count(unpriced)} calls of unknown price" if unpriced else ""), highlight=False
    )
