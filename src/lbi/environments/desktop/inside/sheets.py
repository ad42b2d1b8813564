"""The cells of spreadsheets: those of the part that is in view and hold something, with their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .accessibility import ACCESSIBLE, COMPONENT, PROPERTIES, TABLE, TEXT, Node, walk
from .dbus import Bus, BusError, Call

MOST_CELLS = 1500


def fill(bus: Bus, tops: Sequence[Node]) -> None:
    """Give each large table that is shown its cells, as "cells": [{"name", "text", "box", "row", "column"}]."""
    for top in tops:
        for node in walk(top):
            if node["role"] in ("table", "tree table") and "manages" in node["states"] and node["box"]:
                node["cells"] = _cells(bus, node)
                node["said"] = node["box"]


def cell_box(bus: Bus, to: str, path: str, name: str, within: Sequence[int]) -> list[int]:
    """Where a cell such as "F20" is. Raises ValueError where it is out of view."""
    letters = name.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - 64
    row = int(name[len(letters) :]) - 1
    cell = bus.ask(Call(to, path, TABLE, "GetAccessibleAt", "ii", [row, column - 1]))
    box = list(bus.ask(Call(*cell, COMPONENT, "GetExtents", "u", [0])))
    x, y = box[0] + box[2] // 2, box[1] + box[3] // 2
    left, top, width, height = within
    if box[2] <= 0 or box[3] <= 0 or not (left <= x < left + width and top <= y < top + height):
        raise ValueError("it is further down or to the side")
    return box


def _cells(bus: Bus, table: Node) -> list[dict[str, Any]]:
    left, top, width, height = table["box"]
    corners = [(left + 2, top + 2), (left + width - 3, top + height - 3)]
    found = [_cell_at(bus, table, x, y) for x, y in corners]
    if None in found:
        return []
    (first_row, first_column), (last_row, last_column) = found  # type: ignore[misc]
    places = [(r, c) for r in range(first_row, last_row + 1) for c in range(first_column, last_column + 1)][:MOST_CELLS]
    return _read(bus, table, places)


def _cell_at(bus: Bus, table: Node, x: int, y: int) -> tuple[int, int] | None:
    to, path = table["to"], table["path"]
    try:
        cell = bus.ask(Call(to, path, COMPONENT, "GetAccessibleAtPoint", "iiu", [x, y, 0]))
        index = bus.ask(Call(*cell, ACCESSIBLE, "GetIndexInParent"))
        return bus.ask(Call(to, path, TABLE, "GetRowAtIndex", "i", [index])), bus.ask(
            Call(to, path, TABLE, "GetColumnAtIndex", "i", [index])
        )
    except BusError:
        return None


def _read(bus: Bus, table: Node, places: list[tuple[int, int]]) -> list[dict[str, Any]]:
    to, path = table["to"], table["path"]
    cells = bus.ask_all([Call(to, path, TABLE, "GetAccessibleAt", "ii", place) for place in places])
    there = [(place, cell) for place, cell in zip(places, cells, strict=True) if isinstance(cell, tuple)]
    texts = bus.ask_all([Call(*cell, TEXT, "GetText", "ii", [0, -1]) for _, cell in there])
    used = [
        (place, cell, text) for (place, cell), text in zip(there, texts, strict=True) if text and isinstance(text, str)
    ]
    calls = [Call(*cell, PROPERTIES, "Get", "ss", [ACCESSIBLE, "Name"]) for _, cell, _ in used]
    calls += [Call(*cell, COMPONENT, "GetExtents", "u", [0]) for _, cell, _ in used]
    answers = bus.ask_all(calls)
    return [
        {"name": name, "text": text, "box": list(box) if isinstance(box, tuple) else [], "row": row, "column": column}
        for ((row, column), _, text), name, box in zip(used, answers, answers[len(used) :], strict=False)
    ]
