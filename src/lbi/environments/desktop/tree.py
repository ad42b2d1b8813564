"""What programs show, as the desktop tells it -> a tree such as pages are rendered from, and where its elements are.

{"role": "push button", "name": "Save", "box": [92, 46, 44, 35], ...} -> button "Save" with the reference of its place
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lbi.observations.parse import FIELDS
from lbi.observations.tree import Node, fold

Told = dict[str, Any]  # a node as the desktop tells it
Kind = Literal["choice", "terminal"]
Box = tuple[int, int, int, int]  # left, top, width, height in points of the screen

#: what can be acted on, by the name of its role on a desktop and on pages
ELEMENTS = {
    "push button": "button",
    "toggle button": "button",
    "icon": "button",
    "check box": "checkbox",
    "radio button": "radio",
    "menu": "menuitem",
    "menu item": "menuitem",
    "check menu item": "menuitemcheckbox",
    "radio menu item": "menuitemradio",
    "text": "textbox",
    "entry": "textbox",
    "password text": "textbox",
    "date editor": "textbox",
    "terminal": "textbox",
    "paragraph": "textbox",
    "combo box": "combobox",
    "spin button": "spinbutton",
    "slider": "slider",
    "page tab": "tab",
    "list item": "option",
    "tree item": "treeitem",
    "table cell": "cell",
    "column header": "columnheader",
    "link": "link",
}
CONTAINERS = {
    "dialog": "dialog",
    "file chooser": "dialog",
    "alert": "alertdialog",
    "frame": "window",
    "window": "window",
    "menu bar": "menubar",
    "popup menu": "menu",
    "tool bar": "toolbar",
    "status bar": "status",
    "page tab list": "tablist",
    "table": "table",
    "tree table": "table",
    "tree": "tree",
    "list": "listbox",
    "list box": "listbox",
    "table row": "row",
    "heading": "heading",
    "image": "img",
    "document spreadsheet": "document",
    "document text": "document",
    "document frame": "document",
    "document web": "document",
    "document presentation": "document",
    "drawing area": "canvas",
    "canvas": "canvas",
}
DIALOGS = ("dialog", "alertdialog")
TEXTS = ("label", "static", "caption")
#: shown nowhere, whatever is in them
SKIPPED = ("scroll bar", "separator", "ruler", "split pane handle")
#: parts of pages that are often without height, though what they hold lies beside or below them and is seen
PAGE_PARTS = ("section", "form", "article", "landmark")
#: they lend their name to the only field in them
LENDERS = ("panel", "tool bar", "combo box", "filler", "grouping")
LENT_OVER = 8  # levels
STATES = {
    "selected": "selected",
    "expanded": "expanded",
    "collapsed": "collapsed",
    "mixed": "mixed",
    "required": "required",
    "invalid": "invalid",
    "readonly": "readonly",
}
PARAGRAPH = "paragraph"
UNTITLED = "(without a title)"
#: of a window in front of which nothing is told
HUNG = "its program does not answer; wait, or end it"
MUTE = "its program tells nothing of what is in it: use keys, and points of the screen"
OBJECT = "\ufffc"  # stands in a text for what is no text
HYPERTEXT = "org.a11y.atspi.Hypertext"  # which the elements of pages have
CELL = re.compile(r"[A-Z]{1,3}[1-9]\d{0,6}")
LINE = 8  # points: what begins within so many of one another stands on one line


@dataclass
class View:
    """A desktop as one tree, and what its references stand for."""

    tree: Node = field(default_factory=lambda: Node("document"))
    title: str = ""  # of the window in front
    places: dict[str, Box] = field(default_factory=dict)  # by the reference in the tree
    windows: dict[str, int] = field(default_factory=dict)  # X's numbers of those that can be brought to the front
    sheet: Told | None = None  # the spreadsheet in front

    origins: dict[str, tuple[str, str]] = field(default_factory=dict)  # what the accessibility bus calls elements
    kinds: dict[str, Kind] = field(default_factory=dict)  # of those that are filled in another way than a text box
    note: str = ""  # what is to be said of the window in front

    def place_of(self, box: Sequence[int], told: Told | None = None) -> str:
        """A new reference for a place, and the element that is there."""
        left, top, width, height = box
        ref = str(len(self.places))
        self.places[ref] = (left, top, width, height)
        if told is not None and "to" in told:
            self.origins[ref] = (told["to"], told["path"])
        return ref


def view_of(told: Told) -> View:
    """The windows from the front to the back; of those that a dialog waits in front of, only their names."""
    view = View()
    windows = sorted(told["windows"], key=lambda window: _depth(window, told), reverse=True)
    modal = next((window for window in windows if "modal" in window["states"]), None)
    mute = told.get("mute", ())
    front = next((window for window in mute if window["window"] == told["active"]), None)
    if front is not None:
        view.tree.children.append(_mute(front, view))
        view.title = view.tree.children[0].name
        view.note = f'the window "{view.title}" is in front; {HUNG if front["hung"] else MUTE}'
    for at, window in enumerate(windows):
        in_front = _pops_up(window) or (front is None and (window is modal or (modal is None and not at)))
        if not in_front:
            view.tree.children += _behind(window, told, view)
            continue
        view.title = view.title or window["name"]
        view.tree.children.append(_window(window, view))
    view.tree.children += [_mute(window, view) for window in mute if window is not front]
    view.title = view.title or next((window["name"] for window in windows if window["name"]), "")  # behind its menus
    view.tree.children.sort(key=lambda node: node.role not in DIALOGS)
    return view


def _mute(window: Told, view: View) -> Node:
    """The line of a window that tells nothing of what is in it."""
    ref = view.place_of(window["box"])
    view.windows[ref] = window["window"]
    return Node("window", fold(window["title"]) or UNTITLED, ref=ref)


def _depth(window: Told, told: Told) -> tuple[bool, bool, int]:
    """What lies in front comes last: open menus, the active window, then the rest as they are stacked."""
    names = [name for _, name in told["order"]]
    height = max((at for at, name in enumerate(names) if name == window["name"]), default=-1)
    return _pops_up(window), "active" in window["states"], height


def _pops_up(window: Told) -> bool:
    """Menus and lists that are open, tips too, are windows that no window manager knows."""
    return window["role"] == "window" and "iconified" not in window["states"]


def _behind(window: Told, told: Told, view: View) -> Iterator[Node]:
    number = next((number for number, name in told["order"] if name == window["name"]), None)
    if number is None or not window["name"]:
        return
    ref = view.place_of(window["box"] or [0, 0, 0, 0])
    view.windows[ref] = number
    yield Node("window", fold(window["name"]), ref=ref)


def _window(window: Told, view: View) -> Node:
    role = CONTAINERS.get(window["role"], "window")
    return Node(role, fold(window["name"]), children=_children(window, view, []))


def _children(told: Told, view: View, above: list[Told]) -> list[Node]:
    nodes: list[Node] = []
    for child in _in_reading_order(told):
        nodes += _node(child, view, [*above[-LENT_OVER:], told])
    return nodes


def _in_reading_order(told: Told) -> list[Told]:
    """From the top to the bottom and from left to right; lists and menus are in order already."""
    children: list[Told] = told["children"]
    if told["role"] in ("list", "menu", "popup menu", "tree", "table", "table row", "document text", "page tab list"):
        return children
    return sorted(children, key=lambda child: ((child["box"] or [0, 0])[1] // LINE, (child["box"] or [0, 0])[0]))


def _node(told: Told, view: View, above: list[Told]) -> list[Node]:
    role, box = told["role"], told["box"]
    if role == "page tab":  # what is on the page stands in its tab, and the tab may not be shown
        tab = [] if _has_no_room(told) else filter(None, [_element(told, view, above)])
        return [*tab, *_children(told, view, above)]
    if role in SKIPPED or _has_no_room(told):
        return []
    if role in TEXTS:
        text = fold(told["text"] or told["name"])
        return [Node("text", text)] if text else []
    if "cells" in told:
        return [_table(told, view)]
    if role == "paragraph" and "editable" not in told["states"]:
        return [Node("paragraph", children=[Node("text", told["text"])])] if told["text"].strip() else []
    if role == "menu" and not told["name"] and told["children"]:  # one that is open, as pages have them
        return [Node("menu", children=_children(told, view, above))]
    if role == "date editor" and (parts := _children(told, view, above)):  # a page's, with a field for each number
        return parts
    if role == "toggle button" and "expanded" in told["states"]:  # what it has unfolded stands in it
        below = [node for node in _children(told, view, above) if (node.role, node.name) != ("text", told["name"])]
        return [*filter(None, [_element(told, view, above)]), *below]
    if role in ELEMENTS:
        node = _element(told, view, above)
        return [node] if node is not None else _children(told, view, above)
    if role in CONTAINERS:
        return [_container(told, view, above, box)]
    return _children(told, view, above)


def _numbered(nodes: list[Node]) -> list[Node]:
    """Paragraphs that can be written in are told apart by their numbers."""
    written = [node for node in nodes if node.role == "textbox" and node.name == PARAGRAPH]
    for number, node in enumerate(written, 1):
        node.name = f"{PARAGRAPH} {number}"
    return nodes


def _container(told: Told, view: View, above: list[Told], box: list[int]) -> Node:
    role = CONTAINERS[told["role"]]
    node = Node(role, fold(told["name"]), children=_numbered(_children(told, view, above)))
    if role in ("img", "canvas", "document") and box and not node.children:
        node.ref = view.place_of(box)
    if role == "listbox":  # a list of rows that may hold anything, where pages have one field
        node.role = "list"
    return node


def _element(told: Told, view: View, above: list[Told]) -> Node | None:
    """None for one without a name that only holds others."""
    role, states = ELEMENTS[told["role"]], told["states"]
    node = Node(role, fold(told["name"]), states=_states(told))
    if told.get("opens"):  # a list, of which is not told what is chosen
        node.role, node.name, node.ref = "combobox", node.name or _lent(above), view.place_of(told["box"], told)
        view.kinds[node.ref] = "choice"
        return node
    inner = _children(told, view, above) if role in ("cell", "option", "treeitem", "menuitem", "combobox") else []
    if role == "cell":
        node.name = node.name or fold(told["text"])
        if not node.name:
            return None
    if role == "combobox":
        return _combobox(node, told, view, inner)
    if not node.name and role in FIELDS | {"button"}:
        node.name = _lent(above)
    if role in FIELDS and not (role == "textbox" and told["role"] == "terminal"):
        node.value = told["text"] if told["text"] else told["value"]
        if role == "textbox" and "editable" not in states:
            node.states = (*node.states, "readonly")
    if role == "textbox" and not node.name and told["role"] == "paragraph":
        node.name = PARAGRAPH
    if role == "textbox" and not node.name and "multiline" in states:
        node.name = "text"
    if told["role"] == "terminal":
        node.name, node.value = node.name or "terminal", _last_lines(told["text"])
    node.ref = view.place_of(told["box"], told)
    if told["role"] == "terminal":
        view.kinds[node.ref] = "terminal"
    node.children = inner
    return node


def _combobox(node: Node, told: Told, view: View, inner: list[Node]) -> Node:
    """One with a field is that field; the others call themselves by what is chosen."""
    fields = [child for child in inner if child.role == "textbox"]
    if fields:
        node.value, node.ref = fields[0].value, fields[0].ref
        return node
    chosen = [item for child in inner for item in child.children if "selected" in item.states]
    text = told["text"].replace(OBJECT, "").strip()
    if chosen:  # on a page, its name is not what is chosen
        node.value = fold(told.get("chosen") or chosen[0].name)
    elif text != told["name"] and ("editable" in told["states"] or HYPERTEXT in told["interfaces"]):
        node.value = text
    else:
        node.value, node.name = told.get("chosen") or text or node.name, ""
    node.ref = view.place_of(told["box"], told)
    if "editable" not in told["states"]:
        view.kinds[node.ref] = "choice"
    return node


def _table(told: Told, view: View) -> Node:
    """A row of cells for each row that holds something; cells of a spreadsheet are named by their place."""
    is_sheet = all(CELL.fullmatch(cell["name"]) for cell in told["cells"])
    if is_sheet and told["role"] == "table":
        view.sheet = told
    rows: dict[int, list[Node]] = {}
    for cell in told["cells"]:
        text = fold(cell["text"])
        element = Node("cell", cell["name"] if is_sheet else text, ref=view.place_of(cell["box"]), states=_states(cell))
        inside = [element, Node("text", text)] if is_sheet else [element]
        rows.setdefault(cell["row"], []).append(Node("cell", children=inside))
    lines = [Node("row", children=cells) for _, cells in sorted(rows.items())]
    return Node("table", fold(told["name"]), children=lines)


def _states(told: Told) -> tuple[str, ...]:
    states = told["states"]
    found = [name for state, name in STATES.items() if state in states]
    role = told.get("role", "cell")
    if "checked" in states:
        found.append("pressed" if role == "toggle button" else "checked")
    if "pressed" in states and "pressed" not in found:
        found.append("pressed")
    if "focused" in states:
        found.append("current")
    if {"sensitive", "enabled", "readonly"}.isdisjoint(states) and role not in ("paragraph", "cell"):
        found.append("disabled")
    if role in ("menu", "push button", "toggle button"):
        found = [state for state in found if state not in ("collapsed",)]
    return tuple(found)


def _lent(above: list[Told]) -> str:
    """The name of the nearest holder that has one."""
    for holder in reversed(above):
        if holder["role"] not in LENDERS:
            return ""
        if holder["name"]:
            return fold(holder["name"])
    return ""


def _has_no_room(told: Told) -> bool:
    """Nothing of it is to be seen, such as a menu bar that stands elsewhere too."""
    box = told["box"]
    return bool(box) and (box[2] <= 0 or box[3] <= 0) and told["role"] not in ("menu item", "menu", *PAGE_PARTS)


def _last_lines(text: str, most: int = 40) -> str:
    lines = [line.rstrip() for line in text.rstrip().split("\n")]
    return "\n".join(lines[-most:])
