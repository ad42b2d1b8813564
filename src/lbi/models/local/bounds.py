"""The schema of a reply -> the same with bounds: a small model that is held to a form may still write without end.

{"type": "string"} -> {"type": "string", "maxLength": 400}; the names of spans and of actions are those that there are,
and so are the references of elements: small models write the one that the explanation of an action has.
"""

from __future__ import annotations

import re
from typing import Any

from lbi.protocols import Json, Request

_TEXT = 400  # characters of a text; an instruction, a label or a reason has fewer
_REASON = 240
_LIST = 20
_NAME = 20  # characters of a name that is one of a few
_SYNTAX = 64  # tokens of what stands around the texts
#: how actions are explained: as calls, such as click(e12), most at the beginning of a line
_ACTION = re.compile(r"(?<![\w.])([a-z_]+)\(")
#: an action that is explained as one that takes a reference first: click(e12) at the beginning of a line
_TAKES_REFERENCE = re.compile(r"^([a-z_]+)\(e\d+", re.M)
_REFERENCE = re.compile(r"\[(e\d+)\]")


def bounded(schema: Json, request: Request) -> Json:
    """The schema for one request. What the model may say is as free as before, but for its length and its names."""
    held: Json = _bounded(schema)
    if request.role == "act" and (pattern := _calls(request)):
        held["properties"]["action"] = {"type": "string", "pattern": pattern}
    if request.role == "value":
        held["properties"]["value"] = {"type": "integer", "enum": list(range(11))}
    if request.role == "propose":
        held["properties"]["tasks"].update(minItems=1, maxItems=max(1, request.fields.count or 1))
    if names := request.fields.span_names:
        labels = held["properties"].get("labels")
        if labels is not None:
            labels.update(minItems=1, maxItems=len(names))
            labels["items"]["properties"]["span"] = {"type": "string", "enum": list(names)}
    return held


def _calls(request: Request) -> str:
    """The pattern of an action: ``^((click|fill)\\((e1|e2)(,[^\\n]{0,1024})?\\)|(goto)\\([^\\n]{0,1024}\\))$``."""
    fields = request.fields
    shown = tuple(dict.fromkeys(_REFERENCE.findall(fields.observation.text if fields.observation else "")))
    first = set(_TAKES_REFERENCE.findall(fields.actions))
    calls = tuple(dict.fromkeys(_ACTION.findall(fields.actions)))
    # its text may be a whole file, so it may have a character for each token of the reply
    free = rf"[^\n]{{0,{request.max_tokens}}}"
    groups = {
        rf"\(({'|'.join(shown)})(,{free})?\)": [call for call in calls if call in first and shown],
        rf"\({free}\)": [call for call in calls if call not in first],
    }
    parts = [f"({'|'.join(names)}){arguments}" for arguments, names in groups.items() if names]
    return f"^({'|'.join(parts)})$" if parts else ""


def most_tokens(schema: Json, request: Request) -> int:
    """How many tokens a reply in this form may have: an engine may not count characters, and a small model goes on."""
    return min(request.max_tokens, _SYNTAX + _characters(schema, request) // 3)


def _characters(schema: Json, request: Request) -> int:
    if schema.get("type") == "string":
        return int(schema.get("maxLength", request.max_tokens if "pattern" in schema else _NAME))
    if schema.get("type") == "array":
        return int(schema["maxItems"]) * _characters(schema["items"], request)
    return sum(_characters(each, request) for each in schema.get("properties", {}).values())


def _bounded(schema: Json, name: str = "") -> Json:
    held: dict[str, Any] = dict(schema)
    if held.get("type") == "string":
        held["maxLength"] = _REASON if name == "reason" else _TEXT
    if "items" in held:
        held["items"], held["maxItems"] = _bounded(held["items"]), _LIST
    if "properties" in held:
        held["properties"] = {key: _bounded(value, key) for key, value in held["properties"].items()}
    return held
