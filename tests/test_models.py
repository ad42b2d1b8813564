"""Providers against a server that fails like real ones: what they send, what they make of it, what they refuse."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from lbi.contracts import Fields, Model, Reply, Request
from lbi.errors import ModelBusy, ModelError, UserError
from lbi.models import PaidRequestForbidden, is_loopback, open_model, providers
from lbi.models.scripted import Scripted
from lbi.records import Action, Observation, Step, Task, Trajectory
from lbi.testing.model_server import CONTEXT_TOO_LONG, NO_TEMPERATURE, Answer, ModelServer, Script

Opened = Callable[..., AbstractAsyncContextManager[tuple[Model, ModelServer]]]
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
TASK = Task(instruction="Close ticket 7", environment="web")
REQUEST = Request(role="query", fields=Fields(task=TASK, observation=Observation(text="button [e1]", image="cafe")))
PNG = b"\x89PNG not really"


@pytest.fixture(params=sorted(KEYS))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(provider: str) -> Opened:
    """Opens a model of the provider on a server that follows a script."""

    @asynccontextmanager
    async def open_(script: Script = ("ok",), **settings: object) -> AsyncIterator[tuple[Model, ModelServer]]:
        async with ModelServer(script) as server:
            address = server.openai_url if provider == "openai" else server.anthropic_url
            model = open_model(f"{provider}:some-model", base_url=address, **{"timeout": 10.0, **settings})  # type: ignore[arg-type]
            try:
                yield model, server
            finally:
                await model.close()

    return open_


async def test_a_reply_carries_text_model_and_tokens(opened: Opened, provider: str) -> None:
    answer = Answer("hello", input_tokens=90, output_tokens=7, cached_tokens=40, written_tokens=30)
    async with opened([answer]) as (model, _):
        reply = await model.complete(REQUEST)
    assert isinstance(model, Model)
    assert (reply.text, reply.model) == ("hello", f"{provider}:some-model")
    usage = reply.usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (1, 90, 7, 40)
    assert usage.cost is None  # the wrapper prices it
    assert usage.seconds > 0


async def test_the_prompt_arrives_with_its_settings(opened: Opened) -> None:
    async with opened(options={"top_p": 0.5}) as (model, server):
        await model.complete(REQUEST.model_copy(update={"temperature": 0.7, "max_tokens": 99}))
    asked = server.requests[0]
    assert (asked["model"], asked["temperature"], asked["max_tokens"], asked["top_p"]) == ("some-model", 0.7, 99, 0.5)
    assert "Close ticket 7" in json.dumps(asked["messages"])


BUSY = {
    "429": (Answer(status=429), None),
    "429 with a wait": (Answer(status=429, retry_after=1.5), 1.5),
    "408": (Answer(status=408), None),
    "500": (Answer(status=500), None),
    "503 with a wait": (Answer(status=503, retry_after=0), 0.0),
    "529": (Answer(status=529), None),
    "reset": (Answer(flaw="reset"), None),
    "malformed": (Answer(flaw="malformed"), None),
    "no answer": (Answer(flaw="no_answer"), None),
}


@pytest.mark.parametrize("case", BUSY)
async def test_a_failure_that_may_pass_is_busy_and_sent_once(opened: Opened, case: str) -> None:
    answer, wait = BUSY[case]
    async with opened([answer]) as (model, server):
        with pytest.raises(ModelBusy, match="some-model") as caught:
            await model.complete(REQUEST)
    assert caught.value.retry_after == wait
    assert len(server.requests) == 1


async def test_a_server_that_hangs_is_busy_after_the_timeout(opened: Opened) -> None:
    async with opened([Answer(flaw="hang")], timeout=0.2) as (model, _):
        with pytest.raises(ModelBusy, match="timeout"):
            await model.complete(REQUEST)


async def test_a_server_that_is_not_there_is_busy(provider: str) -> None:
    async with ModelServer() as server:
        address = server.url
    model = open_model(f"{provider}:some-model", base_url=address)
    with pytest.raises(ModelBusy, match="connection"):
        await model.complete(REQUEST)
    await model.close()


FATAL = {
    "400": (Answer(status=400), "bad request", 0),
    "401": (Answer(status=401), "authentication", 0),
    "403": (Answer(status=403), "authentication", 0),
    "404": (Answer(status=404), "unknown model", 0),
    "413": (Answer(status=413), "too long", 0),
    "context": (CONTEXT_TOO_LONG, "too long", 0),
    "empty": (Answer(flaw="empty"), "empty", 100),
    "blank": (Answer(" \n"), "empty", 100),
    "refused": (Answer(flaw="refused"), "refused", 100),
    "truncated": (Answer(flaw="truncated"), "truncated", 100),
}


@pytest.mark.parametrize("case", FATAL)
async def test_a_failure_for_good_has_a_named_reason_and_what_it_cost(opened: Opened, case: str) -> None:
    answer, reason, tokens = FATAL[case]
    async with opened([answer]) as (model, _):
        with pytest.raises(ModelError, match=f"some-model: {reason}") as caught:
            await model.complete(REQUEST)
    assert not isinstance(caught.value, ModelBusy)
    assert caught.value.usage.input_tokens == tokens


async def test_a_quota_that_is_used_up_is_no_rate_limit() -> None:
    async with ModelServer([Answer(status=429, code="insufficient_quota")]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(ModelError, match="no money") as caught:
            await model.complete(REQUEST)
        await model.close()
    assert not isinstance(caught.value, ModelBusy)


async def test_a_key_never_shows_up_in_an_error(opened: Opened, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS[provider], "sk-very-secret")
    async with opened([Answer(status=401, message="wrong key sk-very-secret")]) as (model, server):
        with pytest.raises(ModelError, match=r"wrong key \*\*\*") as caught:
            await model.complete(REQUEST)
    assert "sk-very-secret" in json.dumps(server.requests[0]["headers"])
    assert "sk-very-secret" not in str(caught.value)


async def test_a_temperature_that_is_rejected_is_left_away_from_then_on(opened: Opened) -> None:
    async with opened([NO_TEMPERATURE, "a", "b"]) as (model, server):
        assert (await model.complete(REQUEST)).text == "a"
        assert (await model.complete(REQUEST)).text == "b"
    assert ["temperature" in asked for asked in server.requests] == [True, False, False]


async def test_images_are_sent_as_data_where_there_is_a_way_to_load_them(opened: Opened) -> None:
    async with opened(load_image={"cafe": PNG}.__getitem__) as (model, server):
        await model.complete(REQUEST)
    async with opened() as (blind, without):
        await blind.complete(REQUEST)
    assert base64.b64encode(PNG).decode() in json.dumps(server.requests[0])
    assert "image" not in json.dumps(without.requests[0]["messages"])


def _labelled() -> Request:
    step = Step(observation=Observation(text="one"), action=Action(text="back()", kind="back"))
    run = Trajectory(task=TASK, agent="a", steps=(step, step), last=Observation(text="three"), stop="done")
    return Request(role="abstract", fields=Fields(trajectory=run, start=0, end=2))


async def test_turns_alternate_however_many_messages_the_prompt_has(opened: Opened, provider: str) -> None:
    async with opened() as (model, server):
        await model.complete(_labelled())
    roles = [turn["role"] for turn in server.requests[0]["messages"]]
    assert roles == (["system", "user"] if provider == "openai" else ["user"])


async def test_claude_is_told_to_cache_the_system_message_and_the_steps_before_the_question() -> None:
    async with ModelServer() as server:
        model = open_model("anthropic:any", base_url=server.anthropic_url)
        await model.complete(_labelled())
        await model.close()
    asked = server.requests[0]
    assert [("cache_control" in block) for block in asked["system"]] == [True]
    blocks = asked["messages"][0]["content"]
    assert [("cache_control" in block) for block in blocks] == [False, False, True, False]


async def test_claude_is_told_to_cache_nothing_that_is_not_asked_again() -> None:
    async with ModelServer() as server:
        model = open_model("anthropic:any", base_url=server.anthropic_url)
        await model.complete(_labelled().model_copy(update={"reused": False}))
        await model.close()
    asked = server.requests[0]
    blocks = [*asked["system"], *asked["messages"][0]["content"]]
    assert len(blocks) == 5
    assert not any("cache_control" in block for block in blocks)


# opening


def test_the_registry_is_the_folder() -> None:
    assert {"openai", "anthropic", "scripted"} <= set(providers())
    assert not any(name.startswith("_") for name in providers())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("opnai:gpt-4o", "openai"),
        ("", "anthropic"),
        ("openai", "openai:NAME"),
        ("openai:gpt-4oo-mini", "gpt-4o-mini"),
        ("anthropic:claud-sonnet-4-5", "claude-sonnet-4-5"),
        ("scripted:/no/such/file", "no/such/file"),
    ],
)
def test_what_cannot_be_opened_is_a_user_error_with_the_nearest_known(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_model(spec)


def test_an_address_without_its_scheme_is_a_user_error(provider: str) -> None:
    with pytest.raises(UserError, match="http://"):
        open_model(f"{provider}:any", base_url="localhost:8000/v1")


async def test_an_address_in_the_environment_counts_as_a_server_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.openai_url)  # also with the /v1 that it needs not have
        for name in KEYS:
            model = open_model(f"{name}:any")
            assert (await model.complete(REQUEST)).text == "ok"
            await model.close()


def test_a_key_is_needed_only_beyond_this_machine(provider: str) -> None:
    known = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-5"}[provider]
    for address in ("", "https://models.example.org/v1"):
        with pytest.raises(UserError, match=KEYS[provider]):
            open_model(f"{provider}:{known}", base_url=address)


async def test_a_price_vouches_for_a_name_that_the_list_lacks(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS[provider], "sk-any")
    model = open_model(f"{provider}:brand-new", priced=lambda spec: spec == f"{provider}:brand-new")
    await model.close()


async def test_a_request_that_would_cost_money_is_stopped_in_tests(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS[provider], "sk-any")
    model = open_model(f"{provider}:any", base_url="https://models.example.org/v1")
    with pytest.raises(PaidRequestForbidden, match=r"models\.example\.org"):
        await model.complete(REQUEST)
    await model.close()


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1", "2001:db8::1"])
def test_no_test_reaches_beyond_this_machine(host: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="stay on this machine"):
        socket.create_connection((host, 80), timeout=0.1)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:80/v1", True),
        ("http://[::1]:80", True),
        ("http://localhost", True),
        ("http://127.0.0.1.example.org", False),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.1", False),
        ("", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, local: bool) -> None:
    assert is_loopback(url) is local


def test_importing_the_providers_loads_no_sdk() -> None:
    modules = ("calls", "parse", "prices", "models.openai", "models.anthropic", "testing.model_server")
    heavy = ("openai", "anthropic", "genai_prices", "aiohttp", "jinja2")
    imports = ", ".join(f"lbi.{name}" for name in modules)
    code = f"import sys, {imports}; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


# scripted


async def test_a_script_is_said_line_by_line_and_then_over(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    file.write_text('"one"\n"two"\n')
    model = open_model(f"scripted:{file}")
    assert [(await model.complete(REQUEST)).text for _ in range(2)] == ["one", "two"]
    with pytest.raises(ModelError, match="over after 2"):
        await model.complete(REQUEST)


async def test_a_script_may_be_a_function_and_may_fail() -> None:
    model = Scripted(lambda request: ModelBusy("wait") if request.sample else request.role)
    assert (await model.complete(REQUEST)).text == "query"
    with pytest.raises(ModelBusy):
        await model.complete(REQUEST.model_copy(update={"sample": 1}))
    assert isinstance(await model.complete(REQUEST), Reply)
    assert model.calls == 3
