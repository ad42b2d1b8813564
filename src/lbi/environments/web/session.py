"""One browser context as a user sees it: the tab in front, and what happened beside the page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, CDPSession, Dialog, Download, FileChooser, Page
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.settle import RELEASE, WATCH, settle_script
from lbi.environments.web.url_rules import Gate, path_of
from lbi.errors import EnvironmentFailure

CLOSE_SECONDS = 10.0  # as browser.py has it for the whole browser
NAVIGATION_SECONDS = 20.0
QUIET_SECONDS = 1.5
DROPPED_SECONDS = 0.05
ANNOUNCED_SECONDS = 3.0
_STORES = "local_storage,indexeddb,websql,service_workers,cache_storage,file_systems"


class Moving(Exception):
    """The document was replaced while it was looked at; look again."""


@dataclass
class Tab:
    """A page and a line to it that bypasses Playwright's own scripts."""

    page: Page
    line: CDPSession
    url: str = ""
    title: str = ""
    loading: set[str] = field(default_factory=set)  # frames
    asking: bool = False  # whether it has come to rest


@dataclass
class Session:
    """Tabs, notes, and the refusals of real navigations."""

    context: BrowserContext
    gate: Gate
    folder: Path  # downloads go here, and the file that is offered for uploads lies here
    guarded: bool = False  # look at every document's address before it is requested
    tabs: list[Tab] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str = ""
    crashed: bool = False
    _chosen: int = 0  # files chosen since the page announced it
    _known: int = 1  # tabs there were when the page last came to rest
    _opening: set[asyncio.Task[None]] = field(default_factory=set)
    _work: set[asyncio.Task[None]] = field(default_factory=set)
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def open(cls, context: BrowserContext, gate: Gate, folder: Path, guarded: bool = False) -> Session:
        session = cls(context, gate, folder, guarded)
        context.set_default_timeout(NAVIGATION_SECONDS * 1000)
        await context.add_init_script(WATCH)
        await session._add(await context.new_page())
        context.on("page", session._on_page)
        return session

    @property
    def tab(self) -> Tab:
        """The tab in front. Raises EnvironmentFailure if the browser is gone."""
        if self.crashed or not self.tabs:
            raise EnvironmentFailure("the page crashed" if self.crashed else "the browser closed its last page")
        return self.tabs[-1]

    @property
    def page(self) -> Page:
        return self.tab.page

    async def settle(self) -> None:
        """Wait until the page in front has arrived and is quiet; follows new tabs."""
        for _ in range(8):
            tab = self.tab
            state = await self._ask(tab)
            if state is None:
                continue
            if state["opened"] and await self._happens(lambda: len(self.tabs) > self._known):
                self._known = len(self.tabs)
                continue
            if state["choosers"] and await self._happens(lambda: self._chosen > 0):
                self._chosen = 0
                continue
            if state["going"]:
                raise EnvironmentFailure(f"a page did not arrive within {NAVIGATION_SECONDS:.0f} s: {state['url']}")
            tab.url, tab.title = state["url"], state["title"]
            await self._finish_work()
            self._known = len(self.tabs)
            return
        raise EnvironmentFailure(f"the page does not come to rest: {path_of(self.tab.url)}")

    async def evaluate(self, script: str) -> Any:
        """Value of a script in the page in front. Raises Moving if the document is replaced meanwhile."""
        return await self._evaluate(self.tab, script)

    async def clear(self) -> None:
        """A browser without memory of the last episode, but with the site's static files in its cache."""
        while len(self.tabs) > 1:
            extra = self.tabs.pop()
            with contextlib.suppress(PlaywrightError):
                await extra.page.close()
        self.notes.clear()
        self.refused = ""
        with contextlib.suppress(Moving):
            await self.evaluate("window.name = ''; try { sessionStorage.clear(); } catch (error) {}")
        await self.context.clear_cookies()
        await self._send("Storage.clearDataForOrigin", {"origin": self.gate.origin, "storageTypes": _STORES})

    async def forget_history(self) -> None:
        await self._send("Page.resetNavigationHistory")

    async def close(self) -> bool:
        """Close the context; False if the browser does not do it, which then is of no more use."""
        for task in [*self._opening, *self._work]:
            task.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.context.close()
        except PlaywrightError:
            pass  # it is closed already
        except TimeoutError:
            return False
        return True

    def drain_notes(self) -> tuple[str, ...]:
        notes, self.notes = tuple(self.notes), []
        return notes

    # -- talking to the page ---------------------------------------------------------------------------------------

    async def _ask(self, tab: Tab) -> dict[str, Any] | None:
        tab.asking = True
        try:
            found = await self._evaluate(tab, settle_script(NAVIGATION_SECONDS, QUIET_SECONDS))
        except Moving:
            return None
        finally:
            tab.asking = False
        return found if isinstance(found, dict) else None

    async def _evaluate(self, tab: Tab, script: str) -> Any:
        try:
            reply = await tab.line.send(
                "Runtime.evaluate", {"expression": script, "awaitPromise": True, "returnByValue": True}
            )
        except PlaywrightError as error:
            if tab not in self.tabs:
                raise Moving from None  # the tab was closed
            if "closed" in str(error) and "navigated or closed" not in str(error):
                raise EnvironmentFailure(f"the browser is gone: {error}") from error
            raise Moving from None
        return reply.get("result", {}).get("value")

    async def _send(self, method: str, values: dict[str, Any] | None = None) -> None:
        try:
            await self.tab.line.send(method, values or {})
        except PlaywrightError as error:
            raise EnvironmentFailure(f"the browser refused {method}: {error}") from error

    # -- tabs --------------------------------------------------------------------------------------------------------

    async def _add(self, page: Page) -> None:
        line = await self.context.new_cdp_session(page)
        tab = Tab(page, line)
        page.on("dialog", lambda dialog: self._spawn(self._on_dialog(dialog)))
        page.on("download", lambda download: self._spawn(self._on_download(download)))
        page.on("filechooser", lambda chooser: self._spawn(self._on_chooser(chooser)))
        page.on("close", lambda _: self._on_close(tab))
        page.on("crash", lambda _: self._on_crash(tab))
        line.on("Page.frameStartedLoading", lambda event: tab.loading.add(event["frameId"]))
        line.on("Page.frameStoppedLoading", lambda event: self._on_stopped(tab, event["frameId"]))
        await line.send("Page.enable")
        if self.guarded:
            tree = await line.send("Page.getFrameTree")
            top = tree["frameTree"]["frame"]["id"]
            line.on("Fetch.requestPaused", lambda event: self._spawn(self._on_document(line, event, top)))
            await line.send("Fetch.enable", {"patterns": [{"resourceType": "Document"}]})
        self.tabs.append(tab)
        self._event.set()

    def _on_page(self, page: Page) -> None:
        async def add() -> None:
            with contextlib.suppress(PlaywrightError):  # closed again before it was looked at
                await self._add(page)
                self.notes.append("a new tab was opened and is shown; back() closes it")

        self._watch(add())

    def _watch(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _happens(self, done: Callable[[], bool]) -> bool:
        """Wait for an event that the page has announced."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCED_SECONDS):
                while not done():
                    self._event.clear()
                    await self._event.wait()
        return done()

    def _on_close(self, tab: Tab) -> None:
        if tab in self.tabs:
            self.tabs.remove(tab)

    def _on_stopped(self, tab: Tab, frame: str) -> None:
        tab.loading.discard(frame)
        if tab.asking:
            self._watch(self._release(tab))

    async def _release(self, tab: Tab) -> None:
        """Nothing loads any more, and yet the same document waits to be replaced: it will not be."""
        await asyncio.sleep(DROPPED_SECONDS)
        if tab.asking and not tab.loading:
            with contextlib.suppress(PlaywrightError):
                await tab.line.send("Runtime.evaluate", {"expression": RELEASE})

    def _on_crash(self, tab: Tab) -> None:
        self.crashed = self.crashed or tab in self.tabs

    # -- beside the page ---------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _finish_work(self) -> None:
        """Dialogs answered, files chosen, downloads saved: all of it belongs to the action that caused it."""
        while self._work:
            await asyncio.wait(set(self._work), timeout=10)

    async def _on_dialog(self, dialog: Dialog) -> None:
        with contextlib.suppress(PlaywrightError):
            if dialog.type == "beforeunload":
                self.notes.append("the page asked whether to leave it, which was confirmed")
            else:
                self.notes.append(f'a dialog ({dialog.type}) said "{dialog.message}" and was accepted')
            await dialog.accept(dialog.default_value)

    async def _on_download(self, download: Download) -> None:
        name = Path(download.suggested_filename).name or "download"
        target = self.folder / "downloads" / name
        try:
            await download.save_as(target)
            self.notes.append(f'the file "{name}" was downloaded ({target.stat().st_size} bytes)')
        except (PlaywrightError, OSError):
            self.notes.append(f'the download of "{name}" failed')

    async def _on_chooser(self, chooser: FileChooser) -> None:
        offered = self.folder / "note.txt"
        offered.write_text("A short text file to upload.\n", "utf-8")
        with contextlib.suppress(PlaywrightError):
            await chooser.set_files(offered)
            self.notes.append(f'a file was asked for; "{offered.name}" ({offered.stat().st_size} bytes) was chosen')
        self._chosen += 1
        self._event.set()

    async def _on_document(self, line: CDPSession, event: dict[str, Any], top: str) -> None:
        """A document is about to be requested, perhaps after a redirect: the last point to say no."""
        request = {"requestId": event["requestId"]}
        refusal = self.gate.refuses_url(event["request"]["url"])
        with contextlib.suppress(PlaywrightError):
            if refusal:
                if event.get("frameId") == top:
                    self.refused = refusal
                await line.send("Fetch.failRequest", {**request, "errorReason": "Aborted"})
            else:
                await line.send("Fetch.continueRequest", request)
