"""A web application as an environment, with a browser and a server of its own (paper: WebArena).

`WebEnvironments` holds what the workers share: the browser and the installed application. Each worker's
`WebEnvironment` holds what they must not share: the server with its state, and the browser context.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from playwright.async_api import BrowserContext, ElementHandle
from playwright.async_api import Error as PlaywrightError

from lbi.documents.corpus import DocumentSource
from lbi.environments.web import hand, liveness, pristine
from lbi.environments.web.actions import ACTIONS, Call, UnreadableAction, parse_action
from lbi.environments.web.activation import names_clicked, names_pressed
from lbi.environments.web.application import Application, load_application, unmanaged
from lbi.environments.web.backend import Backend, ManagedApplication
from lbi.environments.web.browser import SharedBrowser, is_loopback
from lbi.environments.web.check_sandbox import CheckSandbox
from lbi.environments.web.checks import evaluate
from lbi.environments.web.consequences import why_it_may_change
from lbi.environments.web.coverage import Coverage, measure
from lbi.environments.web.dialogs import DialogOpened
from lbi.environments.web.hand import ActionRefused, Gone, TimedOut
from lbi.environments.web.liveness import Outage, PageLost
from lbi.environments.web.login import LeftByLogin, LogIn
from lbi.environments.web.look import Look, handle_of
from lbi.environments.web.marks import marked
from lbi.environments.web.observe import ANSWER, CANCEL, OK, screenshot, view_page
from lbi.environments.web.perform import find, grounded_target, open_address, perform
from lbi.environments.web.remote import RemoteBackend
from lbi.environments.web.session import Session
from lbi.environments.web.tabs import BLANK, DocumentReplaced
from lbi.environments.web.url_rules import PORTS, UrlRules, scheme_of
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.observations.parse import Element, Page, parse_observation
from lbi.observations.tree import Node
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Action, Check, Observation, Task, sound
from lbi.storage.secrets import mask
from lbi.storage.tempdirs import OwnFolder, remove_leftovers

VIEWPORT = {"width": 1280, "height": 900}
MAX_CHARS = 12_000
AGAIN = 3  # times that an element which was rendered anew is looked for again
EVALUATIONS = 5  # attempts at a script in a page that is replaced meanwhile
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
        self._rules = UrlRules(application.policy, backend.url, application.also)
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
        try:
            element, onto = await self._found(call)
        except ActionRefused as error:
            self._timed_out = isinstance(error, TimedOut)
            return self._refuse(self._action(action, call, None, None), self._masked(str(error)))
        taken = self._action(action, call, element, onto)
        with _browser_may_end():
            if call.kind == "find":
                return Outcome(action=taken, observation=await self._observe(wanted=call.value))
            if self._require_session().dialogs.waiting is not None:
                return await self._answer_dialog(taken, call, element)
            if call.kind == "goto":
                call = replace(call, value=await self._goes_to(call.value))
            if refusal := await self._forbidden(call, element, onto):
                return self._refuse(taken, self._masked(refusal))
            return Outcome(action=taken, observation=await self._act(call, element, onto))

    async def foresee(self, action: str) -> Foreseen:
        """What an action would be done to on the page as it was last seen, and why it may change something."""
        try:
            call = parse_action(action)
        except UnreadableAction:
            return Foreseen(action=Action(text=self._masked(action)))
        page = parse_observation(self._last.text)
        element, onto, covered = None, None, ""
        try:
            element = find(page, call.target) if call.target else None
            onto = find(page, call.onto) if call.onto else None
        except TimedOut as error:  # it may be found when it comes to it
            covered = str(error)
        except ActionRefused:
            return Foreseen(action=self._action(action, call, None, None))
        changes = covered or why_it_may_change(call, element)
        return Foreseen(action=self._action(action, call, element, onto), changes=self._masked(changes))

    async def _found(self, call: Call) -> tuple[Element | None, Element | None]:
        """The elements that an action is for. What lies over the page, as it loads, may go by itself."""
        waits = time.monotonic() + hand.ELEMENT_MS / 1000
        while True:
            page = parse_observation(self._last.text)
            try:
                return find(page, call.target) if call.target else None, find(page, call.onto) if call.onto else None
            except TimedOut:
                if time.monotonic() > waits:
                    raise
            with _browser_may_end():
                await asyncio.sleep(0.1)
                await self._observe()

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Evaluate the task's check now."""
        if task.check is None:
            raise ScoreError(f"task {task.name or task.id} has no check")
        self._backend.check()
        return await evaluate(task.check, answer, self._last.url, _readable(self._last), self._backend)

    # -- for people -------------------------------------------------------------------------------------------------

    async def coverage(self, blind: bool = False) -> Coverage:
        """How much of what can be acted on in the open page its last observation offers. Raises EnvironmentFailure."""
        session = self._require_session()
        if session.dialogs.waiting is not None:
            raise EnvironmentFailure("a dialog holds the page up, so it cannot be measured")
        with _browser_may_end():
            return await measure(session, self._look, self._refs, self._last.url, blind)

    async def picture(self) -> bytes:
        """A PNG of the open page in view, with its references marked. Raises EnvironmentFailure."""
        session = self._require_session()
        if session.dialogs.waiting is not None:
            raise EnvironmentFailure("a dialog holds the page up, so there is no picture of it")
        with _browser_may_end():
            return await marked(session.page, self._look, self._refs)

    async def observe(self) -> Observation:
        """The page as it is now, once it has come to rest. Raises EnvironmentFailure."""
        with _browser_may_end():
            await self._require_session().settle()
            return await self._observe()

    @property
    def address(self) -> str:
        """The whole address of the page in front, for graders."""
        return self._require_session().page.url

    async def refuse_requests(self, pattern: str) -> None:
        """Let requests to addresses like ``**/path`` fail from now on. Raises EnvironmentFailure."""
        with _browser_may_end():
            await self._require_session().context.route(pattern, lambda route: route.abort())

    async def evaluate(self, script: str) -> Any:
        """The value of a script in the page in front, for graders that ask the page; None if a dialog holds it up.

        Raises EnvironmentFailure.
        """
        session = self._require_session()
        with _browser_may_end(), contextlib.suppress(DialogOpened):
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

    async def cookies(self) -> list[dict[str, Any]]:
        with _browser_may_end():
            return [dict(cookie) for cookie in await self._require_session().context.cookies()]

    # -- snapshots ---------------------------------------------------------------------------------------------------

    async def snapshot(self) -> tuple[str, str]:
        """(token of the application's state, open page). What the page holds unsaved is not part of it."""
        return await self._backend.snapshot(), self._require_session().tab.url

    async def restore(self, token: tuple[str, str]) -> Observation:
        await self._backend.restore(token[0])
        session = self._require_session()
        with _browser_may_end():
            await self._visit(session, token[1], strict=False)
            return await self._observe()

    # -- episodes ----------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        """Close the pages of the last episode, so that none writes to the state while it is put back."""
        session = self._session
        if session is None:
            return
        try:
            if session.tabs.crashed:
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
            site=self._backend.url,
            reduced_motion="reduce",
            extra_http_headers=login.headers,
        )
        if self._environments.watch is not None:
            self._environments.watch(context)
        return await Session.open(
            context,
            self._rules,
            self._folder.path,
            self._environments.browser.guard,
            self._environments.blocked,
            frozenset(name.lower() for name in login.headers),
        )

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
            if lost := session.requests.lost or liveness.error_status(session.tab.status):
                message = f"{self.name}: log-in failed at {self._masked(step)}: {lost.what}"
                raise EnvironmentFailure(message, kind=lost.kind)
            if error := outcome.observation.error:
                message = f"{self.name}: log-in failed at {self._masked(step)}: {error}"
                # what took too long may go well the next time; what the page refuses is refused again
                raise EnvironmentFailure(message) if self._timed_out else UserError(message)
        left = await session.left_by_login()
        await self._backend.rebase()
        return left

    async def _visit(self, session: Session, address: str, *, strict: bool = True) -> None:
        """Open a page that an episode begins at, and again if it fails. ``strict``: an error page is a failure too."""
        session.requests.refused = ""
        url = await session.address(address, self._backend.url + "/")
        if refusal := self._rules.refuses_url(url) if url else "it is no address":
            raise EnvironmentFailure(f"{self._masked(address)} could not be opened: {self._masked(refusal)}")
        lost = await self._lost_on_visit(session, url, strict)
        if lost is not None:
            await self._raise_if_server_died()
            await asyncio.sleep(liveness.PAUSE)
            lost = await self._lost_on_visit(session, url, strict)
        if lost is not None:
            message = f"{self._masked(url)} could not be opened, twice: {self._masked(lost.what)}"
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
            raise EnvironmentFailure(f"{self._masked(url)} could not be opened: {self._masked(refusal)}")
        if session.requests.lost or failed:
            return session.requests.lost or Outage("failed", "the browser shows an error")
        if session.page.url.startswith("about:") or (session.tab.born == before and "#" not in url):
            return Outage("server error", "the answer is no page")
        return liveness.error_status(session.tab.status) if strict else None

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _goes_to(self, written: str) -> str:
        """The address that ``goto`` means, as the browser reads it; "" where it is none."""
        session = self._require_session()
        base = session.page.url
        return await session.address(written, base if scheme_of(base) in PORTS else self._backend.url + "/")

    async def _forbidden(self, call: Call, element: Element | None, onto: Element | None) -> str:
        """Why an action may not be tried; "" if it may. An address of ``goto`` is one that the browser has read."""
        if call.kind == "goto":
            return self._rules.refuses_url(call.value) if call.value else "this is no address"
        if call.kind not in ("click", "press", "select", "upload", "drag"):
            return ""
        for name in await self._names(call, element, onto) if self._rules.has_names else []:
            if refusal := self._rules.refuses_name(name):
                return refusal
        if element is None or not element.url or call.kind == "select":
            return ""
        scheme = scheme_of(element.url)
        if scheme == "javascript" or (scheme in ("blob", "data") and await self._downloads(element)):
            return ""  # the page's own script, whose requests are judged when they are made; the page's own file
        return self._rules.refuses_url(element.url, self._address())

    async def _names(self, call: Call, element: Element | None, onto: Element | None) -> list[str]:
        """Names of all that an action would use."""
        session = self._require_session()
        handle = await self._handle(element, "element" if call.kind == "press" else "place") if element else None
        if call.kind == "press":
            more = await names_pressed(session, call.value, handle)
        elif handle is not None and call.kind in ("click", "upload", "drag"):
            more = await names_clicked(handle)
        else:
            more = [call.value]
        return [*(one.name for one in (element, onto) if one), *more]

    async def _downloads(self, element: Element) -> bool:
        """Whether a link saves a file, rather than opening it."""
        handle = await self._handle(element, "element")
        return handle is not None and bool(await handle.evaluate("e => !!e.closest('a[download]')"))

    async def _handle(self, element: Element, what: str) -> ElementHandle | None:
        with contextlib.suppress(PlaywrightError):
            return await handle_of(self._look.frames, self._refs[element.ref], what)
        return None

    async def _answer_dialog(self, taken: Action, call: Call, element: Element | None) -> Outcome:
        """The page waits for an answer to its dialog, and nothing else can be done."""
        session = self._require_session()
        button = self._refs.get(element.ref, "") if element else ""
        if call.kind == "press" and call.value in ("Enter", "Escape"):
            button = OK if call.value == "Enter" else CANCEL
        if button == ANSWER and call.kind in ("fill", "type"):
            session.dialogs.text = call.value if call.kind == "fill" else session.dialogs.text + call.value
        elif button in (OK, CANCEL) and call.kind in ("click", "press"):
            await session.dialogs.answer(button == OK, session.dialogs.text)
            await session.settle()
        else:
            return self._refuse(taken, "a dialog waits for an answer: click one of its buttons first")
        return Outcome(action=taken, observation=await self._observe())

    async def _act(self, call: Call, element: Element | None, onto: Element | None) -> Observation:
        session = self._require_session()
        before = session.page.url
        if session.requests.refused:  # between the actions, so not this one's doing
            session.notes.append(f"a page went elsewhere by itself, which was refused: {session.requests.refused}")
        session.begin_action()
        error = ""
        try:
            error = await self._performed(session, call, element, onto)
            await session.settle()
        except PageLost as lost:
            session.requests.lost, error = Outage(lost.kind, str(lost)), self._masked(str(lost))
            await self._raise_if_dead(session)
            await session.stop_loading()
            await session.settle()
        except EnvironmentFailure:
            await self._raise_if_server_died()
            raise
        if session.dialogs.waiting is not None:
            return await self._observe(error)
        await self._raise_if_dead(session)
        if session.tab.status >= 500:
            session.notes.append(f"the server answered with HTTP {session.tab.status}")
        error = await self._undo_forbidden_navigation(session, before) or error
        return await self._observe(error)

    async def _performed(self, session: Session, call: Call, element: Element | None, onto: Element | None) -> str:
        """Why the action could not be carried out; "" if it was."""
        try:
            note = await self._perform(session, call, element, onto)
            session.notes += [note] if note else []
        except DialogOpened:
            return ""
        except ActionRefused as refused:
            self._timed_out = isinstance(refused, TimedOut)
            return self._masked(str(refused))
        return ""

    async def _raise_if_dead(self, session: Session) -> None:
        """A page that failed is what the agent sees, unless the site's start page fails as well."""
        lost = session.requests.lost or liveness.error_status(session.tab.status)
        if lost is None and not session.page.url.startswith("chrome-error:"):
            self._backend.check()
            return
        await self._raise_if_server_died()
        start = urljoin(self._backend.url + "/", self._environments.application.start_url)
        if dead := await liveness.outage(start, self._environments.login.headers):
            shown = f" after a page that failed ({self._masked(lost.what)})" if lost else ""
            raise EnvironmentFailure(f"{self.name} is out of order{shown}: {dead.what}", kind=dead.kind)

    async def _perform(self, session: Session, call: Call, element: Element | None, onto: Element | None) -> str:
        """Carry out an action; an element that was rendered anew meanwhile is found again by role, name and place."""
        seen, refs, target, other = self._look, self._refs, element, onto
        for attempt in range(AGAIN + 1):
            try:
                return await session.unless_asked(perform(session, call, target, other, seen, refs))
            except Gone as gone:
                notes = list(session.notes)
                view = await view_page(session, self._rules.origin, self._environments.max_chars)
                session.notes[:] = notes
                page = parse_observation(view.text)
                target, other = (page.find(one.role, one.name, one.nth) if one else None for one in (element, onto))
                if attempt == AGAIN or (element and not target) or (onto and not other):
                    raise gone from None
                seen, refs = view.look, view.refs
        raise AssertionError

    async def _raise_if_server_died(self) -> None:
        """If the server is what failed, raise its own failure, which says more; it may be ending just now."""
        for _ in range(SERVER_EXIT_TENTHS):
            self._backend.check()
            await asyncio.sleep(0.1)

    async def _undo_forbidden_navigation(self, session: Session, before: str) -> str:
        """Leave a page that may not be opened. Returns why it may not, or "" for one that may."""
        refusal = session.requests.refused
        inside = session.requests.refused_in == session.tab.id
        if refusal and inside and len(session.tabs) > 1 and session.page.url in BLANK:
            await session.page.close()  # it was opened for what was refused
            await session.settle()
        now = session.page.url
        if now.startswith("chrome-error:"):
            why = f" ({self._masked(session.requests.lost.what)})" if session.requests.lost else ""
            refusal = refusal or f"the page could not be opened{why}"
        else:
            wrong = self._rules.refuses_url(now)
            refusal = refusal or wrong
            if not wrong and not (refusal and inside):
                return refusal
        if now != before or now.startswith("chrome-error:"):
            if len(session.tabs) > 1 and not await session.evaluate("navigation.canGoBack"):
                await session.page.close()
            else:
                await open_address(session, before)
            await session.settle()
        return refusal

    async def _observe(self, error: str = "", wanted: str = "") -> Observation:
        session = self._require_session()
        self._environments.tell_blocked()
        view = await view_page(session, self._rules.origin, self._environments.max_chars, wanted)
        self._refs, self._look = view.refs, view.look
        if wanted and " ".join(wanted.casefold().split()) not in view.text.casefold():
            error = f'nothing on this page contains "{wanted}"'
        self._last = Observation(
            text=self._masked(view.text),
            url=self._masked(view.path),
            title=self._masked(view.title),
            digest=await asyncio.to_thread(self._backend.digest),
            error=self._masked(error),
            image="" if session.dialogs.waiting else await screenshot(session, self._environments.save_image),
        )
        return self._last

    def _refuse(self, action: Action, error: str) -> Outcome:
        """Nothing was done: the last observation again, with the reason."""
        self._last = self._last.model_copy(update={"error": self._masked(error)})
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
        return mask(sound(text))


@contextlib.contextmanager
def _browser_may_end() -> Iterator[None]:
    """The browser may be killed at any moment: then any call to it fails, which is the infrastructure's failure."""
    try:
        yield
    except PlaywrightError as error:
        raise EnvironmentFailure(f"the browser failed: {str(error).splitlines()[0]}", kind="browser") from error


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
