"""The accessibility tree of BrowserGym as a text -> a page as ours are written, and the elements by their ids there.

RootWebArea 'Shelf', focused, url='http://shelf.test/'          URL: /
    [5] link 'Home', url='http://shelf.test/'                   Title: Shelf
    [8] textbox 'Colour' value='red', focused                   link "Home" [e1] -> /
                                                                textbox "Colour" [e2]: red
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

from lbi.observations.parse import FIELDS, INTERACTIVE
from lbi.records import Observation

_LINE = re.compile(
    r"(\t*)(?:\[([\w-]+)\] )?([A-Za-z][\w-]*)(?: ('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"))?(.*)", re.DOTALL
)
_VALUE = re.compile(r"\bvalue=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^,\s]+)")
_ADDRESS = re.compile(r"\burl='([^']*)'")
_NOTHING = frozenset(
    "InlineTextBox LineBreak none generic LabelText Section paragraph list form MenuListPopup Iframe RootWebArea "  # noqa: SIM905
    "ListMarker ignored".split()
)
_TRUE = {"checked='true'": "checked", "selected=True": "selected", "expanded=True": "expanded"}
_TRUE |= {
    "disabled=True": "disabled",
    "required": "required",
    "pressed='true'": "pressed",
    "expanded=False": "collapsed",
}


@dataclass(frozen=True)
class PageElement:
    """An element by its role and name, and which of several alike it is."""

    role: str
    name: str
    nth: int


@dataclass(frozen=True)
class TreePage:
    """The page, and its elements by the ids by which actions name them."""

    observation: Observation
    elements: dict[str, PageElement]


def page_of(tree: str, url: str, title: str, error: str = "") -> TreePage:
    """The page of a tree. Lines of the tree that say nothing are left out; a text that its parent says is too."""
    address = path_of(url)
    lines = [f"URL: {address}", f"Title: {title}"]
    elements: dict[str, PageElement] = {}
    alike: Counter[tuple[str, str]] = Counter()
    said: list[tuple[int, str]] = []  # names and values of the lines above, by their depth
    for raw in re.split(r"\n(?=\t*(?:\[[\w-]+\] )?[A-Za-z])", tree):
        match = _LINE.fullmatch(raw)
        if match is None:
            continue
        depth, bid, role, name = len(match[1]), match[2] or "", match[3], _text(match[4])
        while said and said[-1][0] >= depth:
            said.pop()
        within = any(name in above for _, above in said) if name else True
        said.append((depth, f"{name}\n{_value(role, match[5])}"))
        if role == "StaticText":
            lines += [] if within else [f"text: {_one_line(name)}"]
        elif role not in _NOTHING:
            if bid:
                elements[bid] = PageElement(role, name, alike[role, name])
                alike[role, name] += 1
            lines.append(_line(role, name, f"e{len(elements)}" if bid else "", match[5]))
    return TreePage(Observation(text="\n".join(lines), url=address, title=title, error=error), elements)


def _line(role: str, name: str, ref: str, rest: str) -> str:
    head = " ".join(filter(None, (role, json.dumps(name, ensure_ascii=False) if name else "")))
    if ref and role in INTERACTIVE:
        head += f" [{ref}]"
    states = [state for mark, state in _TRUE.items() if mark in rest]
    head += f" ({', '.join(states)})" if states else ""
    if role == "link" and (found := _ADDRESS.search(rest)):
        head += f" -> {path_of(found[1])}"
    if entered := _value(role, rest):
        head += (
            f": {json.dumps(entered, ensure_ascii=False) if role in ('combobox', 'listbox') else _one_line(entered)}"
        )
    return head


def _value(role: str, rest: str) -> str:
    """What is entered in a field."""
    value = _VALUE.search(rest) if role in FIELDS else None
    return _text(value[1]) if value else ""


def path_of(url: str) -> str:
    """An address without scheme and host, as observations have it."""
    parts = urlsplit(url)
    return (
        (parts.path or "/")
        + (f"?{parts.query}" if parts.query else "")
        + (f"#{parts.fragment}" if parts.fragment else "")
    )


def _text(quoted: str | None) -> str:
    """What Python's repr() wrote; anything else as it is."""
    if not quoted:
        return ""
    try:
        return str(ast.literal_eval(quoted)).strip()
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return quoted.strip("'\"").strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())
