"""What exploration has seen and tried: what kinds of places offer, and which of it was done and to what effect."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from lbi.observations.parse import Element, Page
from lbi.records import Observation, Trajectory
from lbi_offline.forms import FIELD_ROLES, Key, enters, form_of, leaves, title, usable
from lbi_offline.goal import made
from lbi_offline.lexical import SYNONYMS
from lbi_offline.places import NUMBERED, bare, page_of, path_of, segments

Kind = Literal["form", "button", "fold", "to"]
#: kind, kind of place, name: ("form", "/lamp/*", "Save"), ("to", "/lamp/*/edit", "")
Offered = tuple[Kind, str, str]
INSTANCES = 6  # addresses remembered of one kind of place
MANY = 12  # sections of an application are fewer, its things are more
EVERYWHERE = 3  # kinds of places with the same form
ENOUGH = 8  # tries of one form, whatever is left of it


def masked(name: str) -> str:
    return re.sub(r"\d+", "0", " ".join(name.split()))[:80]


def key_of(element: Element) -> Key:
    return element.role, masked(title(element.name))


@dataclass
class Offer:
    """What is known of one thing to try."""

    urls: list[str] = field(default_factory=list)
    via: tuple[str, ...] = ()  # what to unfold on the page first
    fields: set[Key] = field(default_factory=set)
    covered: set[Key] = field(default_factory=set)  # fields that were part of a change
    changed: int = 0  # tries after which the state was another
    moved: int = 0  # only the page was
    idle: int = 0  # nothing was

    @property
    def tries(self) -> int:
        return self.changed + self.moved + self.idle

    @property
    def left(self) -> set[Key]:
        """Fields with a name that were not yet part of a change."""
        return {key for key in self.fields - self.covered if key[1]}


class Coverage:
    """Grows by whole trajectories, in a given order, so that it does not depend on who finished first."""

    def __init__(self) -> None:
        self._learnt: list[Trajectory] = []
        self._children: dict[str, set[str]] = defaultdict(set)  # path without numbers -> what follows it
        self._slugs: set[tuple[str, str]] = set()  # (path, part after a number that its link is called like)
        self._forget()

    def _forget(self) -> None:
        self.offers: dict[Offered, Offer] = {}
        self.visits: Counter[str] = Counter()  # by kind of place
        self._lasting: set[str] = set()  # parts of addresses that name things which were there from the start

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in trajectories; all again if addresses are now seen to be of fewer kinds than was thought."""
        fresh = list(trajectories)
        before = self._folded()
        for observation in (o for trajectory in fresh for o in trajectory.observations):
            self._addresses(page_of(observation))
        self._learnt += fresh
        if self._folded() != before:
            self._forget()
            fresh = self._learnt
        for trajectory in fresh:
            self._take_in(trajectory)

    def pattern(self, url: str) -> str:
        """The address with numbers, what readably follows them, and one of very many siblings masked: /lamp/*/edit."""
        parts = segments(url)
        path = "/" + "/".join("*" if self._names_a_thing(parts, at) else part for at, part in enumerate(parts))
        query = _query(url)
        return f"{path}?{query}" if query else path

    def _names_a_thing(self, parts: tuple[str, ...], at: int) -> bool:
        if NUMBERED.match(parts[at]) or at == 0:
            return bool(NUMBERED.match(parts[at]))
        parent = _numbers_masked(parts[:at])
        if NUMBERED.match(parts[at - 1]):
            return "-" in parts[at] or (parent, parts[at]) in self._slugs
        return len(self._children.get(parent, ())) > MANY

    def _addresses(self, page: Page) -> None:
        for url, name in [(page.url, ""), *((e.url, e.name) for e in page.elements if e.url.startswith("/"))]:
            parts = segments(url)
            for at, part in enumerate(parts[1:], 1):
                if not NUMBERED.match(part):
                    self._children[_numbers_masked(parts[:at])].add(part)
            # /user/3/jane is about 3, as the link is called jane; /user/3/edit is a page of its own
            numbered = len(parts) > 2 and NUMBERED.match(parts[-2]) and parts[-1].lower() not in SYNONYMS
            if numbered and name == parts[-1]:
                self._slugs.add((_numbers_masked(parts[:-1]), name))

    def _folded(self) -> tuple[object, ...]:
        """What decides the kinds of places."""
        return frozenset(name for name, parts in self._children.items() if len(parts) > MANY), frozenset(self._slugs)

    def offered(self, page: Page) -> dict[Offered, Element]:
        """What can be tried on a page; of several links to one kind of place the first."""
        elements = [e for e in page.elements if e.role not in FIELD_ROLES and usable(e) and "://" not in e.url]
        offers = [(self.offered_by(page, element), element) for element in elements]
        return {offer: element for offer, element in reversed(offers) if offer is not None}

    def offered_by(self, page: Page, element: Element) -> Offered | None:
        if element.role == "link" and element.url.startswith("/") and bare(element.url) != bare(page.url):
            return ("to", self.pattern(element.url), "")
        pattern = self.pattern(page.url)
        if element.role == "button":
            form = form_of(page, (element.role, element.name))
            kind: Kind = "form" if form is not None and form.fields and not leaves(element.name) else "button"
            return (kind, pattern, masked(element.name))
        folds = element.ref and element.url[:1] in ("", "#") and re.search(r"\w", element.name)  # rows and cards too
        return ("fold", pattern, masked(element.name)) if folds else None

    def want(self, offered: Offered) -> float:
        """How much there is still to learn from it, 0..3."""
        kind, pattern, name = offered
        offer = self.offers.get(offered, Offer())
        if kind == "to":
            return 0.0 if self.visits[pattern] or offer.tries > 1 else 2.4 - offer.tries
        if offered not in self.offers:
            return 2.0
        if kind == "form":
            return self._want_form(offered, offer)
        if kind == "fold":
            folds = [(other, known) for other, known in self.offers.items() if other[0] == "fold"]
            vain = sum(known.idle for other, known in folds if other[1] == pattern)
            same = sum(known.tries for other, known in folds if other[2] == name)  # a tool bar stands on many pages
            return 0.0 if offer.tries or same > 1 else 2.2 - 0.4 * min(vain, 5)
        if leaves(name):
            return 0.0 if offer.tries else 0.5
        return 0.0 if offer.changed > 1 or offer.tries > 2 else 2.6 - 0.9 * offer.tries

    def _want_form(self, offered: Offered, offer: Offer) -> float:
        same = [key for key in self.offers if key[0] == "form" and key[2] == offered[2]]
        twins = [key for key in same if self.offers[key].fields == offer.fields]
        everywhere = len(twins) > EVERYWHERE  # such as a search box: it is tried in one place
        if offer.tries >= ENOUGH or (everywhere and (offered != twins[0] or offer.tries)):
            return 0.0
        if offer.changed:
            return 1.8 + 0.05 * min(len(offer.left), 8) - 0.25 * offer.tries if offer.left else 0.0
        return 0.0 if offer.moved > 1 or offer.idle > 3 else 3.0 - 0.8 * offer.moved - 0.7 * offer.idle

    def _take_in(self, trajectory: Trajectory) -> None:
        seen = trajectory.observations
        lasting = True
        via: tuple[str, ...] = ()
        for at, observation in enumerate(seen):
            if at and bare(seen[at - 1].url) != bare(observation.url):
                via = ()
            # what an episode created is gone after it, and so are the addresses of it
            lasting = lasting and not (at and made(trajectory.steps[at - 1], observation))
            self._see(page_of(observation), via, lasting=lasting)
            if at < len(trajectory.steps) and (unfolded := self._count(trajectory, at)):
                via = (*via, unfolded)

    def _see(self, page: Page, via: tuple[str, ...], *, lasting: bool) -> None:
        self.visits[self.pattern(page.url)] += 1
        if lasting:
            self._lasting |= {part for url in (page.url, *(e.url for e in page.elements)) for part in self._things(url)}
        for offered, element in self.offered(page).items():
            offer = self.offers.setdefault(offered, Offer(via=via))
            if offered[0] == "form" and (form := form_of(page, (element.role, element.name))):
                offer.fields |= {key_of(field) for field in form.fields}
            url = element.url if offered[0] == "to" else page.url
            if self._things(url) <= self._lasting and url not in offer.urls and len(offer.urls) < INSTANCES:
                offer.urls.append(url)
            offer.via = min(via, offer.via, key=len)

    def _things(self, url: str) -> set[str]:
        parts = segments(url) if url.startswith("/") else ()
        return {part for at, part in enumerate(parts) if self._names_a_thing(parts, at)}

    def _count(self, trajectory: Trajectory, at: int) -> str:
        """Count what a step tried; the name of what it unfolded, if that is what it did."""
        before, after, step = trajectory.observations[at], trajectory.observations[at + 1], trajectory.steps[at]
        page, action = page_of(before), step.action
        element = page.find(action.role, action.name, action.nth) if action.role else None
        if element is None or enters(action) or action.kind not in ("click", "press"):
            return ""
        stays = bare(after.url) == bare(before.url) and after.digest == before.digest
        offered = self.offered_by(page, element)
        if offered is not None:
            offer = self.offers.setdefault(offered, Offer())
            if after.digest != before.digest:
                offer.changed += 1
                steps = itertools.takewhile(
                    lambda s: bare(s.observation.url) == bare(before.url), reversed(trajectory.steps[:at])
                )
                offer.covered |= {(s.action.role, masked(title(s.action.name))) for s in steps if enters(s.action)}
            elif after.error or shown(after) == shown(before) or is_refused(before, after, element):
                offer.idle += 1
            else:
                offer.moved += 1
        return action.name if stays and shown(after) != shown(before) and not after.error else ""


def is_refused(before: Observation, after: Observation, button: Element) -> bool:
    """Whether a button that was pressed is still there with what was entered beside it, or nothing came of it."""
    form = form_of(page_of(before), (button.role, button.name))
    kept = form_of(page_of(after), (button.role, button.name))
    elsewhere = path_of(before.url) != path_of(after.url) or before.digest != after.digest
    if form is None or kept is None or not form.fields or elsewhere:
        return False
    values = {key_of(element): element.value for element in form.fields if element.value.strip()}
    return any(values.get(key_of(e)) == e.value for e in kept.fields) or before.text == after.text


def _numbers_masked(parts: tuple[str, ...]) -> str:
    return "/".join("*" if NUMBERED.match(part) else part for part in parts)


def shown(observation: Observation) -> str:
    """What the page shows, whatever its address."""
    return observation.text.partition("\n")[2] if observation.text.startswith("URL: ") else observation.text


def _query(url: str) -> str:
    """Kind of a query: its keys, with those of its values that are plain words: action=edit, id=*."""
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:
        return ""
    return "&".join(sorted({f"{key}={value if value.isalpha() and value.islower() else '*'}" for key, value in pairs}))
