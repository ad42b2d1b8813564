"""export: the examples of a run -> a training set (lbi.export.dataset)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

from rich.console import Console

from lbi.benchmarks.swebench.predictions import Prediction, write_predictions
from lbi.cli.options import numbers
from lbi.config import resolve
from lbi.environments import actions_of
from lbi.errors import UserError
from lbi.export.dataset import write_export
from lbi.export.turns import Lesson
from lbi.records import TIERS, Document, Example, Kind, Result, Tier, Trajectory, Verdict
from lbi.storage.run_folder import RunFolder

NOT_ASKED_FOR = Verdict(filter="export", keep=False, reason="of another kind, tier or seed than asked for")


def export(
    run: Path, fmt: str, out: Path | None, tier: str, kinds: str, seeds: str, validation: float, as_json: bool
) -> int:
    """Write train.*, validation.* and export.json; of predictions, a file per arm and seed."""
    folder = out or run / f"export-{fmt}"
    if fmt == "predictions":
        return _predictions(run, folder, set(numbers(seeds)) if seeds else None, as_json)
    with RunFolder(run, writing=False) as opened:
        lessons = _lessons(opened, _tier(tier), _kinds(kinds), set(numbers(seeds)) if seeds else None)
        report = write_export(lessons, fmt, folder, actions=_actions(opened), split=validation)
    if as_json:
        print(report.model_dump_json(indent=2))
        return 0
    console = Console()
    for side, rows in report.rows.items():
        examples, lineages = report.examples[side], report.lineages[side]
        console.print(f"{side}: {rows} rows of {examples} examples from {lineages} documents", highlight=False)
    for reason, count in report.left_out.items():
        console.print(f"left out: {count} ({reason})", highlight=False)
    console.print(f"Written to {folder}: {', '.join(report.files)}, export.json", soft_wrap=True, highlight=False)
    return 0


def _predictions(run: Path, folder: Path, seeds: set[int] | None, as_json: bool) -> int:
    """What the agents of each arm handed in for the held-out tasks, in the official format."""
    with RunFolder(run, writing=False) as opened:
        results = [result for _, result in opened.store.all("result", Result)]
    files: dict[str, list[Prediction]] = {}
    for result in results:
        if not result.fault and (seeds is None or result.seed in seeds):
            name = re.sub(r"[^\w.-]+", "-", f"{result.arm}-{result.seed}")
            row = Prediction(instance_id=result.task, model_name_or_path=name, model_patch=result.submission)
            files.setdefault(f"{name}.jsonl", []).append(row)
    if not files:
        raise UserError(f"{run} has no results of held-out tasks to write; `lbi run` or `lbi evaluate` makes them")
    folder.mkdir(parents=True, exist_ok=True)
    for name, predictions in files.items():
        write_predictions(folder / name, sorted(predictions, key=lambda each: each.instance_id))
    counts = {name: len(predictions) for name, predictions in sorted(files.items())}
    said = ", ".join(f"{name} ({count})" for name, count in counts.items())
    print(json.dumps(counts, indent=2) if as_json else f"Written to {folder}: {said}")
    return 0


def _lessons(run: RunFolder, least: Tier, kinds: set[str], seeds: set[int] | None) -> list[Lesson]:
    """All examples with their trajectories; those not asked for count as dropped ones."""
    store = run.store
    documents = {document.id: document for _, document in store.all("document", Document)}
    places = [(kind, key) for kind in ("trajectory", "trimmed", "composition") for key in sorted(store.keys(kind))]
    trajectories = {t.id: t for kind, key in places if (t := store.get(kind, key, Trajectory))}
    examples: dict[str, Example] = {}
    for key, example in store.all("example", Example):
        asked = seeds is None or int(key.partition("/")[0]) in seeds
        if not (asked and example.kind in kinds and TIERS.index(example.tier) >= TIERS.index(least)):
            example = example.model_copy(update={"verdicts": (*example.verdicts, NOT_ASKED_FOR)})
        known = examples.get(example.id)  # seeds may come to the same example
        if known is None or not known.kept:
            examples[example.id] = example
    return [
        Lesson(example, trajectories[example.trajectory], documents.get(example.document))
        for example in examples.values()
        if example.trajectory in trajectories
    ]


def _actions(run: RunFolder) -> str:
    """The text on what actions there are, from the environment that the run was made in."""
    return actions_of(resolve(run.config, str(run.path / "config.json")))


def _tier(name: str) -> Tier:
    for tier in TIERS:
        if tier == name:
            return tier
    raise UserError(f"there is no tier {name!r}; tiers are, from the least to the most proved: {', '.join(TIERS)}")


def _kinds(text: str) -> set[str]:
    known = get_args(Kind)
    named = [part.strip() for part in text.split(",")]
    for name in named:
        if name not in known:
            raise UserError(f"there is no kind of example {name!r}; kinds are: {', '.join(known)}")
    return set(named)
