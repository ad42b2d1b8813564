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

from lbi import plugins
from lbi.errors import FailureKind, ModelBusy, ModelError, UserError
from lbi.models.providers._left import left
from lbi.models.providers.scripted import Scripted
from lbi.models.registry import PaidRequestForbidden, is_loopback, open_model, providers
from lbi.models.testing.model_server import CONTEXT_TOO_LONG, NO_TEMPERATURE, Answer, Flaw, ModelServer, Script
from lbi.models.testing.wire_formats import Json
from lbi.protocols import Fields, Model, Reply, Request
from lbi.records import Action, Left, Observation, Step, Task, Trajectory

Opened = Callable[..., AbstractAsyncContextManager[tuple[Model, ModelServer]]]
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "google": "GEMINI_API_KEY"}
TASK = Task(instruction="Close ticket 7", environment="web")
REQUEST = Request(role="query", fields=Fields(task=TASK, observation=Observation(text="button [e1]", image="cafe")))
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")


@pytest.fixture(params=sorted(KEYS))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(provider: str) -> Opened:
    """Opens a model of the provider on a server that follows a script."""

    @asynccontextmanager
    async def open_(script: Script = ("ok",), **settings: object) -> AsyncIterator[tuple[Model, ModelServer]]:
        async with ModelServer(script) as server:
            given = {"base_url": server.url_of(provider), "timeout": 10.0, **settings}
            model = open_model(f"{provider}:some-model", **given)  # type: ignore[arg-type]
            try:
                yield model, server
            finally:
                await model.close()

    return open_


def test_a_name_without_its_provider_is_told_with_it() -> None:
    for name, meant in (
        ("gpt-5", "openai:gpt-5"),  # on the price list
        ("gpt-99", "openai:gpt-99"),  # named as OpenAI names its models
        ("claude-sonnet-4-5", "anthropic:claude-sonnet-4-5"),
        ("gemini-2.5-pro", "google:gemini-2.5-pro"),
        ("text-embedding-3-small", "openai:text-embedding-3-small"),
    ):
        with pytest.raises(UserError) as caught:
            open_model(name)
        assert str(caught.value) == f"there is no model provider {name!r}; did you mean {meant}?"
    with pytest.raises(UserError, match="there is no model provider 'nothing-like-it'"):
        open_model("nothing-like-it")


def test_a_model_without_a_language_model_behind_it_says_so() -> None:
    offline = open_model("offline")
    assert isinstance(offline, Model)
    assert (offline.info.free, offline.info.language_model) == (True, False)
    assert open_model("openai:any", base_url="http://127.0.0.1:9/v1").info.language_model


def test_how_a_config_names_a_model_begins_with_its_provider() -> None:
    for name in providers():
        assert getattr(plugins.load("models", name), "SPEC", name).partition(":")[0] == name


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
    assert (_settings(asked), asked["top_p"]) == (("some-model", 0.7, 99), 0.5)
    assert "Close ticket 7" in _prompt(asked)


def _settings(asked: Json) -> tuple[str, float | None, int]:
    """Model, temperature and room for the reply, wherever a provider's format has them."""
    inner = asked.get("generationConfig", {})
    name = asked.get("model") or asked["path"].rpartition("/")[2].partition(":")[0]
    room = asked.get("max_tokens") or inner["maxOutputTokens"]
    return name, asked.get("temperature", inner.get("temperature")), room


def _prompt(asked: Json) -> str:
    return json.dumps(asked.get("messages", asked.get("contents")))


BUSY: dict[str, tuple[Answer, FailureKind, float | None]] = {
    "429": (Answer(status=429), "rate limit", None),
    "429 with a wait": (Answer(status=429, retry_after=1.5), "rate limit", 1.5),
    "408": (Answer(status=408), "timeout", None),
    "409": (Answer(status=409), "server error", None),
    "500": (Answer(status=500), "server error", None),
    "502": (Answer(status=502, flaw="not_json"), "server error", None),
    "503 with a wait": (Answer(status=503, retry_after=0), "overloaded", 0.0),
    "504": (Answer(status=504), "timeout", None),
    "529": (Answer(status=529), "overloaded", None),
    "reset": (Answer(flaw="reset"), "connection", None),
    "cut off": (Answer(flaw="cut_off"), "cut off", None),
    "cut off stream": (Answer(flaw="cut_stream"), "cut off", None),
    "malformed": (Answer(flaw="malformed"), "malformed", None),
    "not JSON": (Answer(flaw="not_json"), "malformed", None),
    "another shape": (Answer(flaw="wrong_shape"), "malformed", None),
}


@pytest.mark.parametrize("case", BUSY)
async def test_a_failure_that_may_pass_is_busy_and_sent_once(opened: Opened, case: str) -> None:
    answer, kind, wait = BUSY[case]
    async with opened([answer]) as (model, server):
        with pytest.raises(ModelBusy, match=f"some-model: {kind}: ") as caught:
            await model.complete(REQUEST)
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert len(server.requests) == 1


@pytest.mark.parametrize("flaw", ["hang", "stall"])
async def test_a_server_that_hangs_is_busy_after_the_timeout(opened: Opened, flaw: Flaw) -> None:
    async with opened([Answer(flaw=flaw)], timeout=0.2) as (model, _):
        with pytest.raises(ModelBusy, match="timeout") as caught:
            await model.complete(REQUEST)
    assert caught.value.kind == "timeout"


async def test_a_slow_reply_is_a_reply_within_the_timeout_and_busy_beyond_it(opened: Opened) -> None:
    async with opened([Answer("late", latency=0.3)]) as (model, _):
        reply = await model.complete(REQUEST)
        assert (reply.text, reply.usage.seconds > 0.29) == ("late", True)
    async with opened([Answer("late", latency=5.0)], timeout=0.2) as (model, _):
        with pytest.raises(ModelBusy, match=r"timeout: no whole reply within 0\.2 s"):
            await model.complete(REQUEST)


async def test_an_error_inside_of_a_200_is_named_by_its_own_code(opened: Opened, provider: str) -> None:
    kinds = {"openai": "server error", "anthropic": "malformed", "google": "overloaded"}
    async with opened([Answer(flaw="no_answer")]) as (model, _):
        with pytest.raises(ModelBusy, match="upstream failed") as caught:
            await model.complete(REQUEST)
    assert caught.value.kind == kinds[provider]


async def test_a_server_that_is_not_there_is_busy(provider: str) -> None:
    async with ModelServer() as server:
        address = server.url
    model = open_model(f"{provider}:some-model", base_url=address)
    with pytest.raises(ModelBusy, match="connection") as caught:
        await model.complete(REQUEST)
    assert caught.value.kind == "connection"
    await model.close()


FATAL: dict[str, tuple[Answer, FailureKind, int]] = {
    "400": (Answer(status=400), "bad request", 0),
    "301": (Answer(status=301, headers={"location": "/elsewhere"}), "bad request", 0),
    "401": (Answer(status=401), "authentication", 0),
    "402": (Answer(status=402), "no money", 0),
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
    answer, kind, tokens = FATAL[case]
    async with opened([answer]) as (model, _):
        with pytest.raises(ModelError, match=f"some-model: {kind}: ") as caught:
            await model.complete(REQUEST)
    assert not isinstance(caught.value, ModelBusy)
    assert (caught.value.kind, caught.value.usage.input_tokens) == (kind, tokens)


WORDED: dict[str, tuple[str, Answer, FailureKind]] = {
    "a quota of OpenAI": ("openai", Answer(status=429, code="insufficient_quota"), "no money"),
    "a prompt beyond the limit of a minute": ("openai", Answer(status=429, message="Request too large"), "too long"),
    "llama.cpp's context": ("openai", Answer(status=400, code="exceed_context_size_error"), "too long"),
    "a router's moderation": ("openai", Answer(status=403, message="your input was flagged"), "refused"),
    "an empty account": ("anthropic", Answer(status=400, message="Your credit balance is too low"), "no money"),
    "a wrong key of Google": ("google", Answer(status=400, code="API_KEY_INVALID"), "authentication"),
    "a day's quota of Google": ("google", Answer(status=429, message="quota GenerateRequestsPerDay"), "no money"),
    "Google's context": ("google", Answer(status=400, message="exceeds the maximum number of tokens"), "too long"),
}


@pytest.mark.parametrize("case", WORDED)
async def test_what_a_status_does_not_tell_is_told_by_the_words(case: str) -> None:
    name, answer, kind = WORDED[case]
    async with ModelServer([answer]) as server:
        model = open_model(f"{name}:any", base_url=server.url_of(name))
        with pytest.raises(ModelError) as caught:
            await model.complete(REQUEST)
        await model.close()
    assert (caught.value.kind, type(caught.value)) == (kind, ModelError)


async def test_a_key_never_shows_up_in_an_error(opened: Opened, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEYS[provider], "sk-very-secret")
    async with opened([Answer(status=401, message="wrong key sk-very-secret")]) as (model, server):
        with pytest.raises(ModelError, match=r"wrong key ••••") as caught:
            await model.complete(REQUEST)
    assert "sk-very-secret" in json.dumps(server.requests[0]["headers"])
    assert "sk-very-secret" not in str(caught.value)


async def test_a_temperature_that_is_rejected_is_left_away_from_then_on(opened: Opened) -> None:
    async with opened([NO_TEMPERATURE, "a", "b"]) as (model, server):
        assert (await model.complete(REQUEST)).text == "a"
        assert (await model.complete(REQUEST)).text == "b"
    assert [_settings(asked)[1] is not None for asked in server.requests] == [True, False, False]


async def test_images_are_sent_as_data_where_there_is_a_way_to_load_them(opened: Opened) -> None:
    async with opened(load_image={"cafe": PNG}.__getitem__) as (model, server):
        await model.complete(REQUEST)
    async with opened() as (blind, without):
        await blind.complete(REQUEST)
    assert base64.b64encode(PNG).decode() in json.dumps(server.requests[0])
    assert "image" not in _prompt(without.requests[0])


def _labelled() -> Request:
    step = Step(observation=Observation(text="one"), action=Action(text="back()", kind="back"))
    run = Trajectory(task=TASK, agent="a", steps=(step, step), last=Observation(text="three"), stop="done")
    return Request(role="abstract", fields=Fields(trajectory=run, start=0, end=2))


async def test_turns_alternate_however_many_messages_the_prompt_has(opened: Opened, provider: str) -> None:
    async with opened() as (model, server):
        await model.complete(_labelled())
    asked = server.requests[0]
    roles = [turn["role"] for turn in asked.get("messages", asked.get("contents"))]
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


# what compatible servers leave out


@pytest.mark.parametrize("flaw", ["no_usage", "null_usage"])
async def test_a_server_that_counts_no_tokens_still_gives_its_reply(opened: Opened, flaw: Flaw) -> None:
    async with opened([Answer("hi", flaw=flaw)]) as (model, _):
        reply = await model.complete(REQUEST)
    assert (reply.text, reply.usage.calls, reply.usage.input_tokens) == ("hi", 1, 0)  # the meter estimates them


async def test_a_reply_without_a_reason_why_it_ended_is_whole(opened: Opened) -> None:
    async with opened([Answer("hi", flaw="no_finish")]) as (model, _):
        assert (await model.complete(REQUEST)).text == "hi"


async def test_a_reply_without_a_reason_that_used_all_its_room_is_truncated() -> None:
    async with ModelServer([Answer("hi", flaw="no_finish", output_tokens=REQUEST.max_tokens)]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(ModelError) as caught:
            await model.complete(REQUEST)
        await model.close()
    assert caught.value.kind == "truncated"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}]}, "ab"),
        ({"choices": [{"message": {"content": "a", "reasoning_content": "hm"}, "finish_reason": None}]}, "a"),
        ({"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": "many"}, "error": None}, "a"),
        ({"choices": [{"message": {"content": None, "reasoning": "hm"}, "finish_reason": "stop"}]}, "empty"),
        ({"choices": [{"message": None}]}, "malformed"),
        ({"choices": []}, "malformed"),
        ({"choices": {"0": "a"}}, "malformed"),
        ({"error": "model 'x' not found"}, "malformed"),
        ({"detail": "Not Found"}, "malformed"),
    ],
)
async def test_odd_replies_of_compatible_servers_have_a_defined_outcome(body: Json, text: str) -> None:
    async with ModelServer([Answer(body=body)]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        try:
            outcome = (await model.complete(REQUEST)).text
        except ModelError as error:
            outcome = error.kind
        await model.close()
    assert outcome == text


@pytest.mark.parametrize(
    "body",
    [{"error": "model 'x' not found"}, {"object": "error", "message": "no x"}, {"detail": "Not Found"}, {"error": {}}],
)
async def test_errors_of_compatible_servers_are_named_however_they_are_worded(body: Json) -> None:
    async with ModelServer([Answer(status=404, body=body)]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(ModelError, match="unknown model: HTTP 404"):
            await model.complete(REQUEST)
        await model.close()


# Gemini


async def test_gemini_is_asked_with_instructions_apart_and_pictures_inside() -> None:
    async with ModelServer() as server:
        model = open_model("google:any", base_url=server.google_url, load_image={"cafe": PNG}.__getitem__)
        await model.complete(REQUEST)
        await model.close()
    asked = server.requests[0]
    assert asked["path"] == "/v1beta/models/any:generateContent"
    assert asked["systemInstruction"]["parts"][0]["text"]
    assert [list(part) for part in asked["contents"][0]["parts"]][-2:] == [["inlineData"], ["text"]]


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}, {"text": "a"}]}}]}, "a"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, "refused"),
        ({"candidates": [{"finishReason": "RECITATION"}]}, "refused"),
        ({"candidates": [{"finishReason": "MAX_TOKENS", "content": {"parts": [{"text": "a"}]}}]}, "truncated"),
        ({"candidates": [{"finishReason": "OTHER"}]}, "failed"),
        ({"candidates": [{"finishReason": "STOP", "content": {}}]}, "empty"),
        ({"candidates": []}, "malformed"),
        ({}, "malformed"),
    ],
)
async def test_gemini_replies_have_a_defined_outcome(body: Json, outcome: str) -> None:
    async with ModelServer([Answer(body=body)]) as server:
        model = open_model("google:any", base_url=server.google_url)
        try:
            found = (await model.complete(REQUEST)).text
        except ModelError as error:
            found = error.kind
        await model.close()
    assert found == outcome


async def test_the_thoughts_of_gemini_are_paid_for() -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 40, "cachedContentTokenCount": 4}
    body = {"candidates": [{"content": {"parts": [{"text": "a"}]}}], "usageMetadata": usage}
    async with ModelServer([Answer(body=body)]) as server:
        model = open_model("google:any", base_url=server.google_url)
        found = (await model.complete(REQUEST)).usage
        await model.close()
    assert (found.input_tokens, found.output_tokens, found.cached_tokens) == (10, 43, 4)


# rate limits as they are stated


HEADERS = {
    "openai": (
        {"x-ratelimit-limit-requests": "50", "x-ratelimit-remaining-requests": "3"},
        "x-ratelimit-reset-requests",
    ),
    "anthropic": (
        {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "3"},
        "anthropic-ratelimit-requests-reset",
    ),
}


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("status", [200, 429])
async def test_rate_limits_are_read_from_replies_and_refusals(name: str, status: int) -> None:
    headers, reset = HEADERS[name]
    async with ModelServer([Answer(status=status, headers={**headers, reset: "1m30.5s"})]) as server:
        model = open_model(f"{name}:any", base_url=server.url_of(name))
        try:
            left = (await model.complete(REQUEST)).left
        except ModelBusy as error:
            left = error.left
        await model.close()
    assert left == (Left("requests", 50, 3, 90.5),)


@pytest.mark.parametrize(
    ("text", "seconds"), [("6m0s", 360), ("20ms", 0.02), ("1.5", 1.5), ("1h1s", 3601), ("2000-01-01T00:00:00Z", 0)]
)
def test_the_time_until_a_reset_is_read_in_every_spelling(text: str, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": text}
    assert left(headers) == (Left("tokens", None, 7, seconds),)


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs"])
def test_a_limit_that_cannot_be_read_is_none(text: str) -> None:
    assert left({"x-ratelimit-remaining-tokens": "7", "x-ratelimit-reset-tokens": text}) == ()
    assert left({"x-ratelimit-remaining-tokens": text, "x-ratelimit-reset-tokens": "1s"}) == ()


# opening


def test_the_registry_is_the_folder() -> None:
    assert {"openai", "anthropic", "google", "scripted"} <= set(providers())
    assert not any(name.startswith("_") for name in providers())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("opnai:gpt-4o", "openai"),
        ("", "anthropic"),
        ("openai", "openai:NAME"),
        ("openai:gpt-4oo-mini", "gpt-4o-mini"),
        ("anthropic:claud-sonnet-4-5", "claude-sonnet-4-5"),
        ("google:gemini-2.5-flsh", "gemini-2.5-flash"),
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
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.google_url)
        for name in KEYS:
            model = open_model(f"{name}:any")
            assert (await model.complete(REQUEST)).text == "ok"
            await model.close()


def test_a_key_is_needed_only_beyond_this_machine(provider: str) -> None:
    known = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-5", "google": "gemini-2.5-flash"}[provider]
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


def test_importing_the_providers_loads_nothing_heavy() -> None:
    providers = ("providers.openai", "providers.anthropic", "providers.google")
    modules = ("middleware.stack", "parsing", "pricing", *providers, "testing.model_server")
    heavy = ("genai_prices", "aiohttp", "jinja2")
    imports = ", ".join(f"lbi.models.{name}" for name in modules)
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
