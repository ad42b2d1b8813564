"""A viewer of run folders in a thread of its own, and a visitor without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bs4 import BeautifulSoup

from lbi.interop.server.http import bound
from lbi.report.viewer.serve import HOST, serve_pages
from lbi.storage.run_folder import RunFolder


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: dict[str, str]

    @property
    def page(self) -> BeautifulSoup:
        return BeautifulSoup(self.text, "html.parser")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay, urllib.request.ProxyHandler({}))


@dataclass
class Viewer:
    """``address`` ends with a slash: http://127.0.0.1:4711/TOKEN/"""

    address: str = ""
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def origin(self) -> str:
        parts = urllib.parse.urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    def get(self, page: str = "", **headers: str) -> Answer:
        """``page`` is the rest of an address, or a whole path."""
        address = urllib.parse.urljoin(self.address, page)
        return self._ask(urllib.request.Request(address, headers=headers))

    def post(self, page: str, origin: str | None = None, **given: str) -> Answer:
        """As a form of the viewer's own page sends it, unless another origin is given; "" = none is sent."""
        sent = self.origin if origin is None else origin
        address = urllib.parse.urljoin(self.address, page)
        headers = {"Origin": sent} if sent else {}
        data = urllib.parse.urlencode(given).encode()
        return self._ask(urllib.request.Request(address, data=data, headers=headers))

    def _ask(self, request: urllib.request.Request) -> Answer:
        try:
            with _OPENER.open(request, timeout=60) as reply:
                return Answer(reply.status, reply.read().decode("utf-8", "replace"), dict(reply.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode("utf-8", "replace"), dict(error.headers))

    def crawl(self) -> dict[str, Answer]:
        """Every page that links and unfolding lead to, by its path."""
        found: dict[str, Answer] = {}
        waiting = [urllib.parse.urlsplit(self.address).path]
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found[path] = answer = self.get(path)
            if "html" in answer.headers.get("content-type", ""):
                nodes = answer.page.find_all(True)
                links = [str(n.get("href") or n.get("data-load") or n.get("data-again") or "") for n in nodes]
                waiting += [link.partition("#")[0] for link in links if link.startswith("/")]
        return found


@contextlib.contextmanager
def viewing(*runs: Path, judge: str = "ada") -> Iterator[Viewer]:
    """The viewer of one or two run folders, which are only read."""
    viewer = Viewer()
    loop = asyncio.new_event_loop()
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(RunFolder(run, writing=False)) for run in runs]
        listener = stack.enter_context(bound(HOST, 0))

        def ready(address: str) -> None:
            viewer.address = address
            viewer.ready.set()

        task = loop.create_task(serve_pages(listener, folders, judge, ready))
        thread = threading.Thread(target=_run, args=(loop, task))
        thread.start()
        try:
            assert viewer.ready.wait(30)
            yield viewer
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join(30)
            loop.close()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
