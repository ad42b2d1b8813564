"""The results that a benchmark's own runner leaves: .../APP/ID/result.txt, each with a score -> a row for each task.

The runners of OSWorld and Spider2-V write such folders, and others that were made from them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from lbi.errors import UserError
from lbi.protocols import GradedTask

FILE = "result.txt"
_WORDS = {"true": 1.0, "false": 0.0}


def read_results(folder: Path, known: Mapping[str, str] | None = None) -> list[GradedTask]:
    """A row for each APP/ID; raises UserError for a folder that has no results, or those of several runs.

    ``known`` are the tasks that there are, {APP/ID: the name that a row gets}; a task may have several ids. Those
    without a result get a row too then, and a result of no task has no score.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name the one that the benchmark's runner wrote its results to")
    found = _found(folder)
    if known is None:
        return found
    graded = [_named(row, known.get(f"{row.category}/{row.task}")) for row in found]
    ended = {(row.category, row.task) for row in graded}
    every = dict.fromkeys((place.partition("/")[0], name) for place, name in known.items())
    missing = [
        GradedTask(task=name, category=app, reason=f"no {FILE}") for app, name in every if (app, name) not in ended
    ]
    return [*graded, *missing]


def _named(row: GradedTask, name: str | None) -> GradedTask:
    return row.model_copy(update={"task": name} if name else {"score": None, "reason": "no task of this checkout"})


def _found(folder: Path) -> list[GradedTask]:
    files = sorted(folder.rglob(FILE))
    if not files:
        raise UserError(f"{folder} has no {FILE} below it; name the folder that the benchmark's runner wrote to")
    runs = sorted({file.parent.parent.parent for file in files})
    if len(runs) > 1:
        near = ", ".join(str(run) for run in runs[:3])
        raise UserError(f"{folder} has the results of {len(runs)} runs: name one of them, such as {near}")
    return [_graded(place) for place in sorted(runs[0].glob("*/*")) if place.is_dir()]


def _graded(place: Path) -> GradedTask:
    row = GradedTask(task=place.name, category=place.parent.name)
    try:
        text = (place / FILE).read_text("utf-8").strip()
    except FileNotFoundError:
        return row.model_copy(update={"reason": f"no {FILE}: the runner did not end this task"})
    except (OSError, UnicodeDecodeError) as error:
        return row.model_copy(update={"reason": f"{FILE} cannot be read: {error}"})
    try:
        score = _WORDS[text.lower()] if text.lower() in _WORDS else float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        return row.model_copy(update={"reason": f"{FILE} says {text[:40]!r}, which is no score from 0 to 1"})
    return row.model_copy(update={"score": score})
