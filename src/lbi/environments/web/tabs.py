"""The tabs of one browser context: which is in front, how many may be open, and scripts in their pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.notes import Notes
from lbi.environments.web.settle import RELEASE
from lbi.errors import EnvironmentFailure

DROPPED_SECONDS = 0.05  # after a page stops loading, a navigation that did not replace it was dropped
ANNOUNCED_SECONDS = 3.0  # in which a tab or a file chooser that the page announced must open
MAX_TABS = 8
BLANK = ("", ":", "about:blank")  # addresses of a tab that shows nothing yet
NEW_TAB = "a new tab was opened and is shown; back() closes it"


class DocumentReplaced(Exception):
    """The document was replaced during a call to it; call again."""


@dataclass
class Tab:
    """A page, and a connection to it by the DevTools protocol (CDP), which bypasses Playwright's own scripts."""

    page: Page
    cdp: CDPSession
    id: str = ""
    url: str = ""
    title: str = ""
    status: int = 0  # of the HTTP answer that the document came with
    born: float = 0.0  # when it was, which tells documents apart
    loading: set[str] = field(default_factory=set)  # ids of frames
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    settling: bool = False  # a call of settle waits for it
    number: int = 1  # among the tabs of the episode, in the order in which they were opened


class Tabs:
    """In the order in which they were shown; the last one is in front."""

    def __init__(self, notes: Notes) -> None:
        self.crashed = False
        self.known = 1  # how many there were when the page last came to rest
        self.shut = 0  # how many were kept shut since the page last came to rest
        self.kept_shut: set[str] = set()  # ids of tabs that were closed before they opened anything
        self.documents: dict[str, str] = {}  # tab -> address of the document it asked for last
        self.opening: set[asyncio.Task[None]] = set()
        self._notes = notes
        self._open: list[Tab] = []
        self._let_in: set[str] = set()  # ids of tabs that are open, or are about to open
        self._event = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Tab]:
        return iter(list(self._open))

    @property
    def front(self) -> Tab:
        """The tab in front. Raises EnvironmentFailure if the browser is gone."""
        if self.crashed or not self._open:
            raise EnvironmentFailure("the page crashed" if self.crashed else "the browser closed its last page")
        return self._open[-1]

    def add(self, tab: Tab) -> None:
        tab.number = max((other.number for other in self._open), default=0) + 1
        self._open.append(tab)
        self._event.set()

    def take_all(self) -> list[Tab]:
        """The tabs, which are shown no longer."""
        old, self._open = self._open, []
        return old

    def let_in_no_others(self) -> None:
        self._let_in = {tab.id for tab in self._open}

    def keep_shut(self) -> None:
        """One more was closed before it was shown."""
        self.shut += 1
        self._event.set()

    def announce(self) -> None:
        """Something that a page announced has happened."""
        self._event.set()

    def bring_forward(self, number: int) -> bool:
        """Show a tab; False if there is none of this number."""
        for tab in self._open:
            if tab.number == number:
                self._open.remove(tab)
                self._open.append(tab)
                return True
        return False

    def too_many(self, tab: str) -> str:
        """Why there is no further tab, which is also noted; "" if there is room."""
        if tab in self._let_in or len(self._let_in) < MAX_TABS:
            self._let_in.add(tab)
            return ""
        self._notes.once(f"a new tab was not opened: there are {MAX_TABS} already; back() closes the one that is shown")
        return f"at most {MAX_TABS} tabs may be open"

    async def frames(self) -> list[str]:
        found: list[str] = []
        for tab in self:
            with contextlib.suppress(PlaywrightError):
                trees = [(await tab.cdp.send("Page.getFrameTree"))["frameTree"]]
                while trees:
                    below = trees.pop().get("childFrames", [])
                    found += [each["frame"]["id"] for each in below]
                    trees += below
        return found

    async def evaluate(self, tab: Tab, script: str) -> Any:
        """Value of a script in the page of a tab. Raises DocumentReplaced if the document is replaced meanwhile."""
        values = {"expression": script, "awaitPromise": True, "returnByValue": True}
        sending = asyncio.ensure_future(tab.cdp.send("Runtime.evaluate", values))
        closing = asyncio.ensure_future(tab.closed.wait())
        try:
            # a tab that never showed anything may be closed without an answer to what it was asked
            await asyncio.wait({sending, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise DocumentReplaced
            reply = sending.result()
        except PlaywrightError as error:
            if tab not in self._open:
                raise DocumentReplaced from None  # the tab was closed
            if "closed" in str(error) and "navigated or closed" not in str(error):
                raise EnvironmentFailure(f"the browser is gone: {error}") from error
            raise DocumentReplaced from None
        finally:
            sending.cancel()
            closing.cancel()
        return reply.get("result", {}).get("value")

    async def close_blank(self, url: str) -> None:
        """Close the tab that was opened for a file alone; the download itself is said to be of the page that did it."""
        for name in [name for name, asked in self.documents.items() if asked == url.partition("#")[0]]:
            tab = next((tab for tab in self if tab.id == name), None)
            if tab is None:
                self.kept_shut.add(name)
                self.keep_shut()
            elif tab.page.url in BLANK and len(self) > 1:
                if NEW_TAB in self._notes:
                    self._notes.remove(NEW_TAB)
                with contextlib.suppress(PlaywrightError):
                    await tab.page.close()

    def track(self, opening: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(opening)
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)

    async def wait_for(self, done: Callable[[], bool]) -> bool:
        """Wait for an event that the page has announced; False if it does not happen."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCED_SECONDS):
                while not done():
                    self._event.clear()
                    await self._event.wait()
        return done()

    def on_close(self, tab: Tab) -> None:
        tab.closed.set()
        self._let_in.discard(tab.id)
        self.documents.pop(tab.id, None)
        if tab in self._open:
            self._open.remove(tab)

    def on_loading_stopped(self, tab: Tab, frame: str) -> None:
        tab.loading.discard(frame)
        if tab.settling:
            self.track(self.release(tab))

    async def release(self, tab: Tab, settling: bool = True) -> None:
        """Nothing loads any more, so a document that still waits to be replaced never will be: stop its waiting."""
        await asyncio.sleep(DROPPED_SECONDS)
        if not tab.loading:
            await self.release_now(tab, settling)

    async def release_now(self, tab: Tab, settling: bool = True) -> None:
        if tab.settling or not settling:
            with contextlib.suppress(PlaywrightError):
                await tab.cdp.send("Runtime.evaluate", {"expression": RELEASE})

    def on_crash(self, tab: Tab) -> None:
        self.crashed = self.crashed or tab in self._open
