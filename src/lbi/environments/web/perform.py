"""Carries out one action on a page, or refuses it with the reason: the only module that clicks and types."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from urllib.parse import urldefrag

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

from lbi.environments.web.actions import Call, Target
from lbi.environments.web.hand import ActionRefused, Gone, Hand, TimedOut
from lbi.environments.web.liveness import PageLost, net_error
from lbi.environments.web.look import Look
from lbi.environments.web.session import Session
from lbi.environments.web.settle import WAIT
from lbi.errors import EnvironmentFailure
from lbi.observations.parse import Element
from lbi.observations.parse import Page as ObservedPage
from lbi.records import written_element
from lbi.storage.secrets import mask

WAIT_SECONDS = 3.0  # at most, until a page changes by itself


def find(page: ObservedPage, target: Target) -> Element:
    """The element that a target means. Raises ActionRefused, and names the nearest that there is."""
    if target.ref:
        element = page.element(target.ref)
        if element is None:
            raise ActionRefused(
                f"there is no element {target.ref} on this page; use a reference of the present observation"
            )
        return element
    element = page.find(target.role, target.name, target.nth)
    if element is None:
        alike = [e for e in page.elements if e.role == target.role and _plain(e.name) == _plain(target.name)]
        if target.nth >= len(alike):
            if any(line.strip() == written_element(target.role, target.name) for _, line in page.by_line):
                named = written_element(target.role, target.name, target.nth)
                raise TimedOut(f"{named} is behind what lies over the page; close that first")
            raise ActionRefused(_not_there(page, target))
        element = alike[target.nth]
    return element


def _not_there(page: ObservedPage, target: Target) -> str:
    message = f"there is no {written_element(target.role, target.name, target.nth)} on this page"
    nearest = _nearest(page, target)
    if nearest is None:
        return message
    named = written_element(nearest.role, nearest.name, nearest.nth)
    return f"{message}; there is {'an' if named[0] in 'aeiou' else 'a'} {named}"


def _nearest(page: ObservedPage, target: Target) -> Element | None:
    """An element of the same name and another role, else the one of the same role whose name is most alike."""
    name = _plain(target.name)
    if not name:
        return None
    same_name = [element for element in page.elements if _plain(element.name) == name]
    if other_role := [element for element in same_name if element.role != target.role]:
        return other_role[0]
    by_name = {_plain(element.name): element for element in reversed(page.elements) if element.role == target.role}
    closest = difflib.get_close_matches(name, by_name, n=1)
    return by_name[closest[0]] if closest else None


async def perform(
    session: Session, call: Call, element: Element | None, onto: Element | None, at: Look, refs: Mapping[str, str]
) -> str:
    """Carry out an action on what was seen at ``at``; ``refs`` are the look's names of the observation's references.

    Returns what else the model should know. Raises ActionRefused, EnvironmentFailure, DialogOpened.
    """
    if element is not None and "disabled" in element.states and call.kind not in ("hover", "scroll"):
        raise ActionRefused(f'{element.role} "{element.name}" is disabled')
    try:
        return await _perform(session, call, element, onto, Hand(session.page, at.frames, refs))
    except PlaywrightTimeout as error:
        raise TimedOut(_why_not(call, element, str(error))) from None
    except PlaywrightError as error:
        if lost := net_error(str(error)):
            raise PageLost(f"the page could not be opened: {lost.what}", kind=lost.kind) from error
        if _is_fatal(str(error)):
            raise EnvironmentFailure(f"the browser failed: {error}") from error
        gone = "not attached to the DOM" in str(error)
        raise (Gone if gone else ActionRefused)(_why_not(call, element, str(error))) from None


async def _perform(session: Session, call: Call, element: Element | None, onto: Element | None, hand: Hand) -> str:
    page = session.page
    if call.kind == "goto":
        await open_address(session, call.value)
    elif call.kind == "back":
        await _back(session)
    elif call.kind == "forward":
        if not await page.evaluate("navigation.canGoForward"):
            raise ActionRefused("there is no page to go forward to")
        await page.go_forward(wait_until="commit")
    elif call.kind == "tab":
        _bring_forward(session, int(call.value))
    elif call.kind == "wait":
        if not await session.evaluate(WAIT):
            return f"nothing changed in {WAIT_SECONDS:.0f} s"
    elif call.kind == "scroll":
        return await hand.scroll(element, -1 if call.value == "up" else 1)
    elif call.kind == "press" and element is None:
        await page.keyboard.press(call.value)
    elif element is not None and call.kind == "upload":
        name, _, text = call.value.partition("\n")
        await hand.upload(session, element, name, text)
    elif element is not None and onto is not None:
        await hand.drag(element, onto)
    elif element is not None:
        await hand.use(call, element)
    return ""


async def open_address(session: Session, url: str) -> None:
    """Load a page of the site, twice if it takes too long the first time; anew where only the fragment differs."""
    same_page = "#" in url and urldefrag(url)[0] == urldefrag(session.page.url)[0]
    for attempt in (1, 2):
        try:
            # "commit" is enough: settle() waits for the document
            await session.page.goto(url, wait_until="commit")
            if same_page:
                await _reload(session)
            return
        except PlaywrightTimeout as error:
            await session.stop_loading()  # or it would be waited for again
            if attempt == 2:
                raise PageLost(f"{url} could not be opened: it did not arrive in time", kind="timeout") from error
        except PlaywrightError as error:
            message = str(error)
            if "ERR_ABORTED" in message or "Download is starting" in message or "interrupted" in message:
                return  # a download, an empty reply, or a refusal that the session noted
            if lost := net_error(message):
                raise PageLost(f"{url} could not be opened: {lost.what}", kind=lost.kind) from error
            if attempt == 2 or _is_fatal(message):
                raise EnvironmentFailure(f"{url} could not be opened: {message.splitlines()[0]}") from error


async def _reload(session: Session) -> None:
    tab = session.tab
    session.requests.opening_anew.add(tab.id)
    try:
        await tab.page.reload(wait_until="commit")
    finally:
        session.requests.opening_anew.discard(tab.id)


def _bring_forward(session: Session, number: int) -> None:
    if not session.tabs.bring_forward(number):
        numbers = ", ".join(str(tab.number) for tab in sorted(session.tabs, key=lambda tab: tab.number))
        raise ActionRefused(f"there is no tab {number}; open are: {numbers}")


async def _back(session: Session) -> None:
    page: Page = session.page
    if await page.evaluate("navigation.canGoBack"):
        await page.go_back(wait_until="commit")
    elif len(session.tabs) > 1:
        await page.close()
        session.notes.append("the tab was closed")
    else:
        raise ActionRefused("there is no page to go back to")


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(" :*").casefold()


def _why_not(call: Call, element: Element | None, message: str) -> str:
    subject = f'{element.role} "{element.name}"' if element else call.value
    message = mask(message)  # before it is cut
    if covered := re.search(r"(<[^>]{1,80}>).*? intercepts pointer events", message):
        return f"{subject} is covered by something else: {covered[1]}"
    for sign, reason in (
        ("not enabled", "is disabled"),
        ("not editable", "cannot be edited"),
        ("not visible", "is not visible"),
        ("outside of the viewport", "is out of reach"),
        ("Unknown key", "is no key"),
        ("Malformed value", f'does not take "{call.value}"'),
        ("Cannot type text into input[type=number]", f'takes only numbers, not "{call.value}"'),
        ("not an <input>", "takes no text"),
        ("did not find some options", f'has no option "{call.value}"'),
        ("Element is not attached to the DOM", "is gone from the page"),
    ):
        if sign in message:
            return f"{subject} {reason}"
    return f"{call.kind} did not work on {subject}: {message.splitlines()[0][:200]}"


def _is_fatal(message: str) -> bool:
    signs = ("has been closed", "Target closed", "crashed", "Connection closed", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE")
    return any(sign in message for sign in signs)
