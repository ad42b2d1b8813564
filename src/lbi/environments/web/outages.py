"""Whether an application is out of order when a page failed: then that is the infrastructure's failure."""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

from lbi.environments.web import liveness
from lbi.environments.web.application import Application
from lbi.environments.web.backend import Backend
from lbi.environments.web.login import LogIn
from lbi.environments.web.session import Session
from lbi.environments.web.viewing import masked
from lbi.errors import EnvironmentFailure

SERVER_EXIT_TENTHS = 5  # tenths of a second to wait for a failing server to end, so that its own error is reported


class Outages:
    """Of one application behind one environment."""

    def __init__(self, application: Application, login: LogIn, backend: Backend) -> None:
        self._application = application
        self._login = login
        self._backend = backend

    async def raise_if_dead(self, session: Session) -> None:
        """A page that failed is what the agent sees, unless the site's start page fails as well."""
        lost = session.requests.lost or liveness.error_status(session.tab.status)
        if lost is None and not session.page.url.startswith("chrome-error:"):
            self._backend.check()
            return
        await self.raise_if_server_died()
        start = urljoin(self._backend.url + "/", self._application.start_url)
        if dead := await liveness.outage(start, self._login.headers):
            shown = f" after a page that failed ({masked(lost.what)})" if lost else ""
            raise EnvironmentFailure(f"{self._application.name} is out of order{shown}: {dead.what}", kind=dead.kind)

    async def raise_if_server_died(self) -> None:
        """If the server is what failed, raise its own failure, which says more; it may be ending just now."""
        for _ in range(SERVER_EXIT_TENTHS):
            self._backend.check()
            await asyncio.sleep(0.1)
