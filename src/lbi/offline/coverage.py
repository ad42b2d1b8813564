"""What exploration has seen and tried: what kinds of places offer, and which of it was done and to what effect.

An offer is a form with its button, a button, something that unfolds, or a way to a kind of place. Things of one kind
share their offers: what was tried on one lamp need not be tried on all of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from lbi.observations.parse import Element, Page
from lbi.offline.forms import FIELD_ROLES, TOGGLE_ROLES, Key, form_of, is_shy, title, usable
from lbi.offline.goal import FILLING, page_of
from lbi.offline.lexical import SYNONYMS
from lbi.offline.places import segments
from lbi.records import Observation, Trajectory

Kind = Literal["form", "button", "locked", "fold", "to"]
#: kind, kind of place, name: ("form", "/lamp/*", "Save"), ("to", "/lamp/*/edit", "")
Offered = tuple[Kind, str, str]
_DIGITS = re.compile(r"\d+")
_NUMBERED = re.compile(r"^[a-z]{0,2}\d+$", re.IGNORECASE)
FOLDING = frozenset({"link", "tab", "menuitem", "treeitem"})
INSTANCES = 6  # addresses remembered of one kind of place
MANY = 12  # sections of an application are fewer, its things are more
SLUGS = 3  # names of links after numbers: /user/3/jane is about 3, /user/3/edit is not
EVERYWHERE = 8  # kinds of places with the same form
ENOUGH = 8  # tries of one form, whatever is left of it


def masked(name: str) -> str:
    return _DIGITS.sub("0", " ".join(name.split()))[:80]


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


@dataclass(frozen=True)
class Origin:
    """A page with a link that leads somewhere, and what to unfold there first."""

    url: str
    link: str
    via: tuple[str, ...]


class Coverage:
    """Grows by whole trajectories, in a given order, so that it does not depend on who finished first."""

    def __init__(self) -> None:
        self.offers: dict[Offered, Offer] = {}
        self.visits: Counter[str] = Counter()  # by kind of place
        self.values: dict[str, list[str]] = defaultdict(list)  # field name -> values it was seen with
        self._alike: dict[tuple[str, frozenset[Key]], set[Offered]] = defaultdict(set)  # one form on many pages
        self._children: dict[str, set[str]] = defaultdict(set)  # path without numbers -> what follows it
        # the same, where a link is called like what follows, with the numbers before it
        self._called: dict[str, dict[str, set[str]]] = defaultdict(dict)
        self._queries: dict[str, set[str]] = defaultdict(set)  # path -> kinds of queries after it
        self.origins: dict[str, Origin] = {}  # address -> where a link to it was seen first
        self.reveals: dict[tuple[str, str], set[Key]] = defaultdict(set)  # place, what was clicked -> fields
        self._ids: set[str] = set()  # parts of addresses that name things which were there from the start
        self.names: list[str] = []  # things by whose name links to them are called
        self._learnt: list[Trajectory] = []

    def learn(self, trajectories: Iterable[Trajectory]) -> None:
        """Take in trajectories; all again if addresses are now seen to be of fewer kinds than was thought."""
        fresh = list(trajectories)
        before = self._folded()
        for trajectory in fresh:
            for observation in trajectory.observations:
                self._addresses(page_of(observation))
        again = self._folded() != before
        self._learnt += fresh
        if again:
            self.offers.clear()
            self.visits.clear()
            self._alike.clear()
        for trajectory in self._learnt if again else fresh:
            self._take_in(trajectory)

    # kinds of places

    def pattern(self, url: str) -> str:
        """The address with numbers, what follows them, and one of very many siblings masked: /lamp/*/edit."""
        path = self._path(url)
        queries = self._queries.get(path, set())
        query = _query(url) if len(queries) <= MANY else ""
        return f"{path}?{query}" if query else path

    def _path(self, url: str) -> str:
        parts = segments(url)
        kinds = ["*" if self._names_a_thing(parts, i) else part for i, part in enumerate(parts)]
        return "/" + "/".join(kinds)

    def _names_a_thing(self, parts: list[str], at: int) -> bool:
        """A number, what readable part follows one, or one of very many."""
        if _NUMBERED.match(parts[at]) or at == 0:
            return bool(_NUMBERED.match(parts[at]))
        parent = _numbers_masked(parts[:at])
        if not _NUMBERED.match(parts[at - 1]):
            return len(self._children.get(parent, ())) > MANY
        return "-" in parts[at] or parts[at] in self._slugs(parent)

    def _slugs(self, parent: str) -> set[str]:
        """Parts after numbers that are called like their links, each after one number only, and alone there."""
        after = [(part, *numbers) for part, numbers in self._called.get(parent, {}).items() if len(numbers) == 1]
        alone = Counter(number for _, number in after)
        slugs = {part for part, number in after if alone[number] == 1}
        return slugs if len(slugs) >= SLUGS else set()

    def _addresses(self, page: Page) -> None:
        links = [(page.url, ""), *((e.url, e.name) for e in page.elements if e.url.startswith("/"))]
        for url, name in links:
            parts = segments(url)
            for i, part in enumerate(parts[1:], 1):
                if not _NUMBERED.match(part):
                    self._children[_numbers_masked(parts[:i])].add(part)
            numbered = len(parts) > 1 and _NUMBERED.match(parts[-2]) and parts[-1].lower() not in SYNONYMS
            if numbered and re.sub(r"\W+", "", name).lower() == re.sub(r"\W+", "", parts[-1]).lower():
                self._called[_numbers_masked(parts[:-1])].setdefault(parts[-1], set()).add(parts[-2])
        for url, _ in links:
            self._queries[self._path(url)].add(_query(url))

    def _folded(self) -> tuple[frozenset[str], frozenset[str]]:
        """Where parts of addresses are of too many kinds to be sections; it grows, and then all is counted anew."""
        return (
            frozenset(name for name, found in self._children.items() if len(found) > MANY),
            frozenset(f"{name}/{slug}" for name in self._called for slug in self._slugs(name))
            | frozenset(name for name, found in self._queries.items() if len(found) > MANY),
        )

    # offers

    def offered(self, page: Page) -> dict[Offered, Element]:
        """What can be tried on a page; of several links to one kind of place the first."""
        here = self.pattern(page.url)
        found: dict[Offered, Element] = {}
        for element in page.elements:
            if element.role in FIELD_ROLES or not element.ref or "://" in element.url:
                continue
            if (offer := self._kind(page, here, element)) is not None:
                found.setdefault(offer, element)
        return found

    def offered_by(self, page: Page, element: Element) -> Offered | None:
        return self._kind(page, self.pattern(page.url), element)

    def _kind(self, page: Page, here: str, element: Element) -> Offered | None:
        if element.role == "link" and element.url.startswith("/") and _bare(element.url) != _bare(page.url):
            return ("to", self.pattern(element.url), "")
        if not usable(element):
            return ("locked", here, masked(element.name)) if element.role == "button" else None
        if element.role == "button":
            form = form_of(page, (element.role, element.name))
            kind: Kind = "form" if form is not None and form.fields and not is_shy(element.name) else "button"
            return (kind, here, masked(element.name))
        own = not element.url or element.url.startswith("#")
        folds = element.role in FOLDING and own and re.search(r"\w", element.name)
        return ("fold", here, masked(element.name)) if folds else None

    def want(self, offered: Offered) -> float:
        """How much there is still to learn from it, 0..3."""
        kind, here, name = offered
        if kind == "to":
            tries = self.offers[offered].tries if offered in self.offers else 0
            return 0.0 if self.visits[here] or tries > 1 else 2.4 - tries
        offer = self.offers.get(offered)
        if offer is None:
            return 2.0
        if kind == "form":
            return self._want_form(offered, offer)
        if kind == "fold":
            folds = [(o[1:], known) for o, known in self.offers.items() if o[0] == "fold"]
            vain = sum(known.idle for (place, _), known in folds if place == here)
            same = sum(known.tries for (_, other), known in folds if other == name)  # a tool bar stands on many pages
            return 0.0 if offer.tries or same > 1 else 1.7 - 0.3 * min(vain, 5)
        if is_shy(name):
            return 0.0 if offer.tries else 0.5
        return 0.0 if offer.changed > 1 or offer.tries > 2 else 2.6 - 0.9 * offer.tries

    def _want_form(self, offered: Offered, offer: Offer) -> float:
        twins = [self.offers[o] for o in self._alike[offered[2], frozenset(offer.fields)] - {offered}]
        everywhere = len(twins) >= EVERYWHERE and sum(twin.tries for twin in twins) >= 3
        if everywhere or offer.tries >= ENOUGH:
            return 0.0  # a search box stands on every page
        left = self.left(offer)
        if offer.changed:
            return 1.8 + 0.05 * min(len(left), 8) - 0.25 * offer.tries if left else 0.0
        return 0.0 if offer.moved > 1 or offer.idle > 2 else 3.0 - 0.8 * offer.moved - 0.7 * offer.idle

    @staticmethod
    def left(offer: Offer) -> set[Key]:
        """Fields of a form that were not yet part of a change."""
        return {key for key in offer.fields - offer.covered if key[1]}

    # learning

    def _take_in(self, trajectory: Trajectory) -> None:
        seen = trajectory.observations
        lasting = True
        via: tuple[str, ...] = ()
        for index, observation in enumerate(seen):
            page = page_of(observation)
            if index and _bare(seen[index - 1].url) != _bare(observation.url):
                via = ()
            # what an episode created is gone after it, and so are the addresses of it
            lasting = lasting and not (index and _made(trajectory, index - 1))
            self._see(page, via, lasting=lasting)
            if index < len(trajectory.steps):
                unfolded = self._tried(trajectory, index)
                via = (*via, unfolded) if unfolded else via

    def _see(self, page: Page, via: tuple[str, ...], *, lasting: bool) -> None:
        self.visits[self.pattern(page.url)] += 1
        if lasting:
            self._ids |= {part for url in (page.url, *(e.url for e in page.elements)) for part in self._things(url)}
        for offered, element in self.offered(page).items():
            offer = self.offers.setdefault(offered, Offer(via=via))
            if offered[0] == "form":
                self._know_form(page, offered, offer, element)
            url = element.url if offered[0] == "to" else page.url
            if (lasting or self._lasts(url)) and url not in offer.urls and len(offer.urls) < INSTANCES:
                offer.urls.append(url)
            if len(via) < len(offer.via):
                offer.via = via
        for element in page.elements:
            known = self.origins.get(element.url)
            stays = lasting or self._lasts(page.url)
            links = stays and element.role == "link" and element.url.startswith("/")
            if links and (known is None or len(via) < len(known.via)):
                self.origins[element.url] = Origin(page.url, element.name, via)
        self._collect(page)

    def _lasts(self, url: str) -> bool:
        """Whether an address is about things only that were there before anything was made."""
        return self._things(url) <= self._ids

    def _things(self, url: str) -> set[str]:
        parts = segments(url) if url.startswith("/") else []
        return {part for i, part in enumerate(parts) if self._names_a_thing(parts, i)}

    def _revealed(self, page: Page, after: Page, name: str) -> None:
        """Note the fields that a click brought to light without leaving the page."""
        shown = {key_of(e) for e in after.elements if e.role in FIELD_ROLES and usable(e)}
        hidden = shown - {key_of(e) for e in page.elements if e.role in FIELD_ROLES and usable(e)}
        self.reveals[self.pattern(page.url), name] |= hidden

    def unfold_for(self, offered: Offered) -> tuple[str, ...]:
        """What to click on the page before a form's untried fields can be seen."""
        offer = self.offers.get(offered, Offer())
        left = self.left(offer)
        best: tuple[int, str] = (0, "")
        for (place, name), keys in sorted(self.reveals.items()):
            if place == offered[1] and len(keys & left) > best[0]:
                best = (len(keys & left), name)
        return (best[1],) if best[1] else offer.via

    def _know_form(self, page: Page, offered: Offered, offer: Offer, element: Element) -> None:
        form = form_of(page, (element.role, element.name))
        keys = {key_of(field) for field in form.fields} if form else set()
        if not keys <= offer.fields:
            self._alike[offered[2], frozenset(offer.fields)].discard(offered)
            offer.fields |= keys
        self._alike[offered[2], frozenset(offer.fields)].add(offered)

    def _collect(self, page: Page) -> None:
        for element in page.elements:
            last = (segments(element.url) or [""])[-1]
            if element.role == "link" and last == element.name and last not in self.names and not _NUMBERED.match(last):
                self.names.append(last)
        pairs = [*page.pairs]
        for header, rows in page.tables:
            pairs += [(name, cell) for row in rows for name, cell in zip(header, row, strict=False)]
        for name, value in pairs:
            known = self.values[name.strip(" :*").lower()]
            if 0 < len(value) < 60 and value not in known and len(known) < 20:
                known.append(value)

    def _tried(self, trajectory: Trajectory, index: int) -> str:
        """Count what a step tried; the name of what it unfolded, if that is what it did."""
        before, after = trajectory.observations[index], trajectory.observations[index + 1]
        page, action = page_of(before), trajectory.steps[index].action
        element = page.find(action.role, action.name, action.nth) if action.role else None
        if element is None or element.role in FIELD_ROLES or action.kind not in ("click", "press"):
            return ""
        stays = _bare(after.url) == _bare(before.url) and after.digest == before.digest
        unfolded = action.name if stays and _shown(after) != _shown(before) and not after.error else ""
        if unfolded:
            self._revealed(page, page_of(after), unfolded)
        offered = self.offered_by(page, element)
        if offered is None:
            return unfolded
        offer = self.offers.setdefault(offered, Offer())
        if after.digest != before.digest:
            offer.changed += 1
            offer.covered |= set(_filled(trajectory, index))
        elif after.error or _shown(after) == _shown(before) or _same_form(page, page_of(after), element):
            offer.idle += 1
        else:
            offer.moved += 1
        return unfolded


def _made(trajectory: Trajectory, index: int) -> bool:
    """Whether a step changed the state other than by looking at a page, which some applications count."""
    before, after = trajectory.observations[index], trajectory.observations[index + 1]
    looked = trajectory.steps[index].action.role in ("link", "") and _bare(before.url) != _bare(after.url)
    return before.digest != after.digest and not looked


def _same_form(page: Page, after: Page, element: Element) -> bool:
    """Whether the button is still there with what was entered: the form was refused."""
    form, kept = form_of(page, (element.role, element.name)), form_of(after, (element.role, element.name))
    if form is None or kept is None or _bare(page.url) != _bare(after.url):
        return False
    values = {key_of(e): e.value for e in form.fields if e.value.strip()}
    return any(values.get(key_of(e)) == e.value for e in kept.fields)


def _filled(trajectory: Trajectory, index: int) -> Iterator[Key]:
    """Fields entered on the page before a step, back to when it was opened."""
    for step in reversed(trajectory.steps[:index]):
        if step.action.kind in FILLING or step.action.role in TOGGLE_ROLES:
            yield step.action.role, masked(title(step.action.name))
        elif _bare(step.observation.url) != _bare(trajectory.observations[index].url):
            return


def _numbers_masked(parts: list[str]) -> str:
    return "/".join("*" if _NUMBERED.match(part) else part for part in parts)


def _shown(observation: Observation) -> str:
    """What the page shows, whatever its address."""
    return observation.text.partition("\n")[2] if observation.text.startswith("URL: ") else observation.text


def _bare(url: str) -> str:
    return url.split("#")[0]


def _query(url: str) -> str:
    """Kind of a query: its keys, with those of its values that are plain words: action=edit, id=*."""
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:
        return ""
    return "&".join(sorted({f"{key}={value if value.isalpha() and value.islower() else '*'}" for key, value in pairs}))
