"""One browser context as a user sees it: the tab in front, dialogs, downloads, file choosers and new tabs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import BrowserContext, CDPSession, Dialog, Download, FileChooser, Page
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Request as PageRequest

from lbi.environments.web import samples
from lbi.environments.web.browser import CLOSE_SECONDS
from lbi.environments.web.guard import Guard
from lbi.environments.web.liveness import Outage, PageLost, net_error
from lbi.environments.web.login import LeftByLogin
from lbi.environments.web.look import look_script
from lbi.environments.web.settle import RELEASE, WATCH, settle_script
from lbi.environments.web.url_rules import PORTS, UrlRules, origin_of, path_of, scheme_of
from lbi.errors import EnvironmentFailure

NAVIGATION_SECONDS = 20.0  # in which a page must arrive
QUIET_SECONDS = 1.5  # at most, until a page's own requests have ended
DROPPED_SECONDS = 0.05  # after a page stops loading, a navigation that did not replace it was dropped
ANSWER_SECONDS = 2.0  # for the page to say that it has come to rest
ANNOUNCED_SECONDS = 3.0  # in which a tab or a file chooser that the page announced must open
MAX_TABS = 8
_PLAIN_PATH = re.compile(r"/(?:[\w.~=&?+:,%@-][\w.~=&?+:,%@/#-]*)?", re.ASCII)  # nobody reads such a path otherwise
BLANK = ("", ":", "about:blank")  # addresses of a tab that shows nothing yet
NEW_TAB = "a new tab was opened and is shown; back() closes it"
_STORES = "local_storage,indexeddb,websql,service_workers,cache_storage,file_systems"


Result = TypeVar("Result")


class DocumentReplaced(Exception):
    """The document was replaced during a call to it; call again."""


class DialogOpened(Exception):
    """A dialog that asks something holds the page up until it is answered; the call goes on then."""


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


@dataclass
class Session:
    """The open tabs, notes on what happened beside the page, and why the last navigation was refused."""

    context: BrowserContext
    rules: UrlRules
    folder: Path  # downloads go here, and the file that is offered for uploads lies here
    guard: Guard
    blocked: Counter[str]  # other sites -> requests of pages that were refused
    own_headers: frozenset[str] = frozenset()  # in small letters; they are for the site alone
    tabs: list[Tab] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str = ""
    lost: Outage | None = None  # the last request to the site that failed, since this was set back
    refused_in: str = ""  # id of the tab
    opening_anew: set[str] = field(default_factory=set)  # ids of tabs whose page is loaded again, never posted again
    crashed: bool = False
    dialog: Dialog | None = None  # one that waits for an answer
    dialog_text: str = ""  # what stands in its box
    offered: Path | None = None  # the file for the next window that asks for one
    _of_login: list[str] = field(default_factory=list)  # scripts that put back what the log-in left
    _held_up: set[asyncio.Task[Any]] = field(default_factory=set)  # calls that go on when the dialog is answered
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _files_chosen: int = 0  # since the page announced a file chooser
    _tabs_known: int = 1  # how many there were when the page last came to rest
    _let_in: set[str] = field(default_factory=set)  # ids of tabs that are open, or are about to open
    _kept_shut: set[str] = field(default_factory=set)  # ids of tabs that were closed before they opened anything
    _documents: dict[str, str] = field(default_factory=dict)  # tab -> address of the document it asked for last
    _shut: int = 0  # how many since the page last came to rest
    _told: set[str] = field(default_factory=set)  # notes that are given once in an episode
    _opening: set[asyncio.Task[None]] = field(default_factory=set)
    _handlers: set[asyncio.Task[None]] = field(default_factory=set)
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def open(
        cls,
        context: BrowserContext,
        rules: UrlRules,
        folder: Path,
        guard: Guard,
        blocked: Counter[str],
        own_headers: frozenset[str] = frozenset(),
    ) -> Session:
        session = cls(context, rules, folder, guard, blocked, own_headers)
        context.set_default_timeout(NAVIGATION_SECONDS * 1000)
        await context.add_init_script(WATCH)
        await context.add_init_script(look_script())
        await session._add(await context.new_page())
        context.on("page", session._on_page)
        context.on("requestfailed", session._on_blocked)
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

    def begin_action(self) -> None:
        """What follows is the doing of an action."""
        self._files_chosen = 0
        self.refused, self.lost = "", None

    def bring_forward(self, number: int) -> bool:
        """Show a tab; False if there is none of this number."""
        for tab in self.tabs:
            if tab.number == number:
                self.tabs.remove(tab)
                self.tabs.append(tab)
                return True
        return False

    async def settle(self) -> None:
        """Wait until the page in front has arrived and is quiet; follows new tabs."""
        for _ in range(8):
            tab = self.tab
            try:
                state = await self.unless_asked(self._settled(tab))
            except DialogOpened:
                return
            if state is None:
                continue
            if state["opened"] and await self._wait_for(lambda: len(self.tabs) + self._shut > self._tabs_known):
                self._shut = 0
                self._tabs_known = len(self.tabs)
                continue
            if state["choosers"] and await self._wait_for(lambda: self._files_chosen > 0):
                self._files_chosen = 0
                continue
            if state["going"]:
                message = f"a page did not arrive within {NAVIGATION_SECONDS:.0f} s"
                raise PageLost(f"{message}: {path_of(state['url'])}", kind="timeout")
            tab.url, tab.title, tab.status, tab.born = state["url"], state["title"], state["status"], state["born"]
            await self._finish_handlers()
            if self.tab is not tab:  # it was closed, as what it was opened for is saved
                continue
            self._tabs_known, self._shut = len(self.tabs), 0
            return
        raise EnvironmentFailure(f"the page does not come to rest: {path_of(self.tab.url)}")

    async def evaluate(self, script: str) -> Any:
        """Value of a script in the page in front.

        Raises DocumentReplaced if the document is replaced meanwhile, DialogOpened if a dialog holds it up.
        """
        return await self.unless_asked(self._evaluate(self.tab, script))

    async def unless_asked(self, call: Coroutine[Any, Any, Result]) -> Result:
        """The call's result. Raises DialogOpened if a dialog asks something first; the call goes on after that."""
        if self.dialog is not None:
            call.close()
            raise DialogOpened
        task = asyncio.ensure_future(call)
        asked = asyncio.ensure_future(self._asked.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
            if not task.done() and self.dialog is None:
                task.cancel()
        if task.done():
            return task.result()
        self._held_up.add(task)
        task.add_done_callback(_forget)
        raise DialogOpened

    async def answer(self, accept: bool, text: str = "") -> None:
        """Answer the dialog that waits, and let what it held up go on. A second one may open."""
        dialog, self.dialog = self.dialog, None
        self._asked.clear()
        if dialog is None:
            return
        with contextlib.suppress(PlaywrightError):
            await (dialog.accept(text) if accept else dialog.dismiss())
        held, self._held_up = self._held_up, set()
        asked = asyncio.ensure_future(self._asked.wait())
        while held - {task for task in held if task.done()} and not asked.done():
            await asyncio.wait(
                {*(task for task in held if not task.done()), asked},
                timeout=NAVIGATION_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
        asked.cancel()
        self._held_up |= {task for task in held if not task.done()}

    async def leave(self) -> None:
        """Close every page for a blank one. A page that is left can send nothing any more, however late its timers."""
        while self.dialog is not None:
            await self.answer(accept=False)
        self.offered = None
        self._of_login.clear()
        await self.context.set_offline(True)
        old, self.tabs = self.tabs, []
        # a tab of its own has its own session storage, name and history, which nothing else could empty
        self.context.remove_listener("page", self._on_page)
        await asyncio.gather(self._open_blank(), *(_close(tab.page) for tab in old))
        self.context.on("page", self._on_page)
        for page in self.context.pages:  # one that was still opening
            if page is not self.page:
                await _close(page)
        await self.context.set_offline(False)
        self._tabs_known = self.tab.number = 1

    async def _open_blank(self) -> None:
        await self._add(await self.context.new_page())

    async def clear(self) -> None:
        """Forget the last episode, once its pages are left; but keep the site's static files in the cache."""
        self.notes.clear()
        self._told.clear()
        self._files_chosen = 0
        self._let_in = {tab.id for tab in self.tabs}
        self.refused, self.lost = "", None
        await self.context.clear_cookies()
        for origin in self.rules.origins:
            await self._send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": _STORES})

    async def stop_loading(self) -> None:
        """Give up waiting for a page that does not come."""
        await self._send("Page.stopLoading")
        await self._send("Runtime.evaluate", {"expression": RELEASE})

    async def address(self, written: str, base: str) -> str:
        """What the browser reads in an address on a page ``base``; "" if it reads none.

        Addresses with a scheme of their own other than http and https are returned as they are, and never read.
        """
        if scheme_of(written) not in ("", *PORTS):
            return written
        if _PLAIN_PATH.fullmatch(written):
            return origin_of(base) + written
        script = f"(() => {{ try {{ return new URL({json.dumps(written)}, {json.dumps(base)}).href; }} catch {{}} }})()"
        for _ in range(2):
            with contextlib.suppress(DocumentReplaced):
                read = await self.evaluate(script)
                return read if isinstance(read, str) else ""
            await self.settle()
        raise EnvironmentFailure(f"the page does not come to rest: {path_of(self.tab.url)}")

    async def left_by_login(self) -> LeftByLogin:
        """What the pages so far have stored in the browser."""
        state = await self.context.storage_state(indexed_db=True)
        items = await self.evaluate("try { ({...sessionStorage}) } catch (error) { ({}) }")
        return LeftByLogin(dict(state), {origin_of(self.page.url): items} if items else {})

    async def restore(self, left: LeftByLogin | None) -> None:
        """Put what a log-in left into an emptied browser; the first page of the site that is opened finds it there."""
        if left is None:
            return
        if left.stored:
            await self.context.set_storage_state(left.state)  # type: ignore[arg-type]
        elif left.state.get("cookies"):
            await self.context.add_cookies(left.state["cookies"])
        for origin, items in left.session.items():
            # only a fresh tab's is empty, so a second page of the same tab finds what the first made of it
            script = f"""if (location.origin === {json.dumps(origin)} && !sessionStorage.length)
                for (const [name, value] of Object.entries({json.dumps(items)})) sessionStorage.setItem(name, value);"""
            added = await self.tab.cdp.send("Page.addScriptToEvaluateOnNewDocument", {"source": script})
            self._of_login.append(added["identifier"])

    async def begin(self) -> None:
        """The first page is there, and what the agent does begins: no way back, and what it logs out of stays so."""
        for script in self._of_login:
            await self._send("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script})
        self._of_login.clear()
        await self._send("Page.resetNavigationHistory")

    async def close(self) -> bool:
        """Close the context; False if the browser does not answer, and has to be discarded."""
        self.guard.dismiss(self)
        for task in [*self._opening, *self._handlers]:
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
        """The notes since the last call."""
        notes, self.notes = tuple(self.notes), []
        return notes

    # -- talking to the page ---------------------------------------------------------------------------------------

    async def _settled(self, tab: Tab) -> dict[str, Any] | None:
        """The state of a page that has come to rest; None if it was replaced meanwhile."""
        tab.settling = True
        try:
            async with asyncio.timeout(NAVIGATION_SECONDS + QUIET_SECONDS + ANSWER_SECONDS):
                state = await self._evaluate(tab, settle_script(NAVIGATION_SECONDS, QUIET_SECONDS))
        except DocumentReplaced:
            return None
        except TimeoutError:  # a document that is about to be replaced may not answer at all
            raise PageLost(f"a page did not arrive within {NAVIGATION_SECONDS:.0f} s", kind="timeout") from None
        finally:
            tab.settling = False
        return state if isinstance(state, dict) else None

    async def _evaluate(self, tab: Tab, script: str) -> Any:
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
            if tab not in self.tabs:
                raise DocumentReplaced from None  # the tab was closed
            if "closed" in str(error) and "navigated or closed" not in str(error):
                raise EnvironmentFailure(f"the browser is gone: {error}") from error
            raise DocumentReplaced from None
        finally:
            sending.cancel()
            closing.cancel()
        return reply.get("result", {}).get("value")

    async def _send(self, method: str, values: dict[str, Any] | None = None) -> None:
        try:
            await self.tab.cdp.send(method, values or {})
        except PlaywrightError as error:
            raise EnvironmentFailure(f"the browser refused {method}: {error}") from error

    # -- tabs --------------------------------------------------------------------------------------------------------

    async def _add(self, page: Page) -> bool:
        cdp = await self.context.new_cdp_session(page)
        tab = Tab(page, cdp)
        page.on("dialog", lambda dialog: self._handle(self._on_dialog(dialog)))
        page.on("download", lambda download: self._handle(self._on_download(download)))
        page.on("filechooser", lambda chooser: self._handle(self._on_chooser(chooser)))
        page.on("requestfailed", lambda request: self._on_request_failed(tab, request))
        page.on("close", lambda _: self._on_close(tab))
        page.on("crash", lambda _: self._on_crash(tab))
        cdp.on("Page.frameStartedLoading", lambda event: tab.loading.add(event["frameId"]))
        cdp.on("Page.frameStoppedLoading", lambda event: self._on_loading_stopped(tab, event["frameId"]))
        cdp.on("Page.frameAttached", lambda event: self.guard.add_frame(tab.id, event["frameId"]))
        tab.id = await self.guard.admit(self, cdp)
        if tab.id in self._kept_shut:
            return False
        if self._too_many(tab.id):
            self._shut += 1
            self._event.set()
            return False
        await cdp.send("Page.enable")
        if page.is_closed() or tab.id in self._kept_shut:  # meanwhile
            return False
        tab.number = max((other.number for other in self.tabs), default=0) + 1
        self.tabs.append(tab)
        self._event.set()
        return True

    def _on_page(self, page: Page) -> None:
        async def add() -> None:
            with contextlib.suppress(PlaywrightError):  # it was closed again at once
                if not await self._add(page):
                    await page.close()
                    return
                self.notes.append(NEW_TAB)

        self._track_opening(add())

    def _track_opening(self, opening: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(opening)
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _wait_for(self, done: Callable[[], bool]) -> bool:
        """Wait for an event that the page has announced; False if it does not happen."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANNOUNCED_SECONDS):
                while not done():
                    self._event.clear()
                    await self._event.wait()
        return done()

    def _on_close(self, tab: Tab) -> None:
        tab.closed.set()
        self._let_in.discard(tab.id)
        self._documents.pop(tab.id, None)
        if tab in self.tabs:
            self.tabs.remove(tab)

    def _on_loading_stopped(self, tab: Tab, frame: str) -> None:
        tab.loading.discard(frame)
        if tab.settling:
            self._track_opening(self._release(tab))

    async def _release(self, tab: Tab, settling: bool = True) -> None:
        """Nothing loads any more, so a document that still waits to be replaced never will be: stop its waiting."""
        await asyncio.sleep(DROPPED_SECONDS)
        if not tab.loading:
            await self._release_now(tab, settling)

    async def _release_now(self, tab: Tab, settling: bool = True) -> None:
        if tab.settling or not settling:
            with contextlib.suppress(PlaywrightError):
                await tab.cdp.send("Runtime.evaluate", {"expression": RELEASE})

    def _on_crash(self, tab: Tab) -> None:
        self.crashed = self.crashed or tab in self.tabs

    # -- beside the page ---------------------------------------------------------------------------------------------

    def _handle(self, handler: Coroutine[Any, Any, None]) -> None:
        """Run a handler of an event; an action waits until it is done."""
        task = asyncio.ensure_future(handler)
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _finish_handlers(self) -> None:
        """Wait until dialogs are answered, files chosen and downloads saved, as these belong to the action before."""
        while self._handlers:
            await asyncio.wait(set(self._handlers), timeout=10)

    def _on_request_failed(self, tab: Tab, request: PageRequest) -> None:
        """Which says of the site that it may be dead; of a request to another one, nothing."""
        if not request.url.startswith(self.rules.origins):
            return
        lost = net_error(request.failure or "")
        self.lost = lost or self.lost
        if lost and request.is_navigation_request():
            self._track_opening(self._release_now(tab))

    async def _on_dialog(self, dialog: Dialog) -> None:
        with contextlib.suppress(PlaywrightError):
            if dialog.type in ("confirm", "prompt"):
                self.dialog, self.dialog_text = dialog, dialog.default_value
                self._asked.set()
                return
            if dialog.type == "beforeunload":
                self.notes.append("the page asked whether to leave it, which was confirmed")
            else:
                self.notes.append(f'a dialog said "{dialog.message}"')
            await dialog.accept()

    async def _on_download(self, download: Download) -> None:
        name = Path(download.suggested_filename).name or "download"
        target = self.folder / "downloads" / name
        try:
            await download.save_as(target)
            self.notes.append(f'the file "{name}" was downloaded ({target.stat().st_size} bytes)')
        except (PlaywrightError, OSError):
            self.notes.append(f'the download of "{name}" failed')
        await self._close_blank(download.url)

    async def _close_blank(self, url: str) -> None:
        """Close the tab that was opened for a file alone; the download itself is said to be of the page that did it."""
        for name in [name for name, asked in self._documents.items() if asked == url.partition("#")[0]]:
            tab = next((tab for tab in self.tabs if tab.id == name), None)
            if tab is None:
                self._kept_shut.add(name)
                self._shut += 1
                self._event.set()
            elif tab.page.url in BLANK and len(self.tabs) > 1:
                if NEW_TAB in self.notes:
                    self.notes.remove(NEW_TAB)
                with contextlib.suppress(PlaywrightError):
                    await tab.page.close()

    async def _on_chooser(self, chooser: FileChooser) -> None:
        file, self.offered = self.offered, None
        with contextlib.suppress(PlaywrightError):
            if file is None:
                accept = await chooser.element.get_attribute("accept") or ""
                file = samples.write(self.folder / "uploads", samples.name_for(accept))
            await chooser.set_files(file)
            self.notes.append(f'a file was asked for; "{file.name}" ({file.stat().st_size} bytes) was chosen')
        self._files_chosen += 1
        self._event.set()

    # -- what the browser may request (guard.Judge) --------------------------------------------------------------------

    def refuses(self, kind: str, frame: str, url: str, new: bool) -> str:
        """Judge a request; what an agent should know of a refusal becomes the step's error, or a note."""
        if kind == "Frame":
            refusal = self.rules.refuses_frame(url)
            if refusal:
                self._count(url)
            return refusal
        if kind != "Document":
            refusal = self.rules.refuses_request(url)
            if refusal and origin_of(url) in self.rules.origins:
                self._tell_once(f"a request of the page was refused: {refusal}")
            return refusal
        self._documents[frame] = url
        refusal = self.rules.refuses_url(url)
        too_many = ""
        if new and not refusal:
            too_many = self._too_many(frame)
        if refusal:
            self.refused, self.refused_in = refusal, frame
            if tab := next((tab for tab in self.tabs if tab.id == frame), None):
                self._track_opening(self._release(tab, settling=False))
        if new and (refusal or too_many):
            self._kept_shut.add(frame)
            self._shut += 1
            self._event.set()
        return refusal or too_many

    def _too_many(self, tab: str) -> str:
        """Why there is no further tab, which is also noted; "" if there is room."""
        if tab in self._let_in or len(self._let_in) < MAX_TABS:
            self._let_in.add(tab)
            return ""
        self._tell_once(f"a new tab was not opened: there are {MAX_TABS} already; back() closes the one that is shown")
        return f"at most {MAX_TABS} tabs may be open"

    def rewritten(self, frame: str, request: dict[str, Any]) -> dict[str, Any]:
        """The log-in's headers are for our own site alone, and a page that is opened anew is not posted to again."""
        if frame in self.opening_anew and request["method"] != "GET":
            return {"method": "GET", "postData": ""}
        if not self.own_headers or origin_of(request["url"]) in self.rules.origins:
            return {}
        kept = {name: value for name, value in request["headers"].items() if name.lower() not in self.own_headers}
        return {"headers": [{"name": name, "value": value} for name, value in kept.items()]}

    async def frames(self) -> list[str]:
        found: list[str] = []
        for tab in list(self.tabs):
            with contextlib.suppress(PlaywrightError):
                trees = [(await tab.cdp.send("Page.getFrameTree"))["frameTree"]]
                while trees:
                    below = trees.pop().get("childFrames", [])
                    found += [each["frame"]["id"] for each in below]
                    trees += below
        return found

    def _on_blocked(self, request: PageRequest) -> None:
        if not request.is_navigation_request() and origin_of(request.url) not in self.rules.origins:
            self._count(request.url)

    def _count(self, url: str) -> None:
        if (origin := origin_of(url)) not in self.rules.origins:
            self.blocked[origin] += 1

    def _tell_once(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            self.notes.append(note)


async def _close(page: Page) -> None:
    with contextlib.suppress(PlaywrightError):  # it is closed already
        await page.close()


def _forget(task: asyncio.Task[Any]) -> None:
    """Take the error of a call that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
