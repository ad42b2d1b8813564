"""Pages of an application -> a compact map of it: what can be filled, chosen and pressed where, and what is there.

    On every page: link "Wiki", link "New Ticket", textbox "Search:", button "Search"
    /newticket "New Ticket"
      textbox "Summary:"; combobox "Priority:" (major | blocker | minor); button "Create ticket"
    /report/1, /report/6 "Active Tickets"
      there: "#12", "Boat list is empty"; booking | major | amara

The writer of tasks reads it. What all pages have in common is told once. Where there is not room for everything, each
kind of page first has its controls told, then the things on it, a few in turn.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lbi.observations.diff import without_references
from lbi.observations.frame import Frame
from lbi.observations.normalise import kind_of_place, mask, normalise_url
from lbi.observations.parse import FIELDS, TICKS, Element, Page, parse_observation
from lbi.records import Observation

ADDRESSES = 6  # of one kind of pages that are named
OPTIONS = 12  # of one field
COMMON = 2  # kinds of pages; what is on more of them is no name of a thing
MAX_NAME = 60  # characters
MAX_PLAIN = 2_000  # of what is no page with elements, such as a list of files
_CONTROLS = FIELDS | TICKS | {"button", "tab", "menuitem", "switch"}


@dataclass
class _Kind:
    """Pages of one kind, and what is on them."""

    title: str = ""
    addresses: list[str] = field(default_factory=list)
    controls: dict[str, tuple[str, ...]] = field(default_factory=dict)  # with their options
    things: list[str] = field(default_factory=list)
    text: str = ""  # of what has no elements

    def take(self, address: str, controls: Mapping[str, tuple[str, ...]], things: Sequence[str]) -> None:
        """Add one more page."""
        if address not in self.addresses:
            self.addresses.append(address)
        for control, options in controls.items():
            if len(options) > len(self.controls.get(control, ())) or control not in self.controls:
                self.controls[control] = options
        self.things = _unique([*self.things, *things])

    @property
    def head(self) -> str:
        shown = ", ".join(self.addresses[:ADDRESSES])
        more = f" and {len(self.addresses) - ADDRESSES} more" if len(self.addresses) > ADDRESSES else ""
        return f'{shown}{more} "{self.title}"' if self.title else f"{shown}{more}"


def application_map(pages: Sequence[Observation], limit: int) -> str:
    """The map in at most ``limit`` characters; "" where no page was seen."""
    frame = Frame.of(page.text for page in pages)
    kinds = _kinds(pages, frame)
    common = Counter(thing for kind in kinds for thing in kind.things)
    for kind in kinds:
        kind.things = [thing for thing in kind.things if common[thing] <= COMMON]
    parts = [_Part(kind.head, body, kind.things) for kind, body in zip(kinds, _bodies(kinds), strict=True)]
    return _filled([shared] if (shared := _shared(pages, frame)) else [], parts, limit)


def _bodies(kinds: Sequence[_Kind]) -> list[str]:
    """The controls of each kind of page. Options that were told before are not told again."""
    told: dict[frozenset[str], str] = {}
    bodies = []
    for kind in kinds:
        written = []
        for control, options in kind.controls.items():
            before = told.setdefault(frozenset(options), control) if options else control
            written.append(control + (_choices(options) if before == control else f" (as {before})"))
        bodies.append(kind.text or "; ".join(written))
    return bodies


def _kinds(pages: Iterable[Observation], frame: Frame) -> list[_Kind]:
    """Pages whose addresses differ in numbers only, or that have the same controls in one part of the site, are one."""
    kinds: list[_Kind] = []
    by_address: dict[str, _Kind] = {}
    by_controls: dict[tuple[str, frozenset[str]], _Kind] = {}
    for page in pages:
        own = frame.own(page.text)
        parsed = parse_observation(own)
        address = normalise_url(page.url).partition("?")[0]
        path = kind_of_place(address)
        controls = {_control(element): element.options for element in _controls(own, parsed)}
        key = ("".join(path.split("/")[1:2]), frozenset(controls))
        kind = by_address.get(path) or (by_controls.get(key) if controls else None)
        if kind is None:
            kinds.append(kind := _Kind(title=parsed.headings[0] if parsed.headings else page.title))
        by_address.setdefault(path, kind)
        by_controls.setdefault(key, kind)
        kind.take(address, controls, _things(own, parsed))
        if not kind.text and not parse_observation(page.text).elements:
            kind.text = page.text[:MAX_PLAIN].strip()
    return kinds


def _controls(text: str, page: Page) -> list[Element]:
    """What can be filled, chosen and pressed, without what each row of a table has."""
    lines = text.split("\n")
    return [
        element
        for element in page.elements
        if element.role in _CONTROLS and element.name and not lines[element.line].lstrip().startswith("row")
    ]


def _control(element: Element) -> str:
    return f'{element.role} "{kind_of_place(_short(element.name))}"'


def _choices(options: Sequence[str]) -> str:
    shown = [_short(option) for option in options if option.strip()]
    more = f" | and {len(shown) - OPTIONS} more" if len(shown) > OPTIONS else ""
    return f" ({' | '.join(shown[:OPTIONS])}{more})" if shown else ""


def _things(text: str, page: Page) -> list[str]:
    """Names of what is on a page: rows of tables, headings, links, and values beside their names."""
    ticks = {element.name for element in page.elements if element.role in TICKS}
    cells = {cell for _, rows in page.tables for row in rows for cell in row}
    things: list[str] = []
    for columns, rows in page.tables:
        things += [f"[{' | '.join(cell for cell in columns if cell and cell not in ticks)}]"] if rows else []
        things += [" | ".join(cell for cell in row if cell and cell not in ticks) for row in rows]
    things += [f'"{_short(heading)}"' for heading in page.headings[1:]]
    links = [e for e in page.elements if e.role == "link" and e.name and e.url != "#"]
    things += [f'"{_short(e.name)}"' for e in links if e.name not in cells]
    things += [f"{name}: {value}" for name, value in page.facts]
    return [mask(thing)[: 2 * MAX_NAME] for thing in _unique(things) if re.search(r"\w", thing)]


def _shared(pages: Sequence[Observation], frame: Frame) -> str:
    """What every page has, from the first that has any of it."""
    for page in pages:
        lines = [line for part in frame.split(page.text).parts for line in part.lines if line in frame]
        elements = parse_observation("\n".join(lines)).elements
        names = _unique(f'{element.role} "{_short(element.name)}"' for element in elements if element.name)
        if names:
            return f"On every page: {', '.join(names)}"
    return ""


@dataclass
class _Part:
    """What is written of one kind of page: its addresses and title, its controls, and so many of the things there."""

    head: str
    body: str
    things: Sequence[str]
    shown: int = 0

    def text(self) -> str:
        lines = [self.head, f"  {self.body}"] if self.body else [self.head]
        if self.shown:
            lines.append(f"  there: {'; '.join(self.things[: self.shown])}")
        return "\n".join(lines)


def _filled(lines: list[str], parts: Sequence[_Part], limit: int) -> str:
    """Heads and controls of all kinds as far as there is room, then things of each in turn."""
    shown: list[_Part] = []
    for part in parts:
        if len("\n".join([*lines, *(each.text() for each in (*shown, part))])) <= limit:
            shown.append(part)
    room = limit - len("\n".join([*lines, *(part.text() for part in shown)]))
    pending = deque(part for part in shown if part.things)
    while pending:
        part = pending.popleft()
        size = len(part.things[part.shown]) + (2 if part.shown else len("\n  there: "))
        if size > room:
            break
        room -= size
        part.shown += 1
        if part.shown < len(part.things):
            pending.append(part)
    return "\n".join([*lines, *(part.text() for part in shown)])


def _short(name: str) -> str:
    name = " ".join(without_references(name).split())
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 1]}…"


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
