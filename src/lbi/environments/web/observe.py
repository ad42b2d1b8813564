"""What an agent sees of an open page: its address and title, what happened, its elements, a screenshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.session import DocumentReplaced, Session
from lbi.environments.web.url_rules import path_of
from lbi.errors import EnvironmentFailure
from lbi.observations.aria import parse_aria
from lbi.observations.render import render

ATTEMPTS = 5  # to read a page that is replaced again and again
_TYPED_LINES = (
    "[...document.querySelectorAll('textarea')].map(box => box.value).filter(text => text.trim().includes('\\n'))"
)


@dataclass(frozen=True)
class PageView:
    """What the page in front shows."""

    text: str  # address, title, notes and elements, as models read it
    path: str  # on the site, without scheme and host; whole where the page is of another site
    title: str
    refs: dict[str, str]  # references in the text -> Playwright's references on this page


async def view_page(session: Session, origin: str, max_chars: int) -> PageView:
    """The page as text of at most ``max_chars`` characters. Raises EnvironmentFailure if it cannot be read."""
    tree = parse_aria(await _aria(session))
    text, refs = render(tree, origin, max_chars, await _typed_lines(session))
    tab = session.tab
    path = _path(tab.url, origin)
    notes = [f"note: {' '.join(note.split())}" for note in session.drain_notes()]
    lines = "\n".join([f"URL: {path}", f"Title: {' '.join(tab.title.split())}", *notes, text])
    return PageView(lines, path, tab.title, refs)


async def screenshot(session: Session, save: Callable[[bytes], str] | None) -> str:
    """Save a screenshot and return its hash; "" where none is wanted. Raises EnvironmentFailure."""
    if save is None:
        return ""
    try:
        return save(await session.page.screenshot())
    except PlaywrightError as error:
        raise EnvironmentFailure(f"no screenshot: {error}") from error


async def _typed_lines(session: Session) -> list[str]:
    """The values of the page's text areas that have several lines."""
    try:
        values = await session.evaluate(_TYPED_LINES)
    except DocumentReplaced:
        return []
    return [value for value in values or [] if isinstance(value, str)]


async def _aria(session: Session) -> str:
    """Playwright's snapshot of the page; taken again if the document was replaced meanwhile."""
    for attempt in range(ATTEMPTS):
        try:
            return await session.page.aria_snapshot(mode="ai")
        except PlaywrightError as error:
            if attempt == ATTEMPTS - 1 or session.page.is_closed():
                raise EnvironmentFailure(f"the page cannot be looked at: {error}") from error
            await session.settle()
    raise AssertionError


def _path(url: str, origin: str) -> str:
    if not url.startswith(origin):
        return url
    fragment = "#" + url.partition("#")[2] if "#" in url else ""
    return path_of(url) + fragment
