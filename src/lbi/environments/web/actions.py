"""Reads the text of a browser action: ``fill(e12, "text")`` -> Call("fill", Target("e12"), "text").

The text is scanned by hand and never evaluated, so a page that talks a model into writing code gains nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbi.environments._arguments import Argument, bound, read_arguments, unescape
from lbi.records import ORDINAL

KINDS = (
    *("click", "fill", "type", "select", "press", "hover", "drag", "upload"),
    *("goto", "back", "forward", "tab", "scroll", "find", "wait", "finish"),
)
#: other ways to click: with another button, twice, or with a key held
HOW = ("double", "right", "Shift", "Control", "Alt", "Meta")
ACTIONS = """\
At each step you see the page as text: a line for each element, with a reference such as [e12] where you can act on it.
"-> /x" is where a link leads, left out where its name says as much; "…" stands for what was cut, so an address with "…"
in it cannot be opened. After ":" stands what a field holds, nothing if it is empty; of a combobox what is chosen and
all options: "no" of "yes" | "no". "(as before: ...)" folds what earlier pages had too; its elements can be used like
any others. References of earlier pages are no longer valid: in what happened and in examples, elements are told by role
and name. You may name an element that way too: click(button "Edit") clicks the first from the top, and
click(2nd button "Edit") the second.

click(e12)                click an element, check boxes too; a second value tells how: "double", "right", "Shift", "9,5"
fill(e12, "text")         replace the text of a text box; write \\n for a line break and \\" for a quotation mark
type(e12, "text")         type at the end of what stands there, key by key
select(e12, "option")     choose an option of a combobox or list box by its label; several: select(e12, "one", "two")
press("Enter")            press a key on the page; press(e12, "Enter") on an element; "Control+A" holds a key
hover(e12)                point at an element without a click, as menus marked (hover) need it
drag(e12, e34)            drag one element onto another; drag(e12, "10,10 90,40") draws within one, point by point
upload(e12, "name.csv")   give a file to an element that asks for one; its text may follow: upload(e12, "a.csv", "x,y")
goto("/path?query")       open an address of this site
back()                    go one page back, or close a tab that began here; forward() undoes it
tab("2")                  bring another open tab to the front, by the number that a note on the page gives it
scroll("down")            scroll by one screen, "up" or "down", where more is loaded then; scroll(e12, "down") in a box
find("text")              show the lines of this page with a text or a reference that are folded, cut or left out
wait()                    wait until the page changes by itself
finish("answer")          end the task; the answer may be empty"""

_ELEMENT = ("ref", "target", "id", "element_id", "selector")
#: the arguments of each action by name, and other names for them
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "click": {"element": _ELEMENT, "how": ("button", "key", "modifier")},
    "fill": {"element": _ELEMENT, "text": ("value", "content")},
    "type": {"element": _ELEMENT, "text": ("value", "content")},
    "select": {"element": _ELEMENT, "option": ("value", "label", "text", "options")},
    "press": {"element": _ELEMENT, "key": ("keys", "value")},
    "hover": {"element": _ELEMENT},
    "drag": {"element": (*_ELEMENT, "source", "from"), "to": ("onto", "target_element", "destination", "end")},
    "upload": {"element": _ELEMENT, "name": ("file", "path", "filename"), "text": ("content",)},
    "goto": {"url": ("address", "path", "href")},
    "back": {},
    "forward": {},
    "tab": {"number": ("index", "tab", "id")},
    "scroll": {"element": _ELEMENT, "direction": ("dir",)},
    "find": {"text": ("value", "query")},
    "wait": {},
    "finish": {"answer": ("text", "message", "result", "value")},
}
_POINT = re.compile(r"(\d{1,5})\s*,\s*(\d{1,5})")
#: words of plain prose as well, which a bracket may follow after a blank
_PROSE = ("type", "select", "press", "drag", "find", "wait", "tab", "forward")
_CALL = re.compile(rf"(?<![\w.])(?:({'|'.join(k for k in KINDS if k not in _PROSE)})\s*|({'|'.join(_PROSE)}))\(")
_REF = re.compile(r"\[?((?:f\d+)?e\d+)\]?\Z")
#: 2nd button "Edit", as it is written, or button "Edit" #1, as it is stored; the number or the name may be missing
_NAMED = re.compile(rf'(?:{ORDINAL}\s+)?([a-z]\w*)(?:\s+("(?:[^"\\]|\\.)*"))?(?:\s+{ORDINAL}|\s*#(\d+))?\Z', re.S)


@dataclass(frozen=True)
class Target:
    """The element an action is meant for: a reference of the present page, or role, name and number among several."""

    ref: str = ""
    role: str = ""
    name: str = ""
    nth: int = 0


@dataclass(frozen=True)
class Call:
    """An action that could be read. ``target`` is None where the action needs no element."""

    kind: str
    target: Target | None = None
    value: str = ""  # of select and upload, in lines: options; the file's name and then its text
    onto: Target | None = None  # of drag


class UnreadableAction(ValueError):
    """The message is one line for the model."""


def parse_action(text: str) -> Call:
    """Read the first action in ``text``; prose before it ("Action: ..."), code fences and back-ticks are skipped.

    Raises UnreadableAction.
    """
    call = _CALL.search(text)
    if call is None:
        bare = re.fullmatch(r"(?:.*[:\s])?(back|forward|finish|wait)[.`\s]*", text.strip(), re.S)
        if bare:
            return Call(bare[1])
        raise UnreadableAction(f"no action found; write one of: {', '.join(KINDS)}, as in click(e12)")
    return _build(call[1] or call[2], read_arguments(text, call.end()))


def parse_target(text: str) -> Target | None:
    """``e12`` or ``2nd button "Create ticket"``; None if it is neither. ``nth`` of a target counts from 0."""
    text = text.strip()
    if ref := _REF.match(text):
        return Target(ref=ref[1])
    if (named := _NAMED.match(text)) is None:
        return None
    first, role, name, last, stored = named.groups()
    numbers = [int(each) - 1 for each in (first, last) if each] + [int(each) for each in (stored,) if each]
    if not (name or numbers) or len(numbers) > 1 or min(numbers, default=0) < 0:
        return None
    return Target(role=role, name=unescape(name[1:-1]) if name else "", nth=sum(numbers))


def _build(kind: str, arguments: list[Argument]) -> Call:
    if kind == "finish":  # quotes were forgotten around an answer such as total=42
        arguments = [_as_text(each, NAMES[kind]) for each in arguments]
    try:
        arguments = bound(kind, arguments, NAMES[kind], optional_first=kind in ("press", "scroll"))
    except ValueError as error:
        raise UnreadableAction(str(error)) from None
    texts = [argument.text for argument in arguments]
    if kind in ("goto", "finish", "back", "forward", "tab", "find", "wait"):
        return _without_element(kind, ", ".join(texts))
    if kind == "scroll":
        return _scroll(texts)
    if kind == "press" and len(texts) == 1:
        return Call(kind, value=_not_empty(kind, texts[0]))
    if not texts:
        raise UnreadableAction(f"{kind} needs an element: {kind}(e12{'' if kind in ('click', 'hover') else ', ...'})")
    target = _target(texts[0])
    values = texts[1:]
    if kind == "hover" or (kind == "click" and not values):
        return Call(kind, target)
    if kind == "click":
        if point := _POINT.fullmatch(", ".join(values).strip()):
            return Call(kind, target, f"{point[1]},{point[2]}")
        how = next((way for way in HOW if way.casefold() == values[0].strip().casefold()), "")
        return Call(kind, target, how)  # a word that says nothing, such as "left", is passed over
    if not values:
        example = "e34" if kind == "drag" else '"..."'
        raise UnreadableAction(
            f"{kind} needs {'another element' if kind == 'drag' else 'a value'}: {kind}(e12, {example})"
        )
    if kind == "drag":
        points = _POINT.findall(" ".join(values))
        if len(points) > 1 and parse_target(values[0]) is None:
            return Call(kind, target, " ".join(f"{x},{y}" for x, y in points))
        return Call(kind, target, onto=_target(values[0]))
    if kind == "upload":
        return Call(kind, target, "\n".join([_not_empty(kind, values[0]), *values[1:2]]))
    if kind == "select" and all(argument.quoted for argument in arguments[1:]):
        return Call(kind, target, "\n".join(" ".join(value.split()) for value in values))
    value = ", ".join(values)
    return Call(kind, target, _not_empty(kind, value) if kind == "press" else value)


def _without_element(kind: str, value: str) -> Call:
    if kind == "goto" and not value:
        raise UnreadableAction('goto needs an address: goto("/path")')
    if kind == "find" and not value.strip():
        raise UnreadableAction('find needs a text: find("invoice 12")')
    if kind == "tab" and not value.strip().isdecimal():
        raise UnreadableAction('tab needs the number of an open tab: tab("2")')
    return Call(kind, value="" if kind in ("back", "forward", "wait") else value.strip() if kind == "tab" else value)


def _scroll(texts: list[str]) -> Call:
    direction = texts[-1].strip().lower() if texts else "down"
    target = _target(texts[0]) if len(texts) > 1 else None
    if target is None and direction not in ("up", "down") and (target := parse_target(direction)):
        direction = "down"
    if direction not in ("up", "down"):
        raise UnreadableAction('scroll takes "up" or "down"')
    return Call("scroll", target, direction)


def _target(text: str) -> Target:
    target = parse_target(text)
    if target is None:
        raise UnreadableAction(f"{text!r} is no element: use a reference of the observation, such as e12")
    return target


def _as_text(argument: Argument, names: dict[str, tuple[str, ...]]) -> Argument:
    """An argument without quotes whose name is none of the action's, as the text that it was."""
    known = {name for own, others in names.items() for name in (own, *others)}
    if not argument.name or argument.quoted or argument.name in known:
        return argument
    return Argument(f"{argument.name}={argument.text}", False)


def _not_empty(kind: str, value: str) -> str:
    if not value.strip():
        needed = "a name for the file" if kind == "upload" else "a key, such as Enter"
        raise UnreadableAction(f"{kind} needs {needed}")
    return value.strip()
