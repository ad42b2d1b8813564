"""What an agent saw last of the open page: the observation, and what its references stand for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from playwright.async_api import ElementHandle
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.backend import Backend
from lbi.environments.web.look import Look, handle_of
from lbi.environments.web.observe import screenshot, view_page
from lbi.environments.web.session import Session
from lbi.observations.parse import Element, Page, parse_observation
from lbi.observations.tree import Node
from lbi.protocols import Outcome
from lbi.records import Action, Observation, sound
from lbi.storage.secrets import mask


def masked(text: str) -> str:
    """Text of a page or an action as it may be shown and stored: valid Unicode, and without secrets."""
    return mask(sound(text))


def readable(observation: Observation) -> str:
    """The page as a reader sees it: names, texts and values, each on a line of its own."""
    page: Page = parse_observation(observation.text)
    values = [f"{element.name} {element.value}" for element in page.elements]
    return "\n".join([observation.title, *page.headings, *page.texts, *values, observation.text])


class Viewing:
    """Of one environment. ``save_image`` keeps a screenshot and returns its hash; None = none is taken.

    ``tell_blocked`` is called before each look, to say what pages asked for in vain.
    """

    def __init__(
        self,
        backend: Backend,
        origin: str,
        max_chars: int,
        save_image: Callable[[bytes], str] | None,
        tell_blocked: Callable[[], None],
    ) -> None:
        self.last = Observation(text="")
        self.refs: dict[str, str] = {}  # "e12" of the observation -> what the page knows the element by
        self.look = Look(Node("document"))
        self._backend = backend
        self._origin = origin
        self._max_chars = max_chars
        self._save_image = save_image
        self._tell_blocked = tell_blocked

    async def observe(self, session: Session, error: str = "", wanted: str = "") -> Observation:
        """The page as it is; ``wanted`` is a text to show. Raises PlaywrightError, EnvironmentFailure."""
        self._tell_blocked()
        view = await view_page(session, self._origin, self._max_chars, wanted)
        self.refs, self.look = view.refs, view.look
        if wanted and " ".join(wanted.casefold().split()) not in view.text.casefold():
            error = f'nothing on this page contains "{wanted}"'
        self.last = Observation(
            text=masked(view.text),
            url=masked(view.path),
            title=masked(view.title),
            digest=await asyncio.to_thread(self._backend.digest),
            error=masked(error),
            image="" if session.dialogs.waiting else await screenshot(session, self._save_image),
        )
        return self.last

    def refuse(self, action: Action, error: str) -> Outcome:
        """Nothing was done: the last observation again, with the reason."""
        self.last = self.last.model_copy(update={"error": masked(error)})
        return Outcome(action=action, observation=self.last)

    async def handle(self, element: Element, what: str) -> ElementHandle | None:
        """The element in the page; None if it is there no longer."""
        with contextlib.suppress(PlaywrightError):
            return await handle_of(self.look.frames, self.refs[element.ref], what)
        return None
