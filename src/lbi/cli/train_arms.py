"""Arms of a table whose models are trained first -> RUN/trained/NAME, each a training as `lbi train` makes it.

A training that is there is taken as it is, however it was made; so one may be made elsewhere, or with more options, by
`lbi train RUN --out RUN/trained/NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.config import Arm
from lbi.errors import UserError
from lbi.evaluation.reproduce import AS_MUCH, PaperArm, PaperTable, Trained
from lbi.protocols import Json
from lbi.training.recipe import Recipe

LOCAL = "local:"
FOLDER = "trained"
TO_TRAIN = "such as --train qwen2.5-coder-0.5b (`lbi models` lists them)"


@dataclass(frozen=True)
class Training:
    """How models are trained where they are not there yet, as the command line says it."""

    model: str = ""
    recipe: str = ""
    rows: int = 0
    allow_offline: bool = False


NO_TRAINING = Training()


def base_models(table: PaperTable, out: Path, training: Training, there: Sequence[Arm]) -> dict[str, str]:
    """{arm: the model that its own is made of}, of a table that trains; {} for any other.

    Raises UserError where none is named, where this machine cannot run it, and where the run has arms of another.
    """
    if not table.trains:
        return {}
    model = training.model.removeprefix(LOCAL) or _begun_with(table, there)
    if not model:
        raise UserError(f"this table trains a model; name one that runs on this machine, {TO_TRAIN}")
    _recipe(training)
    from lbi.models.local.choice import chosen

    chosen(model)
    if (had := _begun_with(table, there)) not in ("", model):
        raise UserError(f"the run in {out} has this table with {had}; take another --out for {model}")
    for row, trained in _trainings(table):
        record = _finished(out, trained)
        if record and record["model"] != model:
            raise UserError(
                f"{_folder(out, trained)} was trained from {record['model']}; take another --out for {model}, "
                f"or delete that folder to train {row.arm.name!r} anew"
            )
    return {row.arm.name: f"{LOCAL}{model}" for row in table.arms}


def require_what_trains(table: PaperTable, out: Path, training: Training) -> None:
    """Raises UserError where a library is missing; before anything is paid for."""
    from lbi.training.run import require_libraries

    if training.model and not all(_finished(out, trained) for _, trained in _trainings(table)):
        require_libraries()


def train_arms(
    table: PaperTable, out: Path, training: Training, bases: Mapping[str, str], *, quiet: bool
) -> dict[str, str]:
    """{arm: its trained model}; what is not trained yet is trained, of the models in ``bases``, if a model was named.

    An arm of whose training set the run has no example is left out.
    """
    from lbi.training.export.choose import NothingToExport

    made: dict[str, str] = {}
    for row, trained in _trainings(table):
        record = _finished(out, trained)
        if not record and not training.model:
            continue
        try:
            record = record or _train(out, trained, training, bases[row.arm.name].removeprefix(LOCAL), quiet)
        except NothingToExport:
            continue
        if not record["serve"]:
            raise UserError(
                f"the weights in {_folder(out, trained)} cannot be run here, only by transformers or vLLM; "
                f"train a GGUF file or a model of the catalogue, {TO_TRAIN}"
            )
        made[row.arm.name] = f"{LOCAL}{_folder(out, trained).resolve()}"
    return made


def told_of(table: PaperTable, out: Path) -> list[str]:
    """What each arm was trained on, for below the table, and whether that was equally much."""
    records = {row.arm.name: _finished(out, trained) for row, trained in _trainings(table)}
    lines = [f"{arm}: {_told(record)}." for arm, record in records.items() if record]
    without = [arm for arm, record in records.items() if not record]
    if without:
        lines.append(f"Not trained, as the run has no such example, or --train was not given: {', '.join(without)}.")
    tokens = [record["tokens"]["all"] for record in records.values() if record]
    if tokens and any(trained.tokens for _, trained in _trainings(table)) and min(tokens) < (1 - AS_MUCH) * max(tokens):
        lines.append("The training sets are not equally large, so this compares their size as well.")
    return lines


def _told(record: Json) -> str:
    recipe = record["recipe"]
    return (
        f"{record['model']} trained on {record['rows']['train']:,} rows ({record['tokens']['all']:,} tokens), "
        f"{record['steps']:,} steps of {recipe['batch']} rows, rate {recipe['learning_rate']:g}, "
        f"loss {record['first_loss']:.3f} to {record['last_loss']:.3f}"
    )


def _train(out: Path, trained: Trained, training: Training, model: str, quiet: bool) -> Json:
    from lbi.cli.export import ExampleChoice
    from lbi.cli.train import TrainOptions, trained_model
    from lbi.training.export.choose import Selection, parse_mix

    recipe = _recipe(training)
    # as the model is asked where it is measured: held to a form
    options = TrainOptions(
        out,
        model,
        _folder(out, trained),
        replies="json",
        validation=0,
        allow_offline=training.allow_offline,
        quiet=quiet,
    )
    selection = Selection(training.rows, trained.tokens, parse_mix(trained.mix), seed=recipe.seed)
    return trained_model(options, ExampleChoice(kinds=trained.kinds), selection, recipe)[0]


def _recipe(training: Training) -> Recipe:
    """``batch=8,epochs=1`` -> the paper's recipe with these. Raises UserError."""
    from lbi.cli.train import recipe_of

    settings: dict[str, Any] = {}
    for part in filter(None, training.recipe.split(",")):
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals or key not in Recipe.model_fields:
            raise UserError(f'--recipe takes {", ".join(Recipe.model_fields)}, such as batch=8,epochs=1, not "{part}"')
        settings[key] = value
    return recipe_of(settings)


def _begun_with(table: PaperTable, there: Sequence[Arm]) -> str:
    """The model that a run's untrained arm has; "" where it has none yet."""
    untrained = {row.arm.name for row in table.arms if not row.trained}
    return next((arm.model.removeprefix(LOCAL) for arm in there if arm.name in untrained), "")


def _trainings(table: PaperTable) -> Iterator[tuple[PaperArm, Trained]]:
    return ((row, row.trained) for row in table.arms if row.trained)


def _folder(out: Path, trained: Trained) -> Path:
    return out / FOLDER / trained.name


def _finished(out: Path, trained: Trained) -> Json:
    """The record of a training that is there; {} where there is none yet."""
    from lbi.training.run import read_record

    record = read_record(_folder(out, trained))
    return record if record.get("status") == "finished" else {}
