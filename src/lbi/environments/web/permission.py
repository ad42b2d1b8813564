"""What an agent may do: its policy's rules on addresses and names, put to an action before it is tried."""

from __future__ import annotations

from lbi.environments.web.actions import Call
from lbi.environments.web.activation import names_clicked, names_pressed
from lbi.environments.web.session import Session
from lbi.environments.web.url_rules import UrlRules, scheme_of
from lbi.environments.web.viewing import Viewing
from lbi.observations.parse import Element


class Permission:
    """Of one environment's agent."""

    def __init__(self, rules: UrlRules, viewing: Viewing) -> None:
        self._rules = rules
        self._viewing = viewing

    async def refused(self, session: Session, call: Call, element: Element | None, onto: Element | None) -> str:
        """Why an action may not be tried; "" if it may. An address of ``goto`` is one that the browser has read."""
        if call.kind == "goto":
            return self._rules.refuses_url(call.value) if call.value else "this is no address"
        if call.kind not in ("click", "press", "select", "upload", "drag"):
            return ""
        for name in await self._names(session, call, element, onto) if self._rules.has_names else []:
            if refusal := self._rules.refuses_name(name):
                return refusal
        if element is None or not element.url or call.kind == "select":
            return ""
        scheme = scheme_of(element.url)
        if scheme == "javascript" or (scheme in ("blob", "data") and await self._downloads(element)):
            return ""  # the page's own script, whose requests are judged when they are made; the page's own file
        return self._rules.refuses_url(element.url, session.page.url)

    async def _names(self, session: Session, call: Call, element: Element | None, onto: Element | None) -> list[str]:
        """Names of all that an action would use."""
        handle = (
            await self._viewing.handle(element, "element" if call.kind == "press" else "place") if element else None
        )
        if call.kind == "press":
            more = await names_pressed(session, call.value, handle)
        elif handle is not None and call.kind in ("click", "upload", "drag"):
            more = await names_clicked(handle)
        else:
            more = [call.value]
        return [*(one.name for one in (element, onto) if one), *more]

    async def _downloads(self, element: Element) -> bool:
        """Whether a link saves a file, rather than opening it."""
        handle = await self._viewing.handle(element, "element")
        return handle is not None and bool(await handle.evaluate("e => !!e.closest('a[download]')"))
