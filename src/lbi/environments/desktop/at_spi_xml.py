"""What a desktop tells -> the XML in which OSWorld machines tell it: <push-button name="Save" st:showing="true"/>."""

from __future__ import annotations

import re
import xml.etree.ElementTree as Tree
from collections.abc import Mapping
from typing import Any

_SPACE = "https://accessibility.ubuntu.example.org/ns/"
SPACES = {name: _SPACE + rest for name, rest in (("st", "state"), ("cp", "component"), ("val", "value"))}
_STATES = {
    "multiline": "multi_line",
    "manages": "manages_descendants",
    "mixed": "indeterminate",
    "invalid": "invalid_entry",
    "popup": "has_popup",
    "readonly": "read_only",
}
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ufffc\ufffd\ud800-\udfff]")


def xml_of(told: dict[str, Any], called: Mapping[str, str] | None = None) -> str:
    """One element for each program, with its windows and all in them; ``called`` are other names for programs."""
    for prefix, space in SPACES.items():
        Tree.register_namespace(prefix, space)
    root = Tree.Element("desktop-frame", {"name": "main"})
    programs: dict[str, Tree.Element] = {}
    for window in told["windows"]:
        name = window.get("program", "")
        name = (called or {}).get(name, name)
        if name not in programs:
            programs[name] = Tree.SubElement(root, "application", {"name": _clean(name)})
        _add(programs[name], window)
    return Tree.tostring(root, encoding="unicode")


def _add(parent: Tree.Element, node: dict[str, Any]) -> None:
    element = Tree.SubElement(parent, re.sub(r"[^a-z]+", "-", node["role"]) or "unknown", _attributes(node))
    if node.get("text"):
        element.text = _clean(node["text"])
    for child in node["children"]:
        _add(element, child)
    for cell in node.get("cells", ()):
        _add(element, {**cell, "role": "table cell", "children": []})


def _attributes(node: dict[str, Any]) -> dict[str, str]:
    found = {"name": _clean(node["name"])}
    for state in node["states"]:
        found[f"{{{SPACES['st']}}}{_STATES.get(state, state)}"] = "true"
    if node["box"] and "showing" in node["states"]:
        left, top, width, height = node["box"]
        found[f"{{{SPACES['cp']}}}screencoord"] = f"({left}, {top})"
        found[f"{{{SPACES['cp']}}}size"] = f"({width}, {height})"
    if node.get("value"):
        found[f"{{{SPACES['val']}}}value"] = node["value"]
    return found


def _clean(text: str) -> str:
    return _NOT_IN_XML.sub("", text)
