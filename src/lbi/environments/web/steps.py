"""One action on the open page: what it is for is found, it is carried out, and what came of it is seen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from lbi.environments.web import hand
from lbi.environments.web.actions import Call, UnreadableAction, parse_action
from lbi.environments.web.backend import Backend
from lbi.environments.web.browser import browser_may_end
from lbi.environments.web.consequences import why_it_may_change
from lbi.environments.web.dialogs import DialogOpened
from lbi.environments.web.episodes import Episodes
from lbi.environments.web.hand import ActionRefused, Gone, TimedOut
from lbi.environments.web.liveness import Outage, PageLost
from lbi.environments.web.observe import ANSWER, CANCEL, OK, view_page
from lbi.environments.web.outages import Outages
from lbi.environments.web.perform import find, open_address, perform
from lbi.environments.web.permission import Permission
from lbi.environments.web.session import Session
from lbi.environments.web.tabs import BLANK
from lbi.environments.web.url_rules import PORTS, UrlRules, scheme_of
from lbi.environments.web.viewing import Viewing, masked
from lbi.errors import EnvironmentFailure
from lbi.observations.parse import Element, parse_observation
from lbi.protocols import Foreseen, Outcome
from lbi.records import Action, Observation, stored_element

AGAIN = 3  # times that an element which was rendered anew is looked for again


class Steps:
    """Of one environment. ``timed_out``: whether the last action was refused because it took too long."""

    def __init__(
        self,
        episodes: Episodes,
        viewing: Viewing,
        outages: Outages,
        rules: UrlRules,
        backend: Backend,
        max_chars: int,
    ) -> None:
        self.timed_out = False
        self._episodes = episodes
        self._viewing = viewing
        self._outages = outages
        self._permission = Permission(rules, viewing)
        self._rules = rules
        self._backend = backend
        self._max_chars = max_chars

    async def step(self, action: str) -> Outcome:
        """Carry out one action. Why one cannot be carried out stands in the observation's ``error``."""
        self.timed_out = False
        try:
            call = parse_action(action)
        except UnreadableAction as error:
            return self._viewing.refuse(Action(text=masked(action)), str(error))
        if call.kind == "finish":
            done = Action(text=masked(action), kind="finish", value=masked(call.value))
            return Outcome(action=done, observation=self._viewing.last, done=True, answer=call.value)
        try:
            element, onto = await self._found(call)
        except ActionRefused as error:
            self.timed_out = isinstance(error, TimedOut)
            return self._viewing.refuse(self._action(action, call, None, None), masked(str(error)))
        taken = self._action(action, call, element, onto)
        with browser_may_end():
            session = self._episodes.open
            if call.kind == "find":
                return Outcome(action=taken, observation=await self._viewing.observe(session, wanted=call.value))
            if session.dialogs.waiting is not None:
                return await self._answer_dialog(taken, call, element)
            if call.kind == "goto":
                call = replace(call, value=await self._goes_to(call.value))
            if refusal := await self._permission.refused(session, call, element, onto):
                return self._viewing.refuse(taken, masked(refusal))
            return Outcome(action=taken, observation=await self._act(call, element, onto))

    def foresee(self, action: str) -> Foreseen:
        """What an action would be done to on the page as it was last seen, and why it may change something."""
        try:
            call = parse_action(action)
        except UnreadableAction:
            return Foreseen(action=Action(text=masked(action)))
        page = parse_observation(self._viewing.last.text)
        element, onto, covered = None, None, ""
        try:
            element = find(page, call.target) if call.target else None
            onto = find(page, call.onto) if call.onto else None
        except TimedOut as error:  # it may be found when it comes to it
            covered = str(error)
        except ActionRefused:
            return Foreseen(action=self._action(action, call, None, None))
        changes = covered or why_it_may_change(call, element)
        return Foreseen(action=self._action(action, call, element, onto), changes=masked(changes))

    async def _found(self, call: Call) -> tuple[Element | None, Element | None]:
        """The elements that an action is for. What lies over the page, as it loads, may go by itself."""
        waits = time.monotonic() + hand.ELEMENT_MS / 1000
        while True:
            page = parse_observation(self._viewing.last.text)
            try:
                return find(page, call.target) if call.target else None, find(page, call.onto) if call.onto else None
            except TimedOut:
                if time.monotonic() > waits:
                    raise
            with browser_may_end():
                await asyncio.sleep(0.1)
                await self._viewing.observe(self._episodes.open)

    async def _goes_to(self, written: str) -> str:
        """The address that ``goto`` means, as the browser reads it; "" where it is none."""
        session = self._episodes.open
        base = session.page.url
        return await session.address(written, base if scheme_of(base) in PORTS else self._backend.url + "/")

    async def _answer_dialog(self, taken: Action, call: Call, element: Element | None) -> Outcome:
        """The page waits for an answer to its dialog, and nothing else can be done."""
        session = self._episodes.open
        button = self._viewing.refs.get(element.ref, "") if element else ""
        if call.kind == "press" and call.value in ("Enter", "Escape"):
            button = OK if call.value == "Enter" else CANCEL
        if button == ANSWER and call.kind in ("fill", "type"):
            session.dialogs.text = call.value if call.kind == "fill" else session.dialogs.text + call.value
        elif button in (OK, CANCEL) and call.kind in ("click", "press"):
            await session.dialogs.answer(button == OK, session.dialogs.text)
            await session.settle()
        else:
            return self._viewing.refuse(taken, "a dialog waits for an answer: click one of its buttons first")
        return Outcome(action=taken, observation=await self._viewing.observe(session))

    async def _act(self, call: Call, element: Element | None, onto: Element | None) -> Observation:
        session = self._episodes.open
        before = session.page.url
        if session.requests.refused:  # between the actions, so not this one's doing
            session.notes.append(f"a page went elsewhere by itself, which was refused: {session.requests.refused}")
        session.begin_action()
        error = ""
        try:
            error = await self._performed(session, call, element, onto)
            await session.settle()
        except PageLost as lost:
            session.requests.lost, error = Outage(lost.kind, str(lost)), masked(str(lost))
            await self._outages.raise_if_dead(session)
            await session.stop_loading()
            await session.settle()
        except EnvironmentFailure:
            await self._outages.raise_if_server_died()
            raise
        if session.dialogs.waiting is not None:
            return await self._viewing.observe(session, error)
        await self._outages.raise_if_dead(session)
        error = await self._undo_forbidden_navigation(session, before) or error
        judged = session.tab.born
        observation = await self._viewing.observe(session, error)
        if session.tab.born != judged:  # the page that was seen came while it was looked at
            await self._outages.raise_if_dead(session)
        return observation

    async def _performed(self, session: Session, call: Call, element: Element | None, onto: Element | None) -> str:
        """Why the action could not be carried out; "" if it was."""
        try:
            note = await self._perform(session, call, element, onto)
            session.notes += [note] if note else []
        except DialogOpened:
            return ""
        except ActionRefused as refused:
            self.timed_out = isinstance(refused, TimedOut)
            return masked(str(refused))
        return ""

    async def _perform(self, session: Session, call: Call, element: Element | None, onto: Element | None) -> str:
        """Carry out an action; an element that was rendered anew meanwhile is found again by role, name and place."""
        seen, refs, target, other = self._viewing.look, self._viewing.refs, element, onto
        for attempt in range(AGAIN + 1):
            try:
                return await session.unless_asked(perform(session, call, target, other, seen, refs))
            except Gone as gone:
                notes = list(session.notes)
                view = await view_page(session, self._rules.origin, self._max_chars)
                session.notes[:] = notes
                page = parse_observation(view.text)
                target, other = (page.find(one.role, one.name, one.nth) if one else None for one in (element, onto))
                if attempt == AGAIN or (element and not target) or (onto and not other):
                    raise gone from None
                seen, refs = view.look, view.refs
        raise AssertionError

    async def _undo_forbidden_navigation(self, session: Session, before: str) -> str:
        """Leave a page that may not be opened. Returns why it may not, or "" for one that may."""
        refusal = session.requests.refused
        inside = session.requests.refused_in == session.tab.id
        if refusal and inside and len(session.tabs) > 1 and session.page.url in BLANK:
            await session.page.close()  # it was opened for what was refused
            await session.settle()
        now = session.page.url
        if now.startswith("chrome-error:"):
            why = f" ({masked(session.requests.lost.what)})" if session.requests.lost else ""
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

    def _action(self, text: str, call: Call, element: Element | None, onto: Element | None) -> Action:
        role, name, nth = (element.role, element.name, element.nth) if element else ("", "", 0)
        if element is None and call.target:
            role, name, nth = call.target.role, call.target.name, call.target.nth
        value = masked(stored_element(onto.role, onto.name, onto.nth) if onto else call.value)
        return Action(text=masked(text), kind=call.kind, role=role, name=masked(name), nth=nth, value=value)
