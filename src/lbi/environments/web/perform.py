"""Carries out one action on a page, or refuses it with the reason: the only module that clicks and types."""

from __future__ import annotations

import difflib
import re
from urllib.parse import urldefrag

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Locator, Page
from playwright.async_api import TimeoutError as PlaywrightTimeout

from lbi.environments.web.actions import Call, Target
from lbi.environments.web.session import Session
from lbi.errors import EnvironmentFailure
from lbi.observations.parse import TICKS, Element
from lbi.observations.parse import Page as ObservedPage

ELEMENT_MS = 4000  # in which an element must become ready for an action


class ActionRefused(Exception):
    """The action could not be carried out; the message is for the model."""


class TimedOut(ActionRefused):
    """The page was not ready for the action in time, by its own design or on a busy machine."""


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
            raise ActionRefused(_not_there(page, target))
        element = alike[target.nth]
    return element


def _not_there(page: ObservedPage, target: Target) -> str:
    message = f"there is no {_grounded(target.role, target.name, target.nth)} on this page"
    nearest = _nearest(page, target)
    if nearest is None:
        return message
    article = "an" if nearest.role[0] in "aeiou" else "a"
    return f"{message}; there is {article} {_grounded(nearest.role, nearest.name, nearest.nth)}"


def _nearest(page: ObservedPage, target: Target) -> Element | None:
    """An element of the same name and another role, else the one of the same role whose name is most alike."""
    name = _plain(target.name)
    if not name:
        return None
    same_name = [element for element in page.elements if _plain(element.name) == name]
    if other_role := [element for element in same_name if element.role != target.role]:
        return other_role[0]
    by_name = {_plain(element.name): element for element in page.elements if element.role == target.role}
    closest = difflib.get_close_matches(name, by_name, n=1)
    return by_name[closest[0]] if closest else None


def _grounded(role: str, name: str, nth: int) -> str:
    return f'{role} "{name}"' + (f" #{nth}" if nth else "")


async def perform(session: Session, call: Call, element: Element | None, handle: str) -> None:
    """Carry out an action; ``handle`` is Playwright's reference of ``element``.

    Raises ActionRefused, EnvironmentFailure.
    """
    page = session.page
    if element is not None and "disabled" in element.states:
        raise ActionRefused(f'{element.role} "{element.name}" is disabled')
    try:
        if call.kind == "goto":
            await open_address(session, call.value)
        elif call.kind == "back":
            await _back(session)
        elif call.kind == "scroll":
            sign = "-" if call.value == "up" else ""
            await session.evaluate(f"window.scrollBy(0, {sign}0.9 * innerHeight)")
        elif call.kind == "press" and element is None:
            await page.keyboard.press(call.value)
        elif element is not None:
            await _on_element(page.locator(f"aria-ref={handle}"), call, element)
    except PlaywrightTimeout as error:
        raise TimedOut(_why_not(call, element, str(error))) from None
    except PlaywrightError as error:
        if _is_fatal(str(error)):
            raise EnvironmentFailure(f"the browser failed: {error}") from error
        raise ActionRefused(_why_not(call, element, str(error))) from None


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
            if attempt == 2:
                raise EnvironmentFailure(f"{url} did not arrive in time, twice") from error
        except PlaywrightError as error:
            message = str(error)
            if "ERR_ABORTED" in message or "Download is starting" in message or "interrupted" in message:
                return  # a download, an empty reply, or a refusal that the session noted
            if attempt == 2 or _is_fatal(message):
                raise EnvironmentFailure(f"{url} could not be opened: {message.splitlines()[0]}") from error


async def _reload(session: Session) -> None:
    tab = session.tab
    session.opening_anew.add(tab.id)
    try:
        await tab.page.reload(wait_until="commit")
    finally:
        session.opening_anew.discard(tab.id)


async def _back(session: Session) -> None:
    page: Page = session.page
    if await page.evaluate("navigation.canGoBack"):
        await page.go_back(wait_until="commit")
    elif len(session.tabs) > 1:
        await page.close()
        session.notes.append("the tab was closed")
    else:
        raise ActionRefused("there is no page to go back to")


async def _on_element(locator: Locator, call: Call, element: Element) -> None:
    if call.kind == "click":
        await _click(locator, element)
    elif call.kind == "fill":
        if element.options or element.role in TICKS | {"link", "button"}:
            instead = "select" if element.options else "click"
            raise ActionRefused(f'{element.role} "{element.name}" takes no text; use {instead}')
        await locator.fill(call.value, timeout=ELEMENT_MS)
    elif call.kind == "select":
        await _select(locator, call.value, element)
    elif call.kind == "press":
        await locator.press(call.value, timeout=ELEMENT_MS, no_wait_after=True)


async def _click(locator: Locator, element: Element) -> None:
    try:
        await locator.click(timeout=ELEMENT_MS, no_wait_after=True)
    except PlaywrightTimeout:
        if element.role not in TICKS:
            raise
        # a check box may be covered by the label that draws it; the label would pass the click on
        await locator.dispatch_event("click", timeout=ELEMENT_MS)


async def _select(locator: Locator, value: str, element: Element) -> None:
    if not element.options and element.role not in ("combobox", "listbox"):
        raise ActionRefused(f'{element.role} "{element.name}" has no options')
    if not element.options:
        raise ActionRefused(
            f'{element.role} "{element.name}" is no plain list: click it, or fill it, and click an option'
        )
    shortened = element.options[-1].startswith("… ")  # the observation does not list all of them
    wanted = [option for option in element.options if option == value]
    wanted += [option for option in element.options if _plain(option) == _plain(value)]
    if not wanted and not shortened:
        known = ", ".join(f'"{option}"' for option in element.options[:20])
        raise ActionRefused(f'"{value}" is no option of {element.role} "{element.name}"; there are: {known}')
    await locator.select_option(label=wanted[0] if wanted else value, timeout=ELEMENT_MS, no_wait_after=True)


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(" :*").casefold()


def _why_not(call: Call, element: Element | None, message: str) -> str:
    subject = f'{element.role} "{element.name}"' if element else call.value
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
        ("not found in the current page snapshot", "is gone from the page"),
    ):
        if sign in message:
            return f"{subject} {reason}"
    return f"{call.kind} did not work on {subject}: {message.splitlines()[0][:200]}"


def _is_fatal(message: str) -> bool:
    signs = ("has been closed", "Target closed", "crashed", "Connection closed", "ERR_CONNECTION", "ERR_EMPTY_RESPONSE")
    return any(sign in message for sign in signs)
