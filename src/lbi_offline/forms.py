"""Page -> its forms: which fields belong to which buttons, what they are called, and what stands around an element."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from lbi.observations.parse import Element, Page
from lbi.records import Action
from lbi_offline.lexical import labels, words

TEXT_ROLES = frozenset({"textbox", "searchbox", "spinbutton"})
CHOICE_ROLES = frozenset({"combobox", "listbox"})
TOGGLE_ROLES = frozenset({"checkbox", "radio", "switch"})
FIELD_ROLES = TEXT_ROLES | CHOICE_ROLES | TOGGLE_ROLES
FILLING = frozenset({"fill", "select"})
Key = tuple[str, str]  # role and name of an element
WORDY = 4  # words of a name; what has more is advice: "You may use *stars* for bold text"
APART = 5  # lines between a form's last button and one that is no part of it
#: what buttons say that send a form, whatever it is for
SEND_WORDS = frozenset(words("create add save apply submit update change post send ok confirm search"))
LEAVE_WORDS = frozenset(words("preview review cancel reset clear back close help"))
DELETE_WORDS = frozenset(words("delete remove"))
SHY_WORDS = LEAVE_WORDS | DELETE_WORDS  # of what is not pressed unless it is asked for


@dataclass(frozen=True)
class Form:
    """Fields, and the buttons that follow them; the accessibility tree does not tell which form they are in."""

    fields: tuple[Element, ...]
    buttons: tuple[Element, ...]


def enters(action: Action) -> bool:
    """Whether an action enters something into a field."""
    return action.kind in FILLING or (action.kind == "click" and action.role in TOGGLE_ROLES)


def sends(name: str) -> bool:
    """Whether a button's name says that it sends a form, whatever it is for."""
    return bool(set(words(name)) & SEND_WORDS)


def leaves(name: str) -> bool:
    """Whether a button's name says that it leaves a form rather than sends it."""
    return bool(set(words(name)) & LEAVE_WORDS) and not sends(name)


def title(name: str) -> str:
    """The name of a field without the advice that may follow it: "Description: You may use ..." -> "Description"."""
    return name.split(":", 1)[0].strip(" *") or name


def called(field: Element) -> str:
    """What a field is called: its name, or that of the switch beside it; where it is advice, the heading above it."""
    name = title(field.name) or title(field.beside)
    return field.heading or name if len(name.split()) > WORDY else name


def option_name(option: str) -> str:
    """An option without the marks of its depth: "--- Fruit" stands for a part of another option."""
    return option.strip(" -–—·>")


def usable(element: Element) -> bool:
    return bool(element.ref) and "disabled" not in element.states


def searches(field: Element) -> bool:
    """Whether a field or a link is for the site's own search."""
    named = bool(field.name) and set(labels(field.name)) <= set(labels("search for query"))
    return field.role == "searchbox" or named


def forms(page: Page) -> tuple[Form, ...]:
    """In reading order: fields gather until buttons come; the next field, a distance or the end of a search divides."""
    if "forms" not in page.memo:
        groups: list[tuple[list[Element], list[Element]]] = [([], [])]
        for element in filter(usable, page.elements):
            fields, buttons = groups[-1]
            apart = element.role in FIELD_ROLES or (fields and all(map(searches, fields)))
            if buttons and (apart or element.line - buttons[-1].line > APART):
                groups.append(([], []))
            if element.role in FIELD_ROLES:
                groups[-1][0].append(element)
            elif element.role == "button" and not element.name.rstrip().endswith(":"):  # "File:" is a field, in its way
                groups[-1][1].append(element)
        page.memo["forms"] = tuple(Form(tuple(fields), tuple(buttons)) for fields, buttons in groups)
    return cast("tuple[Form, ...]", page.memo["forms"])


def form_of(page: Page, key: Key) -> Form | None:
    """The form that holds an element of this role and name."""
    every = ((form, {(e.role, e.name) for e in (*form.fields, *form.buttons)}) for form in forms(page))
    return next((form for form, keys in every if key in keys), None)


def send_button(form: Form, wanted: Collection[str] = ()) -> Element | None:
    """The button that sends a form, or does with it what the wanted words say; None where all leave it."""
    sending = [button for button in form.buttons if not leaves(button.name)]
    names = [set(words(button.name)) for button in sending]
    worth = [2 * len(name & set(wanted)) + bool(name & SEND_WORDS) - (name <= DELETE_WORDS) for name in names]
    return sending[worth.index(max(worth))] if sending else None


def find(page: Page, role: str, name: str, about: Collection[str] = ()) -> Element | None:
    """The usable element of this role and name (or nearly so), of several the one beside most of ``about``."""
    of_role = [element for element in page.elements if element.role == role and usable(element)]
    same = [element for element in of_role if alike(element.name, name)]
    same = same or [e for e in of_role if name and set(labels(e.name)) == set(labels(name))]
    if len(same) < 2 or not about:
        return next(iter(same), None)
    near_words = [surroundings(page, element, same) & set(about) - set(words(page.title)) for element in same]
    worth = [sum(1 / sum(word in other for other in near_words) for word in own) for own in near_words]
    return same[max(range(len(same)), key=lambda at: (worth[at], -at))]


def alike(name: str, other: str) -> bool:
    """Equal, or alike but for a count: "like (0)" and "like (3)"; "#7" and "#8" are different things."""
    if name == other:
        return True
    return len(re.sub(r"[\W\d_]+", "", name)) > 2 and re.sub(r"\d+", "0", name) == re.sub(r"\d+", "0", other)


def surroundings(page: Page, element: Element, same: Collection[Element]) -> set[str]:
    """Words of what stands on the element's line and between it and its namesake before."""
    start = max((other.line for other in same if other.line < element.line), default=max(element.line - 12, 0))
    lines = [text for line, text in page.by_line if start < line <= element.line]
    return {word for text in lines for word in words(re.sub(r" -> \S+", "", text))}


def is_empty(field: Element) -> bool:
    """A text box without text, or a choice that shows a placeholder such as "---"."""
    shown = field.value.strip().lower()
    if field.role in TEXT_ROLES:
        return not shown
    asks = not re.search(r"\w", shown) or re.match(r"(please )?(choose|select|pick)\b", shown) is not None
    return field.role in CHOICE_ROLES and bool(field.options) and asks
