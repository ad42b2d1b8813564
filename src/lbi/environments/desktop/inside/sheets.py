"""The cells of tables and spreadsheets: those that are in view and hold something, with their text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .accessibility import ACCESSIBLE, COMPONENT, PROPERTIES, TABLE, TEXT, Node, is_large, states_of, walk
from .dbus import Bus, BusError, Call

MOST_CELLS = 1500
MOST_MADE_UP = 200  # cells that are looked into where they have no text of their own


def fill(bus: Bus, tops: Sequence[Node]) -> None:
    """Give each table that is shown its cells, as "cells": [{"name", "text", "box", "row", "column", "states"}]."""
    for top in tops:
        for node in walk(top):
            if is_large(node) and node["box"] and TABLE in node["interfaces"]:
                node["cells"] = _read(bus, node, _places(bus, node))
                node["said"] = node["box"]


def _places(bus: Bus, table: Node) -> list[tuple[int, int]]:
    """The rows and columns of the cells: all of a small table, those in view of a large one."""
    to, path = table["to"], table["path"]
    sizes = bus.ask_all([Call(to, path, PROPERTIES, "Get", "ss", [TABLE, name]) for name in ("NRows", "NColumns")])
    if any(isinstance(size, BusError) for size in sizes):
        return []
    first, last = (0, 0), (sizes[0] - 1, sizes[1] - 1)
    if sizes[0] * sizes[1] > MOST_CELLS:
        left, top, width, height = table["box"]
        upper = _cell_at(bus, table, left + 2, top + 2)
        lower = _cell_at(bus, table, left + width - 3, top + height - 3)
        if upper is None or lower is None:
            return []
        first, last = upper, lower
    rows, columns = range(first[0], last[0] + 1), range(first[1], last[1] + 1)
    return [(row, column) for row in rows for column in columns][:MOST_CELLS]


def cell_box(bus: Bus, to: str, path: str, name: str, within: Sequence[int]) -> list[int]:
    """Where a cell such as "F20" is. Raises ValueError where it is out of view."""
    letters = name.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - 64
    row = int(name[len(letters) :]) - 1
    cell = bus.ask(Call(to, path, TABLE, "GetAccessibleAt", "ii", [row, column - 1]))
    box = list(bus.ask(_of(cell, COMPONENT, "GetExtents", "u", [0])))
    x, y = box[0] + box[2] // 2, box[1] + box[3] // 2
    left, top, width, height = within
    if box[2] <= 0 or box[3] <= 0 or not (left <= x < left + width and top <= y < top + height):
        raise ValueError("it is further down or to the side")
    return box


def _cell_at(bus: Bus, table: Node, x: int, y: int) -> tuple[int, int] | None:
    to, path = table["to"], table["path"]
    try:
        cell = bus.ask(Call(to, path, COMPONENT, "GetAccessibleAtPoint", "iiu", [x, y, 0]))
        index = bus.ask(_of(cell, ACCESSIBLE, "GetIndexInParent"))
        return bus.ask(Call(to, path, TABLE, "GetRowAtIndex", "i", [index])), bus.ask(
            Call(to, path, TABLE, "GetColumnAtIndex", "i", [index])
        )
    except BusError:
        return None


def _text_in(bus: Bus, cell: Sequence[str]) -> str:
    """The text of a cell that is made up of several, such as a picture and a name."""
    try:
        parts = bus.ask(_of(cell, ACCESSIBLE, "GetChildren"))
    except BusError:
        return ""
    texts = bus.ask_all([_of(part, TEXT, "GetText", "ii", [0, -1]) for part in parts])
    return " ".join(text for text in texts if isinstance(text, str) and text)


def _read(bus: Bus, table: Node, places: list[tuple[int, int]]) -> list[dict[str, Any]]:
    to, path = table["to"], table["path"]
    cells = bus.ask_all([Call(to, path, TABLE, "GetAccessibleAt", "ii", place) for place in places])
    there = [(place, cell) for place, cell in zip(places, cells, strict=True) if isinstance(cell, tuple)]
    texts = bus.ask_all([_of(cell, TEXT, "GetText", "ii", [0, -1]) for _, cell in there])
    told = [text if isinstance(text, str) else "" for text in texts]
    if len(told) <= MOST_MADE_UP and any(isinstance(text, BusError) for text in texts):
        told = [text or _text_in(bus, cell) for text, (_, cell) in zip(told, there, strict=True)]
    used = [(place, cell, text) for (place, cell), text in zip(there, told, strict=True) if text]
    calls = [_of(cell, PROPERTIES, "Get", "ss", [ACCESSIBLE, "Name"]) for _, cell, _ in used]
    calls += [_of(cell, COMPONENT, "GetExtents", "u", [0]) for _, cell, _ in used]
    calls += [_of(cell, ACCESSIBLE, "GetState") for _, cell, _ in used]
    answers = bus.ask_all(calls)
    count = len(used)
    found: list[dict[str, Any]] = []
    for at, ((row, column), _, text) in enumerate(used):
        name, box, bits = answers[at], answers[count + at], answers[2 * count + at]
        if isinstance(name, str) and isinstance(box, tuple) and isinstance(bits, list):
            states = states_of(bits)
            found.append({"name": name, "text": text, "box": list(box), "row": row, "column": column, "states": states})
    return [cell for cell in found if "showing" in cell["states"]]


def _of(cell: Sequence[Any], interface: str, member: str, signature: str = "", arguments: Sequence[Any] = ()) -> Call:
    """A call of a cell: (the program's name on the bus, the cell's path)."""
    return Call(cell[0], cell[1], interface, member, signature, arguments)
