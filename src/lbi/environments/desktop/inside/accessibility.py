"""What programs show, as a tree of plain values: asked over the accessibility bus, one level of all windows at a time.

A node is {"to", "path", "role", "name", "states", "box", "children"}, and "text", "value", "chosen" where it has them.
What is not shown is not asked further: closed menus, other sheets and pages in the back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from errno import ETIMEDOUT
from typing import Any

from .dbus import Bus, BusError, Call

ACCESSIBLE, PROPERTIES = "org.a11y.atspi.Accessible", "org.freedesktop.DBus.Properties"
COMPONENT, TEXT, VALUE, TABLE = (f"org.a11y.atspi.{name}" for name in ("Component", "Text", "Value", "Table"))
HYPERTEXT = "org.a11y.atspi.Hypertext"
EDITABLE_TEXT, ACTION, SELECTION = (f"org.a11y.atspi.{name}" for name in ("EditableText", "Action", "Selection"))
ROOT = "/org/a11y/atspi/accessible/root"
REGISTRY = "org.a11y.atspi.Registry"
DBUS = "org.freedesktop.DBus"
STATES = {
    1: "active", 2: "armed", 4: "checked", 5: "collapsed", 7: "editable", 8: "enabled", 9: "expandable",
    10: "expanded", 11: "focusable", 12: "focused", 15: "iconified", 16: "modal", 17: "multiline", 20: "pressed",
    22: "selectable", 23: "selected", 24: "sensitive", 25: "showing", 30: "visible", 31: "manages",
    32: "mixed", 33: "required", 36: "invalid", 41: "checkable", 42: "popup", 43: "readonly",
}  # fmt: skip
ROLES = {
    2: "alert", 6: "canvas", 7: "check box", 8: "check menu item", 10: "column header", 11: "combo box",
    12: "date editor", 16: "dialog", 18: "drawing area", 19: "file chooser", 20: "filler", 23: "frame",
    26: "icon", 27: "image", 29: "label", 31: "list", 32: "list item", 33: "menu", 34: "menu bar",
    35: "menu item", 37: "page tab", 38: "page tab list", 39: "panel", 40: "password text", 41: "popup menu",
    42: "progress bar", 43: "push button", 44: "radio button", 45: "radio menu item", 46: "root pane",
    47: "row header", 48: "scroll bar", 49: "scroll pane", 50: "separator", 51: "slider", 52: "spin button",
    53: "split pane", 54: "status bar", 55: "table", 56: "table cell", 57: "column header", 58: "row header",
    60: "terminal", 61: "text", 62: "toggle button", 63: "tool bar", 64: "tool tip", 65: "tree",
    66: "tree table", 68: "viewport", 69: "window", 73: "paragraph", 74: "ruler", 75: "application",
    79: "entry", 82: "document frame", 83: "heading", 84: "page", 85: "section", 87: "form", 88: "link",
    90: "table row", 91: "tree item", 92: "document spreadsheet", 93: "document presentation", 94: "document text",
    95: "document web", 98: "list box", 99: "grouping", 101: "notification", 102: "info bar", 109: "article",
    110: "landmark", 116: "static",
}  # fmt: skip
#: asked for their names even where they do not say that they are shown
HIDDEN_ROLES = ("frame", "menu", "menu item", "check menu item", "radio menu item")
TABLES = ("table", "tree table", "tree")
PAGE_PARTS = ("section", "form", "article", "landmark", "document web")
MOST_NODES = 3000
MOST_CHILDREN = 400  # of one node
MOST_TEXT = 4000
SECONDS = 10.0  # for one round of questions; a program that does not answer is shown as far as it did
Node = dict[str, Any]


def windows(bus: Bus, unanswered: set[str] | None = None) -> list[Node]:
    """The windows of all programs, without what is in them; "program" is the program's name.

    ``unanswered`` gets the addresses of programs that did not answer in time.
    """
    programs = bus.ask(Call(REGISTRY, ROOT, ACCESSIBLE, "GetChildren"))
    told = bus.ask_all([_children(to, path) for to, path in programs], SECONDS)
    if unanswered is not None:
        late = (isinstance(answer, BusError) and answer.errno == ETIMEDOUT for answer in told)
        unanswered |= {to for (to, _), is_late in zip(programs, late, strict=True) if is_late}
    answered = [(each, answer) for each, answer in zip(programs, told, strict=True) if not isinstance(answer, BusError)]
    names = bus.ask_all([_property(to, path, ACCESSIBLE, "Name") for (to, path), _ in answered], SECONDS)
    found: list[Node] = []
    for name, (_, answer) in zip(names, answered, strict=True):
        program = name if isinstance(name, str) else ""
        found += [{"to": to, "path": path, "program": program} for to, path in answer]
    return [node for node in _described(bus, found) if "showing" in node["states"] or "iconified" in node["states"]]


def fill(bus: Bus, tops: Sequence[Node]) -> None:
    """Give the windows all that is in them."""
    level, count = list(tops), 0
    while level and count < MOST_NODES:
        count += len(level)
        asked = [node for node in level if not _is_closed(node)]
        answers = bus.ask_all([_children(node["to"], node["path"]) for node in asked], SECONDS)
        below: list[Node] = []
        for node, answer in zip(asked, answers, strict=True):
            if isinstance(answer, list):
                inherited = {"on_page": _is_of_page(node), "pops_up": node["role"] == "window"}
                node["children"] = [{"to": to, "path": path, **inherited} for to, path in answer[:MOST_CHILDREN]]
                below += node["children"]
        _describe(bus, below)
        for node in asked:
            _mark_lists(node["children"])
        _open_chosen(bus, asked)
        for node in asked:
            node["children"] = [child for child in node["children"] if _is_shown(child, node)]
        level = [child for node in asked for child in node["children"]]
    nodes = [node for top in tops for node in walk(top)]
    _read_texts(bus, nodes)
    boxes = [node for node in nodes if node["role"] == "combo box"]
    _read_chosen(bus, [box for box in boxes if SELECTION in box["interfaces"]])
    for box in boxes:
        _tell_apart(bus, box, [node for node in walk(box) if "selected" in node["states"]])


def _mark_lists(together: Sequence[Node]) -> None:
    """A combo box that is not shown stands behind a button that opens its list, and a field if it can be written in."""
    shown = [node for node in together if "showing" in node["states"]]
    if len(shown) == 1 and shown[0]["role"] == "toggle button":
        shown[0]["opens"] = any(node["role"] == "combo box" for node in together if node is not shown[0])


def text_of(bus: Bus, to: str, path: str) -> str | None:
    """The text of a field as it is now, without a last line that is empty; "" where it tells none, None where busy."""
    said = bus.ask_all([Call(to, path, TEXT, "GetText", "ii", [0, -1])], SECONDS)[0]
    if isinstance(said, BusError) and said.errno == ETIMEDOUT:
        return None
    return said.rstrip("\n") if isinstance(said, str) else ""


def all_chosen(bus: Bus, to: str, path: str) -> bool:
    """Whether all of a field's text is selected, as far as it tells."""
    calls = [_property(to, path, TEXT, "CharacterCount"), Call(to, path, TEXT, "GetSelection", "i", [0])]
    count, chosen = bus.ask_all(calls, SECONDS)
    errors = [each for each in (count, chosen) if isinstance(each, BusError)]
    if errors or not count:
        return all(error.errno != ETIMEDOUT for error in errors)  # a busy program has told nothing yet
    return {*chosen} >= {0, count} or {*chosen} >= {0, -1}


def _open_chosen(bus: Bus, holders: Sequence[Node]) -> None:
    """Of an older toolkit's menus, what is chosen in a menu bar or menu is open, though it does not say so."""
    menus = [node for node in holders if node["role"] in ("menu bar", "menu") and SELECTION in node["interfaces"]]
    calls = [Call(node["to"], node["path"], SELECTION, "GetSelectedChild", "i", [0]) for node in menus]
    for node, chosen in zip(menus, bus.ask_all(calls, SECONDS), strict=True):
        for child in node["children"]:
            if chosen == (child["to"], child["path"]) and child["role"] == "menu":
                child["states"].append("expanded")


def walk(node: Node) -> Iterable[Node]:
    pending = [node]
    while pending:
        one = pending.pop()
        yield one
        pending.extend(reversed(one["children"]))


def _described(bus: Bus, nodes: list[Node]) -> list[Node]:
    _describe(bus, nodes)
    return [node for node in nodes if node["role"]]


def _describe(bus: Bus, nodes: list[Node]) -> None:
    """Role and states of all, then name, box and interfaces of those that are shown."""
    calls = [_asked(node, "GetRole") for node in nodes] + [_asked(node, "GetState") for node in nodes]
    answers = bus.ask_all(calls, SECONDS)
    for node, role, bits in zip(nodes, answers, answers[len(nodes) :], strict=False):
        gone = isinstance(role, BusError) or isinstance(bits, BusError)
        node.update(role="" if gone else ROLES.get(role, "other"), states=[] if gone else states_of(bits))
        node.update(name="", box=[], interfaces=[], children=[], text="", value="")
    shown = [node for node in nodes if _could_be_shown(node)]
    calls = [_property(node["to"], node["path"], ACCESSIBLE, "Name") for node in shown]
    calls += [Call(node["to"], node["path"], COMPONENT, "GetExtents", "u", [0]) for node in shown]
    calls += [_asked(node, "GetInterfaces") for node in shown]
    answers = bus.ask_all(calls, SECONDS)
    count = len(shown)
    for at, node in enumerate(shown):
        name, box, interfaces = answers[at], answers[count + at], answers[2 * count + at]
        node["name"] = name if isinstance(name, str) else ""
        node["box"] = list(box) if isinstance(box, tuple) else []
        node["interfaces"] = interfaces if isinstance(interfaces, list) else []


def _read_texts(bus: Bus, nodes: list[Node]) -> None:
    written = [
        node for node in nodes if TEXT in node["interfaces"] and node["role"] not in ("push button", "menu item")
    ]
    texts = bus.ask_all([Call(n["to"], n["path"], TEXT, "GetText", "ii", [0, -1]) for n in written], SECONDS)
    for node, text in zip(written, texts, strict=True):
        node["text"] = text[:MOST_TEXT] if isinstance(text, str) else ""
    valued = [node for node in nodes if VALUE in node["interfaces"]]
    values = bus.ask_all([_property(n["to"], n["path"], VALUE, "CurrentValue") for n in valued], SECONDS)
    for node, value in zip(valued, values, strict=True):
        node["value"] = f"{value:g}" if isinstance(value, float) else ""
    unnamed = [node for node in nodes if not node["name"] and node["role"] in _NAMED_BY_DESCRIPTION]
    said = bus.ask_all([_property(n["to"], n["path"], ACCESSIBLE, "Description") for n in unnamed], SECONDS)
    for node, description in zip(unnamed, said, strict=True):
        node["name"] = description if isinstance(description, str) else ""


_NAMED_BY_DESCRIPTION = ("push button", "toggle button", "entry", "text", "combo box", "spin button", "slider", "icon")


def _read_chosen(bus: Bus, boxes: Sequence[Node]) -> None:
    """The name of the option that each holds, which need not be what the box calls itself."""
    told = bus.ask_all([chosen_of(node["to"], node["path"]) for node in boxes], SECONDS)
    known = [(node, option) for node, option in zip(boxes, told, strict=True) if isinstance(option, tuple)]
    names = bus.ask_all([name_of(to, path) for _, (to, path) in known], SECONDS)
    for (node, _), name in zip(known, names, strict=True):
        node["chosen"] = name if isinstance(name, str) else ""


def _tell_apart(bus: Bus, box: Node, selected: Sequence[Node]) -> None:
    """Of options in groups a browser may call some selected that no longer are; the box knows the number of the one."""
    if len(selected) < 2:
        return
    told = bus.ask_all([_asked(node, "GetAttributes") for node in (box, *selected)], SECONDS)
    numbers = [dict(each).get("posinset") if isinstance(each, list) else None for each in told]
    if numbers[0] in numbers[1:]:
        box["chosen"] = selected[numbers.index(numbers[0], 1) - 1]["name"]


def chosen_of(to: str, path: str) -> Call:
    """Asks for the option that a combo box holds."""
    return Call(to, path, SELECTION, "GetSelectedChild", "i", [0])


def name_of(to: str, path: str) -> Call:
    return _property(to, path, ACCESSIBLE, "Name")


def process_of(bus: Bus, to: str) -> int:
    """The number of the process behind an address on the bus; 0 where that is gone."""
    call = Call(DBUS, "/org/freedesktop/DBus", DBUS, "GetConnectionUnixProcessID", "s", [to])
    number = bus.ask_all([call], SECONDS)[0]
    return number if isinstance(number, int) else 0


def _could_be_shown(node: Node) -> bool:
    return bool(node["role"]) and ("showing" in node["states"] or node["role"] in HIDDEN_ROLES)


def _is_shown(node: Node, parent: Node) -> bool:
    """Whether a node is shown; the items of an open menu of an older toolkit do not say so themselves."""
    if "showing" in node["states"]:
        return bool(node["role"])
    if _is_of_page(parent):  # what is chosen in a field stands in its list, which is not shown itself
        return bool(parent["role"] == "combo box" and node["role"] == "menu")
    if parent.get("on_page"):  # or in a group of that list
        return bool(parent["role"] == "menu" and node["role"] == "panel")
    return parent["role"] in ("menu", "popup menu") and _is_open(parent) and bool(node["role"])


def _is_of_page(node: Node) -> bool:
    """Whether menus in it are a page's: of these all that are shown are open, and their items say what is shown."""
    role: str = node["role"]
    return role in PAGE_PARTS or (role == "combo box" and HYPERTEXT in node["interfaces"])


def _is_closed(node: Node) -> bool:
    """Whether what is in a node is not looked at: a closed menu, a table too large to be gone through."""
    return (node["role"] == "menu" and not _is_open(node)) or is_large(node)


def is_large(node: Node) -> bool:
    """Whether a node is a table, which may have a million cells: sheets.py reads what is in view."""
    return "manages" in node["states"] and node["role"] in TABLES


def _is_open(menu: Node) -> bool:
    if menu["role"] == "popup menu" or menu.get("on_page") or menu.get("pops_up"):
        return True  # what a right click brings up is a menu in a window of its own, which says nothing of being open
    return not {"selected", "expanded", "focused"}.isdisjoint(menu["states"])


def states_of(bits: Sequence[int]) -> list[str]:
    number = bits[0] | bits[1] << 32 if len(bits) > 1 else 0
    return [name for bit, name in STATES.items() if number >> bit & 1]


def _asked(node: Node, member: str) -> Call:
    return Call(node["to"], node["path"], ACCESSIBLE, member)


def _children(to: str, path: str) -> Call:
    return Call(to, path, ACCESSIBLE, "GetChildren")


def _property(to: str, path: str, interface: str, name: str) -> Call:
    return Call(to, path, PROPERTIES, "Get", "ss", [interface, name])
