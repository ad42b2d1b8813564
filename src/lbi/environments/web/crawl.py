"""A site -> its pages and states, one after another: by its links, and by what else leads on when it is clicked."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from lbi.environments.web.consequences import LASTING
from lbi.environments.web.environment import WebEnvironment
from lbi.errors import EnvironmentFailure
from lbi.observations.parse import Element, Page, parse_observation
from lbi.records import Observation, Task, written_element

ALIKE = 3  # pages of one kind, such as /ticket/1 and /ticket/2, that are looked at
FAILURES = 5  # addresses in a row that cannot be opened
DEEP = 2  # clicks after an address
SAME = 0.85  # two states of an address are one if they share so much of their elements
CLICKED = ("link", "tab", "menuitem", "treeitem", "row", "generic", "listitem", "option", "button")


@dataclass(frozen=True)
class State:
    """How a state is reached: an address, and clicks on it."""

    url: str
    clicks: tuple[str, ...] = ()


async def crawl(web: WebEnvironment, start: str, most: int, buttons: bool) -> AsyncIterator[tuple[State, Observation]]:
    """Up to ``most`` states, each while it is open in the browser.

    Buttons are pressed only where ``buttons`` says that the site is put back afterwards, and none whose name says that
    something would be deleted, sent or ended. Raises EnvironmentFailure.
    """
    pending: deque[State] = deque([State(start)])
    later: deque[State] = deque()
    tried: set[tuple[str, ...]] = set()
    kinds: Counter[str] = Counter()
    seen: dict[str, list[set[tuple[str, str]]]] = {}  # by address, roles and names of the elements of each state
    found = failures = 0
    while (pending or later) and found < most:
        state = pending.popleft() if pending else later.popleft()
        if not state.clicks and kinds[_kind(state.url)] >= ALIKE:
            continue
        try:
            observation = await _reach(web, state)
        except EnvironmentFailure:  # an address that leads nowhere; if all do, the site is gone
            failures += 1
            if failures > FAILURES or not found:
                raise
            continue
        if observation is None:
            continue
        failures = 0
        page, where = parse_observation(observation.text), observation.url
        now = {(element.role, element.name) for element in page.elements}
        known = seen.setdefault(where, [])
        if any(len(now & other) >= SAME * len(now | other) for other in known):
            continue
        if not known:
            if kinds[_kind(where)] >= ALIKE:
                continue
            kinds[_kind(where)] += 1
        known.append(now)
        found += 1
        yield state, observation
        for url in dict.fromkeys(_page(e.url) for e in page.elements if e.url and "://" not in e.url):
            if url and ("", url) not in tried and urlsplit(url).scheme in ("", "http", "https"):
                tried.add(("", url))
                (later if kinds[_kind(url)] else pending).append(State(url))
        reached = State(where) if where != state.url and "#" in where else state
        for target in _clickable(page, buttons):
            if (_kind(where).replace("/#/", "/"), target) not in tried and len(reached.clicks) < DEEP:
                tried.add((_kind(where), target))
                later.append(State(reached.url, (*reached.clicks, target)))


async def _reach(web: WebEnvironment, state: State) -> Observation | None:
    """The state, from a reset; None if a click does not get there any more. Raises EnvironmentFailure."""
    observation = await web.reset(Task(instruction="", environment=web.name, start_url=state.url))
    for target in state.clicks:
        observation = (await web.step(f"click({target})")).observation
        if observation.error:
            return None
    return observation


def _clickable(page: Page, buttons: bool) -> list[str]:
    """What may lead on, one of each role and heading first, as rows of a list open pages of one kind."""
    chosen: list[Element] = []
    kinds: Counter[tuple[str, str, str]] = Counter()
    for element in page.elements:
        if element.role not in CLICKED or element.url or "disabled" in element.states or LASTING.search(element.name):
            continue
        if element.role == "button" and not buttons and not {"expanded", "collapsed"} & set(element.states):
            continue
        kind = (element.role, element.heading, element.group)
        if element.role != "button" and kinds[kind] >= 2 * ALIKE:
            continue
        kinds[kind] += 1
        chosen.append(element)
    return [written_element(element.role, element.name, element.nth) for element in chosen]


def _page(url: str) -> str:
    """An address without the fragment that is a place on its page, and not a page of its own as ``#/settings`` is."""
    page, _, fragment = url.partition("#")
    return url if fragment.startswith(("/", "!")) else page


def _kind(url: str) -> str:
    """Pages whose addresses differ in numbers and in what is asked for are of one kind."""
    path, _, query = url.partition("?")
    keys = sorted({part.partition("=")[0] for part in query.split("&") if part})
    parts = [re.sub(r"\d+", "N", part) for part in path.split("/")]
    # what stands after a number, or has many words, is a title
    parts = [
        "*" if part.count("-") > 2 or (at and parts[at - 1] == "N" and part) else part for at, part in enumerate(parts)
    ]
    return "/".join(parts) + ("?" + "&".join(keys) if keys else "")
