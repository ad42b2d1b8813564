"""How an episode begins: an emptied browser, logged in, on the page that it starts at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.async_api import Error as PlaywrightError

from lbi.environments.web import liveness
from lbi.environments.web.backend import Backend
from lbi.environments.web.liveness import Outage, PageLost
from lbi.environments.web.login import LeftByLogin
from lbi.environments.web.outages import Outages
from lbi.environments.web.perform import open_address
from lbi.environments.web.session import Session
from lbi.environments.web.url_rules import UrlRules
from lbi.environments.web.viewing import masked
from lbi.errors import EnvironmentFailure

if TYPE_CHECKING:
    from lbi.environments.web.environment import WebEnvironments

VIEWPORT = {"width": 1280, "height": 900}


class Episodes:
    """The session of one environment, from one episode to the next. ``log_in`` fills in the log-in's form."""

    def __init__(
        self,
        environments: WebEnvironments,
        backend: Backend,
        rules: UrlRules,
        folder: Path,
        outages: Outages,
        log_in: Callable[[Session], Awaitable[LeftByLogin]],
    ) -> None:
        self.session: Session | None = None
        self._left: LeftByLogin | None = None  # what the log-in left in the browser
        self._environments = environments
        self._backend = backend
        self._rules = rules
        self._folder = folder
        self._outages = outages
        self._log_in = log_in

    @property
    def open(self) -> Session:
        """Raises EnvironmentFailure before the first reset and after the end."""
        if self.session is None:
            raise EnvironmentFailure("the environment is not reset yet, or closed")
        return self.session

    async def leave(self) -> None:
        """Close the pages of the last episode, so that none writes to the state while it is put back."""
        session = self.session
        if session is None:
            return
        try:
            if session.tabs.crashed:
                raise EnvironmentFailure("the page crashed")
            await session.leave()
        except (PlaywrightError, EnvironmentFailure):
            self.session = None
            await self._discard(session)

    async def fresh_session(self) -> Session:
        """The browser context of the last episode, emptied; a new one where that broke or its log-in failed."""
        if self._environments.application.state.resets_memory and self._environments.login.steps:
            self._left = None  # the server knows nothing of an earlier log-in
        session = self.session
        if session is not None and self._left is None:
            await self._discard(session)
            session = None
        if session is not None:
            try:
                await session.clear()
                await session.restore(self._left)
                return session
            except (PlaywrightError, EnvironmentFailure):
                await self._discard(session)
        self.session = session = await self._new_session()
        if self._left is None:
            self._left = await self._log_in(session)
            await session.leave()
            await session.clear()
        await session.restore(self._left)
        return session

    async def close(self) -> None:
        """Close the context; harmless when done before."""
        session, self.session = self.session, None
        if session:
            await self._discard(session)

    async def _discard(self, session: Session) -> None:
        if not await session.close():
            await self._environments.browser.discard()

    async def _new_session(self) -> Session:
        login = self._environments.login
        context = await self._environments.browser.context(
            viewport=VIEWPORT,
            accept_downloads=True,
            site=self._backend.url,
            reduced_motion="reduce",
            extra_http_headers=login.headers,
        )
        if self._environments.watch is not None:
            self._environments.watch(context)
        return await Session.open(
            context,
            self._rules,
            self._folder,
            self._environments.browser.guard,
            self._environments.blocked,
            frozenset(name.lower() for name in login.headers),
        )

    async def visit(self, session: Session, address: str, *, strict: bool = True) -> None:
        """Open a page that an episode begins at, and again if it fails. ``strict``: an error page is a failure too."""
        session.requests.refused = ""
        url = await session.address(address, self._backend.url + "/")
        if refusal := self._rules.refuses_url(url) if url else "it is no address":
            raise EnvironmentFailure(f"{masked(address)} could not be opened: {masked(refusal)}")
        lost = await self._lost_on_visit(session, url, strict)
        if lost is not None:
            await self._outages.raise_if_server_died()
            await asyncio.sleep(liveness.PAUSE)
            lost = await self._lost_on_visit(session, url, strict)
        if lost is not None:
            message = f"{masked(url)} could not be opened, twice: {masked(lost.what)}"
            raise EnvironmentFailure(message, kind=lost.kind)

    async def _lost_on_visit(self, session: Session, url: str, strict: bool) -> Outage | None:
        before, session.requests.lost = session.tab.born, None
        try:
            await open_address(session, url)
            await session.settle()
        except PageLost as error:
            return Outage(error.kind, str(error).removeprefix(f"{url} could not be opened: "))
        failed = session.page.url.startswith("chrome-error:")
        if refusal := session.requests.refused or ("" if failed else self._rules.refuses_url(session.page.url)):
            raise EnvironmentFailure(f"{masked(url)} could not be opened: {masked(refusal)}")
        if session.requests.lost or failed:
            return session.requests.lost or Outage("failed", "the browser shows an error")
        if session.page.url.startswith("about:") or (session.tab.born == before and "#" not in url):
            return Outage("server error", "the answer is no page")
        return liveness.error_status(session.tab.status) if strict else None
