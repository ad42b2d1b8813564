"""lbi serve --upstream: agents of others find what was learnt in their requests; all else is as it was.

Asked by the official clients, with the test server as the provider.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import httpx2
import openai
import pytest
from yarl import URL

from lbi.errors import UserError
from lbi.interop.server import finder as finder_module
from lbi.interop.server.added import Adder
from lbi.interop.server.finder import Finder
from lbi.models.testing.model_server import Answer, ModelServer
from running import answer, environ
from served_run import ADD, TASK, make_lamp_run, opened, served_here, serving

pytestmark = pytest.mark.slow

KEY = "sk-test-0123456789abcdefghij"
HEADING = "ADDITIONAL INFORMATION that may help."
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_lamp_run(tmp_path_factory.mktemp("lamps")))


@pytest.fixture(scope="module")
def finder(run: Path) -> Iterator[Finder]:
    with opened(run) as finder:
        yield finder


@dataclass
class Proxied:
    """A provider, and the proxy in front of it."""

    upstream: ModelServer
    address: str

    @property
    def openai(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.address}/v1", api_key=KEY, max_retries=0)

    @property
    def anthropic(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(base_url=self.address, api_key=KEY, max_retries=0)

    @property
    def sent(self) -> dict[str, Any]:
        """The last request that arrived at the provider."""
        return self.upstream.requests[-1]


@asynccontextmanager
async def proxied(finder: Finder, folder: Path, *script: Answer | str, **options: Any) -> AsyncIterator[Proxied]:
    async with (
        ModelServer(script or ["hello there, how are you"]) as upstream,
        served_here(finder, folder, upstream=upstream.url, **options) as address,
    ):
        yield Proxied(upstream, address)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


# what arrives at the provider, in each format


async def test_openai_chat(run: Path, finder: Finder, tmp_path: Path) -> None:
    async with proxied(finder, tmp_path) as proxy, proxy.openai as client:
        system = {"role": "system", "content": "You act."}
        reply = await client.chat.completions.create(
            model="m", messages=[system, user(TASK)], extra_body={"odd": {"a": [1.0]}}, extra_headers={"x-odd": "yes"}
        )
    assert reply.choices[0].message.content == "hello there, how are you"
    sent = proxy.sent
    assert (sent["model"], sent["odd"], sent["headers"]["x-odd"]) == ("m", {"a": [1.0]}, "yes")
    assert sent["headers"]["Authorization"] == f"Bearer {KEY}"
    assert sent["messages"][0] == system
    assert sent["messages"][1]["content"].startswith(f"{TASK}\n\nText between <untrusted")
    shown = await asyncio.to_thread(answer, "retrieve", run, TASK, here=True)
    (known,) = [message["content"] for message in shown["prompt"] if HEADING in message["content"]]
    assert sent["messages"][1]["content"].endswith(known), "as our own agent is told it"


async def test_openai_responses(finder: Finder, tmp_path: Path) -> None:
    async with proxied(finder, tmp_path) as proxy, proxy.openai as client:
        text = await client.responses.create(model="m", input=TASK)
        first = proxy.sent["input"]
        listed = await client.responses.create(
            model="m",
            input=[
                {"role": "user", "content": [{"type": "input_text", "text": TASK}]},
                {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "1", "output": "URL: /rooms\nTitle: Rooms\nlink [e1]"},
            ],
        )
    assert text.output_text == listed.output_text == "hello there, how are you"
    assert first.startswith(TASK)
    assert HEADING in first
    message, call, output = proxy.sent["input"]
    assert [part["type"] for part in message["content"]] == ["input_text", "input_text"]
    assert HEADING in message["content"][1]["text"]
    assert call == {"type": "function_call", "call_id": "1", "name": "look", "arguments": "{}"}
    assert output["output"].startswith("URL: /rooms\nTitle: Rooms\nlink [e1]")


async def test_anthropic_messages(finder: Finder, tmp_path: Path) -> None:
    cached = {"type": "text", "text": TASK, "cache_control": {"type": "ephemeral"}}
    async with proxied(finder, tmp_path) as proxy, proxy.anthropic as client:
        reply = await client.messages.create(model="m", max_tokens=9, system="act", messages=[user(TASK)])
        first = proxy.sent
        await client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": [cached]}])
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "hello there, how are you"
    assert KEY in " ".join(first["headers"].values())
    assert first["system"] == "act"
    assert HEADING in first["messages"][0]["content"]
    before, added = proxy.sent["messages"][0]["content"]
    assert before == cached, "the client's own mark for the cache stays where it is, before what is added"
    assert (added["type"], HEADING in added["text"]) == ("text", True)


async def test_results_of_tools_get_their_examples_behind_them(finder: Finder, tmp_path: Path) -> None:
    use = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}
    page = 'URL: /new\nTitle: New lamp\ntextbox "Name" [e4]\nbutton "Create" [e7]'
    result = {"type": "tool_result", "tool_use_id": "t1", "content": page}
    turns = [user(TASK), {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    async with proxied(finder, tmp_path) as proxy, proxy.anthropic as client:
        await client.messages.create(
            model="m", max_tokens=9, messages=turns, tools=[{"name": "look", "input_schema": {"type": "object"}}]
        )
    first, second, third = proxy.sent["messages"]
    assert second == turns[1]
    assert third["content"][0] == result
    added = [block["text"] for block in third["content"][1:]]
    assert all(text.startswith("MORE EXAMPLES") for text in added)
    assert HEADING in first["content"]


# streams


async def test_streams_of_all_three(finder: Finder, tmp_path: Path) -> None:
    async with proxied(finder, tmp_path) as proxy, proxy.openai as client, proxy.anthropic as claude:
        chat = await client.chat.completions.create(model="m", messages=[user(TASK)], stream=True)
        told = [chunk.choices[0].delta.content or "" async for chunk in chat]
        events = await client.responses.create(model="m", input=TASK, stream=True)
        deltas = [event.delta async for event in events if event.type == "response.output_text.delta"]
        async with claude.messages.stream(model="m", max_tokens=9, messages=[user(TASK)]) as stream:
            texts = [text async for text in stream.text_stream]
    assert "".join(told) == "".join(deltas) == "".join(texts) == "hello there, how are you"
    assert len(told) > 3
    assert len(deltas) == len(texts) == 5
    assert all(HEADING in json.dumps(request) for request in proxy.upstream.requests)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_reply_is_that_of_a_direct_call_byte_for_byte(
    finder: Finder, tmp_path: Path, path: str, stream: bool
) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": [user(TASK)], "input": TASK, "stream": stream}
    script = Answer("what ä model says", headers={"x-request-id": "r1", "set-cookie": "a=b"})
    async with proxied(finder, tmp_path, script) as proxy, aiohttp.ClientSession() as session:
        replies = []
        for address in (proxy.upstream.url, proxy.address):
            async with session.post(f"{address}{path}?beta=true", json=body) as reply:
                headers = {name.lower(): value for name, value in reply.headers.items() if name.lower() != "date"}
                replies.append((reply.status, headers, await reply.read()))
    assert replies[0] == replies[1]
    assert replies[1][1]["x-request-id"] == "r1"
    assert proxy.sent["path"].endswith("?beta=true")


async def test_a_stream_arrives_while_it_is_written(finder: Finder, tmp_path: Path) -> None:
    async with proxied(finder, tmp_path, Answer("one two three four", flaw="stall")) as proxy, proxy.openai as client:
        stream = await client.chat.completions.create(model="m", messages=[user(TASK)], stream=True)
        told = [(await anext(stream)).choices[0].delta.content for _ in range(3)]
        await stream.close()
    assert told == ["", "one ", "two "]


async def test_a_compressed_reply_stays_compressed(finder: Finder, tmp_path: Path) -> None:
    packed = gzip.compress(b'{"id": "x"}', mtime=0)
    script = Answer(body=packed, headers={"content-encoding": "gzip", "content-type": "application/json"})
    async with (
        proxied(finder, tmp_path, script) as proxy,
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.post(f"{proxy.address}/v1/chat/completions", json={"messages": [user(TASK)]}) as reply,
    ):
        assert await reply.read() == packed
        assert reply.headers["content-encoding"] == "gzip"


# what fails


@pytest.mark.parametrize("flaw", ["cut_stream", "cut_off"])
async def test_an_upstream_that_dies_in_the_middle_is_seen_to_do_so(finder: Finder, tmp_path: Path, flaw: Any) -> None:
    script = [Answer("one two three four", flaw=flaw), Answer("whole")]
    body = {"model": "m", "messages": [user(TASK)], "stream": flaw == "cut_stream"}
    async with proxied(finder, tmp_path, *script) as proxy, aiohttp.ClientSession() as session:
        told = bytearray()
        async with session.post(f"{proxy.address}/v1/chat/completions", json=body) as reply:
            with pytest.raises(aiohttp.ClientPayloadError):
                await read_into(told, reply)
        assert b"one" in told if flaw == "cut_stream" else told
        async with session.post(f"{proxy.address}/v1/chat/completions", json=body) as again:
            assert b"whole" in await again.read(), "nobody else is disturbed"


async def read_into(told: bytearray, reply: aiohttp.ClientResponse) -> None:
    while chunk := await reply.content.readany():
        told += chunk


async def test_the_official_clients_see_a_cut_stream_as_in_a_direct_call(finder: Finder, tmp_path: Path) -> None:
    script = Answer("one two three four", flaw="cut_stream")
    seen: list[list[tuple[type, str, list[str]]]] = []
    async with proxied(finder, tmp_path, script) as proxy:
        for address in (proxy.upstream.url, proxy.address):
            there = Proxied(proxy.upstream, address)
            async with there.openai as client, there.anthropic as claude:
                seen.append([await cut_short(_chat(client)), await cut_short(_claude(claude))])
    assert seen[0] == seen[1]
    assert all(texts for _, _, texts in seen[1])


async def _chat(client: openai.AsyncOpenAI) -> AsyncIterator[str]:
    async for chunk in await client.chat.completions.create(model="m", messages=[user(TASK)], stream=True):  # type: ignore[list-item]
        yield chunk.choices[0].delta.content or ""


async def _claude(client: anthropic.AsyncAnthropic) -> AsyncIterator[str]:
    async with client.messages.stream(model="m", max_tokens=9, messages=[user(TASK)]) as stream:  # type: ignore[list-item]
        async for text in stream.text_stream:
            yield text


async def cut_short(stream: AsyncIterator[str]) -> tuple[type, str, list[str]]:
    """What a client raises, and what it was told before."""
    told: list[str] = []
    try:
        async for text in stream:
            told.append(text)
    except (openai.APIError, anthropic.APIError, httpx2.HTTPError) as error:
        return type(error), str(error), told
    return type(None), "", told


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_errors_of_the_provider_are_its_own(finder: Finder, tmp_path: Path, status: int) -> None:
    script = Answer(status=status, message="the provider's words", retry_after=3)
    async with proxied(finder, tmp_path, script) as proxy, proxy.openai as client, proxy.anthropic as claude:
        with pytest.raises(openai.APIStatusError, match="the provider's words") as error:
            await client.chat.completions.create(model="m", messages=[user(TASK)])
        with pytest.raises(anthropic.APIStatusError, match="the provider's words") as other:
            await claude.messages.create(model="m", max_tokens=9, messages=[user(TASK)])
    assert error.value.status_code == other.value.status_code == status
    assert error.value.response.headers["retry-after"] == "3"


async def test_an_upstream_that_cannot_be_reached_is_the_protocols_own_error(finder: Finder, tmp_path: Path) -> None:
    async with served_here(finder, tmp_path, upstream="http://127.0.0.1:9") as address:
        client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0)
        claude = anthropic.AsyncAnthropic(base_url=address, api_key=KEY, max_retries=0)
        with pytest.raises(openai.InternalServerError, match=r"http://127\.0\.0\.1:9 does not answer") as error:
            await client.chat.completions.create(model="m", messages=[user(TASK)])
        with pytest.raises(anthropic.InternalServerError, match="does not answer"):
            await claude.messages.create(model="m", max_tokens=9, messages=[user(TASK)])
        assert error.value.status_code == 502
        await client.close()
        await claude.close()


# what is written


@asynccontextmanager
async def provider_of_bytes(reply: bytes = b"{}") -> AsyncIterator[tuple[str, list[tuple[bytes, bytes]]]]:
    """The address of a provider that keeps heads and bodies as they arrive."""
    arrived: list[tuple[bytes, bytes]] = []

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        arrived.append((head, await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(reply), reply))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", arrived


async def passed(
    finder: Finder, folder: Path, content: bytes, path: str = "/v1/chat/completions", **options: Any
) -> bytes:
    """What arrives at the provider of what a client writes."""
    headers = options.pop("headers", {})
    async with (
        provider_of_bytes() as (upstream, arrived),
        served_here(finder, folder, upstream=upstream, **options) as address,
        aiohttp.ClientSession() as session,
        session.post(f"{address}{path}", data=content, headers=headers) as reply,
    ):
        assert reply.status == 200
    return arrived[0][1]


QUOTED = json.dumps(TASK).encode()
ODD = (
    b'{ "model" :"m", "seed":12345678901234567890123,"temperature": 1.00e0 , "x":"\\ud800\\u00e9 \xc3\xa9",\n'
    b'"messages":[ {"content":  ' + QUOTED + b' , "role":"user","name":"n"} ] , "\\u0061": null }\n'
)


async def test_what_the_client_wrote_stays_as_it_is_around_what_is_added(finder: Finder, tmp_path: Path) -> None:
    arrived = await passed(finder, tmp_path, ODD)
    before, _, after = ODD.partition(QUOTED[:-1])
    assert arrived.startswith(before + QUOTED[:-1])
    assert arrived.endswith(after)
    added = arrived[len(before + QUOTED[:-1]) : -len(after)]
    assert HEADING.encode() in added
    assert json.loads(arrived)["messages"][0]["content"].startswith(TASK)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no JSON",
        b"[1, 2]",
        b'{"messages": "' + TASK.replace('"', "'").encode() + b'"}',
        b'{"messages": [1, null, {"role": "user"}, {"role": "user", "content": 7}]}',
        b'{"messages": [], "messages": [{"role": "user", "content": ' + QUOTED + b"}]}",
        b'{"messages": [{"role": "user", "content": ' + QUOTED + b"}]} and more",
        b'{"messages": [{"role": "user", "content": ' + QUOTED,
        b'{"messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'\xef\xbb\xbf{"messages": []}',
        b'{"messages": [{"role": "user", "content": "\xff"}]}',
    ],
)
async def test_what_cannot_be_read_is_passed_on_as_it_is(finder: Finder, tmp_path: Path, content: bytes) -> None:
    assert await passed(finder, tmp_path, content) == content


async def test_requests_of_other_kinds_and_compressed_ones_are_passed_on_as_they_are(
    finder: Finder, tmp_path: Path
) -> None:
    body = json.dumps({"input": TASK, "messages": [user(TASK)]}).encode()
    assert await passed(finder, tmp_path, body, "/v1/embeddings") == body
    assert await passed(finder, tmp_path, body, "/v1/messages/batches") == body
    packed = zlib.compress(body)
    assert await passed(finder, tmp_path, packed, headers={"content-encoding": "deflate"}) == packed


async def test_a_look_up_that_fails_or_takes_too_long_changes_nothing(
    finder: Finder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"messages": [user(TASK)]}).encode()

    async def fails(*_: Any) -> Any:
        raise sqlite3.OperationalError("disk I/O error")

    async def is_wrong(*_: Any) -> Any:
        raise AttributeError("a mistake of ours")

    async def hangs(*_: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(Finder, "find_here", fails)
    assert await passed(finder, tmp_path, body) == body
    monkeypatch.setattr(Finder, "find_here", is_wrong)
    assert await passed(finder, tmp_path, body) == body
    monkeypatch.setattr(Finder, "find_here", hangs)
    assert await passed(finder, tmp_path, body, look_up_ms=20) == body
    monkeypatch.setattr(finder_module, "MOST_WAITING", 0)
    assert await passed(finder, tmp_path, body) == body
    monkeypatch.undo()
    assert await passed(finder, tmp_path, body) != body


async def test_headers_survive_but_for_those_of_one_connection(finder: Finder, tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {KEY}", "x-odd": "ä", "cookie": "a=b", "te": "trailers", "x-hop": "1"}
    headers |= {"connection": "keep-alive, x-hop", "accept-encoding": "zstd", "content-type": "application/json"}
    async with (
        provider_of_bytes() as (upstream, arrived),
        served_here(finder, tmp_path, upstream=upstream) as address,
        aiohttp.ClientSession() as session,
    ):
        path = URL(f"{address}/v1/chat/completions?a=%2Fb&c", encoded=True)
        async with session.post(path, data=b"{}", headers=headers) as reply:
            assert reply.status == 200
    head = arrived[0][0].decode()
    lines = {line.partition(":")[0].lower(): line.partition(": ")[2] for line in head.splitlines()[1:] if line}
    assert head.splitlines()[0] == "POST /v1/chat/completions?a=%2Fb&c HTTP/1.1"
    assert lines["host"] == upstream.removeprefix("http://")
    kept = {"authorization", "x-odd", "cookie", "accept-encoding", "content-type"}
    assert {name: lines[name] for name in kept} == {name: headers[name] for name in kept}
    assert not lines.keys() & {"te", "x-hop"}


# a whole conversation


def conversation(steps: int) -> list[dict[str, Any]]:
    """What an agent with tools sends: its instruction, and what it did and saw so far."""
    pages = [
        "URL: /lamps\nTitle: Lamps\nlink [e1]",
        "URL: /new\nTitle: New lamp\nbutton [e2]",
        "URL: /rooms\nTitle: R\nlink [e1]",
    ]
    messages = [{"role": "system", "content": "act"}, user(TASK)]
    for step in range(steps):
        call = {
            "id": str(step),
            "type": "function",
            "function": {"name": "look", "arguments": json.dumps({"at": step})},
        }
        messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": str(step), "content": f"{pages[step % 3]}\ntext: {step}"})
    return messages


async def test_the_requests_of_a_conversation_begin_alike_so_that_a_providers_cache_holds(
    finder: Finder, tmp_path: Path
) -> None:
    async with proxied(finder, tmp_path) as proxy, proxy.openai as client:
        for steps in range(6):
            await client.chat.completions.create(model="m", messages=conversation(steps), tools=TOOLS)  # type: ignore[arg-type]
        again = [*conversation(5), {"role": "assistant", "content": "done"}, user("Look at the rooms")]
        await client.chat.completions.create(model="m", messages=again, tools=TOOLS)  # type: ignore[arg-type]
    sent = [request["messages"] for request in proxy.upstream.requests]
    for earlier, later in itertools.pairwise(sent):
        assert later[: len(earlier)] == earlier
    assert HEADING in sent[0][1]["content"]
    assert HEADING in sent[-1][-1]["content"], "a new instruction has examples of its own"
    shown = [json.loads(line) for line in (tmp_path / "shown.jsonl").read_text().splitlines()]
    assert {row["by"] for row in shown} == {"proxy"}
    assert len(shown) < len(sent), "what stays in a conversation is counted once"


async def test_no_more_is_added_than_the_budget_has(finder: Finder, tmp_path: Path) -> None:
    from lbi.prompts import estimate_tokens

    messages = [*conversation(6), {"role": "assistant", "content": "done"}, user("Look at the rooms")]
    body = json.dumps({"messages": messages, "tools": TOOLS}).encode()
    plain = sum(estimate_tokens(str(message["content"])) for message in messages)
    added = {}
    for budget in (100, 400, 800, 3000):
        arrived = json.loads(await passed(finder, tmp_path, body, max_tokens=budget))["messages"]
        added[budget] = sum(estimate_tokens(str(message["content"])) for message in arrived) - plain
        assert 0 <= added[budget] <= budget
    assert added[100] == 0
    assert added[800] > 0


async def test_the_instruction_is_found_by_an_expression_of_ones_own(finder: Finder, tmp_path: Path) -> None:
    text = f"You are agent 7 of 9.\nWISH >>{TASK}<< GO\n" + "text: nothing of interest\n" * 300
    body = json.dumps({"messages": [user(text)]}).encode()
    found = await passed(finder, tmp_path, body, instruction=">>(.*?)<<")
    assert ADD in json.loads(found)["messages"][0]["content"]
    for wrong, told in (("(", "no regular expression"), ("a", "has no group")):
        with pytest.raises(UserError, match=told):
            Adder(finder, instruction=wrong)


# what is kept


async def test_nothing_of_what_passes_is_kept_unless_asked_for_and_then_masked(
    run: Path, finder: Finder, tmp_path: Path
) -> None:
    secret = "my password is hunter2"
    words = "sk-proj-abcdefghijklmnop0123456789"

    async def ask(**options: Any) -> None:
        async with proxied(finder, tmp_path / "served", "the reply", **options) as proxy, proxy.openai as client:
            await client.chat.completions.create(model="m", messages=[user(f"{TASK} {secret} {words}")])

    await ask()
    kept = b"".join(file.read_bytes() for file in [*tmp_path.rglob("*"), *run.rglob("*")] if file.is_file())
    assert not [text for text in (KEY, secret, words, "the reply") if text.encode() in kept]
    await ask(log=tmp_path / "log.jsonl")
    row = json.loads((tmp_path / "log.jsonl").read_text())
    assert (tmp_path / "log.jsonl").stat().st_mode & 0o077 == 0
    assert secret in row["request"], "what nobody knows to be a secret is what passes"
    assert "the reply" in row["reply"]
    assert row["whole"] is True
    assert row["status"] == 200
    assert row["examples"]
    assert not [text for text in (KEY, words) if text in json.dumps(row)]


async def test_a_client_that_leaves_is_not_answered_any_more(finder: Finder, tmp_path: Path) -> None:
    left = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"5\r\nhello\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            left.set()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, served_here(finder, tmp_path, upstream=upstream) as address, aiohttp.ClientSession() as session:
        reply = await session.post(f"{address}/v1/chat/completions", json={"messages": [user(TASK)], "stream": True})
        assert await reply.content.readexactly(5) == b"hello"
        reply.close()
        await asyncio.wait_for(left.wait(), 30)


AGENT = """
import openai

client = openai.OpenAI()  # the address and the key are in its environment
messages = [{"role": "system", "content": "You act on pages."}, {"role": "user", "content": %r}]
print(client.chat.completions.create(model="m", messages=messages).choices[0].message.content)
"""


async def test_an_agent_that_knows_nothing_of_it_needs_another_base_url_and_no_more(run: Path, tmp_path: Path) -> None:
    async with ModelServer(["the reply"]) as upstream:

        def ask() -> list[str]:
            with serving(run, "--upstream", upstream.openai_url, "--out", str(tmp_path)) as server:
                answers = []
                for address in (upstream.openai_url, f"{server.address}/v1"):
                    ran = subprocess.run(
                        [sys.executable, "-c", AGENT % TASK],
                        env=environ(OPENAI_BASE_URL=address) | {"OPENAI_API_KEY": KEY},
                        capture_output=True,
                        text=True,
                        timeout=120,
                    )
                    answers.append(ran.stdout or ran.stderr)
                assert server.stop() == 0
                assert server.process.stderr is not None
                answers.append(server.process.stderr.read())
            return answers

        direct, through, said = await asyncio.to_thread(ask)
    assert direct == through == "the reply\n"
    assert said == "1 requests passed on, 1 with examples\n"
    without, with_examples = (request["messages"] for request in upstream.requests)
    assert without[0] == with_examples[0]
    assert (without[1]["content"], HEADING in with_examples[1]["content"]) == (TASK, True)
