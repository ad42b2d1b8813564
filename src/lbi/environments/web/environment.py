"""A web application as an environment, with a browser and a server of its own (paper: WebArena).

`WebEnvironments` holds what the workers share: the browser and the installed application. Each worker's
`WebEnvironment` holds what they must not share: the server with its state, and the browser context.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext

from lbi.documents.corpus import DocumentSource
from lbi.environments.web import liveness, pristine
from lbi.environments.web.actions import ACTIONS
from lbi.environments.web.application import Application, load_application, unmanaged
from lbi.environments.web.backend import Backend, ManagedApplication
from lbi.environments.web.browser import SharedBrowser, browser_may_end, is_loopback
from lbi.environments.web.check_sandbox import CheckSandbox
from lbi.environments.web.checks import evaluate
from lbi.environments.web.coverage import Coverage, measure
from lbi.environments.web.dialogs import DialogOpened
from lbi.environments.web.episodes import Episodes
from lbi.environments.web.install import version_of
from lbi.environments.web.login import LeftByLogin, LogIn
from lbi.environments.web.marks import marked
from lbi.environments.web.outages import Outages
from lbi.environments.web.remote import RemoteBackend
from lbi.environments.web.session import Session
from lbi.environments.web.steps import Steps
from lbi.environments.web.tabs import DocumentReplaced
from lbi.environments.web.url_rules import UrlRules
from lbi.environments.web.viewing import Viewing, masked, readable
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Check, Observation, Task
from lbi.storage.tempdirs import OwnFolder, remove_leftovers

MAX_CHARS = 12_000
EVALUATIONS = 5  # attempts at a script in a page that is replaced meanwhile


class WebEnvironments:
    """Opens environments of one application: a name, a path, an Application, or ``base_url`` of a running site."""

    def __init__(
        self,
        application: Application | str | Path = "",
        base_url: str = "",
        *,
        cache: Path | None = None,
        screenshots: bool = False,
        save_image: Callable[[bytes], str] | None = None,
        headless: bool = True,
        max_chars: int = MAX_CHARS,
        watch: Callable[[BrowserContext], None] | None = None,
        checks: CheckSandbox | None = None,
    ) -> None:
        if screenshots and save_image is None:
            raise UserError("screenshots need somewhere to go: give save_image")
        self.application = _application(application, base_url)
        self.name = self.application.name
        self.restores = self.application.restores
        self.timeouts = CallTimeouts()
        self.save_image = save_image if screenshots else None
        self.max_chars = max_chars
        self.watch = watch  # told of every new context, before anything is opened in it
        self.login = LogIn(self.application)
        others = all(map(is_loopback, self.application.also))
        local = others and (self.application.managed or is_loopback(self.application.base_url))
        self.browser = SharedBrowser(
            only_loopback=local, headless=headless, policy=self.application.policy, also=self.application.also
        )
        self.blocked: Counter[str] = Counter()  # other sites -> requests of pages that were refused
        self._blocked_told: set[str] = set()
        managed = self.application.managed
        self._checks = checks or CheckSandbox()
        self._managed = (
            ManagedApplication(self.application, cache, self.login.headers, self._checks) if managed else None
        )
        self._open: list[WebEnvironment] = []

    @property
    def version(self) -> str:
        """A hash of the application's file and of what its pristine state is made of."""
        return version_of(self.application) if self.application.managed else ""

    async def open(self) -> WebEnvironment:
        """A new environment. Raises UserError if the application cannot be installed or started."""
        if not self._open:
            await asyncio.to_thread(remove_leftovers)
        backend = await self._started()
        environment = WebEnvironment(self, backend)
        self._open.append(environment)
        return environment

    async def _started(self) -> Backend:
        if self._managed:
            return await self._managed.start()
        remote = RemoteBackend(self.application, self.login.headers, self._checks)
        async with contextlib.AsyncExitStack() as failed:
            failed.push_async_callback(remote.stop)
            await remote.start()
            failed.pop_all()
        return remote

    async def document_sources(self) -> tuple[DocumentSource, ...]:
        """The documentation that the application's file names, with real paths. Installs the application if need be."""
        sources = self.application.documents
        if self._managed is None or not any("{" in source.path for source in sources):
            return sources
        installed = await self._managed.installed()
        return tuple(
            source.model_copy(update={"path": source.path.replace("{site_packages}", installed.site_packages)})
            for source in sources
        )

    async def mistakes(self, check: Check) -> list[str]:
        """What a check names and the application does not have. Installs the application if need be."""
        return await pristine.mistakes(check, self.application, self._managed, self._checks)

    def tell_blocked(self) -> None:
        """Say once of each other site that pages ask it for something and get no answer."""
        for origin in sorted(self.blocked.keys() - self._blocked_told):
            self._blocked_told.add(origin)
            logging.getLogger(__name__).warning(
                "%s: a page asked %s for something, which is another site and was refused; policy.allow_urls allows it",
                self.name,
                origin,
            )

    async def close(self) -> None:
        await asyncio.gather(*(environment.close() for environment in self._open))
        self._open.clear()
        await self.browser.close()


class WebEnvironment:
    """One episode at a time on one server and one browser context."""

    actions = ACTIONS

    def __init__(self, environments: WebEnvironments, backend: Backend) -> None:
        self.name = environments.name
        self._environments = environments
        self._backend = backend
        application = environments.application
        rules = UrlRules(application.policy, backend.url, application.also)
        self._folder = OwnFolder("web")
        self.viewing = Viewing(
            backend, rules.origin, environments.max_chars, environments.save_image, environments.tell_blocked
        )
        outages = Outages(application, environments.login, backend)
        self._episodes = Episodes(environments, backend, rules, self._folder.path, outages, self._log_in)
        self._steps = Steps(self._episodes, self.viewing, outages, rules, backend, environments.max_chars)

    @property
    def url(self) -> str:
        """Scheme, host and port of the site."""
        return self._backend.url

    @property
    def session(self) -> Session:
        """The browser context of the episode. Raises EnvironmentFailure before the first reset and after the end."""
        return self._episodes.open

    # -- the protocol ------------------------------------------------------------------------------------------------

    async def reset(self, task: Task) -> Observation:
        """Put server and browser back to their pristine state, at the task's start page. Raises EnvironmentFailure."""
        await self._episodes.leave()
        await self._backend.reset()
        with browser_may_end():
            session = await self._episodes.fresh_session()
            shutil.rmtree(self._folder.path / "downloads", ignore_errors=True)
            await self._episodes.visit(session, task.start_url or self._environments.application.start_url)
            await session.begin()
            return await self.viewing.observe(session)

    async def step(self, action: str) -> Outcome:
        """Carry out one action. Why one cannot be carried out stands in the observation's ``error``."""
        return await self._steps.step(action)

    async def foresee(self, action: str) -> Foreseen:
        """What an action would be done to on the page as it was last seen, and why it may change something."""
        return self._steps.foresee(action)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Evaluate the task's check now."""
        if task.check is None:
            raise ScoreError(f"task {task.name or task.id} has no check")
        self._backend.check()
        return await evaluate(task.check, answer, self.viewing.last.url, readable(self.viewing.last), self._backend)

    # -- for people -------------------------------------------------------------------------------------------------

    async def coverage(self, blind: bool = False) -> Coverage:
        """How much of what can be acted on in the open page its last observation offers. Raises EnvironmentFailure."""
        session = self.session
        if session.dialogs.waiting is not None:
            raise EnvironmentFailure("a dialog holds the page up, so it cannot be measured")
        with browser_may_end():
            return await measure(session, self.viewing.look, self.viewing.refs, self.viewing.last.url, blind)

    async def picture(self) -> bytes:
        """A PNG of the open page in view, with its references marked. Raises EnvironmentFailure."""
        session = self.session
        if session.dialogs.waiting is not None:
            raise EnvironmentFailure("a dialog holds the page up, so there is no picture of it")
        with browser_may_end():
            return await marked(session.page, self.viewing.look, self.viewing.refs)

    async def observe(self) -> Observation:
        """The page as it is now, once it has come to rest. Raises EnvironmentFailure."""
        with browser_may_end():
            session = self.session
            await session.settle()
            return await self.viewing.observe(session)

    @property
    def address(self) -> str:
        """The whole address of the page in front, for graders."""
        return self.session.page.url

    async def refuse_requests(self, pattern: str) -> None:
        """Let requests to addresses like ``**/path`` fail from now on. Raises EnvironmentFailure."""
        with browser_may_end():
            await self.session.context.route(pattern, lambda route: route.abort())

    async def evaluate(self, script: str) -> Any:
        """The value of a script in the page in front, for graders that ask the page; None if a dialog holds it up.

        Raises EnvironmentFailure.
        """
        session = self.session
        with browser_may_end(), contextlib.suppress(DialogOpened):
            for _ in range(EVALUATIONS):
                try:
                    return await session.evaluate(script)
                except DocumentReplaced:
                    await session.settle()
        return None

    async def lost(self) -> None:
        """Return when the browser has ended; a call that is under way then may never return."""
        await self._environments.browser.lost()

    async def close(self) -> None:
        """Close the context, stop the server; harmless when done before."""
        await self._episodes.close()
        await self._backend.stop()
        self._folder.remove()

    # -- what a reset has to put back ----------------------------------------------------------------------------

    @property
    def last(self) -> Observation:
        """What was seen last."""
        return self.viewing.last

    def digests(self) -> dict[str, str]:
        """The hash of each part of the server's state that counts."""
        return self._backend.digests()

    def exposed(self) -> tuple[str, ...]:
        """Addresses within other machines' reach that the application's server listens on."""
        return self._backend.exposed()

    async def cookies(self) -> list[dict[str, Any]]:
        with browser_may_end():
            return [dict(cookie) for cookie in await self.session.context.cookies()]

    # -- snapshots ---------------------------------------------------------------------------------------------------

    async def snapshot(self) -> tuple[str, str]:
        """(token of the application's state, open page). What the page holds unsaved is not part of it."""
        return await self._backend.snapshot(), self.session.tab.url

    async def restore(self, token: tuple[str, str]) -> Observation:
        await self._backend.restore(token[0])
        session = self.session
        with browser_may_end():
            await self._episodes.visit(session, token[1], strict=False)
            return await self.viewing.observe(session)

    # -- log-in --------------------------------------------------------------------------------------------------------

    async def _log_in(self, session: Session) -> LeftByLogin:
        """Log in, once per worker. What the application stores of it becomes part of the pristine state."""
        login = self._environments.login
        await session.restore(login.left_at(self._backend.url))
        if not login.url:
            return login.left_at(self._backend.url)
        await self._episodes.visit(session, login.url)
        await self.viewing.observe(session)
        for step in login.steps:
            outcome = await self.step(step)
            if lost := session.requests.lost or liveness.error_status(session.tab.status):
                message = f"{self.name}: log-in failed at {masked(step)}: {lost.what}"
                raise EnvironmentFailure(message, kind=lost.kind)
            if error := outcome.observation.error:
                message = f"{self.name}: log-in failed at {masked(step)}: {error}"
                # what took too long may go well the next time; what the page refuses is refused again
                raise EnvironmentFailure(message) if self._steps.timed_out else UserError(message)
        left = await session.left_by_login()
        await self._backend.rebase()
        return left


def _application(application: Application | str | Path, base_url: str) -> Application:
    if isinstance(application, Application):
        return application
    if application:
        return load_application(application)
    if not base_url:
        raise UserError("give an application, or the base_url of a site that runs")
    return unmanaged(base_url)
