"""An action and where it goes -> the strokes of mouse and keyboard that carry it out."""

from __future__ import annotations

from typing import Any

from lbi.environments.desktop.actions import Call
from lbi.environments.desktop.targets import Place
from lbi.observations.parse import FIELDS, TICKS

Strokes = list[list[Any]]
_TIMES = {"double": 2, "triple": 3}
_BUTTONS = {"right": "right", "middle": "middle"}
_HELD = ("Shift", "Control", "Alt")
#: what holds no text, so that keys typed there would do something else, or nothing, and look like success
_TEXTLESS = TICKS | {"button", "link", "tab", "menuitem", "option", "treeitem", "columnheader", "window"}


def unfit(call: Call, place: Place | None) -> str:
    """Why an action cannot be done to an element, and what could be; "" if it can."""
    if call.kind != "fill" or place is None:
        return ""
    named = f'{place.role} "{place.name}"'
    if place.role in _TEXTLESS:
        return f"{named} takes no text; click it"
    if place.role == "slider":
        return f'{named} takes no text; move it with keys, as in press({named}, "Right")'
    if "readonly" in place.states:
        return f"{named} cannot be edited"
    return ""


def strokes_for(call: Call, place: Place | None, onto: Place | None) -> Strokes:
    """What the hand does. Of an action that needs an element, ``place`` is there."""
    if call.kind == "type" and place is None:
        return [["type", call.value]]
    if call.kind == "press" and place is None:
        return [["press", call.value]]
    if call.kind == "drag":
        return [["drag", _path(call, place, onto)]]
    if call.kind == "scroll":
        return [*([["move", place.x, place.y]] if place else []), ["scroll", call.value]]
    assert place is not None
    if call.kind == "click":
        return _click(call.value, place)
    if call.kind == "fill":
        return _fill(call.value, place)
    return [*_click("", place), [call.kind, call.value]]


def _click(how: str, place: Place) -> Strokes:
    if place.window:
        return [["front", place.window]]
    clicks: Strokes = [["move", place.x, place.y], ["click", _BUTTONS.get(how, "left"), _TIMES.get(how, 1)]]
    return [["down", how], *clicks, ["up", how]] if how in _HELD else clicks


def _fill(text: str, place: Place) -> Strokes:
    """A cell is replaced by typing over it, a field by typing over all that is in it; of a list an option is chosen."""
    if place.kind == "choice" and place.origin is not None:
        return [["choose", *place.origin, place.x, place.y, text]]
    if place.role == "cell":
        return [*_click("", place), ["press", "Delete"], *([["type", text], ["press", "Enter"]] if text else [])]
    if place.kind == "terminal":  # of which only the line of the command can be replaced
        return [*_click("", place), ["press", "Control+e"], ["press", "Control+u"], *([["type", text]] if text else [])]
    written: Strokes = [["press", "Control+a"], ["type", text] if text else ["press", "Delete"]]
    if place.origin is not None:
        written = [["replace", *place.origin, text]]
    done = [["press", "Tab"]] if place.role == "spinbutton" else []  # it takes its value when it is left
    return [*_click("", place), *written, *done]


def _path(call: Call, place: Place | None, onto: Place | None) -> list[list[int]]:
    if place is not None and onto is not None:
        return [[place.x, place.y], [onto.x, onto.y]]
    return [[int(number) for number in point.split(",")] for point in call.value.split()]


def changes(call: Call, place: Place | None) -> str:
    """Why an action may change something; "" if it only looks."""
    if call.kind in ("scroll", "wait", "finish"):
        return ""
    if call.kind == "open":
        return f"it starts {call.value}"
    if call.kind == "python":
        return "it runs a program"
    if call.kind == "click" and place is not None and place.role in ("tab", "menuitem", "window", *FIELDS):
        return "" if place.role != "menuitem" else f'it chooses "{place.name}"'
    return f"it goes to {place.grounded}" if place is not None else f"it goes to what has the focus: {call.kind}"
