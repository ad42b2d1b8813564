"""What exploration has seen and tried: places by signature, what can be done there, how often it was done.

Go back to the least-tried place among those seen; in a form, fill it and press one of its buttons; remember what had no
effect. Uniform wandering drowns in the largest part of an application.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from lbi.environments.snapshot import Element, Page
from lbi.offline.forms import FIELD_ROLES, forms, is_shy, usable
from lbi.offline.lesson import page_of
from lbi.offline.places import segments
from lbi.records import Trajectory

#: what can be done: ("submit", "Save|Name:") a form, ("button", "Print") without one, ("to", "/lamp/*") go there
Affordance = tuple[str, str]
_DIGITS = re.compile(r"\d+")
_THING = re.compile(r"^[a-z]{0,2}\d+$", re.IGNORECASE)
MAX_INSTANCES = 6
MANY = 12  # sections of an application are fewer, its things are more


def masked(name: str) -> str:
    return _DIGITS.sub("0", " ".join(name.split()))


def signature(page: Page) -> str:
    """First part of the path and the names of fields and buttons, digits masked; links vary with content."""
    names = sorted({f"{e.role} {masked(e.name)}" for e in page.elements if e.role in FIELD_ROLES or e.role == "button"})
    return "|".join([*segments(page.url)[:1], *names])


@dataclass
class Place:
    """Pages of one signature."""

    urls: list[str] = field(default_factory=list)
    offers: dict[Affordance, int] = field(default_factory=dict)  # how often each was tried here
    dead: set[Affordance] = field(default_factory=set)  # tried, and nothing changed


class Coverage:
    """Grows by whole trajectories, in a given order, so that it does not depend on who finished first."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.paths: Counter[str] = Counter()  # last-part-masked paths visited
        self.targets: dict[str, list[str]] = {}  # last-part-masked paths seen in links -> addresses
        self.values: dict[str, list[str]] = defaultdict(list)  # field name -> values it was seen with
        self.tried: Counter[Affordance] = Counter()  # anywhere
        self._parents: dict[str, set[str]] = defaultdict(set)

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        for trajectory in trajectories:
            pristine = trajectory.observations[0].digest
            for index, observation in enumerate(trajectory.observations):
                # what an episode created is gone after it, and so are the addresses of it
                self._see(page_of(observation), lasting=observation.digest == pristine)
                if index < len(trajectory.steps):
                    self._tried(trajectory, index)

    def pattern(self, url: str) -> str:
        """The address with numbers, what follows them, and one of very many siblings masked: /lamp/*/edit."""
        parts = segments(url)
        masked = [
            "*" if _THING.match(part) or (i and "-" in part and _THING.match(parts[i - 1])) else part
            for i, part in enumerate(parts)
        ]
        if len(parts) > 1 and len(self._parents["/".join(parts[:-1])]) > MANY:
            masked[-1] = "*"
        return "/" + "/".join(masked)

    def affordance(self, page: Page, element: Element) -> Affordance:
        """A link counts by where it leads, everything else by its name."""
        if element.role == "link" and element.url and not element.url.startswith("#"):
            own = element.url.split("#")[0] in ("", page.url.split("#")[0])
            return ("fold", masked(element.name)) if own else ("to", self.pattern(element.url))
        if element.role == "button":
            form = next((form for form in forms(page) if element in form.buttons), None)
            if form is not None and form.fields and not is_shy(element.name):
                return ("submit", "|".join(masked(e.name) for e in (element, *form.fields)))
        return (element.role, masked(element.name))

    def offered(self, page: Page) -> dict[Affordance, Element]:
        """What can be tried on a page; of several links to one kind of place the first."""
        found: dict[Affordance, Element] = {}
        for element in page.elements:
            if usable(element) and element.role not in FIELD_ROLES and "://" not in element.url:
                found.setdefault(self.affordance(page, element), element)
        return found

    def tries(self, place: str, affordance: Affordance) -> float:
        """How often it was tried at this place, and half as much for elsewhere: one search box stands on every page.

        A way to a kind of place counts by the visits to that place from anywhere, and by the tries that were refused.
        """
        if affordance[0] == "to":
            return max(self.paths[affordance[1]], self.tried[affordance])
        known = self.places.get(place)
        here = known.offers.get(affordance, 0) if known else 0
        return here + 0.5 * (self.tried[affordance] - here)

    def dead(self, page: Page, affordance: Affordance) -> bool:
        known = self.places.get(signature(page))
        return known is not None and affordance in known.dead

    def _see(self, page: Page, *, lasting: bool) -> None:
        for element in page.elements:
            if element.url.startswith("/"):
                parts = segments(element.url)
                if parts:
                    self._parents["/".join(parts[:-1])].add(parts[-1])
        for element in page.elements:
            if lasting and element.url.startswith("/"):
                known = self.targets.setdefault(self.pattern(element.url), [])
                if element.url not in known and len(known) < MAX_INSTANCES:
                    known.append(element.url)
        here = self.places.setdefault(signature(page), Place())
        if lasting and page.url not in here.urls and len(here.urls) < MAX_INSTANCES:
            here.urls.append(page.url)
        for affordance in self.offered(page):
            if affordance[0] != "to":
                here.offers.setdefault(affordance, 0)
        self.paths[self.pattern(page.url)] += 1
        self._collect(page)

    def _collect(self, page: Page) -> None:
        pairs = [*page.pairs]
        for header, rows in page.tables:
            pairs += [(name, cell) for row in rows for name, cell in zip(header, row, strict=False)]
        for name, value in pairs:
            known = self.values[name.strip(" :*").lower()]
            if 0 < len(value) < 60 and value not in known and len(known) < 20:
                known.append(value)

    def _tried(self, trajectory: Trajectory, index: int) -> None:
        before, after = trajectory.observations[index], trajectory.observations[index + 1]
        page, action = page_of(before), trajectory.steps[index].action
        element = page.find(action.role, action.name, action.nth) if action.role else None
        if element is None:
            return
        affordance = self.affordance(page, element)
        here = self.places[signature(page)]
        here.offers[affordance] = here.offers.get(affordance, 0) + 1
        self.tried[affordance] += 1
        # a form that was refused lacked something, and is worth another try
        idle = action.kind == "click" and affordance[0] != "submit"
        if idle and (after.error or (after.text == before.text and after.digest == before.digest)):
            here.dead.add(affordance)
