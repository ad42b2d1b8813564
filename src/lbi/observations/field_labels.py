"""Names fields that have no name: a text box by the text before it, a check box by the text after it.

Only the text of a neighbour is used: guesses from further away are often wrong, which is worse than no name.
"""

from __future__ import annotations

from lbi.observations.parse import FIELDS, TICKS
from lbi.observations.tree import Node, fold

MAX_LABEL = 80  # characters
MAX_SENTENCE = 40  # of one that ends with a full stop: longer ones explain, and are no label
_BEFORE = FIELDS | {"option"}


def label_fields(node: Node, inherited: str = "") -> None:
    """Name, in place, every unnamed field under ``node``."""
    for at, child in enumerate(node.children):
        before = _label(node.children[at - 1]) if at else inherited
        if child.role in TICKS and not child.name:
            after = _label(node.children[at + 1]) if at + 1 < len(node.children) else ""
            child.name = after or before or child.hint
        elif child.role in FIELDS and not child.name:
            child.name = before or child.hint
        if child.role not in FIELDS:
            label_fields(child, before)


def _label(node: Node) -> str:
    """The text of a neighbour, if it contains nothing else and is short enough to be a label."""
    if _holds_field(node):
        return ""
    text = fold(node.text())
    if len(text) > MAX_LABEL or (len(text) > MAX_SENTENCE and text.endswith((".", "!"))):
        return ""
    return text


def _holds_field(node: Node) -> bool:
    if node.role in FIELDS | TICKS | {"button", "link", "heading"}:
        return True
    return any(_holds_field(child) for child in node.children)
