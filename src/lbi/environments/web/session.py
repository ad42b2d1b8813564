"""One browser context as a user sees it: its page comes to rest, is left, and is emptied for the next episode."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from playwright.async_api import BrowserContext, Page
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.browser import CLOSE_SECONDS
from lbi.environments.web.dialogs import DialogOpened, Dialogs
from lbi.environments.web.files import Files
from lbi.environments.web.guard import Guard
from lbi.environments.web.liveness import PageLost
from lbi.environments.web.login import LeftByLogin
from lbi.environments.web.look import look_script
from lbi.environments.web.notes import Notes
from lbi.environments.web.page_requests import Requests
from lbi.environments.web.settle import RELEASE, WATCH, settle_script
from lbi.environments.web.tabs import NEW_TAB, DocumentReplaced, Tab, Tabs
from lbi.environments.web.url_rules import PORTS, UrlRules, origin_of, path_of, scheme_of
from lbi.errors import EnvironmentFailure

NAVIGATION_SECONDS = 20.0  # in which a page must arrive
QUIET_SECONDS = 1.5  # at most, until a page's own requests have ended
ANSWER_SECONDS = 2.0  # for the page to say that it has come to rest
_PLAIN_PATH = re.compile(r"/(?:[\w.~=&?+:,%@-][\w.~=&?+:,%@/#-]*)?", re.ASCII)  # nobody reads such a path otherwise
_STORES = "local_storage,indexeddb,websql,service_workers,cache_storage,file_systems"

Result = TypeVar("Result")


class Session:
    """Its tabs, dialogs, files and requests, and notes on what happened beside the page.

    ``own_headers``, in small letters, are for the site alone; ``blocked`` counts by site what pages were refused.
    """

    def __init__(
        self,
        context: BrowserContext,
        rules: UrlRules,
        folder: Path,
        guard: Guard,
        blocked: Counter[str],
        own_headers: frozenset[str] = frozenset(),
    ) -> None:
        self.context = context
        self.notes = Notes()
        self.tabs = Tabs(self.notes)
        self.dialogs = Dialogs(self.notes)
        self.files = Files(folder, self.tabs, self.notes)
        self.requests = Requests(rules, blocked, own_headers, self.tabs, self.notes)
        self._rules = rules
        self._guard = guard
        self._of_login: list[str] = []  # scripts that put back what the log-in left
        self._handlers: set[asyncio.Task[None]] = set()

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
        context.on("requestfailed", session.requests.on_blocked)
        return session

    @property
    def tab(self) -> Tab:
        """The tab in front. Raises EnvironmentFailure if the browser is gone."""
        return self.tabs.front

    @property
    def page(self) -> Page:
        return self.tab.page

    def begin_action(self) -> None:
        """What follows is the doing of an action."""
        self.files.chosen = 0
        self.requests.begin()

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
            if state["opened"] and await self.tabs.wait_for(lambda: len(self.tabs) + self.tabs.shut > self.tabs.known):
                self.tabs.shut = 0
                self.tabs.known = len(self.tabs)
                continue
            if state["choosers"] and await self.tabs.wait_for(lambda: self.files.chosen > 0):
                self.files.chosen = 0
                continue
            if state["going"]:
                message = f"a page did not arrive within {NAVIGATION_SECONDS:.0f} s"
                raise PageLost(f"{message}: {path_of(state['url'])}", kind="timeout")
            tab.url, tab.title, tab.status, tab.born = state["url"], state["title"], state["status"], state["born"]
            await self._finish_handlers()
            if self.tab is not tab:  # it was closed, as what it was opened for is saved
                continue
            self.tabs.known, self.tabs.shut = len(self.tabs), 0
            return
        raise EnvironmentFailure(f"the page does not come to rest: {path_of(self.tab.url)}")

    async def evaluate(self, script: str) -> Any:
        """Value of a script in the page in front.

        Raises DocumentReplaced if the document is replaced meanwhile, DialogOpened if a dialog holds it up.
        """
        return await self.unless_asked(self.tabs.evaluate(self.tab, script))

    async def unless_asked(self, call: Coroutine[Any, Any, Result]) -> Result:
        """The call's result. Raises DialogOpened if a dialog asks something first; the call goes on after that."""
        return await self.dialogs.unless_asked(call)

    async def leave(self) -> None:
        """Close every page for a blank one. A page that is left can send nothing any more, however late its timers."""
        while self.dialogs.waiting is not None:
            await self.dialogs.answer(accept=False)
        self.files.offered = None
        self._of_login.clear()
        await self.context.set_offline(True)
        old = self.tabs.take_all()
        # a tab of its own has its own session storage, name and history, which nothing else could empty
        self.context.remove_listener("page", self._on_page)
        await asyncio.gather(self._open_blank(), *(_close(tab.page) for tab in old))
        self.context.on("page", self._on_page)
        for page in self.context.pages:  # one that was still opening
            if page is not self.page:
                await _close(page)
        await self.context.set_offline(False)
        self.tabs.known = self.tab.number = 1

    async def _open_blank(self) -> None:
        await self._add(await self.context.new_page())

    async def clear(self) -> None:
        """Forget the last episode, once its pages are left; but keep the site's static files in the cache."""
        self.notes.forget()
        self.files.chosen = 0
        self.tabs.let_in_no_others()
        self.requests.begin()
        await self.context.clear_cookies()
        for origin in self._rules.origins:
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
        self._guard.dismiss(self.requests)
        for task in [*self.tabs.opening, *self._handlers]:
            task.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.context.close()
        except PlaywrightError:
            pass  # it is closed already
        except TimeoutError:
            return False
        return True

    # -- talking to the page ---------------------------------------------------------------------------------------

    async def _settled(self, tab: Tab) -> dict[str, Any] | None:
        """The state of a page that has come to rest; None if it was replaced meanwhile."""
        tab.settling = True
        try:
            async with asyncio.timeout(NAVIGATION_SECONDS + QUIET_SECONDS + ANSWER_SECONDS):
                state = await self.tabs.evaluate(tab, settle_script(NAVIGATION_SECONDS, QUIET_SECONDS))
        except DocumentReplaced:
            return None
        except TimeoutError:  # a document that is about to be replaced may not answer at all
            raise PageLost(f"a page did not arrive within {NAVIGATION_SECONDS:.0f} s", kind="timeout") from None
        finally:
            tab.settling = False
        return state if isinstance(state, dict) else None

    async def _send(self, method: str, values: dict[str, Any] | None = None) -> None:
        try:
            await self.tab.cdp.send(method, values or {})
        except PlaywrightError as error:
            raise EnvironmentFailure(f"the browser refused {method}: {error}") from error

    # -- tabs --------------------------------------------------------------------------------------------------------

    async def _add(self, page: Page) -> bool:
        cdp = await self.context.new_cdp_session(page)
        tab = Tab(page, cdp)
        page.on("dialog", lambda dialog: self._handle(self.dialogs.on_dialog(dialog)))
        page.on("download", lambda download: self._handle(self.files.on_download(download)))
        page.on("filechooser", lambda chooser: self._handle(self.files.on_chooser(chooser)))
        page.on("requestfailed", lambda request: self.requests.on_failed(tab, request))
        page.on("close", lambda _: self.tabs.on_close(tab))
        page.on("crash", lambda _: self.tabs.on_crash(tab))
        cdp.on("Page.frameStartedLoading", lambda event: tab.loading.add(event["frameId"]))
        cdp.on("Page.frameStoppedLoading", lambda event: self.tabs.on_loading_stopped(tab, event["frameId"]))
        cdp.on("Page.frameAttached", lambda event: self._guard.add_frame(tab.id, event["frameId"]))
        tab.id = await self._guard.admit(self.requests, cdp)
        if tab.id in self.tabs.kept_shut:
            return False
        if self.tabs.too_many(tab.id):
            self.tabs.keep_shut()
            return False
        await cdp.send("Page.enable")
        if page.is_closed() or tab.id in self.tabs.kept_shut:  # meanwhile
            return False
        self.tabs.add(tab)
        return True

    def _on_page(self, page: Page) -> None:
        async def add() -> None:
            with contextlib.suppress(PlaywrightError):  # it was closed again at once
                if not await self._add(page):
                    await page.close()
                    return
                self.notes.append(NEW_TAB)

        self.tabs.track(add())

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


async def _close(page: Page) -> None:
    with contextlib.suppress(PlaywrightError):  # it is closed already
        await page.close()


def _forget(task: asyncio.Task[Any]) -> None:
    """Take the error of a call that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
