"""A short look around the application before any task -> the pages from which the map for the writer of tasks is made.

It follows the addresses that pages show, those of the least seen part of the application first, and changes nothing.
Only where every episode begins with the same state does it also click on what has no address, one click deep.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lbi.context import RunContext
from lbi.observations.normalise import kind_of_place, normalise_url
from lbi.observations.parse import Element, parse_observation
from lbi.protocols import Environment
from lbi.records import Action, Observation, Task, written_element
from lbi.storage.leases import WorkKey

FAILURES = 5  # addresses in a row that lead nowhere
PER_KIND = 2  # elements without an address, of one role under one heading, that are clicked
_CLICKED = ("link", "tab", "menuitem", "treeitem")
#: what a link says that leads to no page but does something at once
_DOES_SOMETHING = re.compile(
    r"\b(?:delete|remove|(?:log|sign) ?(?:out|off)|unsubscribe|reset|clear|cancel|deactivate|close account)\b", re.I
)
Move = tuple[str, str]  # an address, and what is clicked there: "" = nothing


async def look_around(context: RunContext) -> None:
    """Store the pages of a short look around, once in a run. There is no map where the config wants none, or where
    each task has an application of its own."""
    most = context.config.synthesis.map_pages
    if not most or not context.one_application:
        return
    store = context.folder.store
    async with context.lease(WorkKey("stage", "look around")) as mine:
        if mine and not store.count("page") and not store.count("task"):  # a run that has tasks began without a map
            await _look_and_store(context, most)


def stored_pages(context: RunContext) -> list[Observation]:
    """The pages that were seen."""
    return [page for _, page in context.folder.store.all("page", Observation)]


async def _look_and_store(context: RunContext, most: int) -> None:
    pages: list[Observation] = []  # of the look that came furthest

    async def look(environment: Environment) -> None:
        seen: list[Observation] = []
        try:
            await pages_of(environment, most, clicks=context.restores, into=seen)
        finally:  # with what a look before it has seen, the map would depend on when it failed
            pages[:] = seen if len(seen) > len(pages) else pages

    with context.progress.stage("look around", most) as stage:
        with stage.working("look around"):
            await context.pool.do(look, failed=context.failure_recorder("page", "look around", stage))
        stage.expect(len(pages) - most)
        stage.advance(len(pages))
    await context.folder.store.put_many("page", [(f"{at:03d}", page) for at, page in enumerate(pages)])


async def pages_of(
    environment: Environment, most: int, *, clicks: bool, into: list[Observation] | None = None
) -> list[Observation]:
    """Up to ``most`` different pages, the start page first. Raises EnvironmentFailure; ``into`` holds what was seen."""
    pages, failures = into if into is not None else [], 0
    first = await environment.reset(Task(instruction="", environment=environment.name))
    pages.append(first)
    visits = Counter([_section(first.url), _kind(first.url)])
    seen = {normalise_url(first.url)}
    pending: list[Move] = list(_moves(first, clicks))

    def seen_least(move: Move) -> tuple[object, ...]:
        address, target = move
        return bool(target), visits[_section(address)], visits[_kind(address)], "?" in address

    while pending and len(pages) < most and failures < FAILURES:
        move = min(pending, key=seen_least)  # the first of equals
        pending.remove(move)
        if not move[1] and normalise_url(move[0]) in seen:
            continue
        visits.update((_section(move[0]), _kind(move[0])))
        seen.add(normalise_url(move[0]))
        page = await _carried_out(environment, move)
        failures = failures + 1 if page is None else 0
        if page is None or any(page.text == other.text for other in pages):
            continue
        seen.add(normalise_url(page.url))
        pages.append(page)
        pending += [each for each in _moves(page, clicks and not move[1]) if each not in pending]
    return pages


async def _carried_out(environment: Environment, move: Move) -> Observation | None:
    """The page that a move leads to; None where it leads to none."""
    address, target = move
    page = (await environment.step(Action(text="", kind="goto", value=address).grounded)).observation
    if target and not page.error:
        page = (await environment.step(f"click({target})")).observation
    return None if page.error else page


def _moves(page: Observation, clicks: bool) -> Iterator[Move]:
    """The addresses that a page shows and, with ``clicks``, what else may lead on."""
    elements = [e for e in parse_observation(page.text).elements if not _DOES_SOMETHING.search(e.name)]
    for url in dict.fromkeys(_page(element.url) for element in elements):
        if url and "://" not in url:
            yield url, ""
    kinds: Counter[tuple[str, str]] = Counter()
    for element in elements if clicks else ():
        if element.role in _CLICKED and not element.url and not element.has("disabled"):
            kinds[element.role, element.heading] += 1
            if kinds[element.role, element.heading] <= PER_KIND:
                yield page.url, _target(element)


def _target(element: Element) -> str:
    return written_element(element.role, element.name, element.nth)


def _page(url: str) -> str:
    """An address without the fragment that is a place on its page, and not a page of its own as ``#/settings`` is."""
    page, _, fragment = url.partition("#")
    return url if fragment.startswith(("/", "!")) else page


def _section(url: str) -> str:
    """The first part of an address, "/report" of /report/1?asc=1; numbers are masked."""
    path, _, fragment = url.partition("#")
    parts = [part for part in f"{path.partition('?')[0]}/{fragment}".split("/") if part]
    return kind_of_place(parts[0]) if parts else ""


def _kind(url: str) -> str:
    """An address without its numbers and what is asked for, "/report/0"; never that of a section."""
    return "/" + kind_of_place(url.partition("?")[0])
