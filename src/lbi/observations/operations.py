"""Actions -> the operation that they carry out, whatever its values: two examples of one operation teach the same.

fill(textbox "Cc:", "ines"), click(button "Submit changes")  ->  click button "Submit changes" after textbox "Cc"
click(link "#12") that leads to /ticket/12                   ->  click link to /ticket/0
run("PAGER=cat git log -3 -- docs")                          ->  run "git log"
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from lbi.observations.parse import FIELDS, TICKS, Element, parse_observation
from lbi.records import ORDINAL, Observation, Trajectory

_CALL = re.compile(r"(\w+)\((.*)\)\s*\Z", re.DOTALL)
_ELEMENT = re.compile(rf"""['"]?\s*(?:{ORDINAL}\s+)?([a-z]+) (\\?"(?:[^"\\]|\\+.)*")""", re.DOTALL)
_ASSIGNMENTS = re.compile(r"\A(?:\w+=\S*\s+)+")  # of variables, before the program of a command
_FIRST = re.compile(r"""\s*(['"])(.*?)(?<!\\)\1""", re.DOTALL)
_ENDS = "finish"
_EVERYWHERE = 0.2  # share of the pages from which on a link belongs to what pages have in common
_REMEMBERED = 50_000  # actions, most of which are taken again and again
_THINGS = 4  # links to addresses of one kind that are called like what is there; fewer are called like what they do
#: kinds of actions that enter something, and change nothing before it is sent
_ENTERING = frozenset({"fill", "type", "select", "upload"})
MAX_NAME = 60  # characters of a name, where an operation is shown


class Operation(NamedTuple):
    """What an action does to what. Numbers in names are masked: deleting item 3 and item 4 is one operation."""

    verb: str
    role: str
    name: str = ""
    fields: frozenset[str] = frozenset()  # what was entered for it on the same form, such as 'textbox "Colour"'
    leads_to: str = ""  # of a link in place of its name: the kind of address

    @property
    def alike(self) -> tuple[str, str, str]:
        """What two operations must have in common to be of one kind, whatever was entered for them."""
        return self.verb, self.role, (self.leads_to or self.name).casefold()

    @property
    def enters(self) -> bool:
        """Whether it only enters something, which changes nothing before it is sent."""
        return self.verb in _ENTERING or (self.role in FIELDS | TICKS and self.verb == "click")

    @property
    def target(self) -> str:
        """What it is done to: button "Save"."""
        called = f"to {self.leads_to[:MAX_NAME]}" if self.leads_to else f'"{self.name[:MAX_NAME]}"' if self.name else ""
        return " ".join(filter(None, (self.role, called)))

    def same_fields(self, other: Operation) -> bool:
        """Whether both enter something into the same field, or both enter nothing."""
        own, others = ({field.casefold() for field in each.fields} for each in (self, other))
        return own == others or bool(own & others)

    def __str__(self) -> str:
        before = self.fields - {self.target}
        shown = " ".join(filter(None, (self.verb, self.target)))
        return shown + (f" after {', '.join(sorted(before))}" if before else "")


class Operations:
    """Reads operations. Links are told apart by where they lead, as their names are often those of things.

    ``observations``: the pages that are known; a link of a task's solution is looked up on them by its name.
    """

    def __init__(self, observations: Iterable[Observation] = ()) -> None:
        pages = {seen.text for seen in observations}
        links = [{(e.name, e.url) for e in parse_observation(text).elements if _is_link(e)} for text in pages]
        on_pages = Counter(name for page in links for name in {_without_values(name).casefold() for name, _ in page})
        named: dict[str, set[str]] = {}
        for name, url in set().union(*links):
            named.setdefault(_without_name(url, name), set()).add(name)
        #: kind of address -> whether many links that lead to one are each called like what they lead to
        self._of_things = {kind for kind, names in named.items() if len(names) >= _THINGS}
        self._everywhere = {name for name, count in on_pages.items() if count >= _EVERYWHERE * len(pages)}
        self._addresses: dict[str, Counter[str]] = {}
        for name, url in sorted(set().union(*links)):
            self._addresses.setdefault(name, Counter())[self._address(url, name)] += 1

        self._known: dict[str, Operation | None] = {}

    def as_data(self) -> list[Any]:
        """What ``of_data`` makes the same of."""
        return [sorted(self._of_things), sorted(self._everywhere), self._addresses]

    @classmethod
    def of_data(cls, data: list[Any]) -> Operations:
        read = cls()
        read._of_things, read._everywhere = map(set, data[:2])
        read._addresses = {name: Counter(places) for name, places in data[2].items()}
        return read

    def of_actions(self, grounded: Sequence[str]) -> Operation | None:
        """The operation that actions in grounded form end with; None if they do nothing but finish."""
        actions = [read for action in grounded if (read := self._read_once(action)) and read.verb != _ENDS]
        if not actions:
            return None
        return actions[-1]._replace(fields=frozenset(_entered(actions)))

    def of_span(self, trajectory: Trajectory, start: int, end: int) -> Operation | None:
        """The operation that steps ``start`` to ``end`` of a trajectory end with."""
        return self.of_actions([action.grounded for action in trajectory.actions[start:end]])

    def _read_once(self, grounded: str) -> Operation | None:
        if grounded not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[grounded] = self._read(grounded)
        return self._known[grounded]

    def _read(self, grounded: str) -> Operation | None:
        call = _CALL.match(grounded.strip())
        if call is None:
            return None
        verb, arguments = call.groups()
        if element := _ELEMENT.match(arguments):
            return self._of_element(verb, element[2], _unquoted(element[3]))
        first = _FIRST.match(arguments)
        return Operation(verb, "", _kind_of_argument(first[2] if first else ""))

    def _of_element(self, verb: str, role: str, name: str) -> Operation:
        places = self._addresses.get(name) if role == "link" else None
        address = min(places, key=lambda place: (-places[place], place)) if places else ""
        if address:
            return Operation(verb, role, leads_to=address)
        return Operation(verb, role, "" if role == "radio" else _without_values(name))  # a radio button's is a value

    def _address(self, url: str, name: str) -> str:
        """The kind of address that a link leads to; "" for one on many pages or to the same page: its name tells it."""
        if _without_values(name).casefold() in self._everywhere or not _path(url):
            return ""
        kind = _without_name(url, name)
        return kind if kind in self._of_things else _path(url)


def _entered(actions: Sequence[Operation]) -> Iterable[str]:
    """The fields that were filled just before the last action, or by it."""
    last = actions[-1]
    for action in [*([last] if last.enters else []), *reversed(actions[:-1])]:
        if not action.enters:
            return
        yield action.target


def _unquoted(name: str) -> str:
    """The name in quotes that may be within quotes."""
    return re.sub(r"""\\+(['"])""", r"\1", name).strip('"')


def _without_values(name: str) -> str:
    return re.sub(r"\d+", "0", " ".join(name.split())).strip(" :*…")


def _is_link(element: Element) -> bool:
    return element.role == "link" and bool(element.url)


def _path(url: str) -> str:
    return re.sub(r"\d+", "0", url.split("?")[0].split("#")[0])


def _without_name(url: str, name: str) -> str:
    """An address without what names the thing there: /topic/7/fig-tree and a link "Fig tree" -> /topic/0/*."""
    words = _slug(re.sub(r"\d+", "0", name))
    return "/".join("*" if words and _slug(part) == words else part for part in _path(url).split("/"))


def _slug(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _kind_of_argument(argument: str) -> str:
    """Of a command its program and what that is told to do; of a path its ending; of an address its kind."""
    first, _, rest = _ASSIGNMENTS.sub("", argument.strip()).partition(" ")
    if "/" in first or "." in first:
        ending = re.search(r"\.\w+\Z", first)
        return ending[0] if ending and not rest else re.sub(r"\d+", "0", first.split("?")[0])
    told = re.match(r"[a-z][a-z-]*(?=\s|\Z)", rest)
    return f"{first} {told[0]}" if told else first
