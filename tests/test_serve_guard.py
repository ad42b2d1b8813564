"""lbi serve: who may ask, and what becomes of clients that lie, stall or send too much, while others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from lbi.errors import UserError
from lbi.interop.server import connections, guard, http
from lbi.interop.server.finder import Finder
from lbi.interop.server.guard import Rates
from lbi.interop.server.listen import listening
from lbi.interop.server.options import ServeOptions
from lbi.models.testing.model_server import ModelServer
from running import lbi_here
from served_run import TASK, make_lamp_run, opened, served_here, serving

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-the-test-0123456789"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
LOOK = b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_lamp_run(tmp_path_factory.mktemp("lamps")))


@pytest.fixture(scope="module")
def finder(run: Path) -> Iterator[Finder]:
    with opened(run) as finder:
        yield finder


async def asked(address: str, **headers: str) -> tuple[int, str]:
    """Status and text for a list of the tools."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/mcp", json=LIST, headers=ACCEPT | headers) as reply,
    ):
        return reply.status, await reply.text()


async def exchanged(address: str, *parts: bytes, stay: bool = False) -> bytes:
    """What the server writes to a client that sends these bytes; ``stay``: and then nothing, for ever."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
    if not stay and writer.can_write_eof():
        writer.write_eof()
    told = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return told


async def test_a_name_that_is_not_ours_is_refused_and_so_are_pages_of_other_sites(
    finder: Finder, tmp_path: Path
) -> None:
    async with served_here(finder, tmp_path) as address:
        port = address.rpartition(":")[2]
        assert (await asked(address))[0] == 200
        assert (await asked(address, host=f"localhost:{port}"))[0] == 200
        status, told = await asked(address, host=f"attacker.example:{port}")
        assert (status, "--allow-host" in told) == (421, True)
        assert (await asked(address, host=f"127.0.0.1.attacker.example:{port}"))[0] == 421
        assert (await asked(address, origin="http://attacker.example"))[0] == 403
        assert (await asked(address, origin="null"))[0] == 403
        assert (await asked(address, origin=f"http://localhost:{port}"))[0] == 200
    async with served_here(finder, tmp_path, allow_hosts=("lamps.example",)) as address:
        assert (await asked(address, host="lamps.example"))[0] == 200
        assert (await asked(address, host="other.example"))[0] == 421


async def test_the_proxy_is_guarded_alike(finder: Finder, tmp_path: Path) -> None:
    async with (
        ModelServer() as upstream,
        served_here(finder, tmp_path, upstream=upstream.url) as address,
        aiohttp.ClientSession() as session,
    ):
        for path, kind in (
            ("/v1/chat/completions", "invalid_request_error"),
            ("/v1/messages", "invalid_request_error"),
        ):
            async with session.post(f"{address}{path}", json={}, headers={"host": "attacker.example"}) as reply:
                assert reply.status == 421
                assert (await reply.json())["error"]["type"] == kind
    assert upstream.requests == []


async def test_a_token_is_asked_for_and_never_passed_on(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBI_SERVE_TOKEN", TOKEN)
    body = {"messages": [{"role": "user", "content": TASK}]}
    async with (
        ModelServer() as upstream,
        served_here(finder, tmp_path, upstream=upstream.url, host="0.0.0.0") as any_address,
        aiohttp.ClientSession() as session,
    ):
        address = any_address.replace("0.0.0.0", "127.0.0.1")
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Bearer "}):
            status, told = await asked(address, **headers)
            assert (status, "a token is needed" in told) == (401, True)
        assert (await asked(address, authorization=f"Bearer {TOKEN}"))[0] == 200
        assert (await asked(address, authorization=f"bearer {TOKEN}", host="any.example"))[0] == 200
        key = {"authorization": "Bearer sk-key-of-the-provider"}
        async with session.post(f"{address}/v1/chat/completions", json=body, headers=key) as reply:
            assert reply.status == 401
        both = key | {"proxy-authorization": f"Bearer {TOKEN}"}
        async with session.post(f"{address}/v1/chat/completions", json=body, headers=both) as reply:
            assert reply.status == 200
        mine = {"authorization": f"Bearer {TOKEN}", "x-api-key": "key"}
        async with session.post(f"{address}/v1/messages", json=body, headers=mine) as reply:
            assert reply.status == 200
    first, second = (json.dumps(request["headers"]).lower() for request in upstream.requests)
    assert "sk-key-of-the-provider" in first
    assert "x-api-key" in second
    assert TOKEN not in first + second


def test_an_address_that_others_reach_needs_a_token(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LBI_SERVE_TOKEN", raising=False)
    for host, told in (("0.0.0.0", "a token is needed; set one with: export LBI_SERVE_TOKEN="), ("::", "a token")):
        ran = lbi_here("serve", run, "--host", host, "--port", "0")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert told in ran.stderr
    monkeypatch.setenv("LBI_SERVE_TOKEN", "short")
    ran = lbi_here("serve", run, "--host", "0.0.0.0", "--port", "0", LBI_SERVE_TOKEN="short")
    assert "LBI_SERVE_TOKEN has fewer than 16 characters" in ran.stderr


def test_a_port_in_use_is_one_line(run: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = lbi_here("serve", run, "--port", str(port))
    (line,) = ran.stderr.splitlines()
    assert ran.returncode == 2
    assert (
        line
        == f"lbi: cannot listen on 127.0.0.1, port {port}: address already in use; choose another with --port, 0 = any"
    )
    with listening(ServeOptions(port=port)) as _, pytest.raises(UserError, match="already in use"):  # noqa: SIM117
        with listening(ServeOptions(port=port)):
            pass


async def test_small_parts_of_a_reply_leave_at_once(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it each reply waits 40 ms: asyncio leaves Nagle's algorithm on for a socket that it was given."""
    seen: list[int] = []
    made = connections.BoundedConnection.connection_made

    def watched(self: connections.BoundedConnection, transport: asyncio.Transport) -> None:
        made(self, transport)
        connection = transport.get_extra_info("socket")
        seen.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(connections.BoundedConnection, "connection_made", watched)
    async with served_here(finder, tmp_path) as address:
        await asked(address)
    assert seen
    assert all(seen)


async def test_too_much_is_refused_before_it_is_read(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    async with ModelServer() as upstream, served_here(finder, tmp_path, upstream=upstream.url) as address:
        head = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\n"
        declared = await exchanged(address, head + b"content-length: 999999999999\r\n\r\n", stay=True)
        chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
        chunked = await exchanged(address, head + b"transfer-encoding: chunked\r\n\r\n", chunk, chunk, chunk, stay=True)
        assert (await asked(address))[0] == 200
    for told in (declared, chunked):
        assert told.startswith(b"HTTP/1.1 413 ")
        assert (
            json.loads(told.partition(b"\r\n\r\n")[2])["error"]["message"] == "lbi serve: a request may have 1000 bytes"
        )
    assert upstream.requests == []


POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"


@contextlib.asynccontextmanager
async def stalling(address: str, sent: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A client that has sent this much, and may send the rest."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    await writer.drain()
    yield reader, writer
    writer.close()


async def refused_at_last(ask: Callable[[], Awaitable[bytes]]) -> bytes:
    """The first refusal: what the other client has sent may still be on its way."""
    for _ in range(100):
        told = await ask()
        if not told.startswith(b"HTTP/1.1 200 "):
            return told
    raise AssertionError("it was never refused")


async def test_more_requests_at_once_than_can_be_answered_are_told_to_come_again(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 1)
    whole = POST + b"content-length: 2\r\n\r\n{}"
    async with ModelServer() as upstream, served_here(finder, tmp_path, upstream=upstream.url) as address:
        async with stalling(address, whole[:-2]) as (reader, writer):
            told = await refused_at_last(lambda: exchanged(address, whole, stay=True))
            writer.write(b"{}")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 "), "the one before it is answered"
        assert (await exchanged(address, whole, stay=True)).startswith(b"HTTP/1.1 200 ")
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in told
    assert b"1 requests are being answered; try again" in told


async def test_of_all_requests_together_only_so_much_is_held(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MOST_BUFFERED", 1000)
    whole = POST + b"content-length: 800\r\n\r\n" + b"{%b}" % (b" " * 798)
    async with ModelServer() as upstream, served_here(finder, tmp_path, upstream=upstream.url) as address:
        async with stalling(address, whole[:-100]) as (reader, writer):
            told = await refused_at_last(lambda: exchanged(address, whole, stay=True))
            writer.write(whole[-100:])
            assert (await reader.read()).startswith(b"HTTP/1.1 200 "), "the one before it is answered"
        told_again = await exchanged(address, whole, stay=True)
        assert told_again.startswith(b"HTTP/1.1 200 "), "what has left is not held against others"
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"too much is being sent at once; try again" in told


async def test_there_are_only_so_many_connections(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 3)
    async with served_here(finder, tmp_path) as address:
        async with contextlib.AsyncExitStack() as idle:
            for _ in range(3):
                await idle.enter_async_context(stalling(address, b""))
            told = await refused_at_last(lambda: exchanged(address, LOOK, stay=True))
        assert told.startswith(b"HTTP/1.1 503 ")
        for _ in range(100):  # a connection that was closed is gone a moment later
            if (await asked(address))[0] == 200:
                break
        else:
            raise AssertionError("nobody is served any more")


async def test_a_client_that_lies_about_its_length_disturbs_nobody(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "PATIENCE", 0.3)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
    async with ModelServer() as upstream, served_here(finder, tmp_path, upstream=upstream.url) as address:
        stalls = await exchanged(address, head + b"content-length: 100\r\n\r\n{}", stay=True)
        leaves = await exchanged(address, head + b"content-length: 100\r\n\r\n{}")
        too_long = await exchanged(address, head + b"content-length: 2\r\n\r\n{}and more\r\n\r\n", stay=True)
        negative = await exchanged(address, head + b"content-length: -1\r\n\r\n{}")
        two = await exchanged(address, head + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}")
        chunks = b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        both = await exchanged(address, head + b"content-length: 9\r\n" + chunks, stay=True)
        assert (await asked(address))[0] == 200
    assert stalls.startswith(b"HTTP/1.1 408 ")
    assert leaves == b""
    assert too_long.startswith(b"HTTP/1.1 200 ")
    assert too_long.count(b"HTTP/1.1 ") == 1, "what is more than was said is no request"
    assert [told[:13] for told in (negative, two)] == [b"HTTP/1.1 400 "] * 2
    assert both.startswith(b"HTTP/1.1 200 ")
    assert [request["headers"]["Content-Length"] for request in upstream.requests] == ["2", "2"]


async def test_a_client_that_stalls_in_its_headers_is_let_go(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.3)
    whole = b"GET /nothing HTTP/1.1\r\nhost: localhost\r\n\r\n"
    async with served_here(finder, tmp_path) as address:
        silent = asyncio.ensure_future(exchanged(address, stay=True))
        half = asyncio.ensure_future(exchanged(address, b"POST /mcp HTTP/1.1\r\nhost: loc", stay=True))
        second = asyncio.ensure_future(exchanged(address, whole + b"GET /no", stay=True))
        assert (await asked(address))[0] == 200
        assert (await silent, await half) == (b"", b"")
        assert b"nothing is at this path; MCP is at /mcp" in await second


async def test_a_client_that_asks_too_often_has_to_wait_and_others_have_not(finder: Finder, tmp_path: Path) -> None:
    async with served_here(finder, tmp_path, rate=20) as address:
        replies = [await asked(address) for _ in range(4)]
        other = address.replace("127.0.0.1", "localhost")
        assert (await asked(other))[0] in (200, 429)
    assert [status for status, _ in replies] == [200, 200, 429, 429]
    assert "too many requests" in replies[-1][1]


def test_rates_are_counted_for_each_client() -> None:
    now = [0.0]
    rates = Rates(60, clock=lambda: now[0])
    assert [rates.wait("a") for _ in range(6)] == [0.0] * 6
    assert rates.wait("a") == pytest.approx(1.0)
    assert rates.wait("b") == 0.0
    now[0] = 1.0
    assert rates.wait("a") == 0.0
    assert rates.wait("a") > 0


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_and_its_port_is_free(run: Path, by: signal.Signals) -> None:
    with serving(run) as server:
        host, _, port = server.address.removeprefix("http://").rpartition(":")
        idle = socket.create_connection((host, int(port)))
        half = socket.create_connection((host, int(port)))
        half.sendall(b"POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{")
        assert server.stop(by) == 0
        idle.close()
        half.close()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((host, int(port)))
    assert server.process.stdout is not None
    assert server.lines[0].startswith("4 examples of ")
