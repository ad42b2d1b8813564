r"""A JSON schema -> a grammar that writes it without needless blanks: root ::= "{\"query\": " text-1 "}".

For OpenVINO, whose own reading of schemas lets a text hold raw control characters once it has a longest length or a
pattern (findings/openvino-json-schema-control-characters.sh), and takes any number of blanks between the parts of an
object. Only what our schemas hold is understood.

Texts have no longest length here: counting to 240 has the engine look at all its tokens anew for each count, ten times
as long per token (0.64 s against 0.06 s of processor time). The request bounds the tokens of a reply instead.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lbi.models.local.serving.protocol import Unusable

_MOST = 100  # members of a list that nobody bounded
_CHARACTER = (
    r"""character ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F])"""
)
#: the one kind of pattern: calls of these names, some with a reference first, as lbi.models.local.bounds writes it
_FREE = r"\[\^\\n\]\{0,\d+\}"
_CALL = re.compile(rf"\((?P<names>[a-z_|]+)\)\\\((?:\((?P<first>[a-z\d|]+)\)\(,{_FREE}\)\?|{_FREE})\\\)")


def grammar_of(schema: dict[str, Any]) -> str:
    """Raises Unusable for a schema that holds anything else."""
    rules = _Rules()
    root = rules.of(schema)
    return "\n".join([f"root ::= {root}", *rules.lines, _CHARACTER])


class _Rules:
    """Collects a rule for each part of a schema; a part that comes twice has one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[str, str] = {}

    def of(self, schema: dict[str, Any]) -> str:
        """The name of the rule for a schema."""
        kind = schema.get("type")
        if kind == "string":
            return self._named("text", _text(schema))
        if kind == "boolean":
            return self._named("boolean", '"true" | "false"')
        if kind == "integer":
            return self._named("integer", _integer(schema))
        if kind == "object":
            return self._named("object", self._object(schema.get("properties", {})))
        if kind == "array":
            return self._named(
                "list",
                self._list(
                    self.of(schema["items"]), int(schema.get("minItems", 0)), int(schema.get("maxItems", _MOST))
                ),
            )
        raise Unusable(f"the reply's schema holds a part of the type {kind!r}, for which there is no grammar")

    def _object(self, properties: dict[str, Any]) -> str:
        parts, before = [], "{"
        for name, schema in properties.items():
            parts += [_literal(f"{before}{json.dumps(name)}: "), self.of(schema)]
            before = ", "
        return " ".join([*parts, _literal("}" if parts else "{}")])

    def _list(self, member: str, least: int, most: int) -> str:
        if most < 1:
            return _literal("[]")
        members = f'{member} (", " {member}){{{max(0, least - 1)},{most - 1}}}'
        return f'"[" {members} "]"' if least else f'"[" ({members})? "]"'

    def _named(self, kind: str, body: str) -> str:
        if body not in self._names:
            self._names[body] = f"{kind}_{len(self._names)}"
            self.lines.append(f"{self._names[body]} ::= {body}")
        return self._names[body]


def _text(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(_literal(json.dumps(value)) for value in schema["enum"])
    if "pattern" in schema:
        pattern = schema["pattern"]
        calls = list(_CALL.finditer(pattern))
        if not calls or f"^({'|'.join(call[0] for call in calls)})$" != pattern:
            raise Unusable(f"there is no grammar for the pattern {pattern!r}")
        return rf'"\"" ({" | ".join(map(_call, calls))}) "\""'
    return r'"\"" character* "\""'


def _integer(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(_literal(str(value)) for value in schema["enum"])
    return '"0" | "-"? [1-9] [0-9]{0,8}'


def _call(found: re.Match[str]) -> str:
    arguments = f'({_any_of(found["first"])}) ("," character*)?' if found["first"] else "character*"
    return f'({_any_of(found["names"])}) "(" {arguments} ")"'


def _any_of(names: str) -> str:
    return " | ".join(_literal(name) for name in names.split("|"))


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
