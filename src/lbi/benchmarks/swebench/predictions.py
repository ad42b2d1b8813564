"""Reads and writes predictions in SWE-bench's format: {"instance_id", "model_name_or_path", "model_patch"}."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError

from lbi.errors import UserError
from lbi.records import Record
from lbi.storage.files import write_atomically
from lbi.storage.validation import explain


class Prediction(Record):
    """The patch of one model for one instance; it may be empty."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())  # other tools add notes

    instance_id: str
    model_name_or_path: str = ""
    model_patch: str = ""


def read_predictions(file: Path) -> list[Prediction]:
    """Predictions from a JSON list, a JSON table by instance, or JSON Lines. Raises UserError."""
    try:
        text = file.read_text("utf-8")
        rows = _json_lines(text) if file.suffix == ".jsonl" else _json(json.loads(text))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read predictions from {file}: {error}") from None
    predictions = [_prediction(row, f"{file}: prediction {number}") for number, row in enumerate(rows, 1)]
    names = [prediction.instance_id for prediction in predictions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{file}: two predictions for {twice[0]!r}; keep one of them")
    return predictions


def write_predictions(file: Path, predictions: Iterable[Prediction]) -> None:
    """One per line if the file's name ends with .jsonl, else one list."""
    rows = [prediction.model_dump(mode="json") for prediction in predictions]
    if file.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    else:
        text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    write_atomically(file, text.encode())


def _json_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _json(content: Any) -> list[Any]:
    """The official tools take {instance_id: prediction} as well."""
    if isinstance(content, dict):
        return [{"instance_id": name, **row} if isinstance(row, dict) else row for name, row in content.items()]
    if isinstance(content, list):
        return content
    raise ValueError(f"expected a list or a table, found {type(content).__name__}")


def _prediction(row: Any, where: str) -> Prediction:
    if isinstance(row, dict):
        row = {name: "" if value is None else value for name, value in row.items()}
    try:
        return Prediction.model_validate(row)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Prediction)}") from None
