"""An example bound to a goal: which thing the goal means where the example has its own, and what is done already."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from lbi.observations.parse import Page
from lbi_offline.assign import field_names
from lbi_offline.examples import Operation, Procedure
from lbi_offline.forms import alike, enters
from lbi_offline.goal import Goal, Situation, made
from lbi_offline.places import Thing, bare, pattern, swap, thing_in, thing_of
from lbi_offline.things import Known


class Atlas:
    """The pages that examples and episode show, and the things of each kind that they name, worked out once."""

    def __init__(self, goal: Goal, procedures: Sequence[Procedure], pages: Sequence[Page]) -> None:
        self.goal = goal
        self.pages = (*pages, *{id(page): page for procedure in procedures for page in procedure.pages}.values())
        self._kinds: dict[Thing, Known] = {}

    def known(self, about: Thing) -> Known:
        kind = Thing(about.prefix, "0" if about.numbered else "")
        if kind not in self._kinds:
            self._kinds[kind] = Known(self.goal, kind, self.pages)
        return self._kinds[kind]

    @cached_property
    def names(self) -> frozenset[str]:
        """Values of the goal, in lower case, that links are called: names of something that exists."""
        values = {value.text.lower() for value in self.goal.values}
        links = (e.name.strip().lower() for page in self.pages for e in page.elements if e.url.startswith("/"))
        return frozenset(values.intersection(links))

    @cached_property
    def fields(self) -> frozenset[frozenset[str]]:
        """What the fields of the pages are called."""
        return field_names(element for page in self.pages for element in page.elements)

    @cached_property
    def _links(self) -> dict[tuple[str, ...], dict[str, dict[str, Page]]]:
        """Pattern of an address -> name of a link -> address -> the page with that link."""
        links: dict[tuple[str, ...], dict[str, dict[str, Page]]] = {}
        for page in self.pages:
            for element in page.elements:
                if element.role == "link" and element.url.startswith("/"):
                    by_name = links.setdefault(pattern(element.url), {})
                    by_name.setdefault(element.name, {}).setdefault(bare(element.url), page)
        return links

    def linking(self, wanted: tuple[str, ...]) -> list[tuple[Page, str]]:
        """Pages with links to addresses of a pattern, by names that say nothing of which it is, such as "edit"."""
        by_name = self._links.get(wanted, {})
        return [(page, name) for name, pages in by_name.items() if len(pages) > 1 for page in pages.values()]


class Lesson:
    """One example for one goal: ``about`` is the example's thing, ``instead`` the goal's."""

    def __init__(self, procedure: Procedure, situation: Situation, atlas: Atlas) -> None:
        self.procedure, self._atlas = procedure, atlas
        self.operations, self.about = procedure.operations, procedure.about
        self.instead = self._counterpart(self.about) if self.about else None
        self.missing = self.about is not None and self.instead is None
        self.done = self._carried_out(situation)

    @property
    def current(self) -> Operation | None:
        return self.operations[self.done] if self.done < len(self.operations) else None

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the goal's thing, in lower case."""
        if self.about is None or self.instead is None:
            return frozenset()
        known = self._atlas.known(self.about).names.items()
        linked = {name for thing, names in known if thing.id == self.instead.id for name in names}
        return frozenset(name.lower() for name in {self.instead.id, self.instead.slug, *linked} - {""})

    @cached_property
    def ways(self) -> tuple[tuple[str, str], ...]:
        """Where the goal's counterparts of the pages are that link to pages like its own, and the links' names."""
        addresses: dict[tuple[str, str], None] = {}
        for page, name in self._atlas.linking(pattern(self.operations[0].url, self.about)):
            about = thing_of(page.url, (page,))
            instead = self._counterpart(about) if about else None
            if about is None or instead is not None:
                addresses[bare(swap(page.url, about, instead)), name] = None
        return tuple(addresses)

    def _counterpart(self, about: Thing) -> Thing | None:
        return self._atlas.known(about).counterpart(about, self.procedure.label)

    def address(self, url: str) -> str:
        """Where the goal's counterpart of a page is."""
        return swap(url, self.about, self.instead or self.about)

    def name(self, name: str) -> str:
        """A name of the example's interface, with the goal's thing in it."""
        named = self.about and self.instead and len(self.about.id) > 1
        return name.replace(self.about.id, self.instead.id) if named and self.about and self.instead else name

    def like(self, url: str) -> bool:
        """Whether an address is that of the page where it begins, about whichever thing."""
        thing = thing_in(url, self.about.prefix, numbered=self.about.numbered) if self.about else None
        known = self.about is None or thing is not None
        return known and pattern(url, thing) == pattern(self.operations[0].url, self.about)

    def _carried_out(self, situation: Situation) -> int:
        """How many of its operations the history holds, in their order."""
        count = 0
        for at, step in enumerate(situation.history):
            if count == len(self.operations):
                break
            own, action, after = self.operations[count], step.action, situation.seen[at + 1]
            presses = own.commit.role and not enters(own.commit)
            same = presses and (action.kind, action.role) == (own.commit.kind, own.commit.role)
            named = alike(action.name, self.name(own.commit.name)) or action.name == own.commit.name
            placed = pattern(step.observation.url, self.instead) == pattern(own.before.url, self.about)
            effect = made(step, after) if own.changes else not after.error
            count += bool(same and named and effect and placed)
        return count
