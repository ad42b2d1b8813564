"""An open page -> what is observed of it: its compacted tree, its address and title, what happened, a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.session import Moving, Session
from lbi.environments.web.url_rules import path_of
from lbi.errors import EnvironmentFailure
from lbi.observations.aria import parse_aria
from lbi.observations.render import compact

LOOKS = 5
_TYPED = "[...document.querySelectorAll('textarea')].map(box => box.value).filter(text => text.trim().includes('\\n'))"


@dataclass(frozen=True)
class Look:
    """What the page in front shows."""

    text: str  # address, title, notes and tree, as models read it
    path: str  # on the site, without scheme and host; whole where the page is of another site
    title: str
    refs: dict[str, str]  # of an element in the text -> Playwright's of this page


async def look(session: Session, origin: str, max_chars: int) -> Look:
    """The page as text of at most ``max_chars`` characters. Raises EnvironmentFailure if it cannot be looked at."""
    tree = parse_aria(await _aria(session))
    text, refs = compact(tree, origin, max_chars, await _typed(session))
    tab = session.tab
    path = _path(tab.url, origin)
    notes = [f"note: {' '.join(note.split())}" for note in session.drain_notes()]
    whole = "\n".join([f"URL: {path}", f"Title: {' '.join(tab.title.split())}", *notes, text])
    return Look(whole, path, tab.title, refs)


async def picture(session: Session, save: Callable[[bytes], str] | None) -> str:
    """Hash of a screenshot as it was saved; nothing where none is wanted. Raises EnvironmentFailure."""
    if save is None:
        return ""
    try:
        return save(await session.page.screenshot())
    except PlaywrightError as error:
        raise EnvironmentFailure(f"no screenshot: {error}") from error


async def _typed(session: Session) -> list[str]:
    """What the page's text boxes of several lines hold, if it is several lines."""
    try:
        found = await session.evaluate(_TYPED)
    except Moving:
        return []
    return [value for value in found or [] if isinstance(value, str)]


async def _aria(session: Session) -> str:
    """Playwright's view of the page; taken again if the document was replaced meanwhile."""
    for attempt in range(LOOKS):
        try:
            return await session.page.aria_snapshot(mode="ai")
        except PlaywrightError as error:
            if attempt == LOOKS - 1 or session.page.is_closed():
                raise EnvironmentFailure(f"the page cannot be looked at: {error}") from error
            await session.settle()
    raise AssertionError


def _path(url: str, origin: str) -> str:
    if not url.startswith(origin):
        return url
    fragment = "#" + url.partition("#")[2] if "#" in url else ""
    return path_of(url) + fragment
