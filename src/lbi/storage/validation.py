"""What a validation complains about, in the words of who wrote the file: which key, what is wrong, what is near."""

from __future__ import annotations

import difflib
import re
import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

from lbi.errors import UserError, UserErrors
from lbi.storage.names import without_password


def several(where: str, lines: list[str]) -> UserError:
    """The error for the mistakes in one input; a single one needs no headline."""
    if len(lines) == 1:
        return UserError(f"{where}: {lines[0]}")
    return UserErrors(f"{where}: {len(lines)} mistakes", lines)


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """All complaints of a validation in one line."""
    return "; ".join(problems(error, model))


#: what pydantic calls by Python's names
_KINDS = {
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "string_type": "should be a text",
    "int_parsing": "should be a whole number",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_parsing": "should be a number",
    "float_type": "should be a number",
    "bool_parsing": "should be true or false",
    "bool_type": "should be true or false",
    "missing": "is missing",
    "too_short": "should hold at least one",
}
#: one of the kinds that a value may be of, which pydantic puts into the place of a complaint
_ALTERNATIVE = re.compile(r"str|int|float|bool|none|(?:tuple|list|dict)\[.*\]")


def problems(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """The complaints of a validation, one for each key: which it is, what is wrong, the nearest known key."""
    messages_by_key: dict[str, list[str]] = {}
    for each in error.errors():
        location = tuple(part for part in each["loc"] if not _ALTERNATIVE.fullmatch(str(part)))
        key = ".".join(str(part) for part in location)
        if each["type"] == "extra_forbidden":
            message = _unknown(key, _known_keys(model, location[:-1]), {} if location[1:] else _below(model))
        else:
            expected = each["msg"].removeprefix("Value error, ").removeprefix("Input ")
            expected = _KINDS.get(each["type"], expected)
            bare = each["type"] == "missing" or not key
            message = expected if bare else f"{expected} (got {_short(each['input'])})"
        messages_by_key.setdefault(key, []).append(message)
    # a value that may be of several kinds has a complaint of each; a list of which a part is wrong is not too short
    whole = [key for key in messages_by_key if not any(other.startswith(f"{key}.") for other in messages_by_key)]
    return [
        messages[0]
        if not key or messages[0].startswith("unknown key")
        else f"{key}: {' or '.join(dict.fromkeys(messages))}"
        for key, messages in messages_by_key.items()
        if key in whole or messages[0].startswith("unknown key")
    ]


def _short(value: Any) -> str:
    """A value as it was written, unless it is long."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 80
    return without_password(shown.repr(value))


def _unknown(key: str, known: list[str], below: dict[str, str]) -> str:
    """``below`` are keys of the tables at this place, with their table before them."""
    leaf = key.rpartition(".")[2]
    near = difflib.get_close_matches(leaf, known, n=1, cutoff=0.6)
    deeper = [below[name] for name in difflib.get_close_matches(leaf, below, n=1, cutoff=0.7)]
    nearest = near or deeper or difflib.get_close_matches(leaf, known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key {key!r}; {hint}"


def _below(model: type[BaseModel]) -> dict[str, str]:
    """Keys of the tables of a config by their last part: {"rollouts": "synthesis.rollouts"}."""
    tables = {name: field.annotation for name, field in model.model_fields.items()}
    return {
        key: f"{name}.{key}"
        for name, table in tables.items()
        if isinstance(table, type) and issubclass(table, BaseModel)
        for key in table.model_fields
    }


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    current: Any = model
    named = False  # the part names an entry of a table that may hold any names
    for part in location:
        if isinstance(part, int) or named:
            named = False
            continue
        field = current.model_fields.get(part) if hasattr(current, "model_fields") else None
        if field is None:
            return []
        inner = getattr(field.annotation, "__args__", ())
        if getattr(field.annotation, "__origin__", None) is dict:
            named = True
        candidates = [field.annotation, *inner]
        current = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
    fields = current.model_fields if current is not None else {}
    return [field.alias or name for name, field in fields.items() if not field.exclude]
