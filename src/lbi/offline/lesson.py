"""An example as a lesson for a goal: what its operations are about there, and how far a history has carried them out.

The way to where an operation is carried out is found anew: by the address of its page with the goal's thing in place of
the example's, or by the link that led there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl, urlencode

from lbi.observations.parse import Page
from lbi.offline.forms import TOGGLE_ROLES, find
from lbi.offline.goal import Goal
from lbi.offline.lexical import words
from lbi.offline.places import Thing, segments, swap, thing_in
from lbi.offline.procedure import Operation, procedure_of
from lbi.offline.things import FAMILIAR, Known, directory, plain_name
from lbi.protocols import Shown
from lbi.records import Observation, Step


@dataclass
class Lesson:
    """One retrieved example, bound to a goal: ``about`` is the example's thing, ``instead`` the goal's."""

    shown: Shown
    goal: Goal
    seen: Sequence[Page] = ()  # pages that are known beside its own
    kinds: dict[Thing, Known] = dataclasses.field(default_factory=dict)  # shared by the lessons of a goal
    done: int = dataclasses.field(init=False, default=0)  # operations carried out already

    def __post_init__(self) -> None:
        self.procedure = procedure = procedure_of(self.shown)
        self.id = self.shown.example.id
        self.operations = procedure.operations
        self.about, self.everywhere = procedure.about, procedure.everywhere
        self.visit, self.changes = procedure.visit, procedure.changes
        self.offers, self.vocabulary = procedure.offers, procedure.vocabulary
        self._plainest: dict[int, str] = {}  # by the place of the operation in its trajectory

    @property
    def current(self) -> Operation | None:
        return self.operations[self.done] if self.done < len(self.operations) else None

    @cached_property
    def called(self) -> frozenset[str]:
        """Names of the goal's thing."""
        if self.about is None or self.instead is None:
            return frozenset()
        known = self._known(self.about).names
        return frozenset(name for thing, names in known.items() if thing.id == self.instead.id for name in names)

    @cached_property
    def instead(self) -> Thing | None:
        return self.counterpart(self.about) if self.about else None

    @cached_property
    def pointed(self) -> bool:
        """Whether the goal points at a thing of this kind by number: "lamp 5", or "#5" where lamps are called so."""
        about = self.about
        if about is None or not about.id.isdigit():
            return False
        kind = {word for part in about.prefix for word in words(part)}
        numbers = [value for value in self.goal.values if value.kind == "number" and value.text.isdigit()]
        marked = any(self.goal.text[value.start] == "#" for value in numbers)
        called = marked and any(re.match(r"#\d", name) for names in self._known(about).names.values() for name in names)
        if marked and not called:  # "#7" is no name, but that is what the links are called
            links = (e for page in self.procedure.pages for e in page.elements if e.role == "link" and e.url)
            hashed = (e for e in links if re.fullmatch(r"#\d+", e.name.strip()))
            called = any(thing_in(e.url, about.prefix, numbered=True) for e in hashed)
        return called or any(kind & set(value.before[:1]) for value in numbers)

    @property
    def missing(self) -> bool:
        """Whether it is about a thing, and the goal's is not to be found."""
        return self.about is not None and self.instead is None

    @property
    def unknown(self) -> bool:
        """Whether its things go by names, the names of several are known, and the goal says none of them."""
        return self.about is not None and not self.about.id.isdigit() and len(self._known(self.about).names) >= FAMILIAR

    @cached_property
    def reachable(self) -> bool:
        """Whether the way to the goal's thing is known, if only by the page that links to it."""
        return not self.missing or bool(self.ways)

    @cached_property
    def ways(self) -> list[tuple[str, str]]:
        """Where the goal's counterparts of the pages are that led to the example's, and the links that did."""
        found = []
        for page, name in self.procedure.parents:
            about = self.procedure.about_at(page.url)
            if about is None:
                found.append((page.url, name))
            elif (instead := self.counterpart(about)) is not None:
                found.append((swap(page.url, about, instead), name))
        return list(dict.fromkeys(found))

    def counterpart(self, about: Thing) -> Thing | None:
        return self._known(about).counterpart(about, self.procedure.said)

    def _known(self, about: Thing) -> Known:
        """Things of the kind, with their names."""
        kind = about if about.id.isdigit() else Thing(about.prefix, "")
        if kind not in self.kinds:
            self.kinds[kind] = Known(self.goal, directory(about, self.seen))
        return self.kinds[kind].beside(self.procedure.things(about))

    def place_of(self, operation: Operation) -> str:
        """Where the goal's counterpart of an operation's page is.

        What the address says beside that is left out as far as the same form was seen without it and the goal does
        not speak of it: an answer that was begun, an older version that was looked at.
        """
        if operation.at not in self._plainest:
            self._plainest[operation.at] = self._plain_address(operation)
        return self.address(self._plainest[operation.at])

    def _plain_address(self, operation: Operation) -> str:
        bare, query = operation.url.partition("#")[0].partition("?")[::2]
        best = _parameters(operation.url)
        wanted = [a for a in (*operation.run, operation.commit) if a.role and a.role not in TOGGLE_ROLES]
        if not best or not operation.run or operation.visit:
            return operation.url
        goal = set(re.findall(r"[a-z]+", self.goal.text.lower()))  # as it stands there: a reply is not any comment
        said = {pair for pair in best if goal & set(re.findall(r"[a-z]+", " ".join(pair).lower()))}
        for page in (*self.procedure.pages, *self.seen):
            fewer = _parameters(page.url)
            if not said <= fewer < best or not self._is_place(page.url, operation.url):
                continue
            if all(find(page, action.role, action.name) is not None for action in wanted):
                best = fewer
        kept = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair in best]
        return bare + ("?" + urlencode(kept) if kept else "")

    def _is_place(self, url: str, own: str) -> bool:
        """Whether two addresses differ in nothing but parameters and the thing they are about."""
        thing = self.about and thing_in(url, self.about.prefix, numbered=self.about.id.isdigit())
        if self.about is not None and thing is None:
            return False
        return _plain(url) == _plain(swap(own, self.about, thing))

    def address(self, url: str) -> str:
        """Where the goal's counterpart of a page is."""
        return swap(url, self.about, self.instead or self.about)

    def name(self, name: str) -> str:
        """A name of the lesson's interface, with the goal's thing in it."""
        if not self.about or not self.instead or self.about == self.instead or self.about.id not in name:
            return name
        return name.replace(self.about.id, self.instead.id)

    def names_thing(self, text: str) -> bool:
        """Whether a value only says which thing is meant."""
        if self.instead is None:
            return False
        own = set(words(self.instead.id)) | set(words(self.instead.slug))
        names = {plain_name(name).lower() for name in self.called}
        return text.lower() in names or (bool(set(words(text))) and set(words(text)) <= own)

    def like(self, url: str) -> bool:
        """Whether an address is that of the lesson's page, about whichever thing."""
        own = self.operations[0].url
        return self._is_place(url, own) and _parameters(url) == _parameters(own)

    def carried_out(self, history: Sequence[Step], last: Observation) -> int:
        """How many of its operations a history holds, in their order."""
        count = 0
        for at, step in enumerate(history):
            if count == len(self.operations):
                break
            own = self.operations[count].commit
            after = history[at + 1].observation if at + 1 < len(history) else last
            same = step.action.kind == own.kind and step.action.role == own.role and self.id in step.reason
            if same and own.role and not after.error and step.action.name in (own.name, self.name(own.name)):
                count += 1
        return count


def _parameters(url: str) -> frozenset[tuple[str, str]]:
    return frozenset(parse_qsl(url.partition("?")[2].partition("#")[0], keep_blank_values=True))


def _plain(url: str) -> str:
    """An address without parameters, fragment, final slash and readable part."""
    parts = segments(url)
    kept = [part for i, part in enumerate(parts) if not (i and "-" in part and parts[i - 1].isdigit())]
    return "/".join(kept)
