"""Chooses an option of a combo box by its name, and looks whether it is chosen.

Where the tree tells the options of a box whose list is closed, the program is asked to choose one, by each of the ways
that programs know. Where it tells none, or does not do it, the list is opened and the option in it is clicked.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import programs, settle
from .accessibility import ACCESSIBLE, ACTION, HYPERTEXT, ROLES, SELECTION, TEXT, chosen_of, name_of, states_of, walk
from .dbus import Bus, Call
from .keyboard import Keyboard
from .mouse import Mouse
from .services import Services

MENU_ITEMS = ("menu item", "check menu item", "radio menu item")
OPTIONS = (*MENU_ITEMS, "list item", "tree item", "table cell")
SECONDS = 5.0  # for one round of questions
SETTLING = 2.0  # until a program has done what it was asked for
OPENING = 4.0  # until a list that was clicked is open
LEVELS = 4  # from a combo box to its options: a list, a group in it
MOST = 2000  # options that are gone through
MOST_NAMED = 20
Held = tuple[str, str]  # what the bus calls an element: its program, and its path there
Key = tuple[str, str, int, int]  # an element, and of a table the row and column


@dataclass
class Place:
    """What is shown: its name, where, and whether a click there would hit it."""

    name: str
    box: list[int]
    in_view: bool


@dataclass
class Option:
    """``number`` counts what lies in ``holder``, which is the combo box or a list in it."""

    to: str
    path: str
    holder: Held
    number: int
    role: str
    name: str
    states: list[str]


class Chooser:
    """Of one desktop."""

    def __init__(self, services: Services, mouse: Mouse, keyboard: Keyboard) -> None:
        self._services, self._mouse, self._keyboard = services, mouse, keyboard

    def choose(self, to: str, path: str, x: int, y: int, name: str) -> None:
        """Raises ValueError for what cannot be chosen. ``x`` and ``y`` are where a click opens the list."""
        bus = self._services.bus
        options = options_of(bus, to, path)
        if not options:
            before = told_of(bus, to, path)
            opened = self._click_in_list(x, y, name)
            if before == told_of(bus, to, path) and not self._shown().keys().isdisjoint(opened):
                clicked = f'the option "{name}" was clicked'
                raise ValueError(f"{clicked}, and its list is open still; see whether it was taken")
            return
        option = named(options, name)
        if {"enabled", "sensitive"}.isdisjoint(option.states):
            raise ValueError(f'the option "{option.name}" is disabled')
        for way in _ways(to, path, option):
            bus.ask_all([way], SECONDS)
            if self._is_chosen(to, path, option, options):
                return
        self._click_in_list(x, y, option.name, options)
        if not self._is_chosen(to, path, option, options):
            told = f'the option "{option.name}" was not taken'
            raise ValueError(f"{told}; click the combobox, and then the option in its list")

    def _is_chosen(self, to: str, path: str, option: Option, options: Sequence[Option]) -> bool:
        """Asked at once, and again once the desktop is at rest."""
        settle.answers(self._services)
        if is_chosen(self._services.bus, to, path, option, options):
            return True
        settle.settle(self._services, SETTLING)
        return is_chosen(self._services.bus, to, path, option, options)

    def _click_in_list(self, x: int, y: int, name: str, told: Sequence[Option] = ()) -> Mapping[Key, Place]:
        """Open the list and click the option; where there is none such, the list is closed again. What was opened.

        ``told``: the options that were told before, of which some programs do not say where they are until then.
        """
        before = self._shown()
        known = {(option.to, option.path, -1, -1) for option in told}
        self._click(x, y)
        shown = self._shown()
        opened = {
            key: each for key, each in shown.items() if key not in before or (key in known and each != before[key])
        }
        keys, names = [*opened], [each.name for each in opened.values()]
        at = _alike(names, name)
        if at < 0:
            self._close(opened, x, y)
            raise ValueError(_no_option(name, names, "in its list; it shows"))
        place = opened[keys[at]]
        if not place.in_view:  # keys go down to it, past what has no name
            downs = sum(1 for each in names[:at] if each)
            for key in ["Home", *["Down"] * downs]:
                self._keyboard.press(key)
            settle.settle(self._services, OPENING)
            place = self._shown().get(keys[at], place)
        if not place.in_view:
            self._close(opened, x, y)
            raise ValueError(f'the option "{name}" is out of view; click the combobox, and scroll to it in its list')
        left, top, width, height = place.box
        self._click(left + width // 2, top + height // 2)
        return opened

    def _click(self, x: int, y: int) -> None:
        self._mouse.move(x, y)
        self._mouse.click()
        settle.settle(self._services, OPENING)

    def _close(self, opened: Mapping[Key, Place], x: int, y: int) -> None:
        """By its key, and by a second click. Where no list was opened, the key would close what the box is in."""
        if opened:
            self._keyboard.press("Escape")
            settle.settle(self._services, SETTLING)
            if not self._shown().keys().isdisjoint(opened):
                self._click(x, y)

    def _shown(self) -> dict[Key, Place]:
        """All that could be an option of an open list, in the order in which it stands there."""
        found: dict[Key, Place] = {}
        for holder in (node for top in programs.look(self._services)["windows"] for node in walk(top)):
            for node in holder["children"]:
                if node["role"] in OPTIONS and "showing" in node["states"]:
                    place = Place(_folded(node["name"]), node["box"], _is_within(node["box"], holder["box"]))
                    found[node["to"], node["path"], -1, -1] = place
            for cell in holder.get("cells", ()):
                place = Place(_folded(cell["text"]), cell["box"], _is_within(cell["box"], holder["box"]))
                found[holder["to"], holder["path"], cell["row"], cell["column"]] = place
        return found


def _is_within(box: Sequence[int], holder: Sequence[int]) -> bool:
    """Whether the middle of a box, where it would be clicked, lies in what holds it, if that has any room."""
    if not box or not holder or min(box) < 0:
        return False
    if min(holder[2:]) <= 0:  # a part of a page, of which what it holds is seen all the same
        return min(box[2:]) > 0
    x, y = box[0] + box[2] // 2, box[1] + box[3] // 2
    return holder[0] <= x < holder[0] + holder[2] and holder[1] <= y < holder[1] + holder[3]


def options_of(bus: Bus, to: str, path: str) -> list[Option]:
    """Those that are in a combo box, at whatever depth, and tell their names."""
    found: list[Option] = []
    level = [(to, path)]
    for _ in range(LEVELS):
        told = bus.ask_all([Call(at, held, ACCESSIBLE, "GetChildren") for at, held in level], SECONDS)
        below = [
            (child, holder, number)
            for holder, children in zip(level, told, strict=True)
            if isinstance(children, list)
            for number, child in enumerate(children[:MOST])
        ]
        numbers = bus.ask_all([Call(at, child, ACCESSIBLE, "GetRole") for (at, child), _, _ in below], SECONDS)
        roles = [ROLES.get(number, "") if isinstance(number, int) else "" for number in numbers]
        found += _described(bus, [(*each, role) for each, role in zip(below, roles, strict=True) if role in OPTIONS])
        level = [place for (place, _, _), role in zip(below, roles, strict=True) if role not in OPTIONS]
        if not level or len(found) > MOST:
            break
    return found


def _described(bus: Bus, places: list[tuple[Held, Held, int, str]]) -> list[Option]:
    names = bus.ask_all([name_of(to, path) for (to, path), *_ in places], SECONDS)
    states = bus.ask_all([Call(to, path, ACCESSIBLE, "GetState") for (to, path), *_ in places], SECONDS)
    return [
        Option(to, path, holder, number, role, _folded(name), states_of(bits))
        for ((to, path), holder, number, role), name, bits in zip(places, names, states, strict=True)
        if isinstance(name, str) and isinstance(bits, list)
    ]


def named(options: list[Option], name: str) -> Option:
    """Raises ValueError that names those there are."""
    found = _alike([option.name for option in options], name)
    if found < 0:
        raise ValueError(_no_option(name, [option.name for option in options]))
    return options[found]


def is_chosen(bus: Bus, to: str, path: str, option: Option, options: Sequence[Option]) -> bool:
    """As the box tells it, by an option or by its name; where it does not, as on pages, the option's own state.

    That state alone may be of the list behind the box, which holds something else still.
    """
    held, called, interfaces, bits = bus.ask_all(
        [
            chosen_of(to, path),
            name_of(to, path),
            Call(to, path, ACCESSIBLE, "GetInterfaces"),
            Call(option.to, option.path, ACCESSIBLE, "GetState"),
        ],
        SECONDS,
    )
    if held in [(each.to, each.path) for each in options]:
        return bool(held == (option.to, option.path))
    is_on_page = isinstance(interfaces, list) and HYPERTEXT in interfaces
    if not is_on_page and isinstance(called, str) and _folded(called) in [each.name for each in options]:
        return _folded(called) == option.name
    return isinstance(bits, list) and "selected" in states_of(bits)


def told_of(bus: Bus, to: str, path: str) -> list[str]:
    """What a box says of itself: its text and its name."""
    told = bus.ask_all([Call(to, path, TEXT, "GetText", "ii", [0, -1]), name_of(to, path)], SECONDS)
    return [each if isinstance(each, str) else "" for each in told]


def _ways(to: str, path: str, option: Option) -> Iterator[Call]:
    """An option's own action; to choose one of the box's options by number; or of the list's that it lies in.

    None where the options are of a list that has a choice of its own, and is not the box.
    """
    if option.role not in MENU_ITEMS:
        return
    yield Call(option.to, option.path, ACTION, "DoAction", "i", [0])
    for at, holder in dict.fromkeys(((to, path), option.holder)):
        yield Call(at, holder, SELECTION, "SelectChild", "i", [option.number])


def _alike(names: list[str], name: str) -> int:
    """The place of a name among others; -1 where there is none, but for capitals and colons either."""
    for form in (_folded, _plain):
        if form(name) in (forms := [form(each) for each in names]):
            return forms.index(form(name))
    return -1


def _folded(text: str) -> str:
    return " ".join(text.split())


def _plain(text: str) -> str:
    return _folded(text).rstrip(" :*….").casefold()


def _no_option(name: str, known: Iterable[str], where: str = "there are") -> str:
    """The nearest first, as a list may be long."""
    names = [each for each in dict.fromkeys(known) if each]
    if not names:
        return (
            f'there is no option "{name}" that could be seen: the program does not tell what its list holds; '
            'click it and choose with keys, as in press("Down") and press("Enter")'
        )
    near = difflib.get_close_matches(name, names, n=3)
    told = [*near, *(each for each in names if each not in near)]
    more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    listed = ", ".join(f'"{each}"' for each in (told if not more else told[:MOST_NAMED]))
    gap = "; " if where == "there are" else " "
    return f'there is no option "{name}"{gap}{where}: {listed}{more}'
