"""The part of a page that an action touches: the element, the form, row or section that it stands in, and its heading.

touched(observation.text, action).text ->

heading "Add a boat"
group "Properties"
  textbox "Name:" [e4]
  button "Add" [e7]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lbi.observations.frame import Frame
from lbi.observations.parse import FIELDS, TICKS, Element, parse_observation
from lbi.records import Action

MOST_LINES = 9  # of a form or section
MOST_CHARACTERS = 700
_FORM = FIELDS | TICKS | {"button"}
_FORM_LINE = re.compile(rf"\s*(?:{'|'.join(sorted(_FORM))})(?: \"| \[|$|:)")
_CONTAINER = re.compile(
    r"\s*(?:group|dialog|alertdialog|form|menu|listbox|tabpanel|region|row|item|article|iframe|table)\b"
)
_PROSE = re.compile(r"\s*(?:text|item|heading|rowheader|term|note)\b")
_ROW = re.compile(r"\s*(?:row|item)\b.*: ?\S")
_HEADER = ("URL: ", "Title: ")
NO_FRAME = Frame()


@dataclass(frozen=True)
class Region:
    """Lines of a page, by their indices in its text."""

    page: str
    lines: tuple[int, ...]
    element: int  # the line of the element itself, one of ``lines``

    @property
    def text(self) -> str:
        """The lines; "…" stands for others between them."""
        all_lines = self.page.split("\n")
        shown: list[str] = []
        for before, at in zip((None, *self.lines), self.lines, strict=False):
            line = all_lines[at]
            if before is not None and at > before + 1:
                shown.append(" " * _depth(line) + "…")
            shown.append(line)
        return "\n".join(shown)

    @property
    def line(self) -> str:
        """The line of the element itself."""
        return self.page.split("\n")[self.element].strip()


def touched(text: str, action: Action | str, frame: Frame = NO_FRAME, limit: int = MOST_CHARACTERS) -> Region | None:
    """What an action, or whoever uses a reference such as "e12", touches; None where that is no element of the page.

    ``text`` is an observation with its references. The line of the element is in the region whatever the limit is, in
    characters; of the rest, what is nearest. Lines of the frame are left out.
    """
    element = _element(text, action)
    if element is None:
        return None
    lines = text.split("\n")
    at = element.line
    chosen = {at}
    room = limit - len(lines[at])
    for line in _around(lines, element, frame):
        room -= len(lines[line]) + 1
        if room < 0 or len(chosen) >= MOST_LINES:
            break
        chosen.add(line)
    return Region(text, tuple(sorted(chosen)), at)


def _element(text: str, action: Action | str) -> Element | None:
    page = parse_observation(text)
    if isinstance(action, str):
        return page.element(action)
    return page.find(action.role, action.name, action.nth) if action.role else None


def _around(lines: list[str], element: Element, frame: Frame) -> list[int]:
    """Other lines of the region, those that tell most first."""
    at = element.line
    above = _above(lines, at)
    heading = _heading(lines, at)
    first = [line for line in (heading, *above[:1]) if line is not None]
    if _ROW.match(lines[at]) and not _FORM_LINE.match(lines[at]):
        around = [*_columns(lines, at), *first]
    elif element.role in _FORM:
        around = [*first, *_columns(lines, at), *_form(lines, at, above, heading)]
    else:
        around = [*first, *_before(lines, at, heading)]
    return [line for line in dict.fromkeys(around) if line != at and lines[line] not in frame]


def _above(lines: list[str], at: int) -> list[int]:
    """The lines that a line stands under, nearest first."""
    depth, above = _depth(lines[at]), []
    for line in range(at - 1, -1, -1):
        if depth == 0:
            break
        if _depth(lines[line]) < depth:
            depth = _depth(lines[line])
            above.append(line)
    return above


def _heading(lines: list[str], at: int) -> int | None:
    return next((line for line in range(at - 1, -1, -1) if lines[line].lstrip().startswith("heading ")), None)


def _columns(lines: list[str], at: int) -> list[int]:
    """The names of the columns, where the line is of a table."""
    for line in range(at - 1, -1, -1):
        body = lines[line].lstrip()
        if body.startswith("columns:"):
            return [line]
        if not body.startswith("row") and _depth(lines[line]) <= _depth(lines[at]):
            break
    return []


def _form(lines: list[str], at: int, above: list[int], heading: int | None) -> list[int]:
    """The fields and buttons of the same group, or else of the same section, nearest first, and text right before."""
    container = next((line for line in above if _CONTAINER.match(lines[line])), None)
    start, end = _extent(lines, container) if container is not None else _section(lines, at, heading)
    fields = [line for line in range(start, end) if _FORM_LINE.match(lines[line])]
    if container is not None:  # what sends a form often stands right after the group of its fields
        fields += [line for line in range(end, min(end + 3, len(lines))) if lines[line].lstrip().startswith("button ")]
    nearest = sorted(fields, key=lambda line: abs(line - at))
    sends = next((line for line in fields if line > at and lines[line].lstrip().startswith("button ")), None)
    return [*_before(lines, at, heading)[:1], *nearest[:2], *([sends] if sends is not None else []), *nearest[2:]]


def _extent(lines: list[str], container: int) -> tuple[int, int]:
    depth = _depth(lines[container])
    end = next((at for at in range(container + 1, len(lines)) if _depth(lines[at]) <= depth), len(lines))
    return container, end


def _section(lines: list[str], at: int, heading: int | None) -> tuple[int, int]:
    """From the heading above to the next one."""
    end = next((line for line in range(at + 1, len(lines)) if lines[line].lstrip().startswith("heading ")), len(lines))
    return (heading + 1 if heading is not None else 0), end


def _before(lines: list[str], at: int, heading: int | None) -> list[int]:
    """Up to two lines of text above: what a link such as "edit" belongs to."""
    stop = heading if heading is not None else -1
    near = range(at - 1, max(stop, at - 12), -1)
    return [line for line in near if _PROSE.match(lines[line]) and not lines[line].startswith(_HEADER)][:2]


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
