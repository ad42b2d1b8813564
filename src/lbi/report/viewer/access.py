"""Who may see the pages: whoever knows the token, which is the first part of every address, and nobody else.

A cookie would be sent to every server on this machine, whatever its port, also to the application that is learnt.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lbi.interop.server.guard import Refusal

#: nothing from elsewhere, nothing inline, in nobody's frame; "no-referrer" would keep from forms whose page they are
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Access:
    """An ASGI application around the pages, which are asked for without the token's part of the path."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        _, _, rest = scope["path"].partition("/")
        token, _, page = rest.partition("/")
        if not hmac.compare_digest(token.encode(), self._token):
            await refused(
                scope, send, Refusal(403, "open the address that `lbi view` printed; it changes at each start")
            )
        elif scope["method"] not in ("GET", "HEAD") and not _from_here(scope):
            await refused(scope, send, Refusal(403, "only this viewer's own pages may send anything"))
        else:
            inner = {**scope, "path": f"/{page}", "raw_path": f"/{page}".encode(), "root_path": ""}
            await self._app(inner, receive, _with_headers(send))


def _from_here(scope: Scope) -> bool:
    """Whether a page of this very server sends it, not one of another port."""
    headers = dict(scope["headers"])
    origin, host = headers.get(b"origin", b"").decode("latin-1"), headers.get(b"host", b"").decode("latin-1")
    return bool(host) and urlsplit(origin).netloc == host


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
        await send(message)

    return sending


async def refused(scope: Scope, send: Send, refusal: Refusal) -> None:
    """In plain words."""
    body = f"lbi view: {refusal.message}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *HEADERS,
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
