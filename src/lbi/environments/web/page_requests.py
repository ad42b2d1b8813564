"""The requests of one browser context: each document is judged before it leaves, and failures are remembered."""

from __future__ import annotations

from collections import Counter
from typing import Any

from playwright.async_api import Request as PageRequest

from lbi.environments.web.liveness import Outage, net_error
from lbi.environments.web.notes import Notes
from lbi.environments.web.tabs import Tab, Tabs
from lbi.environments.web.url_rules import UrlRules, origin_of


class Requests:
    """A judge of the guard's. ``own_headers``, in small letters, are for the site alone."""

    def __init__(
        self, rules: UrlRules, blocked: Counter[str], own_headers: frozenset[str], tabs: Tabs, notes: Notes
    ) -> None:
        self.refused = ""  # why the last navigation was
        self.refused_in = ""  # id of the tab
        self.lost: Outage | None = None  # the last request to the site that failed, since this was set back
        self.opening_anew: set[str] = set()  # ids of tabs whose page is loaded again, never posted again
        self._rules = rules
        self._blocked = blocked  # other sites -> requests of pages that were refused
        self._own_headers = own_headers
        self._tabs = tabs
        self._notes = notes

    def begin(self) -> None:
        """What follows is the doing of somebody else."""
        self.refused, self.lost = "", None

    def refuses(self, kind: str, frame: str, url: str, new: bool) -> str:
        """Judge a request; what an agent should know of a refusal becomes the step's error, or a note."""
        if kind == "Frame":
            refusal = self._rules.refuses_frame(url)
            if refusal:
                self._count(url)
            return refusal
        if kind != "Document":
            refusal = self._rules.refuses_request(url)
            if refusal and origin_of(url) in self._rules.origins:
                self._notes.once(f"a request of the page was refused: {refusal}")
            return refusal
        self._tabs.documents[frame] = url
        refusal = self._rules.refuses_url(url)
        too_many = ""
        if new and not refusal:
            too_many = self._tabs.too_many(frame)
        if refusal:
            self.refused, self.refused_in = refusal, frame
            if tab := next((tab for tab in self._tabs if tab.id == frame), None):
                self._tabs.track(self._tabs.release(tab, settling=False))
        if new and (refusal or too_many):
            self._tabs.kept_shut.add(frame)
            self._tabs.keep_shut()
        return refusal or too_many

    def rewritten(self, frame: str, request: dict[str, Any]) -> dict[str, Any]:
        """The log-in's headers are for our own site alone, and a page that is opened anew is not posted to again."""
        if frame in self.opening_anew and request["method"] != "GET":
            return {"method": "GET", "postData": ""}
        if not self._own_headers or origin_of(request["url"]) in self._rules.origins:
            return {}
        kept = {name: value for name, value in request["headers"].items() if name.lower() not in self._own_headers}
        return {"headers": [{"name": name, "value": value} for name, value in kept.items()]}

    async def frames(self) -> list[str]:
        return await self._tabs.frames()

    def on_failed(self, tab: Tab, request: PageRequest) -> None:
        """Which says of the site that it may be dead; of a request to another one, nothing."""
        if not request.url.startswith(self._rules.origins):
            return
        lost = net_error(request.failure or "")
        self.lost = lost or self.lost
        if lost and request.is_navigation_request():
            self._tabs.track(self._tabs.release_now(tab))

    def on_blocked(self, request: PageRequest) -> None:
        if not request.is_navigation_request() and origin_of(request.url) not in self._rules.origins:
            self._count(request.url)

    def _count(self, url: str) -> None:
        if (origin := origin_of(url)) not in self._rules.origins:
            self._blocked[origin] += 1
