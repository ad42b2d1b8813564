"""Before anything is served: who asks (token), by which name (DNS rebinding), how often, how much, how slowly.

An ASGI application around another one. The body is read here, whole and within limits, so that a client that stalls,
sends too much or lies about its length gets its error here, and nobody else notices.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 * 1024 * 1024  # of a request
MOST_BUFFERED = 256 * 1024 * 1024  # of all that are being read or looked at
MOST_AT_ONCE = 512  # requests
PATIENCE = 30.0  # seconds for the next part of a body
MOST_CLIENTS = 10_000  # whose rates are counted
_BEARER = b"bearer "
Headers = list[tuple[bytes, bytes]]
Refuse = Callable[[Scope, Send, "Refusal"], Awaitable[None]]


@dataclass(frozen=True)
class Refusal:
    """An answer in place of what was asked for."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class Rates:
    """A bucket of requests for each client, which fills by ``a_minute``; a tenth of these may come at once."""

    a_minute: int
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)  # (requests left, when that was)

    def wait(self, client: str) -> float:
        """Seconds until the client may ask again; 0 = it may now, and this is counted."""
        a_second, most, now = self.a_minute / 60, max(1.0, self.a_minute / 10), self.clock()
        left, when = self._left.pop(client, (most, now))
        left = min(most, left + (now - when) * a_second)
        while len(self._left) >= MOST_CLIENTS:
            del self._left[next(iter(self._left))]
        if left < 1:
            self._left[client] = left, now
            return (1 - left) / a_second
        self._left[client] = left - 1, now
        return 0.0


class Guard:
    """``names``: by which clients may call the server; none = by any, as a token is asked for.

    ``answer`` sends a refusal in other words than a provider's.
    """

    def __init__(
        self, app: ASGIApp, *, names: Collection[str], token: str, rates: Rates, answer: Refuse | None = None
    ) -> None:
        self._refuse = answer or refuse
        self._app, self._names, self._token, self._rates = app, {name.lower() for name in names}, token.encode(), rates
        self._at_once = 0
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await self._refuse(scope, send, refusal)
            return
        self._at_once += 1
        body = bytearray()
        try:
            refusal = await self._read(scope, receive, body)
            if refusal is not None:
                await self._refuse(scope, send, refusal)
            else:
                await self._app(scope, _replayed(bytes(body), receive), send)
        except ClientDisconnect:
            return
        finally:
            self._at_once -= 1
            self._buffered -= len(body)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers: Headers = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if self._names and (len(hosts) != 1 or _name(f"//{hosts[0]}") not in self._names):
            return Refusal(421, "this server is not called by that name; --allow-host NAME adds one")
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        if any(_name(origin) not in self._names for origin in origins):
            return Refusal(403, "pages of other sites are not served")
        if self._token and not self._known(scope):
            bearer = ((b"www-authenticate", b"Bearer"),)
            return Refusal(401, "a token is needed: Authorization or Proxy-Authorization: Bearer TOKEN", bearer)
        if self._at_once >= MOST_AT_ONCE:
            return Refusal(503, f"{MOST_AT_ONCE} requests are being answered; try again", ((b"retry-after", b"1"),))
        if wait := self._rates.wait(str((scope.get("client") or ("",))[0])):
            after = str(int(wait) + 1).encode()
            return Refusal(429, "too many requests in a short time; try again", ((b"retry-after", after),))
        return None

    def _known(self, scope: Scope) -> bool:
        """Whether the token is there, which is then taken out: the upstream has no business with it."""
        kept: Headers = []
        known = False
        for name, value in scope["headers"]:
            if name in (b"authorization", b"proxy-authorization") and value[:7].lower() == _BEARER:
                ours = hmac.compare_digest(value[7:].strip(), self._token)
                known = known or ours
                if ours:
                    continue
            kept.append((name, value))
        scope["headers"] = kept
        return known

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> Refusal | None:
        """Raises ClientDisconnect for a client that left before it had sent what it said it would."""
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and int(declared) > MOST_BYTES:
            return Refusal(413, f"a request may have {MOST_BYTES} bytes")
        more = True
        while more:
            try:
                message = await asyncio.wait_for(receive(), PATIENCE)
            except TimeoutError:
                return Refusal(408, f"nothing of the request's body came for {PATIENCE:g} seconds")
            if message["type"] != "http.request":
                raise ClientDisconnect
            part = message.get("body", b"")
            body += part
            self._buffered += len(part)
            more = message.get("more_body", False)
            if len(body) > MOST_BYTES:
                return Refusal(413, f"a request may have {MOST_BYTES} bytes")
            if self._buffered > MOST_BUFFERED:
                return Refusal(503, "too much is being sent at once; try again", ((b"retry-after", b"1"),))
        return None


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """In the words of whose format was spoken. The connection ends, as more of the request may be on its way."""
    body = json.dumps(error_body(scope["path"], refusal.status, refusal.message)).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def error_body(path: str, status: int, message: str) -> dict[str, Any]:
    """An error as OpenAI words it, and for its paths as Anthropic does."""
    kind = _KINDS.get(status, "api_error")
    error = {"type": kind, "message": f"lbi serve: {message}"}
    if "/v1/messages" in path:
        return {"type": "error", "error": error}
    return {"error": {**error, "param": None, "code": None}}


_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    421: "invalid_request_error",
    429: "rate_limit_error",
}


def _name(address: str) -> str:
    """The host in an address; "" where there is none."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body at once; after it whatever comes, which is the client's end."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return whole.pop() if whole else await receive()

    return replay
