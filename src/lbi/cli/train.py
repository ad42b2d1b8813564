"""train: a run or an export, and a model -> RUN/adapter (lbi.training.run)."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbi.cli import FOLDER
from lbi.cli.export import ExampleChoice, ExportOptions, all_or_nothing, print_composition, write_training_set
from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.protocols import Json
from lbi.report import write_report
from lbi.report.words import duration, plural
from lbi.storage.run_folder import RunFolder
from lbi.training.export.choose import Selection
from lbi.training.export.dataset import ExportReport
from lbi.training.recipe import Recipe
from lbi.training.rows import is_export
from lbi.training.run import compute, prepare, require_libraries
from lbi.training.weights import find_weights


@dataclass(frozen=True)
class TrainOptions:
    """What is trained on what, and where it goes."""

    source: Path
    model: str
    out: Path | None = None
    max_chars: int = 32_000
    replies: str = "text"
    ends: bool = True
    validation: float = 0.1
    allow_offline: bool = False
    dry_run: bool = False
    quiet: bool = False


def train_model(
    options: TrainOptions, choice: ExampleChoice, selection: Selection, settings: dict[str, Any], as_json: bool
) -> int:
    """Export the run's examples, unless the source is an export, and train on them."""
    recipe = recipe_of(settings)
    if options.dry_run:
        return _foretold(options, choice, selection, recipe, as_json)
    record, folder = trained_model(options, choice, selection, recipe)
    _renew_report(options.source)
    say(json.dumps(record, indent=2, ensure_ascii=False) if as_json else _told(record, folder, options.source))
    return 0


def trained_model(
    options: TrainOptions, choice: ExampleChoice, selection: Selection, recipe: Recipe
) -> tuple[Json, Path]:
    """The content of training.json, and the folder that it is in."""
    require_libraries()
    folder = _folder(options)
    if is_export(options.source):
        prepared = prepare(options.source, options.model, recipe, folder)
    else:
        with all_or_nothing(folder / "data") as data:  # of a training that is refused nothing changes
            _exported(options, choice, selection, data)
            prepared = prepare(data, options.model, recipe, folder)
    return compute(prepared, show=None if options.quiet else _show), folder


def _folder(options: TrainOptions) -> Path:
    return options.out or (options.source.parent if is_export(options.source) else options.source) / "adapter"


def _exported(options: TrainOptions, choice: ExampleChoice, selection: Selection, data: Path) -> ExportReport:
    weights = find_weights(options.model)  # a model that is not there is told before anything is written
    export = ExportOptions(
        "trl",
        data,
        validation=options.validation,
        tokenizer=weights.source,
        max_chars=options.max_chars,
        replies=options.replies,
        ends=options.ends,
        allow_offline=options.allow_offline,
        tokenizer_name=weights.name,
    )
    report = write_training_set(options.source, data, export, choice, selection)
    FOLDER.set(options.source)
    return report


def _foretold(options: TrainOptions, choice: ExampleChoice, selection: Selection, recipe: Recipe, as_json: bool) -> int:
    """What would be trained on, and in how many steps; what would be refused is refused here."""
    require_libraries()
    with tempfile.TemporaryDirectory(prefix="lbi-") as scratch:
        data = options.source
        if not is_export(data):
            data = Path(scratch) / "data"
            report = _exported(options, choice, selection, data)
            if not as_json:
                print_composition(report)
        prepared = prepare(data, options.model, recipe, _folder(options))
    rows = len(prepared.rows.train)
    steps = recipe.steps_of(rows)
    if as_json:
        told = {"steps": steps, "longest": prepared.longest, "recipe": recipe.model_dump(mode="json")}
        say(json.dumps({**told, "data": prepared.rows.report}, indent=2, ensure_ascii=False))
        return 0
    if prepared.finished:
        say(f"{_folder(options)} holds this training already, finished.")
    if measured := len(prepared.rows.validation):
        say(f"{plural(measured, 'row')} for validation, measured after each epoch; --validation 0 for none.")
    say(f"Longest row: {prepared.longest:,} tokens of {options.model}, of at most {recipe.max_length:,}.")
    say(
        f"{plural(steps, 'step')} of up to {plural(recipe.batch, 'row')}, {rows:,} rows {recipe.epochs:g} times, "
        f"{recipe.method} at a learning rate of up to {recipe.learning_rate:g}. Nothing is trained (--dry-run)."
    )
    return 0


def recipe_of(settings: dict[str, Any]) -> Recipe:
    """Raises UserError that names the option at fault."""
    try:
        return Recipe(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise UserError(f"{option} = {first['input']}: {first['msg']}") from None


def _renew_report(source: Path) -> None:
    """The report of the run, with the curve; one that cannot be read says why and stops nothing here."""
    if not _is_run(source):
        return
    try:
        with RunFolder(source, writing=False) as folder:
            write_report(folder)
    except UserError as error:
        say(f"lbi: the report was not renewed: {error}", file=sys.stderr)


def _is_run(source: Path) -> bool:
    """Whether it is a run, and not rows that were exported from one."""
    return (source / "run.db").is_file()


def _show(step: int, steps: int, loss: float, left: float) -> None:
    say(f"step {step} of {steps}, loss {loss:.4f}, {duration(left)} left", file=sys.stderr)


def _told(record: dict[str, Any], folder: Path, source: Path) -> str:
    rows, measured = record["rows"]["train"], record.get("validation_loss")
    run = source if _is_run(source) else "RUN"
    lines = [
        f"{record['model']}: {record['steps']} steps on {rows:,} rows in {duration(record['seconds'])}, "
        f"loss {record['first_loss']:.4f} -> {record['last_loss']:.4f}"
        + (f", on validation rows {measured:.4f}" if measured is not None else ""),
        f"Written to {folder}: {', '.join(['adapter_model.safetensors', *record['files'], 'training.json'])}"
        if record["recipe"]["method"] != "full"
        else f"Written to {folder}",
        f"Measure it: lbi evaluate {run} --model {record['serve']} --out {folder}-measured"
        if record["serve"]
        else "Serve it with transformers or vLLM: docs/training.md",
    ]
    return "\n".join(lines)
