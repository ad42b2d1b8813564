"""A browser context's requests -> entries of a HAR, in the order in which they began, while the context is open.

Playwright's own records do not do: its trace keeps bodies in files beside it, and its HAR is written when the context
is closed, which is after scoring.
"""

from __future__ import annotations

import asyncio
import contextlib
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urljoin

from playwright.async_api import BrowserContext, Request, Response
from playwright.async_api import Error as PlaywrightError

from lbi.benchmarks.webarena.oracle import entry

FAILED = -1  # status of a request that got no response
WAITED = 3.0  # seconds that scoring waits for responses that are on their way
MOST_BODY = 1_000_000  # characters of a response that are kept, of those that checks read
READ = "application/json"


class Recorder:
    """Records every context that it is put on; ``begin`` starts anew."""

    def __init__(self) -> None:
        self._entries: dict[Request, dict[str, Any]] = {}
        self._reading: set[asyncio.Task[None]] = set()

    def watch(self, context: BrowserContext) -> None:
        context.on("request", self._began)
        context.on("response", lambda response: self._read(self._ended(response)))
        context.on("requestfailed", lambda request: self._read(self._failed(request)))

    def begin(self) -> None:
        for task in self._reading:
            task.cancel()
        self._entries.clear()

    async def entries(self) -> list[dict[str, Any]]:
        """What was requested since ``begin``. What has no response yet is waited for a little, and then left out."""
        if self._reading:
            await asyncio.wait(set(self._reading), timeout=WAITED)
        return [each for each in self._entries.values() if each]

    def _began(self, request: Request) -> None:
        self._entries[request] = {}  # keeps its place

    def _read(self, reading: Any) -> None:
        task = asyncio.ensure_future(reading)
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _failed(self, request: Request) -> None:
        if not self._entries.get(request):  # a navigation that became a download has had its response
            self._put(request, FAILED, await _headers(request))

    async def _ended(self, response: Response) -> None:
        request = response.request
        headers = await _headers(request)
        with contextlib.suppress(PlaywrightError):  # the page was closed
            answered = await response.all_headers()
            kind = answered.get("content-type", "")
            redirect = urljoin(request.url, answered["location"]) if "location" in answered else ""
            content = ""
            if READ in kind and not 300 <= response.status < 400:
                with contextlib.suppress(PlaywrightError, UnicodeDecodeError):
                    content = (await response.text())[:MOST_BODY]
            set_cookies = [each["value"] for each in await response.headers_array() if each["name"] == "set-cookie"]
            self._put(
                request,
                response.status,
                headers,
                redirect=redirect,
                answer_headers=answered,
                content=content,
                content_type=kind,
                cookies=_cookies(set_cookies),
            )

    def _put(self, request: Request, status: int, headers: dict[str, str], **rest: Any) -> None:
        if request in self._entries:  # else it is of an episode before
            body, kind = _body(request), headers.get("content-type", "")
            self._entries[request] = entry(
                request.method, request.url, status=status, headers=headers, body=body, body_type=kind, **rest
            )


async def _headers(request: Request) -> dict[str, str]:
    """With those that the browser adds when it sends it; without them where it was never sent."""
    try:
        return await request.all_headers()
    except PlaywrightError:
        return request.headers


def _body(request: Request) -> str:
    raw = request.post_data_buffer
    return raw.decode("utf-8", "replace") if raw else ""


def _cookies(lines: list[str]) -> list[dict[str, str]]:
    found = []
    for line in "\n".join(lines).splitlines():
        with contextlib.suppress(CookieError):
            found += [{"name": each.key, "value": each.value} for each in SimpleCookie(line).values()]
    return found
