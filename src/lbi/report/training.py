"""What was trained on a run: its curve of losses, how far it is, and what it was made of, from RUN/*/training.json."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from lbi.errors import UserError
from lbi.models.local.choice import RECORD
from lbi.report import charts
from lbi.report.words import duration
from lbi.training import curve
from lbi.training.run import read_record

SHOWN = 400  # points of a line: more cannot be told apart


class Training(NamedTuple):
    """One training, as the page shows it."""

    name: str
    state: str
    facts: list[tuple[str, str]]
    chart: Markup | str


def trainings(run: Path) -> list[Training]:
    """Of each folder in the run folder that holds one. A record that cannot be read is told as such."""
    return [_training(file.parent) for file in sorted(run.glob(f"*/{RECORD}"))]


def _training(folder: Path) -> Training:
    try:
        record = read_record(folder)
        return Training(folder.name, _state(folder, record), list(_facts(record)), _chart(folder))
    except (UserError, KeyError, TypeError) as error:
        return Training(folder.name, f"its record cannot be read: {error}", [], "")


def _state(folder: Path, record: dict[str, Any]) -> str:
    steps, planned = curve.read(folder), record["planned_steps"]
    if not steps:
        return f"0 of {planned} steps"
    first, last = steps[0], steps[-1]
    text = f"{last['step']} of {planned} steps in {duration(last['seconds'])}"
    text += f", loss {first['loss']:.4f} to {last['loss']:.4f}"
    if record["status"] == "finished":
        return text
    left = last["seconds"] / last["step"] * (planned - last["step"])
    return f"{text}; about {duration(left)} left while it goes on"


def _facts(record: dict[str, Any]) -> Iterator[tuple[str, str]]:
    recipe, rows, tokens = record["recipe"], record["rows"], record["tokens"]
    yield "model", record["model"]
    yield "rows", f"{rows['train']:,} for training, {rows['validation']:,} for validation"
    yield "longest row", f"{record['longest']:,} tokens"
    yield "learned", f"{tokens['learned']:,} of {tokens['all']:,} tokens"
    yield "method", f"{recipe['method']}, rank {recipe['rank']}" if recipe["method"] != "full" else "all weights"
    yield "recipe", f"batch {recipe['batch']}, rate {recipe['learning_rate']:g}, epochs {recipe['epochs']:g}"
    yield "seed", str(recipe["seed"])
    yield "computed by", f"{record['backend']}, torch {record['versions']['torch']}"
    if "validation_loss" in record:
        yield "loss on validation rows", f"{record['validation_loss']:.4f}"


def _chart(folder: Path) -> Markup | str:
    steps = curve.read(folder)
    if len(steps) < 2:
        return ""
    thinned = steps[:: max(1, len(steps) // SHOWN)]
    lines = [("training", [charts.Point(entry["step"], entry["loss"]) for entry in thinned])]
    measured = [charts.Point(entry["step"], entry["validation"]) for entry in steps if "validation" in entry]
    if measured:
        lines.append(("validation", measured))
    return charts.curves(f"chart-training-{folder.name}", f"Loss of {folder.name} by step", "steps", lines)
