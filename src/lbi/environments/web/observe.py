"""What an agent sees of an open page: its address and title, what happened, its elements, a screenshot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.cover import Changed, covered
from lbi.environments.web.password_fields import read
from lbi.environments.web.session import DocumentReplaced, Session
from lbi.environments.web.url_rules import path_of
from lbi.errors import EnvironmentFailure
from lbi.observations.aria import Node, parse_aria
from lbi.observations.render import render
from lbi.storage.secrets import MASK, mask

ATTEMPTS = 5  # to read a page that is replaced again and again
_TYPED_LINES = (
    "[...document.querySelectorAll('textarea')].filter(box => getComputedStyle(box).webkitTextSecurity === 'none' &&"
    " !/-password|one-time-code/i.test(box.autocomplete)).map(box => box.value)"
    ".filter(text => text.trim().includes('\\n'))"
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
    snapshot, guarded = await _aria(session)
    tree = _without_secrets(parse_aria(snapshot), guarded)
    text, refs = render(tree, origin, max_chars, [mask(lines) for lines in await _typed_lines(session)])
    tab = session.tab
    path, title = mask(_path(tab.url, origin)), mask(tab.title)
    notes = [f"note: {' '.join(mask(note).split())}" for note in session.drain_notes()]
    lines = "\n".join([f"URL: {path}", f"Title: {' '.join(title.split())}", *notes, text])
    return PageView(lines, path, title, refs)


def _without_secrets(root: Node, guarded: bool) -> Node:
    """The tree with secrets masked, before any text in it is cut; what was not guarded may hold a password's text."""
    nodes = [root]
    for node in nodes:
        if not guarded and node.role == "textbox" and node.children:
            node.children = [Node("text", MASK)]
        node.name, node.url = mask(node.name), mask(node.url)
        node.attributes = {name: mask(value) for name, value in node.attributes.items()}
        nodes += node.children
    return root


async def screenshot(session: Session, save: Callable[[bytes], str] | None) -> str:
    """Save a screenshot and return its hash; "" where none is wanted. Raises EnvironmentFailure.

    Also "" of a page that shows secrets and changes faster than they can be covered.
    """
    for _ in range(ATTEMPTS if save else 0):
        try:
            async with covered(session.page, session.tab.cdp):
                # a caret that is hidden would be hidden by a change of the document
                png = await session.page.screenshot(caret="initial")
        except Changed:
            continue
        except PlaywrightError as error:
            raise EnvironmentFailure(f"no screenshot: {error}") from error
        return save(png) if save else ""
    return ""


async def _typed_lines(session: Session) -> list[str]:
    """The values of the page's text areas that have several lines."""
    try:
        values = await session.evaluate(_TYPED_LINES)
    except DocumentReplaced:
        return []
    return [value for value in values or [] if isinstance(value, str)]


async def _aria(session: Session) -> tuple[str, bool]:
    """Playwright's snapshot of the page; taken again if the document was replaced meanwhile.

    Also whether all documents in it are those whose password fields were guarded.
    """
    for attempt in range(ATTEMPTS):
        try:
            snapshot, guarded = await read(session.page)
            if guarded or attempt == ATTEMPTS - 1:
                return snapshot, guarded
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
