"""Tasks in a JSON file of somebody else -> held-out tasks, by a template that says which of its fields is what.

{"id": "t1", "goal": "Add tea."} by name = "{id}", instruction = "{goal}" -> {"name": "t1", "instruction": "Add tea."}
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lbi.errors import UserError
from lbi.storage.validation import explain

_FIELD = re.compile(r"\{([\w.-]+)\}")


class FromJson(BaseModel):
    """The table ``[from_json]`` of a benchmark. In every text, ``{field}`` stands for a field of a row of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    rows: str = ""
    """Where in the file the list of tasks is: "data.tasks"; empty = the file is one."""
    name: str = "{id}"
    instruction: str = "{instruction}"
    category: str = ""
    level: str = ""
    levels: dict[str, int] = Field(default_factory=dict)
    """What ``level`` means, where the file says it in words."""
    start_url: str = ""
    gold: str = ""
    """A JSON file with solutions by the task's name."""
    check: dict[str, Any]


def tasks_from_json(table: object, where: str) -> list[dict[str, Any]]:
    """Tasks as a benchmark's TOML file has them. Paths start at the folder of that file. Raises UserError."""
    try:
        template = FromJson.model_validate(table)
    except ValidationError as error:
        raise UserError(f"benchmark {where}: from_json: {explain(error, FromJson)}") from None
    folder = Path(where).expanduser().parent
    rows: Any = _read(folder / template.file, where)
    for part in filter(None, template.rows.split(".")):
        rows = rows.get(part) if isinstance(rows, dict) else None
    if not isinstance(rows, list) or not rows:
        raise UserError(f"benchmark {where}: {template.file} has no list of tasks at {template.rows or 'its top'}")
    gold = _read(folder / template.gold, where) if template.gold else {}
    return [_task(row, number, template, gold, where) for number, row in enumerate(rows, 1)]


def _task(row: object, number: int, template: FromJson, gold: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise UserError(f"benchmark {where}: task {number} of {template.file} is no object")
    asked = {"name": template.name, "instruction": template.instruction}
    missing = [field for text in asked.values() for field in _FIELD.findall(text) if field not in row]
    if missing:
        raise UserError(f"benchmark {where}: task {number} of {template.file} has no field {missing[0]!r}")
    task: dict[str, Any] = {key: str(_filled_in(text, row)) for key, text in asked.items()}
    for key in ("category", "start_url"):
        if text := str(_filled_in(getattr(template, key), row)):
            task[key] = text if not _FIELD.fullmatch(text) else ""
    if template.level:
        task["level"] = _level(str(_filled_in(template.level, row)), template)
    solution = gold.get(task["name"], []) if isinstance(gold, dict) else []
    return {**task, "gold": solution, "check": _filled_in(template.check, row)}


def _level(text: str, template: FromJson) -> int:
    """A field that a row is without, or a word of no meaning, is no level."""
    return template.levels.get(text, int(text) if text.isdecimal() else 0)


def _filled_in(value: Any, row: dict[str, Any]) -> Any:
    """A template with the row's fields in it. A text that is one field takes its value; other braces stay."""
    if isinstance(value, dict):
        return {key: _filled_in(inner, row) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled_in(inner, row) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _FIELD.fullmatch(value)
    if whole and whole[1] in row:
        found = row[whole[1]]
        return found if isinstance(found, list) else str(found)
    return _FIELD.sub(lambda match: str(row.get(match[1], match[0])), value)


def _read(file: Path, where: str) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"benchmark {where}: cannot read {file}: {error}") from None
