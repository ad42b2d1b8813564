"""The server over HTTP: MCP at /mcp, and the proxy everywhere else. The socket is ours before anything is opened."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import ASGIApp, Receive, Scope, Send

from lbi.errors import UserError
from lbi.interop.server.added import Adder, expression
from lbi.interop.server.finder import Finder
from lbi.interop.server.guard import MOST_BYTES, Guard, Rates, Refusal, refuse
from lbi.interop.server.http import LOOPBACK, QuietServer, bound, is_loopback, quiet
from lbi.interop.server.log import Log
from lbi.interop.server.options import ServeOptions
from lbi.interop.server.proxy import Proxy, Upstream, open_session
from lbi.interop.server.served import Served
from lbi.interop.server.tools import experience_server
from lbi.storage import secrets

TOKEN = "LBI_SERVE_TOKEN"
LEAST_TOKEN = 16  # characters
MCP = "/mcp"
Tell = Callable[[str], None]


def check_options(options: ServeOptions) -> None:
    """Before anything is opened. Raises UserError for what is no address and no expression."""
    if options.upstream:
        Upstream(options.upstream)
    if options.instruction:
        expression(options.instruction)


@contextmanager
def listening(options: ServeOptions) -> Iterator[socket.socket]:
    """A socket that takes connections. Raises UserError for a port in use, and for an address without a token."""
    if not is_loopback(options.host, options.port) and not token():
        raise UserError(
            f"{options.host} can be reached by other machines, so a token is needed; set one with: "
            f"export {TOKEN}=$(openssl rand -hex 32)"
        )
    with bound(options.host, options.port) as listener:
        yield listener


def token() -> str:
    """The token that clients have to show; "" = none. Raises UserError for one that can be guessed."""
    found = secrets.from_environ(TOKEN)
    if found and len(found) < LEAST_TOKEN:
        raise UserError(f"{TOKEN} has fewer than {LEAST_TOKEN} characters; make one with: openssl rand -hex 32")
    return found


async def serve_http(
    listener: socket.socket, finder: Finder, served: Served, skills: Path, options: ServeOptions, tell: Tell
) -> None:
    """Serve until cancelled; then requests have two seconds to end."""
    async with contextlib.AsyncExitStack() as stack:
        log = Log(options.log)
        stack.callback(log.close)
        proxy = None
        if options.upstream:
            proxy = await _proxy(stack, finder, served, options, log)
        app = Guard(
            Routes(_mcp(finder, served, skills), proxy),
            names=_names(options, listener),
            token=token(),
            rates=Rates(options.rate),
        )
        server = QuietServer(quiet(app))
        _tell_where(listener, finder, options, tell)
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            await serving
            if proxy is not None:
                tell(_summary(proxy))


class Routes:
    """MCP at its path, the proxy elsewhere."""

    def __init__(self, mcp: ASGIApp, proxy: Proxy | None) -> None:
        self._mcp, self._proxy = mcp, proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].rstrip("/") == MCP:
            await self._mcp(scope, receive, send)
        elif scope["type"] == "http" and self._proxy is not None:
            await self._proxy(scope, receive, send)
        elif scope["type"] == "http":
            told = f"nothing is at this path; MCP is at {MCP}, and --upstream URL adds a proxy for a model"
            await refuse(scope, send, Refusal(404, told))


def _mcp(finder: Finder, served: Served, skills: Path) -> ASGIApp:
    """Without sessions, so that a restart, or another server of the run, is noticed by no client of either era."""
    server = experience_server(finder, served, skills)
    guarded = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # names are looked at before
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=MCP,
        stateless_http=True,
        json_response=True,
        max_request_body_size=MOST_BYTES,
        transport_security=guarded,
    )
    return app


async def _proxy(
    stack: contextlib.AsyncExitStack, finder: Finder, served: Served, options: ServeOptions, log: Log
) -> Proxy:
    upstream = Upstream(options.upstream)
    session = await stack.enter_async_context(open_session())
    adder = Adder(finder, options.max_tokens, instruction=options.instruction)
    return Proxy(upstream, session, adder, served, look_up=options.look_up_ms / 1000, log=log)


def _names(options: ServeOptions, listener: socket.socket) -> set[str]:
    """By which clients may call the server; none where any will do, as they have to show a token."""
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback and not options.allow_hosts:
        return set()
    return {*LOOPBACK, options.host, *options.allow_hosts}


def _tell_where(listener: socket.socket, finder: Finder, options: ServeOptions, tell: Tell) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    learnt = finder.learnt
    tell(f"{learnt.count} examples of {learnt.run} (arm {learnt.arm.name}).")
    tell(f"MCP: {address}{MCP}")
    if options.upstream:
        path = Upstream(options.upstream).path
        tell(f"Proxy: {address}{path} in place of {options.upstream}, as your agent's base URL")
    tell("Ctrl-C stops it.")


def _summary(proxy: Proxy) -> str:
    """12 requests passed on, 10 with examples; nothing fits: 2"""
    others = "; ".join(f"{why}: {count}" for why, count in proxy.counts.most_common() if why)
    return f"{proxy.counts.total()} requests passed on, {proxy.counts['']} with examples" + (
        f"; {others}" * bool(others)
    )
