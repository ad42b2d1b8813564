"""Finds what an action is for in what was seen last, and how it is told on another day: by role and name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lbi.environments.desktop.actions import Target
from lbi.environments.desktop.tree import Box, Kind, View
from lbi.observations.parse import Element, Page

_CELL = re.compile(r"[A-Z]{1,3}[1-9]\d{0,6}")


class NotFound(ValueError):
    """The message is for the agent."""


@dataclass(frozen=True)
class Place:
    """Where an action goes: a point of the screen, and the element that is there, if any."""

    x: int
    y: int
    role: str = "point"
    name: str = ""
    nth: int = 0
    window: int = 0  # X's number, of a window that lies behind
    origin: tuple[str, str] | None = None  # what the accessibility bus calls the element
    kind: Kind | None = None  # it holds one of its options and no text that could be written; or lines of commands
    states: tuple[str, ...] = ()

    @property
    def grounded(self) -> str:
        """``button "Save" #1``."""
        return f"{self.role} {json.dumps(self.name, ensure_ascii=False)}" + (f" #{self.nth}" if self.nth else "")


def place_of(target: Target, page: Page, refs: dict[str, str], view: View) -> Place:
    """Raises NotFound."""
    if target.point is not None or target.role == "point":
        return _at_point(target, page, refs, view)
    element = find(target, page)
    box = view.places[refs[element.ref]]
    left, top, width, height = box
    if width <= 0 or height <= 0:
        raise NotFound(f'{element.role} "{element.name}" has no place on the screen')
    if "disabled" in element.states:
        raise NotFound(f'{element.role} "{element.name}" is disabled')
    ref = refs[element.ref]
    return _place(left + width // 2, top + height // 2, element, ref, view)


def _place(x: int, y: int, element: Element, ref: str, view: View) -> Place:
    window, origin = view.windows.get(ref, 0), view.origins.get(ref)
    kind = view.kinds.get(ref)
    return Place(x, y, element.role, element.name, element.nth, window, origin, kind, element.states)


def find(target: Target, page: Page) -> Element:
    """The element that a target means. Raises NotFound, and names the nearest that there is."""
    if target.ref:
        if element := page.element(target.ref):
            return element
        raise NotFound(f"there is no element {target.ref} here; use a reference of the present observation")
    if element := page.find(target.role, target.name, target.nth):
        return element
    alike = [e for e in page.elements if e.role == target.role and plain(e.name) == plain(target.name)]
    if target.nth < len(alike):
        return alike[target.nth]
    raise NotFound(f'there is no {target.role} "{target.name}" here' + _nearest(target, page.elements))


def cell_named(target: Target) -> str:
    """The name of a cell of a sheet, such as F20, for one that need not be in view; "" for other targets."""
    name = target.name.strip().upper() if target.role in ("cell", "gridcell") else ""
    return name if _CELL.fullmatch(name) else ""


def plain(name: str) -> str:
    """A name without what differs from one version of a program to the next: capitals, colons, dots."""
    return " ".join(name.split()).rstrip(" :*….").casefold()


def _nearest(target: Target, elements: Iterable[Element]) -> str:
    same = [e for e in elements if plain(e.name) == plain(target.name)]
    by_name = {plain(e.name): e for e in elements if e.role == target.role}
    close = difflib.get_close_matches(plain(target.name), by_name, n=1)
    nearest = same[0] if same else by_name[close[0]] if close else None
    return f'; there is {nearest.role} "{nearest.name}"' if nearest else ""


def _at_point(target: Target, page: Page, refs: dict[str, str], view: View) -> Place:
    if target.point is None:
        x, y = (int(part) for part in target.name.split(","))
    else:
        x, y = target.point
    within = [(box[2] * box[3], e) for e in page.elements if _holds(box := view.places[refs[e.ref]], x, y)]
    element = min(within, key=lambda pair: pair[0])[1] if within else None
    if element is None or refs[element.ref] in view.windows:
        return Place(x, y, name=f"{x},{y}")
    return _place(x, y, element, refs[element.ref], view)


def _holds(box: Box, x: int, y: int) -> bool:
    return box[0] <= x < box[0] + box[2] and box[1] <= y < box[1] + box[3]
