"""A web application as an environment, with a browser and a server of its own (paper: WebArena).

`WebEnvironments` holds what the workers share: the browser and the installed application. Each worker's
`WebEnvironment` holds what they must not share: the server with its state, and the browser context.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.async_api import Error as PlaywrightError

from lbi.documents.corpus import DocumentSource
from lbi.environments.web.actions import ACTIONS, Call, UnreadableAction, parse_action
from lbi.environments.web.application import Application, load_application, unmanaged
from lbi.environments.web.backend import Backend, ManagedApplication, RemoteBackend
from lbi.environments.web.browser import SharedBrowser, is_loopback
from lbi.environments.web.checks import evaluate
from lbi.environments.web.hand import ActionRefused, TimedOut
from lbi.environments.web.login import LeftByLogin, LogIn
from lbi.environments.web.look import Look
from lbi.environments.web.observe import ANSWER, CANCEL, OK, screenshot, view_page
from lbi.environments.web.perform import find, grounded_target, open_address, perform
from lbi.environments.web.session import DialogOpened, Session
from lbi.environments.web.url_rules import UrlRules
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.observations.parse import Element, Page, parse_observation
from lbi.observations.tree import Node
from lbi.protocols import CallTimeouts, Outcome
from lbi.records import Action, Observation, Task, sound
from lbi.storage.tempdirs import OwnFolder, remove_leftovers

VIEWPORT = {"width": 1280, "height": 900}
MAX_CHARS = 12_000
SERVER_EXIT_TENTHS = 5  # tenths of a second to wait for a failing server to end, so that its own error is reported


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
    ) -> None:
        if screenshots and save_image is None:
            raise UserError("screenshots need somewhere to go: give save_image")
        self.application = _application(application, base_url)
        self.name = self.application.name
        self.restores = self.application.restores
        self.timeouts = CallTimeouts()
        self.save_image = save_image if screenshots else None
        self.max_chars = max_chars
        self.login = LogIn(self.application)
        local = self.application.managed or is_loopback(self.application.base_url)
        self.browser = SharedBrowser(only_loopback=local, headless=headless)
        managed = self.application.managed
        self._managed = ManagedApplication(self.application, cache, self.login.headers) if managed else None
        self._open: list[WebEnvironment] = []

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
        remote = RemoteBackend(self.application, self.login.headers)
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
        self._rules = UrlRules(environments.application.policy, backend.url)
        self._folder = OwnFolder("web")
        self._session: Session | None = None
        self._left: LeftByLogin | None = None  # what the log-in left in the browser
        self._timed_out = False  # whether the last action was refused because it took too long
        self._last = Observation(text="")
        self._refs: dict[str, str] = {}
        self._look = Look(Node("document"))

    @property
    def url(self) -> str:
        """Scheme, host and port of the site."""
        return self._backend.url

    # -- the protocol ------------------------------------------------------------------------------------------------

    async def reset(self, task: Task) -> Observation:
        """Put server and browser back to their pristine state, at the task's start page. Raises EnvironmentFailure."""
        await self._leave()
        await self._backend.reset()
        with _browser_may_end():
            session = await self._fresh_session()
            shutil.rmtree(self._folder.path / "downloads", ignore_errors=True)
            await self._visit(session, task.start_url or self._environments.application.start_url)
            await session.begin()
            return await self._observe()

    async def step(self, action: str) -> Outcome:
        """Carry out one action. Why one cannot be carried out stands in the observation's ``error``."""
        self._timed_out = False
        try:
            call = parse_action(action)
        except UnreadableAction as error:
            return self._refuse(Action(text=self._masked(action)), str(error))
        if call.kind == "finish":
            done = Action(text=self._masked(action), kind="finish", value=self._masked(call.value))
            return Outcome(action=done, observation=self._last, done=True, answer=call.value)
        page = parse_observation(self._last.text)
        try:
            element = find(page, call.target) if call.target else None
            onto = find(page, call.onto) if call.onto else None
        except ActionRefused as error:
            self._timed_out = isinstance(error, TimedOut)
            return self._refuse(self._action(action, call, None, None), self._masked(str(error)))
        taken = self._action(action, call, element, onto)
        refusal = self._forbidden(call, element)
        if refusal:
            return self._refuse(taken, refusal)
        with _browser_may_end():
            if call.kind == "find":
                return Outcome(action=taken, observation=await self._observe(wanted=call.value))
            if self._require_session().dialog is not None:
                return await self._answer_dialog(taken, call, element)
            return Outcome(action=taken, observation=await self._act(call, element, onto))

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Evaluate the task's check now."""
        if task.check is None:
            raise ScoreError(f"task {task.name or task.id} has no check")
        return await evaluate(task.check, answer, self._last.url, _readable(self._last), self._backend)

    async def lost(self) -> None:
        """Return when the browser has ended; a call that is under way then may never return."""
        await self._environments.browser.lost()

    async def close(self) -> None:
        """Close the context, stop the server; harmless when done before."""
        session, self._session = self._session, None
        if session:
            await self._close_session(session)
        await self._backend.stop()
        self._folder.remove()

    # -- what a reset has to put back ----------------------------------------------------------------------------

    @property
    def last(self) -> Observation:
        """What was seen last."""
        return self._last

    def digests(self) -> dict[str, str]:
        """The hash of each part of the server's state that counts."""
        return self._backend.digests()

    def exposed(self) -> tuple[str, ...]:
        """Addresses within other machines' reach that the application's server listens on."""
        return self._backend.exposed()

    async def evaluate(self, script: str) -> Any:
        """Value of a script in the page in front, for checks of the application itself; agents have no such action."""
        with _browser_may_end():
            return await self._require_session().evaluate(script)

    async def cookies(self) -> list[dict[str, Any]]:
        with _browser_may_end():
            return [dict(cookie) for cookie in await self._require_session().context.cookies()]

    # -- snapshots ---------------------------------------------------------------------------------------------------

    async def snapshot(self) -> tuple[str, str]:
        """(token of the application's state, open page). What the page holds unsaved is not part of it."""
        return await self._backend.snapshot(), self._last.url

    async def restore(self, token: tuple[str, str]) -> Observation:
        await self._backend.restore(token[0])
        session = self._require_session()
        with _browser_may_end():
            await self._visit(session, token[1])
            return await self._observe()

    # -- episodes ----------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Close the pages of the last episode, so that none writes to the state while it is put back."""
        session = self._session
        if session is None:
            return
        try:
            if session.crashed:
                raise EnvironmentFailure("the page crashed")
            await session.leave()
        except (PlaywrightError, EnvironmentFailure):
            self._session = None
            await self._close_session(session)

    async def _fresh_session(self) -> Session:
        """The browser context of the last episode, emptied; a new one where that broke or its log-in failed."""
        if self._environments.application.state.resets_memory and self._environments.login.steps:
            self._left = None  # the server knows nothing of an earlier log-in
        session = self._session
        if session is not None and self._left is None:
            await self._close_session(session)
            session = None
        if session is not None:
            try:
                await session.clear()
                await session.restore(self._left)
                return session
            except (PlaywrightError, EnvironmentFailure):
                await self._close_session(session)
        self._session = session = await self._new_session()
        if self._left is None:
            self._left = await self._log_in(session)
            await session.leave()
            await session.clear()
        await session.restore(self._left)
        return session

    async def _close_session(self, session: Session) -> None:
        if not await session.close():
            await self._environments.browser.discard()

    async def _new_session(self) -> Session:
        login = self._environments.login
        context = await self._environments.browser.context(
            viewport=VIEWPORT,
            accept_downloads=True,
            reduced_motion="reduce",
            extra_http_headers=login.headers,
        )
        local = is_loopback(self._backend.url)
        return await Session.open(context, self._rules, self._folder.path, self._rules.has_rules or not local)

    async def _log_in(self, session: Session) -> LeftByLogin:
        """Log in, once per worker. What the application stores of it becomes part of the pristine state."""
        login = self._environments.login
        await session.restore(login.left_at(self._backend.url))
        if not login.url:
            return login.left_at(self._backend.url)
        await self._visit(session, login.url)
        await self._observe()
        for step in login.steps:
            outcome = await self.step(step)
            if error := outcome.observation.error:
                message = f"{self.name}: log-in failed at {self._masked(step)}: {error}"
                # what took too long may go well the next time; what the page refuses is refused again
                raise EnvironmentFailure(message) if self._timed_out else UserError(message)
        left = await session.left_by_login()
        await self._backend.rebase()
        return left

    async def _visit(self, session: Session, address: str) -> None:
        url = urljoin(self._backend.url + "/", address)
        await open_address(session, url)
        await session.settle()
        if session.page.url.startswith("chrome-error:") or session.refused:
            await self._raise_if_server_died()
            raise EnvironmentFailure(session.refused or f"{self._masked(url)} could not be opened")

    # -- steps -------------------------------------------------------------------------------------------------------

    def _forbidden(self, call: Call, element: Element | None) -> str:
        if call.kind == "goto":
            return self._rules.refuses_url(call.value, self._address())
        if element is None or call.kind not in ("click", "press", "upload", "drag"):
            return ""
        if refusal := self._rules.refuses_name(element.name):
            return refusal
        return self._rules.refuses_url(element.url, self._address()) if element.url else ""

    async def _answer_dialog(self, taken: Action, call: Call, element: Element | None) -> Outcome:
        """The page waits for an answer to its dialog, and nothing else can be done."""
        session = self._require_session()
        button = self._refs.get(element.ref, "") if element else ""
        if call.kind == "press" and call.value in ("Enter", "Escape"):
            button = OK if call.value == "Enter" else CANCEL
        if button == ANSWER and call.kind in ("fill", "type"):
            session.dialog_text = call.value if call.kind == "fill" else session.dialog_text + call.value
        elif button in (OK, CANCEL) and call.kind in ("click", "press"):
            await session.answer(button == OK, session.dialog_text)
            await session.settle()
        else:
            return self._refuse(taken, "a dialog waits for an answer: click one of its buttons first")
        return Outcome(action=taken, observation=await self._observe())

    async def _act(self, call: Call, element: Element | None, onto: Element | None) -> Observation:
        session = self._require_session()
        before = session.page.url
        session.refused = error = ""
        try:
            note = await session.unless_asked(perform(session, call, element, onto, self._look, self._refs))
            session.notes += [note] if note else []
        except DialogOpened:
            return await self._observe()
        except ActionRefused as refused:
            self._timed_out = isinstance(refused, TimedOut)
            error = self._masked(str(refused))
        except EnvironmentFailure:
            await self._raise_if_server_died()
            raise
        await session.settle()
        error = await self._undo_forbidden_navigation(session, before) or error
        return await self._observe(error)

    async def _raise_if_server_died(self) -> None:
        """If the server is what failed, raise its own failure, which says more; it may be ending just now."""
        for _ in range(SERVER_EXIT_TENTHS):
            self._backend.check()
            await asyncio.sleep(0.1)

    async def _undo_forbidden_navigation(self, session: Session, before: str) -> str:
        """Leave a page that may not be opened. Returns why it may not, or "" for one that may."""
        now = session.page.url
        refusal = session.refused
        if now.startswith("chrome-error:"):
            self._backend.check()
            refusal = refusal or "the page could not be opened"
        elif not refusal:
            refusal = "" if now.startswith("about:") else self._rules.refuses_url(now)
            if not refusal:
                return ""
        if now != before or now.startswith("chrome-error:"):
            if len(session.tabs) > 1 and not await session.evaluate("navigation.canGoBack"):
                await session.page.close()
            else:
                await open_address(session, before)
            await session.settle()
        return refusal

    async def _observe(self, error: str = "", wanted: str = "") -> Observation:
        session = self._require_session()
        view = await view_page(session, self._rules.origin, self._environments.max_chars, wanted)
        self._refs, self._look = view.refs, view.look
        if wanted and " ".join(wanted.casefold().split()) not in view.text.casefold():
            error = f'nothing on this page contains "{wanted}"'
        self._last = Observation(
            text=self._masked(view.text),
            url=self._masked(view.path),
            title=self._masked(view.title),
            digest=await asyncio.to_thread(self._backend.digest),
            error=error,
            image="" if session.dialog else await screenshot(session, self._environments.save_image),
        )
        return self._last

    def _refuse(self, action: Action, error: str) -> Outcome:
        """Nothing was done: the last observation again, with the reason."""
        self._last = self._last.model_copy(update={"error": error})
        return Outcome(action=action, observation=self._last)

    def _action(self, text: str, call: Call, element: Element | None, onto: Element | None) -> Action:
        role, name, nth = (element.role, element.name, element.nth) if element else ("", "", 0)
        if element is None and call.target:
            role, name, nth = call.target.role, call.target.name, call.target.nth
        value = self._masked(grounded_target(onto) if onto else call.value)
        return Action(text=self._masked(text), kind=call.kind, role=role, name=self._masked(name), nth=nth, value=value)

    def _require_session(self) -> Session:
        if self._session is None:
            raise EnvironmentFailure("the environment is not reset yet, or closed")
        return self._session

    def _address(self) -> str:
        return self._require_session().page.url

    def _masked(self, text: str) -> str:
        """Text of a page or an action as it may be shown and stored: valid Unicode, and without secrets."""
        return self._environments.login.mask(sound(text))


@contextlib.contextmanager
def _browser_may_end() -> Iterator[None]:
    """The browser may be killed at any moment: then any call to it fails, which is the infrastructure's failure."""
    try:
        yield
    except PlaywrightError as error:
        raise EnvironmentFailure(f"the browser failed: {str(error).splitlines()[0]}") from error


def _application(application: Application | str | Path, base_url: str) -> Application:
    if isinstance(application, Application):
        return application
    if application:
        return load_application(application)
    if not base_url:
        raise UserError("give an application, or the base_url of a site that runs")
    return unmanaged(base_url)


def _readable(observation: Observation) -> str:
    """The page as a reader sees it: names, texts and values, each on a line of its own."""
    page: Page = parse_observation(observation.text)
    values = [f"{element.name} {element.value}" for element in page.elements]
    return "\n".join([observation.title, *page.headings, *page.texts, *values, observation.text])
