"""What an agent sees of an open page: its address and title, what happened, its elements, a screenshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.cover import Changed, covered
from lbi.environments.web.dialogs import DialogOpened
from lbi.environments.web.look import Look, NothingSeen, look
from lbi.environments.web.session import Session
from lbi.environments.web.tabs import DocumentReplaced
from lbi.environments.web.url_rules import path_of
from lbi.errors import EnvironmentFailure
from lbi.observations.render import render
from lbi.observations.tree import Node, fold
from lbi.storage.secrets import any_known, mask

ATTEMPTS = 5  # to read a page that is replaced again and again
#: what the buttons and the box of a dialog are called in the references of its view
OK, CANCEL, ANSWER = "dialog:ok", "dialog:cancel", "dialog:answer"


@dataclass(frozen=True)
class PageView:
    """What the page in front shows."""

    text: str  # address, title, notes and elements, as models read it
    path: str  # on the site, without scheme and host; whole where the page is of another site
    title: str
    refs: dict[str, str]  # references in the text -> the look's
    look: Look  # what the references are of


async def view_page(session: Session, origin: str, max_chars: int, wanted: str = "") -> PageView:
    """The page as text of at most ``max_chars`` characters; lines with ``wanted`` are not left out of a longer one.

    Raises EnvironmentFailure if it cannot be read.
    """
    try:
        seen = await _look(session)
    except DialogOpened:
        return _dialog_view(session, origin)
    _mask_all(seen.tree)
    text, refs = render(seen.tree, origin, max_chars, wanted)
    tab = session.tab
    if tab.status >= 500:
        session.notes.append(f"the server answered with HTTP {tab.status}")
    if seen.behind:
        session.notes.append(
            f"something lies over the page; {seen.behind} elements behind it have no reference until it is closed"
        )
    if seen.cut:
        session.notes.append(f"the page is too large: {seen.cut} elements were not looked at")
    path, title = mask(_path(tab.url, origin)), mask(tab.title)
    if len(session.tabs) > 1:
        listed = sorted(session.tabs, key=lambda one: one.number)
        names = (f'{one.number} "{one.title[:60]}"' + (" (shown)" if one is tab else "") for one in listed)
        session.notes.append(f"open tabs: {', '.join(names)}")
    notes = [f"note: {' '.join(mask(note).split())}" for note in session.notes.drain()]
    lines = "\n".join([f"URL: {path}", f"Title: {' '.join(title.split())}", *notes, text])
    return PageView(lines, path, title, refs, seen)


def _mask_all(tree: Node) -> None:
    """Mask secrets in place, before any text in the tree is cut."""
    if not any_known():
        return
    for node in tree.walk():
        node.name, node.url, node.hint = mask(node.name), mask(node.url), mask(node.hint)
        node.value = mask(node.value) if node.value is not None else None
        node.files = mask(node.files)
        node.options = [(mask(label), chosen, mask(group)) for label, chosen, group in node.options]


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
        # away from the event loop: object storage may take its time, and other episodes go on
        return await asyncio.to_thread(save, png) if save else ""
    return ""


async def _look(session: Session) -> Look:
    for _ in range(ATTEMPTS):
        try:
            return await look(session.page, session.evaluate)
        except (DocumentReplaced, NothingSeen, PlaywrightError) as error:
            if not session.tabs:
                raise EnvironmentFailure(f"the page cannot be looked at: {error}") from error
            await session.settle()
    raise EnvironmentFailure("the page cannot be looked at: it is replaced again and again")


def _dialog_view(session: Session, origin: str) -> PageView:
    """A dialog that asks something, as buttons; the page behind it cannot be read or used until it is answered."""
    dialog = session.dialogs.waiting
    assert dialog is not None
    tree = Node("document")
    box = Node("dialog", fold(dialog.message) or dialog.type)
    tree.children = [box]
    if dialog.type == "prompt":
        box.children.append(Node("textbox", "Answer", ANSWER, value=session.dialogs.text))
    box.children += [Node("button", "OK", OK), Node("button", "Cancel", CANCEL)]
    _mask_all(tree)
    text, refs = render(tree, origin)
    tab = session.tab
    path, title = mask(_path(tab.url, origin)), mask(tab.title)
    notes = [f"note: {' '.join(mask(note).split())}" for note in session.notes.drain()]
    notes.append("note: a dialog waits for an answer; the page goes on after it")
    lines = "\n".join([f"URL: {path}", f"Title: {' '.join(title.split())}", *notes, text])
    return PageView(lines, path, title, refs, Look(tree))


def _path(url: str, origin: str) -> str:
    if not url.startswith(origin):
        return url
    fragment = "#" + url.partition("#")[2] if "#" in url else ""
    return path_of(url) + fragment
