"""Reads the text of an observation: ``textbox "Search:" [e8]: cats`` -> Element("textbox", "Search:", "e8", "cats").

The reverse of render.py. All code that needs an observation as data (the environment, the offline policy, the report)
calls this, so that only these two modules know the format.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

FIELDS = frozenset({"textbox", "searchbox", "combobox", "listbox", "spinbutton", "slider"})
TICKS = frozenset({"checkbox", "radio", "switch", "menuitemcheckbox", "menuitemradio"})
INTERACTIVE = FIELDS | TICKS | {"link", "button", "tab", "menuitem", "option", "treeitem"}
STATES = (
    *("checked", "mixed", "selected", "current", "pressed", "expanded", "collapsed", "disabled", "readonly"),
    *("required", "invalid", "hover", "draggable"),
)

_NAME = r'"(?:[^"\\]|\\.)*"'
_FLAG = "(?:" + "|".join((*STATES, r"as [\w#:-]+", r"takes [^\s()]+")) + ")"
_STATE = rf"\(({_FLAG}(?:, {_FLAG})*)\)"
_ELEMENT = re.compile(rf"(?<!\S)([\w-]+)(?: ({_NAME}))? \[(e\d+)\](?: {_STATE})?(?: -> (\S+))?(?!\S)")
_HEAD = re.compile(rf"([\w-]+)(?: ({_NAME}))?(?: \[(e\d+)\])?(?: {_STATE})?(?=$|: ?| -> | \()")
_NAMES = re.compile(_NAME)
_OPTION = rf"(?:[^\"|]* )?{_NAME}"
_LISTED = re.compile(rf"{_OPTION}(?: \| {_OPTION})*(?: \| … \d+ more)?")
_RANGE = re.compile(r" \((?:\S+ to \S+|from \S+|up to \S+)\)")
_INLINE = ("text", "row", "columns", "item", "note")
_LABELLED = re.compile(r"([^:|]{1,40}):\s+(\S.*)")


@dataclass(frozen=True)
class Element:
    """An element that can be acted on, as one observation shows it."""

    role: str
    name: str
    ref: str
    value: str = ""  # text in a text box; the chosen option of a combobox ("; " between several)
    options: tuple[str, ...] = ()
    states: tuple[str, ...] = ()  # of STATES
    expects: str = ""  # the form that a field takes: YYYY-MM-DD; of an upload, what it accepts
    url: str = ""  # where a link leads: a path on the site, or an absolute address elsewhere
    depth: int = 0
    group: str = ""  # name of the nearest named container around it
    nth: int = 0  # which of the page's elements with this role and name
    line: int = 0  # index of its line in the observation's text
    heading: str = ""  # the nearest heading above it
    beside: str = ""  # name of the checkbox or radio button just before it

    @property
    def multiple(self) -> bool:
        """Whether several options may be chosen at once."""
        return self.role == "listbox"

    def has(self, state: str) -> bool:
        return state in self.states


@dataclass(frozen=True)
class Page:
    """One observation as data."""

    url: str = ""
    title: str = ""
    notes: tuple[str, ...] = ()  # events beside the page: dialogs, downloads, new tabs
    elements: tuple[Element, ...] = ()
    headings: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()  # every line of plain text, rows included, elements in it as their names
    pairs: tuple[tuple[str, str], ...] = ()  # (field, value) as the page shows it, "Owner" -> "jane"
    tables: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = ()  # (names of columns, rows of cells)
    facts: tuple[tuple[str, str], ...] = ()  # the pairs that the page marks up as such, without those in prose
    by_line: tuple[tuple[int, str], ...] = ()  # every line of the observation with its number

    @cached_property
    def memo(self) -> dict[object, object]:
        """A cache for what readers compute from the page."""
        return {}

    def element(self, ref: str) -> Element | None:
        return next((element for element in self.elements if element.ref == ref), None)

    def find(self, role: str, name: str, nth: int = 0) -> Element | None:
        """The element of a role and name; ``nth`` counts from 0 where there are several."""
        elements = [element for element in self.elements if element.role == role and element.name == name]
        return elements[nth] if nth < len(elements) else None


class _Reader:
    """Reads one page line by line, and keeps the stack of named containers around the present line."""

    def __init__(self) -> None:
        self.url = self.title = ""
        self.notes: list[str] = []
        self.elements: list[Element] = []
        self.headings: list[str] = []
        self.texts: list[str] = []
        self.pairs: list[tuple[str, str]] = []
        self.facts: list[tuple[str, str]] = []
        self.tables: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = []
        self._groups: list[tuple[int, str]] = []
        self._seen: dict[tuple[str, str], int] = {}

    def line(self, number: int, line: str) -> None:
        body = line.lstrip(" ")
        depth = (len(line) - len(body)) // 2
        while self._groups and self._groups[-1][0] >= depth:
            self._groups.pop()
        head = _HEAD.match(body)
        if head is None:
            if body:
                self.texts.append(body)
            return
        role, quoted, ref, states = head.groups()
        name = _unquote(quoted)
        rest = body[head.end() :]
        if role in _INLINE and not quoted and not ref:
            self._inline(role, rest.removeprefix(":").strip(), number, depth)
        elif ref:
            self._element(role, name, ref, states, rest, number, depth)
            if role not in FIELDS and rest.startswith(": "):
                self._inline("row" if role == "row" else "text", rest[2:], number, depth)
        elif role in ("rowheader", "term"):
            self._pair(name, rest.removeprefix(":").strip(), number, depth)
        elif role == "heading":
            self.headings.append(name)
        elif name:
            self._groups.append((depth, name))

    def _inline(self, kind: str, content: str, number: int, depth: int) -> None:
        if kind == "note":
            self.notes.append(content)
            return
        plain = self._scan(content, number, depth)
        self.texts.append(plain)
        if kind in ("columns", "row"):
            self._table(kind, tuple(cell.strip() for cell in plain.split("|")))
        labelled = _LABELLED.fullmatch(plain) if kind in ("text", "item") else None
        if labelled:
            self.pairs.append((labelled[1].strip(), labelled[2]))

    def _table(self, kind: str, cells: tuple[str, ...]) -> None:
        if kind == "columns":
            self.tables.append((cells, []))
        elif self.tables:
            self.tables[-1][1].append(cells)

    def _pair(self, name: str, content: str, number: int, depth: int) -> None:
        plain = self._scan(content, number, depth)
        if plain:
            self.pairs.append((name.rstrip(": "), plain))
            self.facts.append(self.pairs[-1])
            self.texts.append(f"{name} {plain}")
        elif name:
            self.texts.append(name)

    def _scan(self, content: str, number: int, depth: int) -> str:
        """Record the elements in a line of text; returns the text with their names in their places."""

        def record(match: re.Match[str]) -> str:
            role, quoted, ref, states, url = match.groups()
            self._add(role, _unquote(quoted), ref, states, url=url or "", depth=depth, line=number)
            return _unquote(quoted)

        return " ".join(_ELEMENT.sub(record, content).split())

    def _element(self, role: str, name: str, ref: str, states: str, rest: str, number: int, depth: int) -> None:
        value, options, url = "", tuple[str, ...](), ""
        if span := _RANGE.match(rest):
            rest = rest[span.end() :]
        if rest.startswith(" -> "):
            url = rest[4:]
        elif rest.startswith(": ") and role in FIELDS | {"button"}:
            chosen, options = _options(rest[2:]) if role in ("combobox", "listbox") else ((), ())
            value = "; ".join(chosen) if options else _text_value(rest[2:])
        self._add(role, name, ref, states, value=value, options=options, url=url, depth=depth, line=number)

    def _add(
        self,
        role: str,
        name: str,
        ref: str,
        states: str | None,
        *,
        depth: int,
        line: int,
        value: str = "",
        options: tuple[str, ...] = (),
        url: str = "",
    ) -> None:
        nth = self._seen.get((role, name), 0)
        self._seen[role, name] = nth + 1
        group = self._groups[-1][1] if self._groups else ""
        heading = self.headings[-1] if self.headings else ""
        last = self.elements[-1] if self.elements else None
        beside = last.name if last is not None and last.role in TICKS and line - last.line <= 1 else ""
        flags = states.split(", ") if states else []
        expects = "".join(flag.partition(" ")[2] for flag in flags if " " in flag)
        flags = [flag for flag in flags if " " not in flag]
        self.elements.append(
            Element(
                role, name, ref, value, options, tuple(flags), expects, url, depth, group, nth, line, heading, beside
            )
        )

    def page(self, lines: list[str]) -> Page:
        return Page(
            self.url,
            self.title,
            tuple(self.notes),
            tuple(self.elements),
            tuple(self.headings),
            tuple(self.texts),
            tuple(self.pairs),
            tuple((columns, tuple(rows)) for columns, rows in self.tables),
            tuple(self.facts),
            tuple(enumerate(lines)),
        )


@lru_cache(maxsize=2048)
def parse_observation(text: str) -> Page:
    """Read an observation's text. It never fails, as lines that it does not know are plain text."""
    reader = _Reader()
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("URL: ") and not reader.url and number < 2:
            reader.url = line[5:]
        elif line.startswith("Title: ") and not reader.title and number < 2:
            reader.title = line[7:]
        else:
            reader.line(number, line)
    return reader.page(lines)


def _options(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """``"b", "c" of "b" | "a" | "c"`` -> (("b", "c"), ("b", "a", "c"))."""
    at = 4 if text.startswith("none of ") else 0
    chosen: list[str] = []
    while not (text.startswith(" of ", at) and _LISTED.fullmatch(text, at + 4)):
        name = _NAMES.match(text, at)
        if name is None:
            return (), ()
        chosen.append(_unquote(name[0]))
        at = name.end() + (2 if text.startswith(", ", name.end()) else 0)
    # what stands unquoted before an option names its group
    options = tuple(_unquote(option) for option in _NAMES.findall(text, at + 4))
    more = re.search(r"… \d+ more\Z", text)
    return tuple(chosen), (*options, more[0]) if more else options


def _text_value(text: str) -> str:
    return _unquote(text) if text.startswith('"') and text.endswith('"') and len(text) > 1 else text


def _unquote(text: str | None) -> str:
    if not text:
        return ""
    try:
        return str(json.loads(text, strict=False))
    except json.JSONDecodeError:
        return text.strip('"')
