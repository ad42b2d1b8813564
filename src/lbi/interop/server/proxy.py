"""A request to a model's provider -> passed on with what was learnt added; the reply comes back as it is.

POST http://127.0.0.1:8640/v1/messages  ->  POST https://api.anthropic.com/v1/messages

Whatever fails here, or takes too long, leaves the request as it was. Keys pass through, and are kept nowhere.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from lbi.errors import UserError
from lbi.interop.server.added import Added, Adder
from lbi.interop.server.guard import Headers, Refusal, refuse
from lbi.interop.server.log import Log, Passing
from lbi.interop.server.requests import format_of
from lbi.interop.server.served import Served

CONNECT = 30.0  # seconds
LONGEST_LINE = 64 * 1024  # bytes of a header of the upstream
#: headers of one connection alone (RFC 9110, 7.6.1), and those that the next one writes itself
_OF_A_CONNECTION = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_NOT_SENT = _OF_A_CONNECTION | {b"host", b"content-length", b"expect"}
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Upstream:
    """Where requests are passed on to. Raises UserError for what is no address."""

    def __init__(self, address: str) -> None:
        try:
            parts = urlsplit(address)
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            known = False
        if not known or parts.query or parts.fragment or "@" in parts.netloc:
            raise UserError(
                f'no address of a model: "{address}"; it is what the agent has as its base URL, such as '
                "https://api.openai.com/v1, without a key in it"
            )
        self.origin, self.path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        #: what this machine's environment says is between it and the upstream
        through = None if urllib.request.proxy_bypass(parts.netloc) else urllib.request.getproxies().get(parts.scheme)
        self.through = through

    def url(self, scope: Scope) -> URL:
        """The address of what is asked for, as the client wrote it. Raises ValueError where it names no path."""
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        if not path.startswith("/"):
            raise ValueError("the request names no path")
        return URL(f"{self.origin}{path}{'?' if query else ''}{query}", encoded=True)


class Proxy:
    """An ASGI application that passes everything on to one upstream."""

    def __init__(
        self,
        upstream: Upstream,
        session: aiohttp.ClientSession,
        adder: Adder,
        served: Served,
        *,
        look_up: float,
        log: Log,
    ) -> None:
        self._upstream, self._session = upstream, session
        self._adder, self._served = adder, served
        self._look_up, self._log = look_up, log
        self.counts: Counter[str] = Counter()  # of requests: "" = with examples, or why there are none

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = (await receive())["body"]
        began = time.monotonic()
        added = await self._added(scope, body)
        self.counts[added.why] += 1
        passing = Passing(scope["path"], added, 1000 * (time.monotonic() - began))
        work = asyncio.ensure_future(self._pass(scope, passing, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            work.cancel()  # of a client that left: nobody pays for what would still be written
            await asyncio.gather(work, leaving, return_exceptions=True)
            self._log.ended(passing, whole=not work.cancelled() and work.exception() is None and work.result())
        if not work.cancelled():
            work.result()

    async def _added(self, scope: Scope, body: bytes) -> Added:
        """The request as it is to be sent; as it came, where anything is in the way of that."""
        form = format_of(scope["path"]) if scope["method"] == "POST" else None
        if form is None:
            return Added(body, why="another kind of request")
        if any(name == b"content-encoding" and value != b"identity" for name, value in scope["headers"]):
            return Added(body, why="the request is compressed")
        looking = asyncio.ensure_future(self._adder.added(body, form))
        try:
            await asyncio.wait({looking}, timeout=self._look_up)
        finally:
            late = looking.cancel()  # False = it has ended
        if late:
            return Added(body, why="the look-up took too long")
        if looking.exception() is not None:  # whatever it is, it is ours, and not the agent's
            return Added(body, why="the look-up failed")
        added = looking.result()
        if added.ids:
            self._served.show(added.ids, by="proxy")
        return added

    async def _pass(self, scope: Scope, passing: Passing, send: Send) -> bool:
        """Whether the reply came to its end. If not, the client sees it end where the upstream ended it."""
        begun = False
        try:
            async with self._session.request(
                scope["method"],
                self._upstream.url(scope),
                headers=[(_text(name), _text(value)) for name, value in _passed(scope["headers"], _NOT_SENT)],
                data=passing.added.body or None,
                allow_redirects=False,
                skip_auto_headers=_AUTOMATIC,
                proxy=self._upstream.through,
            ) as response:
                headers = _passed(response.raw_headers, _OF_A_CONNECTION)
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                begun, passing.status = True, response.status
                async for chunk in response.content.iter_any():
                    if self._log.kept:
                        passing.replied(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if not begun:
                told = f"{self._upstream.origin} does not answer ({type(error).__name__})"
                await refuse(scope, send, Refusal(502, told))
            return False
        return True


@asynccontextmanager
async def open_session() -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to an upstream: replies stay compressed, cookies and time-outs are the client's own."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),
        auto_decompress=False,
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    ) as session:
        yield session


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _passed(headers: Iterable[tuple[bytes, bytes]], dropped: Collection[bytes]) -> Headers:
    """Headers for the next connection: without those of this one, and those that it names itself."""
    headers = list(headers)
    named = {
        each.strip().lower() for name, value in headers if name.lower() == b"connection" for each in value.split(b",")
    }
    return [(name, value) for name, value in headers if name.lower() not in dropped and name.lower() not in named]


def _text(value: bytes) -> str:
    """As aiohttp writes it again; what is no UTF-8 is Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
