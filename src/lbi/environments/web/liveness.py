"""Is the application still there? Its start page is asked for apart from the browser: None, or in which way it fails.

A page that failed says little: the agent's own action may have provoked it. A start page that fails too, and again when
it is asked for once more, says that the application is out of order: Outage("dropped", "the connection was closed").
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

from lbi.environments.web.browser import is_loopback
from lbi.environments.web.url_rules import origin_of
from lbi.errors import EnvironmentFailure, OutageKind

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

SECONDS = 10.0  # in which the whole start page must arrive
PAUSE = 0.5  # seconds before what failed is asked for again
_REDIRECTS = 5  # that are followed, within the site
_LONGEST = 4_000_000  # bytes of a page; of a longer one no more is read
#: beginnings of the browser's errors of the network -> what they are called here
_NET_ERRORS: tuple[tuple[str, OutageKind], ...] = (
    ("net::ERR_CONNECTION_REFUSED", "unreachable"),
    ("net::ERR_CONNECTION_TIMED_OUT", "unreachable"),
    ("net::ERR_CONNECTION_FAILED", "unreachable"),
    ("net::ERR_ADDRESS_", "unreachable"),
    ("net::ERR_NAME_", "unreachable"),
    ("net::ERR_INTERNET_DISCONNECTED", "unreachable"),
    ("net::ERR_NETWORK_", "unreachable"),
    ("net::ERR_PROXY_", "unreachable"),
    ("net::ERR_TUNNEL_", "unreachable"),
    ("net::ERR_CONNECTION_", "dropped"),
    ("net::ERR_EMPTY_RESPONSE", "dropped"),
    ("net::ERR_INCOMPLETE_CHUNKED_ENCODING", "dropped"),
    ("net::ERR_CONTENT_LENGTH_MISMATCH", "dropped"),
    ("net::ERR_INVALID_CHUNKED_ENCODING", "dropped"),
    ("net::ERR_CONTENT_DECODING_", "dropped"),
    ("net::ERR_HTTP2_", "dropped"),
    ("net::ERR_QUIC_", "dropped"),
    ("net::ERR_SOCKET_", "dropped"),
    ("net::ERR_SSL_", "dropped"),
    ("net::ERR_TIMED_OUT", "timeout"),
    ("net::ERR_INVALID_HTTP_RESPONSE", "server error"),
    ("net::ERR_RESPONSE_HEADERS_", "server error"),
    ("net::ERR_TOO_MANY_REDIRECTS", "server error"),
    ("net::ERR_HTTP_RESPONSE_CODE_FAILURE", "server error"),  # an error without a page of its own
)


class Outage(NamedTuple):
    """In which way an application does not answer."""

    kind: OutageKind
    what: str


class PageLost(EnvironmentFailure):
    """A page could not be had: the fault of the page alone if the site answers otherwise."""


def net_error(message: str) -> Outage | None:
    """The outage that an error of the browser's may tell of; None for one that says nothing of the server."""
    for beginning, kind in _NET_ERRORS:
        at = message.find(beginning)
        if at >= 0:
            return Outage(kind, message[at:].split()[0].rstrip(".,;:"))
    return None


def error_status(status: int) -> Outage | None:
    """The outage that an HTTP status may tell of."""
    return Outage("server error", f"HTTP {status}") if status >= 500 else None


async def outage(url: str, headers: Mapping[str, str]) -> Outage | None:
    """How the page at ``url`` fails to arrive, twice; None where it arrives, if only to say "log in first"."""
    if await _asked_for(url, headers) is None:
        return None
    await asyncio.sleep(PAUSE)
    return await _asked_for(url, headers)


async def _asked_for(url: str, headers: Mapping[str, str]) -> Outage | None:
    import aiohttp

    try:
        async with (
            asyncio.timeout(SECONDS),
            aiohttp.ClientSession(headers=headers, trust_env=not is_loopback(url)) as s,
        ):
            return error_status(await _status(s, url))
    except TimeoutError:
        return Outage("timeout", f"no whole answer within {SECONDS:g} s")
    except aiohttp.ClientSSLError:
        return None  # somebody is there; which certificates are trusted is the browser's affair
    except aiohttp.ClientConnectorError as error:
        return Outage("unreachable", f"no connection ({error.os_error.strerror or error})")
    except aiohttp.ClientResponseError as error:
        return Outage("server error", f"an answer that is not HTTP ({error.message[:100]})")
    except (aiohttp.ClientError, OSError) as error:
        return Outage("dropped", f"the connection was closed ({type(error).__name__})")


async def _status(session: ClientSession, url: str) -> int:
    """The status of the page, or of the last one of the site that it leads to, once all of it has been read."""
    for _ in range(_REDIRECTS):
        async with session.get(url, allow_redirects=False) as response:
            await _read(response)
            target = urljoin(url, response.headers.get("location", ""))
            if not 300 <= response.status < 400 or target == url or origin_of(target) != origin_of(url):
                return response.status
            url = target
    return response.status


async def _read(response: ClientResponse) -> None:
    length = 0
    async for chunk in response.content.iter_any():
        length += len(chunk)
        if length > _LONGEST:
            return
