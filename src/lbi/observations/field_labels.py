"""Names fields that have no name: a text box by the text before it, a check box by the text after it.

Only the text of a neighbour is used: guesses from further away are often wrong, which is worse than no name.
"""

from __future__ import annotations

from lbi.observations.parse import FIELDS, TICKS
from lbi.observations.tree import Node, fold

MAX_LABEL = 80  # characters
MAX_SENTENCE = 40  # of one that ends with a full stop: longer ones explain, and are no label
_BEFORE = FIELDS | {"option"}


def label_fields(node: Node, before: Node | None = None) -> None:
    """Name, in place, every unnamed field under ``node``; ``before`` stands before the first of its children."""
    for at, child in enumerate(node.children):
        if not child.name:
            if child.role in TICKS:
                after = node.children[at + 1] if at + 1 < len(node.children) else None
                child.name = _label(after) or child.hint
            elif child.role in FIELDS:
                child.name = _label(before) or child.hint
        if child.children and child.role not in FIELDS:
            label_fields(child, before)
        before = child


def _label(node: Node | None) -> str:
    """The text of a neighbour, if it contains nothing else and is short enough to be a label."""
    if node is None or _holds_field(node):
        return ""
    text = fold(node.text())
    if len(text) > MAX_LABEL or (len(text) > MAX_SENTENCE and text.endswith((".", "!"))):
        return ""
    return text


def _holds_field(node: Node) -> bool:
    if node.role in FIELDS | TICKS | {"button", "link", "heading"}:
        return True
    return any(_holds_field(child) for child in node.children)
