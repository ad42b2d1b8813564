"""Page -> its forms: which fields belong to which buttons, and what stands around an element."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from lbi.observations.parse import Element, Page
from lbi.offline.lexical import labels, words

TEXT_ROLES = frozenset({"textbox", "searchbox", "spinbutton"})
CHOICE_ROLES = frozenset({"combobox", "listbox"})
TOGGLE_ROLES = frozenset({"checkbox", "radio", "switch"})
FIELD_ROLES = TEXT_ROLES | CHOICE_ROLES | TOGGLE_ROLES
Key = tuple[str, str]  # role and name of an element
WORDY = 4  # words of a name; what has more is advice: "You may use *stars* for bold here"
APART = 5  # lines between a form's last button and one that is no part of it
#: what sends a form off, and what does not
PRESS_WORDS = frozenset(words("create add save apply submit update change post send ok confirm search go"))
LEAVE_WORDS = frozenset(words("preview review cancel reset clear back close help"))
SHY_WORDS = LEAVE_WORDS | frozenset(words("delete remove"))


def is_shy(name: str) -> bool:
    """Whether a button's name says that it leaves a form rather than sends it."""
    said = set(words(name))
    return bool(said & LEAVE_WORDS) and not said & PRESS_WORDS


@dataclass(frozen=True)
class Form:
    """Fields, and the buttons that follow them; the accessibility tree does not tell which form they are in."""

    fields: tuple[Element, ...]
    buttons: tuple[Element, ...]


def title(name: str) -> str:
    """The name of a field without the advice that may follow it: "Description: You may use ..." -> "Description"."""
    head = name.split(":", 1)[0].strip(" *")
    return head or name


def called(element: Element) -> str:
    """What a field is called: its name, or that of the switch beside it; where it is advice, the heading above it."""
    name = title(element.name) or title(element.beside)
    return element.heading or name if len(name.split()) > WORDY else name


def usable(element: Element) -> bool:
    return bool(element.ref) and "disabled" not in element.states


def is_locked(element: Element) -> bool:
    """Whether a field can be used as soon as the radio button or check box beside it is chosen."""
    return bool(element.ref and element.beside) and element.role in FIELD_ROLES - TOGGLE_ROLES and not usable(element)


def forms(page: Page) -> list[Form]:
    """In reading order: fields gather until buttons come; the next field, or a good distance, opens a new form."""
    found: list[Form] = []
    fields: list[Element] = []
    buttons: list[Element] = []
    for element in page.elements:
        if not usable(element) and not is_locked(element):
            continue
        if buttons and element.line - buttons[-1].line > APART:
            found.append(Form(tuple(fields), tuple(buttons)))
            fields, buttons = [], []
        if element.role in FIELD_ROLES:
            if buttons:
                found.append(Form(tuple(fields), tuple(buttons)))
                fields, buttons = [], []
            fields.append(element)
        elif element.role == "button" and not element.name.rstrip().endswith(":"):  # "File:" is a field, in its way
            buttons.append(element)
    if fields or buttons:
        found.append(Form(tuple(fields), tuple(buttons)))
    return found


def form_of(page: Page, key: Key) -> Form | None:
    """The form that holds an element."""
    for form in forms(page):
        if any((e.role, e.name) == key for e in (*form.fields, *form.buttons)):
            return form
    return None


def find(page: Page, role: str, name: str, about: Collection[str] = ()) -> Element | None:
    """The element with this role and name; failing that, the one of the role whose name says nearly the same.

    Of several the one whose surroundings share most with the words in ``about``: the "edit" beside what to edit.
    """
    same = [e for e in page.elements if usable(e) and e.role == role and _alike(e.name, name)]
    if same:
        around = [surroundings(page, e, same) & set(about) - set(words(page.title)) for e in same]
        telling = [sum(1 / sum(word in other for other in around) for word in own) for own in around]
        return same[max(range(len(same)), key=lambda index: (telling[index], -index))]
    wanted = set(labels(name))
    near = [e for e in page.elements if usable(e) and e.role == role and wanted and set(labels(e.name)) == wanted]
    return near[0] if len(near) == 1 else None


def _alike(name: str, other: str) -> bool:
    """Equal, or alike but for a count: "like (0)" and "like (3)"; "#7" and "#8" are different things."""
    if name == other:
        return True
    return len(re.sub(r"[\W\d_]+", "", name)) > 2 and re.sub(r"\d+", "0", name) == re.sub(r"\d+", "0", other)


def surroundings(page: Page, element: Element, same: Collection[Element]) -> set[str]:
    """Words of what stands on the element's line and between it and its namesake before."""
    start = max((other.line for other in same if other.line < element.line), default=max(element.line - 12, 0))
    near = [text for line, text in page.by_line if start < line <= element.line]
    return {word for text in near for word in words(re.sub(r" -> \S+", "", text))}


def row_of(page: Page, element: Element) -> list[str]:
    """What stands in the element's row, cell by cell, names of other elements as text.

    A row is one line, or a line "row" with those under it that are further in.
    """
    lines = dict(page.by_line)
    own = lines.get(element.line, "")
    if own.lstrip().startswith("row"):
        return _cells(re.sub(r"^\s*row:", "", own).split("|"))
    head = element.line - 1
    while head in lines and _indent(lines[head]) >= _indent(own):
        head -= 1
    if lines.get(head, "").strip() != "row":
        return _cells(own.split("|"))
    under = []
    at = head + 1
    while at in lines and _indent(lines[at]) > _indent(lines[head]):
        under.append(lines[at])
        at += 1
    return _cells(under)


def column_of(page: Page, element: Element) -> str:
    """The name of the column of a table that an element stands in; "" if it stands in none."""
    lines = dict(page.by_line)
    own = lines.get(element.line, "")
    if own.lstrip().startswith("row:"):
        cells, head = [f"[{element.ref}]" in cell for cell in own.split("|")], element.line
    else:
        head = element.line - 1
        while head in lines and _indent(lines[head]) >= _indent(own):
            head -= 1
        under = [line for line, text in page.by_line if head < line and _indent(text) == _indent(own)]
        if lines.get(head, "").strip() != "row":
            return ""
        cells = [line == element.line for line in under]
    above = [text for line, text in page.by_line if line < head and text.lstrip().startswith("columns:")]
    names = above[-1].lstrip().removeprefix("columns:").split("|") if above else []
    at = cells.index(True) if True in cells else len(names)
    # a switch in the heading is one for all rows, and says nothing of the column
    return next(iter(_cells(names[at : at + 1])), "") if not re.match(r"\s*checkbox", "".join(names[at:])) else ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _cells(parts: Iterable[str]) -> list[str]:
    bare = [re.sub(r"\s*\[e\d+\](?: \([a-z, ]+\))?(?: -> \S+)?", "", part).strip() for part in parts]
    named = [re.sub(r"^[a-z]+(?= \")", "", cell).strip().strip('"') for cell in bare]
    return [cell for cell in named if cell and cell not in ("checkbox", "radio")]


def is_empty(field: Element) -> bool:
    """A text box without text, or a choice that shows a placeholder such as "---"."""
    if field.role in TEXT_ROLES:
        return not field.value.strip()
    shown = field.value.strip().lower()
    asks = not re.search(r"\w", shown) or re.match(r"(please )?(choose|select|pick)\b", shown) is not None
    return field.role in CHOICE_ROLES and bool(field.options) and asks
