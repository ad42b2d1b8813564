"""Role -> the JSON schema of its reply, for providers that enforce one. `parsing` reads replies with and without it.

A schema is the same for all requests of a role: providers compile each once, and a prompt cache holds for one only.
"""

from __future__ import annotations

from lbi.prompts import is_structured
from lbi.protocols import Json, PromptLimits, Request

_TEXT: Json = {"type": "string"}
_YES_OR_NO: Json = {"type": "boolean"}


def _object(**properties: Json) -> Json:
    """The only kind of object that OpenAI and Anthropic enforce: no property is optional, and there are no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


_SCHEMAS: dict[str, Json] = {
    "propose": _object(tasks=_list(_object(instruction=_TEXT, quote=_TEXT, ending=_YES_OR_NO))),
    "act": _object(reason=_TEXT, action=_TEXT),
    "query": _object(query=_TEXT),
    "abstract": _object(instruction=_TEXT),
    "summarise": _object(summary=_TEXT),
    "spans": _object(labels=_list(_object(span=_TEXT, text=_TEXT))),
    "reflect": _object(lesson=_TEXT),
    "value": _object(reason=_TEXT, value={"type": "integer"}),
    "skill": _object(
        description=_TEXT,
        statements=_list(_object(text=_TEXT, steps=_list(_TEXT), examples=_list({"type": "integer"}))),
    ),
    "judge": _object(reason=_TEXT, aligned=_YES_OR_NO, coherent=_YES_OR_NO, natural=_YES_OR_NO, reasonable=_YES_OR_NO),
}


def schema_of(request: Request, limits: PromptLimits) -> tuple[str, Json] | None:
    """Name and schema of the reply that a request is to have, or None where it replies as its prompt says."""
    if not is_structured(request.role, limits):
        return None
    name = "spans" if request.fields.spans else request.role
    return name, _SCHEMAS[name]
