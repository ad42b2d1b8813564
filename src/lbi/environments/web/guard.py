"""Judges each document that the browser is about to request, in any tab, frame or redirect, before it leaves.

The browser itself is asked for this, and not its pages: so the first request of a new tab waits for its answer too,
and each hop of a redirect, with addresses as the browser has read them. Sub-resources of another site need no
judgement: each context has a proxy that does not answer for all but its own site (see ``Nowhere``).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from playwright.async_api import Browser, CDPSession
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.application import Policy
from lbi.environments.web.url_rules import origin_of, other_sites

#: what scripts ask for, which ``deny_urls`` may forbid; pictures, styles and scripts of the site itself never wait
BY_SCRIPTS = ("XHR", "Fetch", "Ping", "EventSource", "Other")


class Judge(Protocol):
    """Who decides on the requests of one browser context."""

    def refuses(self, kind: str, frame: str, url: str, new: bool) -> str:
        """Why a request may not be made; "" if it may.

        ``kind`` is the protocol's resource type, "Document" for pages and "Frame" for pages within pages; ``frame``
        the id of the frame or tab; ``new`` whether the tab is not shown yet.
        """
        ...

    def rewritten(self, frame: str, request: dict[str, Any]) -> dict[str, Any]:
        """What is changed of a request before it leaves, as Fetch.continueRequest takes it; mostly nothing."""
        ...

    async def frames(self) -> list[str]:
        """Ids of all frames of all tabs."""
        ...


class Nowhere:
    """An address of this machine where nobody answers: the proxy for all sites but those that are named."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))  # and never listens, so that nobody else does

    def options(self, site: str, policy: Policy, also: Sequence[str] = ()) -> dict[str, Any]:
        """Options of a context whose pages reach nothing but ``site``, ``also`` and the sites that the policy names.

        None of them where these cannot be told, or where the site itself is behind a proxy: then only the guard looks.
        """
        others = other_sites(policy)
        parts = urlsplit(site)
        if others is None or (getproxies().get(parts.scheme) and not proxy_bypass(parts.hostname or "")):
            return {}
        bypass = [
            "<-loopback>",
            *(_host_and_port(origin) for origin in (origin_of(site), *map(origin_of, also), *others)),
        ]
        return {"proxy": {"server": f"http://127.0.0.1:{self._socket.getsockname()[1]}", "bypass": ",".join(bypass)}}

    def close(self) -> None:
        self._socket.close()


class Guard:
    """Watches a browser; each context's requests are judged by the judge that was admitted for it."""

    def __init__(self, policy: Policy) -> None:
        self._patterns = patterns(policy)
        self._judges: dict[str, Judge] = {}  # by browser context
        self._tabs: dict[str, str] = {}  # tab -> browser context
        self._frames: dict[str, str] = {}  # frame within a page, or worker -> browser context
        self._answers: set[asyncio.Task[None]] = set()

    async def watch(self, browser: Browser) -> None:
        """Ask a browser that was just launched to wait for us. Raises PlaywrightError."""
        self._judges.clear()
        self._tabs.clear()
        self._frames.clear()
        cdp = await browser.new_browser_cdp_session()

        def on_paused(event: dict[str, Any]) -> None:
            task = asyncio.ensure_future(self._answer(cdp, event))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

        cdp.on("Fetch.requestPaused", on_paused)
        await cdp.send("Fetch.enable", {"patterns": self._patterns})

    async def admit(self, judge: Judge, page: CDPSession) -> str:
        """Let ``judge`` decide for the context of a page; returns the id of its tab. Raises PlaywrightError."""
        info = (await page.send("Target.getTargetInfo"))["targetInfo"]
        self._tabs[info["targetId"]] = info["browserContextId"]
        self._judges[info["browserContextId"]] = judge
        return str(info["targetId"])

    def add_frame(self, tab: str, frame: str) -> None:
        """A frame was added to a page of a tab."""
        if tab in self._tabs:
            self._frames[frame] = self._tabs[tab]

    def dismiss(self, judge: Judge) -> None:
        """The context is closed."""
        gone = {context for context, its in self._judges.items() if its is judge}
        for known in (self._tabs, self._frames):
            for name in [name for name, context in known.items() if context in gone]:
                del known[name]
        for context in gone:
            del self._judges[context]

    async def _answer(self, cdp: CDPSession, event: dict[str, Any]) -> None:
        request, kind, frame = event["request"], event["resourceType"], event.get("frameId", "")
        answer = {"requestId": event["requestId"]}
        with contextlib.suppress(PlaywrightError):  # the tab is closed, or the browser gone
            context, new = await self._find(cdp, frame)
            judge = self._judges.get(context)
            if kind == "Document" and frame in self._frames:
                kind = "Frame"
            refusal = "" if context else "the page is gone"
            if judge is not None:
                refusal = judge.refuses(kind, frame, request["url"], new)
            if refusal:
                # a page that is aborted leaves the one before where it is, without a page of the browser's own
                reason = "Aborted" if kind in ("Document", "Frame") else "BlockedByClient"
                await cdp.send("Fetch.failRequest", {**answer, "errorReason": reason})
                if new and kind == "Document":
                    await cdp.send("Target.closeTarget", {"targetId": frame})
                return
            await cdp.send("Fetch.continueRequest", {**answer, **(judge.rewritten(frame, request) if judge else {})})

    async def _find(self, cdp: CDPSession, frame: str) -> tuple[str, bool]:
        """The context of a frame, "" if it is gone, and whether the frame is a tab that nobody was told of yet."""
        known = self._tabs.get(frame) or self._frames.get(frame)
        if known:
            return known, False
        targets = (await cdp.send("Target.getTargets"))["targetInfos"]
        if target := next((each for each in targets if each["targetId"] == frame), None):
            context = str(target.get("browserContextId", ""))
            if target["type"] != "page":
                self._frames[frame] = context
                return context, False
            return context, True
        for context, judge in list(self._judges.items()):
            self._frames.update(dict.fromkeys(await judge.frames(), context))
        return self._frames.get(frame, ""), False


def patterns(policy: Policy) -> list[dict[str, str]]:
    """What must wait for the guard, as few requests as the policy allows."""
    found = [{"resourceType": "Document"}]
    if policy.deny_urls:
        found += [{"resourceType": kind} for kind in BY_SCRIPTS]
    others = other_sites(policy)
    if others is None:
        return [{"urlPattern": "*"}]
    return [*found, *({"urlPattern": f"{origin}/*"} for origin in others)]


def _host_and_port(origin: str) -> str:
    """As a list of exceptions from a proxy writes it: without a scheme, so that web sockets are meant too."""
    parts = origin.partition("://")
    return parts[2] if urlsplit(origin).port else f"{parts[2]}:{443 if parts[0] == 'https' else 80}"
