"""Reads the text of a desktop action: ``click(button "Save")`` -> Call("click", Target(role="button", name="Save")).

The text is scanned by hand and never evaluated; a snippet of Python is handed over as text, to be run inside only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lbi.environments._arguments import Argument, bound, read_arguments, unescape
from lbi.records import ORDINAL

ACTIONS = """\
At each step you see the desktop as text: the window in front, a line for each element, with a reference such as [e12]
where you can act on it. References of earlier steps are no longer valid: in what happened and in examples, elements are
told by role and name. You may name an element that way too: click(button "Save") clicks the first from the top, and
click(2nd button "Save") the second. Of a sheet, cells that are in view and hold something are listed; name any other
one as in click(cell "F20"). Windows behind the one in front are named at the end; click one to bring it to the front.

click(e12)           click an element; click(e12, "double"), "right", "Shift", "Control"; at a point: click("640,400")
fill(e12, "text")    replace the text of a text box or a cell; of a combobox, choose the option of that name
type("text")         type where the cursor is; type(e12, "text") clicks the element first; \\n is Enter, \\t is Tab
press("Control+S")   press keys: Enter, Escape, Tab, F2, Delete, Alt+F4; press(e12, "Enter") clicks the element first
drag(e12, e34)       drag one element onto another; drag("10,10 300,200") from point to point
scroll("down")       turn the wheel: up, down, left, right; scroll(e12, "down") turns it over an element
open("PROGRAM", "file")  start a program, with a file if you like
python("pyautogui.hotkey('ctrl', 's')")  run a snippet with pyautogui on this desktop; what it prints is shown
wait()               wait until something changes by itself
finish("answer")     end the task; the answer may be empty"""
HOW = ("double", "triple", "right", "middle", "Shift", "Control", "Alt")
#: other names of actions, and how their click is made
ALSO = {
    "double_click": ("click", "double"),
    "doubleclick": ("click", "double"),
    "left_click": ("click", ""),
    "right_click": ("click", "right"),
    "triple_click": ("click", "triple"),
    "select": ("fill", ""),
    "hotkey": ("press", ""),
    "key": ("press", ""),
    "write": ("type", ""),
    "launch": ("open", ""),
    "pyautogui": ("python", ""),
}
_ELEMENT = ("ref", "target", "id", "element_id", "at", "point", "coordinates")
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "click": {"element": _ELEMENT, "how": ("button", "key", "modifier")},
    "fill": {"element": _ELEMENT, "text": ("value", "content", "option", "label")},
    "type": {"element": _ELEMENT, "text": ("value", "content")},
    "press": {"element": _ELEMENT, "key": ("keys", "value")},
    "drag": {"element": (*_ELEMENT, "source", "from", "path"), "to": ("onto", "destination", "end")},
    "scroll": {"element": _ELEMENT, "direction": ("dir",)},
    "open": {"program": ("name", "application"), "file": ("path",)},
    "python": {"code": ("snippet", "text")},
    "wait": {},
    "finish": {"answer": ("text", "message", "result", "value")},
}
KINDS = tuple(NAMES)
_PROSE = ("type", "select", "press", "drag", "open", "wait", "key", "write", "launch", "python", "pyautogui")
_WORDS = sorted((*KINDS, *ALSO), key=len, reverse=True)
_PLAIN = "|".join(word for word in _WORDS if word not in _PROSE)
_CALL = re.compile(rf"(?<![\w.])(?:({_PLAIN})\s*|({'|'.join(word for word in _WORDS if word in _PROSE)}))\(")
_REF = re.compile(r"\[?(e\d+)\]?\Z")
_GROUNDED = re.compile(rf'(?:{ORDINAL}\s+)?([a-z]\w*)(?:\s+("(?:[^"\\]|\\.)*"))?(?:\s*#(\d+))?\Z', re.S)
_POINT = re.compile(r"\(?\s*(\d{1,5})\s*,\s*(\d{1,5})\s*\)?")
DIRECTIONS = ("up", "down", "left", "right")


@dataclass(frozen=True)
class Target:
    """What an action is for: a reference, or role, name and number among several, or a point of the screen."""

    ref: str = ""
    role: str = ""
    name: str = ""
    nth: int = 0
    point: tuple[int, int] | None = None


@dataclass(frozen=True)
class Call:
    """An action that could be read. ``value`` of a drag along points: "10,10 300,200"."""

    kind: str
    target: Target | None = None
    value: str = ""
    onto: Target | None = None
    file: str = ""  # of open

    @property
    def text(self) -> str:
        """The one way in which an action without an element is written."""
        given = [self.value, self.file] if self.kind == "open" and self.file else [self.value]
        written = "" if self.kind == "wait" else ", ".join(json.dumps(each, ensure_ascii=False) for each in given)
        return f"{self.kind}({written})"


class UnreadableAction(ValueError):
    """The message is one line for the model."""


def parse_action(text: str) -> Call:
    """Read the first action in ``text``; prose before it and code fences are skipped. Raises UnreadableAction."""
    call = _CALL.search(text)
    if call is None:
        if "pyautogui." in text:
            return Call("python", value=_snippet(text))
        if bare := re.fullmatch(r"(?:.*[:\s])?(finish|wait)[.`\s]*", text.strip(), re.S):
            return Call(bare[1])
        raise UnreadableAction(f"no action found; write one of: {', '.join(KINDS)}, as in click(e12)")
    word = call[1] or call[2]
    if "pyautogui." in text[: call.start() + 1]:  # a snippet that was not put into python(...)
        return Call("python", value=_snippet(text))
    kind, how = ALSO.get(word, (word, ""))
    arguments = read_arguments(text, call.end())
    if word == "hotkey" and len(arguments) > 1 and not any(argument.name for argument in arguments):
        arguments = [Argument("+".join(argument.text for argument in arguments), True)]
    if kind == "click" and how:
        arguments = [*arguments[:1], Argument(how, True)] if len(arguments) < 2 else arguments
    return _build(kind, arguments)


def parse_target(text: str) -> Target | None:
    """``e12``, ``3rd button "Save"`` (in records ``button "Save" #2``) or ``640,400``; None if it is none of them."""
    text = text.strip()
    if ref := _REF.match(text):
        return Target(ref=ref[1])
    if point := _POINT.fullmatch(text.removeprefix("point ").strip('"')):
        return Target(point=(int(point[1]), int(point[2])))
    grounded = _GROUNDED.match(text)
    if grounded is None or not any((grounded[1], grounded[3], grounded[4])):
        return None
    nth = max(int(grounded[1]) - 1, 0) if grounded[1] else int(grounded[4] or 0)
    return Target(role=grounded[2], name=unescape(grounded[3][1:-1]) if grounded[3] else "", nth=nth)


def _build(kind: str, arguments: list[Argument]) -> Call:
    if kind in ("click", "drag"):
        arguments = _joined_points(arguments)
    try:
        arguments = bound(kind, arguments, NAMES[kind], optional_first=kind in ("type", "press", "scroll"))
    except ValueError as error:
        raise UnreadableAction(str(error)) from None
    texts = [argument.text for argument in arguments]
    if kind in ("finish", "wait", "open", "python"):
        return _without_element(kind, texts)
    if kind == "scroll":
        return _scroll(texts)
    if kind == "drag":
        return _drag(texts)
    if kind in ("type", "press") and len(texts) == 1:
        return Call(kind, value=_not_empty(kind, texts[0]))
    if not texts:
        raise UnreadableAction(f"{kind} needs an element: {kind}(e12{'' if kind == 'click' else ', ...'})")
    target = _target(texts[0])
    if kind == "click":
        how = next((way for way in HOW if texts[1:] and way.casefold() == texts[1].strip().casefold()), "")
        return Call(kind, target, how)
    if not texts[1:]:
        raise UnreadableAction(f'{kind} needs a value: {kind}(e12, "...")')
    value = ", ".join(texts[1:])
    return Call(kind, target, _not_empty(kind, value) if kind != "fill" else value)


def _joined_points(arguments: list[Argument]) -> list[Argument]:
    """``click(640, 400)`` -> ``click("640,400")``."""
    if len(arguments) >= 2 and all(each.text.strip().isdecimal() for each in arguments[:2]):
        first = Argument(f"{arguments[0].text.strip()},{arguments[1].text.strip()}", True)
        return [first, *_joined_points(arguments[2:])]
    return arguments


def _without_element(kind: str, texts: list[str]) -> Call:
    if kind == "wait":
        return Call(kind)
    if kind == "open":
        if not texts or not texts[0].strip():
            raise UnreadableAction('open needs the name of a program: open("PROGRAM", "file")')
        return Call(kind, value=texts[0].strip(), file=texts[1].strip() if texts[1:] else "")
    return Call(kind, value=_not_empty(kind, ", ".join(texts)) if kind == "python" else ", ".join(texts))


def _scroll(texts: list[str]) -> Call:
    direction = texts[-1].strip().lower() if texts else "down"
    target = _target(texts[0]) if len(texts) > 1 else None
    if target is None and direction not in DIRECTIONS and (target := parse_target(direction)):
        direction = "down"
    if direction not in DIRECTIONS:
        raise UnreadableAction('scroll takes "up", "down", "left" or "right"')
    return Call("scroll", target, direction)


def _drag(texts: list[str]) -> Call:
    points = _POINT.findall(" ".join(texts))
    if len(points) > 1 and all(parse_target(text) is None or _POINT.fullmatch(text.strip()) for text in texts):
        return Call("drag", value=" ".join(f"{x},{y}" for x, y in points))
    if len(texts) < 2:
        raise UnreadableAction('drag needs two ends: drag(e12, e34), or drag("10,10 300,200")')
    return Call("drag", _target(texts[0]), onto=_target(texts[1]))


def _target(text: str) -> Target:
    target = parse_target(text)
    if target is None:
        raise UnreadableAction(f'{text!r} is no element: use a reference of the observation, such as e12, or "640,400"')
    return target


def _snippet(text: str) -> str:
    fenced = re.search(r"```(?:python)?\s*\n(.*?)```", text, re.S)
    return (fenced[1] if fenced else text).strip()


def _not_empty(kind: str, value: str) -> str:
    if not value.strip() and kind != "type":
        raise UnreadableAction(f"{kind} needs {'a key, such as Enter' if kind == 'press' else 'a value'}")
    return value if kind == "type" else value.strip()
