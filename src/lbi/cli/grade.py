"""grade: instances and predictions -> which of them are resolved."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from lbi.benchmarks.swebench.catalog import Catalog, open_catalog
from lbi.benchmarks.swebench.grade import EMPTY, Grade, grade
from lbi.benchmarks.swebench.official import official_reports, run_official
from lbi.benchmarks.swebench.predictions import Prediction, read_predictions
from lbi.cli import open_console
from lbi.errors import EnvironmentFailure, UserError
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.monitoring.terminal import say
from lbi.records import digest_of
from lbi.storage.files import write_atomically

ATTEMPTS = 3  # at a prediction whose sandbox broke
Rows = dict[str, dict[str, Any]]  # by instance: patch (its hash), resolved, resolution, reason; official if asked for


def grade_predictions(
    place: str, file: Path, out: Path | None, official: bool, workers: int, unsafe: bool, as_json: bool, quiet: bool
) -> int:
    """Print the table; 1 if a prediction could not be graded."""
    predictions = read_predictions(file)
    catalog = open_catalog(place)
    try:
        unknown = [each.instance_id for each in predictions if each.instance_id not in catalog.instances]
        if unknown:
            raise UserError(f"{file}: {unknown[0]!r} is no instance of {place}; are they of another data set?")
        out = out or file.with_suffix(".grades.json")
        progress = Progress(terminal.open_console(stderr=True), quiet=quiet or as_json)
        rows = _known(out, predictions, official)
        rows |= {each.instance_id: _empty(each, official) for each in predictions if not each.model_patch}
        _write(out, rows)
        left = [each for each in predictions if each.instance_id not in rows]
        ours = [each for each in left if not _comes_as_image(catalog, each)]
        asyncio.run(_grade(catalog, ours, rows, out, official, workers, unsafe, progress))
        theirs = [each for each in left if _comes_as_image(catalog, each)]
        if theirs:
            _in_images(catalog, theirs, rows, out, workers)
    finally:
        catalog.close()
    _print(rows, predictions, len(catalog.instances), out, as_json)
    return 1 if any(rows[each.instance_id]["resolved"] is None for each in predictions) else 0


def _comes_as_image(catalog: Catalog, prediction: Prediction) -> bool:
    return not catalog.buildable(prediction.instance_id)


def _empty(prediction: Prediction, official: bool) -> dict[str, Any]:
    """Nothing is run for it, as in the official harness."""
    row = {"patch": digest_of(""), "model": prediction.model_name_or_path, "resolved": False, "resolution": "no"}
    return {**row, "reason": EMPTY, **({"official": False} if official else {})}


def _known(out: Path, predictions: list[Prediction], official: bool) -> Rows:
    """What an earlier process graded: the same patch need not be graded again."""
    if not out.exists():
        return {}
    try:
        before: Rows = json.loads(out.read_text("utf-8"))["grades"]
        patches = {each.instance_id: digest_of(each.model_patch) for each in predictions}
        return {
            name: row
            for name, row in before.items()
            if row["patch"] == patches.get(name) and row["resolved"] is not None and (not official or "official" in row)
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{out} is no file of grades; choose another --out") from None


async def _grade(
    catalog: Catalog,
    left: list[Prediction],
    rows: Rows,
    out: Path,
    official: bool,
    workers: int,
    unsafe: bool,
    progress: Progress,
) -> None:
    turn = asyncio.Semaphore(workers)
    with progress.stage("grade", len(left)) as stage:

        async def one(prediction: Prediction) -> None:
            async with turn:
                rows[prediction.instance_id] = await _row(catalog, prediction, official, unsafe)
                _write(out, rows)
                stage.advance()

        async with asyncio.TaskGroup() as group:
            for prediction in left:
                group.create_task(one(prediction))


async def _row(catalog: Catalog, prediction: Prediction, official: bool, unsafe: bool) -> dict[str, Any]:
    """A sandbox that breaks is nobody's zero: the row then has no grade."""
    built = await asyncio.to_thread(catalog.build, prediction.instance_id)
    row: dict[str, Any] = {"patch": digest_of(prediction.model_patch), "model": prediction.model_name_or_path}
    verdict: Grade | None = None
    for _ in range(ATTEMPTS):
        try:
            verdict = await grade(built, prediction.model_patch, unsafe=unsafe)
            break
        except EnvironmentFailure as error:
            row |= {"resolved": None, "reason": f"not graded, the sandbox broke: {error}"}
    if verdict is None:
        return row
    row |= {"resolved": verdict.resolved, "resolution": verdict.resolution, "reason": verdict.reason}
    if official:
        cases = [(built.instance, prediction.model_patch, verdict)]
        reports = await asyncio.to_thread(official_reports, cases, unsafe=unsafe)
        row["official"] = bool(reports[prediction.instance_id]["resolved"])
    return row


def _in_images(catalog: Catalog, left: list[Prediction], rows: Rows, out: Path, workers: int) -> None:
    resolved = run_official([catalog.instances[each.instance_id] for each in left], left, workers)
    for each in left:
        verdict = resolved.get(each.instance_id)
        reason = "" if verdict is not None else "not graded, the official harness left no report"
        rows[each.instance_id] = {"patch": digest_of(each.model_patch), "resolved": verdict, "reason": reason}
        rows[each.instance_id] |= {"official": verdict, "model": each.model_name_or_path}
    _write(out, rows)


def _write(out: Path, rows: Rows) -> None:
    write_atomically(out, (json.dumps({"grades": rows}, indent=1, ensure_ascii=False) + "\n").encode())


def _print(rows: Rows, predictions: list[Prediction], instances: int, out: Path, as_json: bool) -> None:
    chosen = {each.instance_id: rows[each.instance_id] for each in predictions}
    counts = Counter(
        {True: "resolved", False: "unresolved", None: "not graded"}[r["resolved"]] for r in chosen.values()
    )
    if as_json:
        counts["empty"] = sum(row["reason"] == EMPTY for row in chosen.values())
        say(json.dumps({"instances": instances, **counts, "grades": chosen}, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    officially = any("official" in row for row in chosen.values())
    for name in ("", "instance", *(["official"] if officially else []), "why"):
        table.add_column(name, overflow="fold")
    for name, row in chosen.items():
        names = {True: "resolved", False: "no", None: "-"}
        ours = "in part" if row.get("resolution") == "partial" else names[row["resolved"]]
        verdicts = [ours, name, *([names[row.get("official")]] if officially else [])]
        table.add_row(*verdicts, escape(row["reason"]))
    open_console().print(table)
    none = instances - len(chosen)
    say(
        f"{counts['resolved']} of {len(chosen)} predictions resolve their instance; {none} instances without one; {out}"
    )
