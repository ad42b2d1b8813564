"""What our servers over HTTP share: the socket, which is ours before anything is opened, and uvicorn without a word."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from lbi.errors import UserError
from lbi.interop.server.connections import BoundedConnection

MOST_CONNECTIONS = 1024
LAST_SECONDS = 2  # that requests may still take once the server is stopped
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that takes connections; port 0 = a free one. Raises UserError for what cannot be listened on."""
    family, address = _address(host, port)
    # asyncio sends small parts at once only where a socket names its protocol; else each reply waits 40 ms for the last
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(MOST_CONNECTIONS)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise UserError(
                f"cannot listen on {host}, port {port}: {why}; choose another with --port, 0 = any"
            ) from None
        yield listener


def is_loopback(host: str, port: int) -> bool:
    """Whether an address can be reached from this machine alone. Raises UserError for what is none."""
    return ipaddress.ip_address(_address(host, port)[1][0]).is_loopback


def _address(host: str, port: int) -> tuple[socket.AddressFamily, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise UserError(f'no address "{host}"; --host 127.0.0.1 is this machine alone') from None
    return found[0][0], found[0][4]


class QuietServer(uvicorn.Server):
    """Signals are the business of whoever runs the loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def quiet(app: ASGIApp) -> uvicorn.Config:
    """Nothing is logged, no header is added, and connections are bounded."""
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=LAST_SECONDS,
    )


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Until it ends, or SIGINT or SIGTERM asks for the end, after which everything is closed as usual."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return
