"""The results that OSWorld's own runner leaves: .../APP/ID/result.txt, each with a score -> a row for each task."""

from __future__ import annotations

import math
from pathlib import Path

from lbi.benchmarks.osworld.suite import Suite
from lbi.errors import UserError
from lbi.protocols import GradedTask

FILE = "result.txt"
_WORDS = {"true": 1.0, "false": 0.0}


def read_results(folder: Path, suite: Suite | None) -> list[GradedTask]:
    """With a ``suite``, its tasks that have no result too, and none that it does not have. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name the one that OSWorld's runner wrote its results to")
    graded = {f"{each.category}/{each.task}": each for each in _found(folder)}
    if suite is None:
        return list(graded.values())
    known = set(suite.names)
    for name in sorted(known - graded.keys()):
        app, _, task = name.partition("/")
        graded[name] = GradedTask(task=task, category=app, reason=f"no {FILE}")
    for name in sorted(graded.keys() - known):
        graded[name] = graded[name].model_copy(update={"score": None, "reason": "no task of this checkout"})
    return list(graded.values())


def _found(folder: Path) -> list[GradedTask]:
    files = sorted(folder.rglob(FILE))
    if not files:
        raise UserError(f"{folder} has no {FILE} below it; name the folder that OSWorld's runner wrote its results to")
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
