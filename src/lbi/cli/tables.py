"""A run folder -> what a run came to: as one JSON object, and as tables for the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from lbi.context import RunOutcome, money_spent
from lbi.models.pricing import Price
from lbi.records import Usage
from lbi.report import evaluation
from lbi.report.counts import busy, funnel
from lbi.report.gather import Gathered, gather
from lbi.report.halves import NAMES, as_json, halves
from lbi.report.words import count, decimal, duration, money, percent, signed
from lbi.storage.run_folder import RunFolder


def summary(folder: RunFolder, ended: RunOutcome | None = None) -> dict[str, Any]:
    """What a program wants to know of a run. Rates are shares of 1, times seconds, money US dollars."""
    run = gather(folder)
    calls = [meter for stage, meter in run.meters.items() if "calls" in meter]
    return {
        "run": str(folder.path),
        "report": str(ended.report if ended else folder.path / "report.html"),
        "reference": run.reference,
        "arms": [_arm(run, row) for row in evaluation.arms(run)],
        "comparisons": [row.model_dump(mode="json") for row in evaluation.comparisons(run)],
        "headline": evaluation.headline(run, evaluation.arms(run), evaluation.comparisons(run)),
        "halves": as_json(halves(run)),
        "funnel": {band.label: band.total for band in funnel(run)},
        "failures": _failures(run),
        "seconds": {stage: round(seconds, 2) for stage, seconds in (ended.times if ended else {}).items()},
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


def _arm(run: Gathered, row: evaluation.ArmRow) -> dict[str, Any]:
    results = [result for result in run.results if result.arm == row.summary.arm]
    usage = sum((result.usage for result in results), Usage())
    return {
        "arm": row.summary.arm,
        "success": row.summary.mean,
        "low": row.low,
        "high": row.high,
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
    found: dict[str, int] = {}
    for failure in run.failures:
        found[failure["boundary"]] = found.get(failure["boundary"], 0) + 1
    return found


def print_summary(console: Console, found: dict[str, Any]) -> None:
    """Funnel, arms, comparisons."""
    line = ", ".join(f"{count(number)} {label}" for label, number in found["funnel"].items() if number)
    console.print(f"\n{line}", highlight=False)
    if found["failures"]:
        failed = ", ".join(f"{number} of {boundary}" for boundary, number in found["failures"].items())
        console.print(f"Recorded failures: {failed} (listed in the report)", highlight=False)
    if found["tokens"]:
        console.print(_table_of_stages(found))
    if found["arms"]:
        console.print(_table_of_arms(found))
    if found["comparisons"]:
        console.print(_table_of_comparisons(found))
    if found["halves"]:
        console.print(_table_of_halves(found))
    if found["headline"]:
        console.print(found["headline"], highlight=False)
    for note in found["notes"] if found["arms"] else ():
        console.print(f"Note: {note}", markup=False, highlight=False)


def _table_of_arms(found: dict[str, Any]) -> Table:
    table = _table("Held-out tasks solved", "arm", "success", "95%", "tasks", "errors", "steps", "calls", "tokens", "$")
    for row in found["arms"]:
        errors = row["environment_errors"] + row["harness_errors"]
        table.add_row(
            row["arm"],
            percent(row["success"]),
            f"{percent(row['low'])} – {percent(row['high'])}",
            f"{row['tasks']}" + (f" × {row['seeds']}" if row["seeds"] > 1 else ""),
            count(errors),
            decimal(row["steps"]),
            decimal(row["calls"]),
            count(row["tokens"]),
            _dollars(row["money"]),
        )
    table.caption = "steps, calls and tokens per task; errors of environment and harness are in no rate"
    return table


def _table_of_stages(found: dict[str, Any]) -> Table:
    columns = {
        "calls": "calls",
        "hits": "not sent again",
        "input_tokens": "tokens in",
        "cached_tokens": "from cache",
        "written_tokens": "to cache",
        "output_tokens": "out",
    }
    # what there was none of would take the room of what there was
    numbers = {key: name for key, name in columns.items() if any(row[key] for row in found["stages"])}
    table = _table("What the models took", "stage/role", *numbers.values(), "$")
    for row in found["stages"]:
        cost = _dollars(None if row["calls_without_price"] else row["money"])
        table.add_row(row["stage"], *(count(row[number]) for number in numbers), cost)
    each = found["per_kept_example"]
    if each:
        table.caption = (
            f"per kept example ({count(each['examples'])}): {count(each['tokens'])} tokens, {money(each['money'])}"
        )
    return table


def _table_of_comparisons(found: dict[str, Any]) -> Table:
    title = f"Difference to {found['reference']}, in percentage points"
    table = _table(title, "arm", "difference", "95%", "p", "p (Holm)", "better", "worse", "equal")
    for row in found["comparisons"]:
        interval = f"{signed(row['low'])} to {signed(row['high'])}"
        chances = (f"{row['p']:.3f}", f"{row['p_holm']:.3f}")
        tasks = (count(row["better"]), count(row["worse"]), count(row["equal"]))
        table.add_row(row["arm"], signed(row["difference"]), interval, *chances, *tasks)
    table.caption = "paired by task; better, worse, equal count tasks"
    return table


def _table_of_halves(found: dict[str, Any]) -> Table:
    halves = found["halves"]
    titles = [f"{half['tasks']} tasks {NAMES[half['seen']]}" for half in halves]
    table = _table(f"Solved, and difference to {found['reference']} in percentage points", "arm", *titles)
    rates = [{row["arm"]: percent(row["success"]) for row in half["arms"]} for half in halves]
    others = [{row["arm"]: row for row in half["comparisons"]} for half in halves]
    for arm in rates[0]:
        cells = []
        for rate, other in zip(rates, others, strict=True):
            row = other.get(arm)
            difference = f"  {signed(row['difference'])} ({signed(row['low'])} to {signed(row['high'])})" if row else ""
            cells.append(f"{rate.get(arm, 'no result')}{difference}")
        table.add_row(arm, *cells)
    return table


def _dollars(value: float | None) -> str:
    """In a column of that name; the line below the table says in full what is not known."""
    return "unknown" if value is None else money(value)


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def print_times(console: Console, found: dict[str, Any]) -> None:
    seconds = found["seconds"]
    if not seconds:
        return
    line = ", ".join(f"{stage} {duration(spent)}" for stage, spent in seconds.items() if stage != "in all")
    console.print(f"Time: {line}; in all {duration(seconds['in all'])} (stages overlap)", highlight=False)
    for name, said in found["busy"].items():
        console.print(f"{name.capitalize()} at work: {said}", highlight=False)
    spent = f"{count(found['calls'])} calls, {count(found['tokens'])} tokens, {money(found['money'])}"
    unpriced = found["calls_without_price"]
    console.print(f"Models: {spent}" + (f" and {count(unpriced)} calls of unknown price" if unpriced else ""))
