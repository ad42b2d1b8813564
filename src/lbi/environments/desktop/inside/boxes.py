"""Puts boxes right that a program tells wrongly: its own part of a window may not know what stands above it there.

A "root pane" that fills a panel says where that would be without the menu bar over it, and so do all in it, but for
parts that another toolkit draws, which are told by being moved against what holds them by just that much.
"""

from __future__ import annotations

from typing import Any

from .accessibility import Node

Place = tuple[int, int]
ROUNDED = 2  # points by which two boxes of one size may differ


def correct(top: Node) -> None:
    """Move the boxes below a window, in place."""
    pending: list[tuple[Node, Node | None, Place, list[int]]] = [(top, None, (0, 0), [])]
    while pending:
        node, parent, moved, parent_said = pending.pop()
        said: list[int] = node["box"]
        if parent is not None and said and parent_said:
            moved = _moved(node, parent, moved, parent_said)
        if said and moved != (0, 0):
            for each in (node, *node.get("cells", ())):
                each["box"] = _shifted(each["box"], moved)
        pending += [(child, node, moved, said) for child in node["children"]]


def _moved(node: Node, parent: Node, moved: Place, parent_said: list[int]) -> Place:
    left, top, width, height = node["box"]
    if node["role"] == "root pane":
        return parent["box"][0] - left, parent["box"][1] - top
    same_size = abs(width - parent_said[2]) <= ROUNDED and abs(height - parent_said[3]) <= ROUNDED
    by = (left - parent_said[0], top - parent_said[1])
    return (0, 0) if same_size and by == moved and moved != (0, 0) else moved


def _shifted(box: list[Any], by: Place) -> list[Any]:
    return [box[0] + by[0], box[1] + by[1], *box[2:]] if box else box
