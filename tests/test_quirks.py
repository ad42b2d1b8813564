"""Quirks of OpenAI-compatible servers, a test for each row of docs/providers.md; what Google and Anthropic refuse."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lbi.agents.react import create as create_react
from lbi.errors import EnvironmentFailure, ModelBusy, ModelError, ModelUnavailable
from lbi.models.middleware.retry import Retry, retried
from lbi.models.providers.openai import _headers
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.protocols import Fields, Reply, Request
from lbi.records import Document
from running import lbi
from small_repository import needs_bubblewrap, repository

REQUEST = Request(role="propose", fields=Fields(document=Document(text="Press Save.", source="guide.md"), count=1))
Body = dict[str, Any]


async def asked(
    script: Any, *, provider: str = "openai", request: Request = REQUEST, suffix: str = "", **options: Any
) -> tuple[Reply, list[Body]]:
    async with ModelServer(script) as server:
        model = open_model(f"{provider}:any", base_url=server.url_of(provider) + suffix, options=options)
        try:
            return await model.complete(request), server.requests
        finally:
            await model.close()


def choice(**fields: Any) -> Body:
    message = fields.pop("message", {"role": "assistant", "content": "fine"})
    return {"choices": [{"index": 0, "message": message, **fields}], "usage": {"prompt_tokens": 9}}


def picky(message: str, wrong: Any, status: int = 400) -> Any:
    return lambda body: Answer(status=status, message=message) if wrong(body) else Answer("fine")


WHOLE = ["stop", "eos", "eos_token", "end_turn", "stop_sequence", "<|eot_id|>", "", None]


@pytest.mark.parametrize("reason", WHOLE)
async def test_a_reply_is_whole_whatever_its_end_is_called(reason: str | None) -> None:
    assert (await asked([Answer(body=choice(finish_reason=reason))]))[0].text == "fine"


async def test_a_reply_is_whole_though_nothing_is_said_of_its_end() -> None:
    assert (await asked([Answer(body=choice())]))[0].text == "fine"


FAILED: dict[str, tuple[Any, str, bool]] = {
    "cut short": (choice(finish_reason="length"), "truncated", False),
    "cut short, as Gemini says": (choice(finish_reason="MAX_TOKENS"), "truncated", False),
    "cut short, as Mistral says": (choice(finish_reason="model_length"), "truncated", False),
    "filtered": (choice(finish_reason="content_filter"), "refused", False),
    "filtered, as Gemini says": (choice(finish_reason="SAFETY"), "refused", False),
    "given up": (choice(finish_reason="abort"), "server error", True),
    "given up, as a router says": (choice(finish_reason="error"), "server error", True),
    "given up, as DeepSeek says": (choice(finish_reason="insufficient_system_resource"), "server error", True),
    "an error in the choice": (
        choice(finish_reason="error", error={"code": 502, "message": "x"}),
        "server error",
        True,
    ),
    "a rate limit in the choice": (choice(error={"code": 429, "message": "x"}), "rate limit", True),
    "no choices": ({"choices": []}, "malformed", True),
    "null for choices": ({"choices": None}, "malformed", True),
    "thoughts and no text": (
        choice(finish_reason="stop", message={"content": None, "reasoning_content": "ACTION: click(e1)"}),
        "empty",
        False,
    ),
    "thoughts that took all the room": (
        choice(finish_reason="length", message={"content": None, "reasoning": "hm"}),
        "truncated",
        False,
    ),
    "a tool call and no text": (
        choice(finish_reason="tool_calls", message={"content": None, "tool_calls": [{"id": "1"}]}),
        "empty",
        False,
    ),
    "an error with 200": ({"error": {"code": 503, "message": "no instances"}}, "overloaded", True),
    "an error with 200, its code a text": ({"error": {"code": "429", "message": "slow down"}}, "rate limit", True),
    "an error with 200 in words": ({"error": {"message": "Rate limit exceeded"}}, "rate limit", True),
    "an error with 200 that is a text": ({"error": "model is overloaded"}, "overloaded", True),
    "a mistake with 200": ({"error": {"type": "invalid_request_error", "message": "x"}}, "bad request", False),
    "no endpoint with 200": (
        {"error": "Unexpected endpoint or method. (POST /chat/completions). Returning 200 anyway"},
        "unknown model",
        False,
    ),
}


@pytest.mark.parametrize("case", FAILED)
async def test_what_comes_with_status_200_and_is_no_reply_has_its_name(case: str) -> None:
    body, kind, again = FAILED[case]
    with pytest.raises(ModelError) as raised:
        await asked([Answer(body=body)])
    assert (raised.value.kind, isinstance(raised.value, ModelBusy)) == (kind, again)


async def test_text_beside_a_tool_call_or_in_parts_is_the_reply() -> None:
    beside = choice(finish_reason="tool_calls", message={"content": "fine", "tool_calls": [{"id": "1"}]})
    assert (await asked([Answer(body=beside)]))[0].text == "fine"
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "fi"},
        {"type": "text", "text": "ne"},
    ]
    assert (await asked([Answer(body=choice(message={"content": parts}))]))[0].text == "fine"


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"prompt_tokens": "9"}, [], 0])
async def test_a_reply_stays_one_without_its_usage(usage: Any) -> None:
    assert (await asked([Answer(body={**choice(finish_reason="stop"), "usage": usage})]))[0].text == "fine"


STREAM = b"""

: OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}

data: {"id": "1", "choices": [{"index": 0, "delta": {"content": "fi"}, "finish_reason": null}], "usage": null}

data: {"id": "1", "choices": [{"index": 0, "delta": {"content": "ne"}, "finish_reason": "%s"}]}

data: {"id": "1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}

data: [DONE]
"""
PLAIN = json.dumps(choice(finish_reason="stop")).encode()


@pytest.mark.parametrize(
    "content",
    [b"\n\n\n" + PLAIN, b": OPENROUTER PROCESSING\n\n: keep-alive\n\n" + PLAIN, STREAM % b"stop"],
    ids=["empty lines first", "comments first", "a stream"],
)
async def test_what_keeps_a_connection_open_is_no_part_of_the_reply(content: bytes) -> None:
    reply, _ = await asked([Answer(body=content)])
    assert reply.text == "fine"
    assert reply.usage.input_tokens in (7, 9)


async def test_a_stream_that_ends_in_an_error_or_too_early_is_no_reply() -> None:
    with pytest.raises(ModelError) as raised:
        await asked([Answer(body=STREAM % b"length")])
    assert raised.value.kind == "truncated"
    broken = b'data: {"choices": [{"delta": {"content": "fi"}}]}\n\ndata: {"error": {"code": 502, "message": "gone"}}\n'
    with pytest.raises(ModelBusy):
        await asked([Answer(body=broken)])


async def test_a_compressed_reply_is_read() -> None:
    packed = Answer(body=gzip.compress(PLAIN), headers={"content-encoding": "gzip", "content-type": "application/json"})
    assert (await asked([packed]))[0].text == "fine"


STATUS: dict[str, tuple[Answer, str, bool]] = {
    "loading": (Answer(status=503, body={"error": {"code": 503, "message": "Loading model"}}), "overloaded", True),
    "busy": (Answer(status=503, body={"error": "server busy, please try again."}), "overloaded", True),
    "full": (Answer(status=498, body={"error": {"message": "x", "code": "capacity_exceeded"}}), "overloaded", True),
    "overloaded": (Answer(status=529), "overloaded", True),
    "proxy's page": (Answer(status=502, body=b"<html>502 Bad Gateway</html>"), "server error", True),
    "proxy's page with 200": (Answer(body=b"<html>Sign in</html>"), "malformed", True),
    "Cloudflare": (Answer(status=524, body=b"error code: 524"), "server error", True),
    "too large": (Answer(status=413, body=b"<html>413</html>"), "too long", False),
    "no money": (Answer(status=402, body={"error": {"message": "Insufficient Balance"}}), "no money", False),
    "money under way": (Answer(status=402, retry_after=2, message="in flight"), "rate limit", True),
    "a list": (Answer(status=400, body=[{"error": {"code": 400, "message": "odd thing"}}]), "bad request", False),
}


@pytest.mark.parametrize("case", STATUS)
async def test_a_status_has_its_meaning_whatever_comes_with_it(case: str) -> None:
    answer, kind, again = STATUS[case]
    with pytest.raises(ModelError) as raised:
        await asked([answer])
    assert (raised.value.kind, isinstance(raised.value, ModelBusy)) == (kind, again)


@pytest.mark.slow
async def test_a_server_that_loads_its_model_is_waited_for() -> None:
    async def no_wait(seconds: float) -> None:
        pass

    loading = Answer(status=503, body={"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
    async with ModelServer([loading, loading, loading, "fine"]) as server:
        model = retried(open_model("openai:any", base_url=server.openai_url), Retry(), sleep=no_wait)
        assert (await model.complete(REQUEST)).text == "fine"
        await model.close()


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(status=429, headers={"retry-after-ms": "1500"}), 1.5),
        (Answer(status=429, headers={"retry-after": "30"}), 30.0),
        (Answer(status=429, headers={"retry-after": "1m30s"}), 90.0),
        (Answer(status=429, headers={"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}), None),
        (Answer(status=429, message="Rate limit reached. Please try again in 7.5s."), 7.5),
        (Answer(status=429, message="Please try again in 120ms."), 0.12),
    ],
)
async def test_how_long_to_wait_is_read_wherever_it_stands(answer: Answer, seconds: float | None) -> None:
    with pytest.raises(ModelBusy) as raised:
        await asked([answer])
    assert raised.value.retry_after is not None
    assert seconds is None or raised.value.retry_after == pytest.approx(seconds)


TOO_LONG = [
    (400, "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens."),
    (400, "The input (9000 tokens) is longer than the model's context length (8192 tokens)."),
    (400, "the request exceeds the available context size. try increasing the context size"),
    (500, "the request exceeds the available context size. try increasing the context size"),
    (400, "Please reduce the length of the messages or completion."),
    (400, "This model's maximum prompt length is 131072 but the request contains 140000 tokens."),
    (
        422,
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4090 `inputs` tokens and 9",
    ),
    (400, "Input is too long for requested model."),
]


@pytest.mark.parametrize(("status", "message"), TOO_LONG)
async def test_a_prompt_that_is_too_long_is_told_by_many_words(status: int, message: str) -> None:
    with pytest.raises(ModelError) as raised:
        await asked([Answer(status=status, message=message)])
    assert raised.value.kind == "too long"


TOGETHER = [
    "This model's maximum context length is 4,096 tokens. However, you requested 4524 tokens "
    "(3500 in the messages, 1024 in the completion). Please reduce the length of the messages or completion.",
    "'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 4096 tokens "
    "and your request has 3500 input tokens (1024 > 4096 - 3500).",
    "input length and `max_tokens` exceed context limit: 3500 + 1024 > 4096, decrease input length or `max_tokens`",
]


@pytest.mark.parametrize("message", TOGETHER)
async def test_where_only_prompt_and_reply_together_are_too_long_less_is_asked_for_this_once(message: str) -> None:
    bad = Answer(status=400, message=message)
    async with ModelServer([bad, "fine", "fine"]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        assert (await model.complete(REQUEST)).text == "fine"
        await model.complete(REQUEST)
        await model.close()
    assert [sent["max_tokens"] for sent in server.requests] == [1024, 596, 1024]


async def test_a_server_that_reads_only_a_part_of_the_prompt_gave_no_reply_to_it() -> None:
    long = Request(role="propose", fields=Fields(document=Document(text="Press Save. " * 2000, source="a.md"), count=1))
    with pytest.raises(ModelError, match="OLLAMA_CONTEXT_LENGTH") as raised:
        await asked([Answer("fine", input_tokens=2050)], request=long)
    assert raised.value.kind == "too long"
    assert (await asked([Answer("fine", input_tokens=6000)], request=long))[0].text == "fine"


SETTINGS: dict[str, tuple[str, str, Any, int]] = {
    "OpenAI": ("Unsupported parameter: 'seed' is not supported with this model.", "seed", 1, 400),
    "Azure": ("Unrecognized request argument supplied: seed", "seed", 1, 400),
    "Groq": ("property 'logprobs' is unsupported", "logprobs", True, 400),
    "Groq's n": ("'n' : number must be at most 1", "n", 2, 400),
    "Gemini": ('Invalid JSON payload received. Unknown name "user": Cannot find field.', "user", "me", 400),
    "Mistral": (
        '{"detail":[{"type":"extra_forbidden","loc":["body","presence_penalty"],"msg":"Extra inputs"}]}',
        "presence_penalty",
        0.1,
        422,
    ),
    "DeepSeek": ("deepseek-reasoner does not support the parameter `presence_penalty`", "presence_penalty", 0.1, 400),
    "xAI": ("Model grok does not support parameter reasoning_effort.", "reasoning_effort", "low", 400),
    "Bedrock": ("`temperature` and `top_p` cannot both be specified for this model.", "top_p", 0.9, 400),
    "vLLM": ("[{'type': 'extra_forbidden', 'loc': ('body', 'logit_bias')}]", "logit_bias", {}, 400),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
async def test_a_setting_that_the_error_names_is_left_out_from_then_on(case: str) -> None:
    message, key, value, status = SETTINGS[case]
    script = picky(message, lambda body: key in body, status)
    async with ModelServer(script) as server:
        model = open_model("openai:any", base_url=server.openai_url, options={key: value})
        for _ in range(2):
            assert (await model.complete(REQUEST)).text == "fine"
        await model.close()
    assert [key in sent for sent in server.requests] == [True, False, False]
    assert "temperature" in server.requests[-1]


async def test_more_than_four_stops_are_cut_to_four() -> None:
    script = picky("Invalid 'stop': array too long. Expected at most 4.", lambda body: len(body.get("stop", ())) > 4)
    reply, sent = await asked(script, stop=list("abcdef"))
    assert reply.text == "fine"
    assert sent[-1]["stop"] == list("abcd")


@pytest.mark.parametrize("status", [400, 500, 404])
@pytest.mark.parametrize(
    "message",
    [
        "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
        "Unable to generate parser for this template. Jinja Exception: System role not supported",
        "System message must be at the beginning.",
    ],
)
async def test_what_a_chat_template_does_not_take_is_said_in_the_first_turn(message: str, status: int) -> None:
    reply, sent = await asked(picky(message, lambda body: body["messages"][0]["role"] == "system", status))
    assert reply.text == "fine"
    assert [turn["role"] for turn in sent[-1]["messages"]] == ["user"]


async def test_turns_alternate_and_none_is_empty() -> None:
    from lbi.prompts import render_again

    again = REQUEST.model_copy(update={"extra": render_again("no list", "expected a list")})
    _, sent = await asked(["fine"], request=again)
    roles = [turn["role"] for turn in sent[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert all(turn["content"].strip() for turn in sent[-1]["messages"])


@pytest.mark.parametrize("suffix", ["", "/", "/chat/completions", "/chat/completions/", "?api-version=2024-10-21"])
async def test_an_address_may_be_written_in_each_usual_way(suffix: str) -> None:
    reply, sent = await asked(["fine"], suffix=suffix)
    assert reply.text == "fine"
    assert sent[0]["path"] == "/v1/chat/completions" + (suffix if suffix.startswith("?") else "")


async def test_an_address_without_v1_or_one_that_moved_is_told() -> None:
    async with ModelServer(["fine"]) as server:
        model = open_model("openai:any", base_url=server.url)
        with pytest.raises(ModelError, match="most end with /v1"):
            await model.complete(REQUEST)
        await model.close()
    moved = Answer(status=308, headers={"location": "https://new.example/v1"})
    with pytest.raises(ModelError, match=re.escape("leads on to https://new.example/v1")):
        await asked([moved])


def test_azure_gets_its_key_in_its_own_header() -> None:
    assert _headers("https://me.openai.azure.com/openai/v1", "k") == {"api-key": "k"}
    assert _headers("https://api.example.com/v1", "k") == {"authorization": "Bearer k"}
    assert _headers("https://azure.com.example.com/v1", "k") == {"authorization": "Bearer k"}


async def test_a_model_may_have_slashes_and_colons_in_its_name() -> None:
    async with ModelServer(["fine"]) as server:
        model = open_model("openai:meta-llama/Llama-3.1-8B:free", base_url=server.openai_url)
        await model.complete(REQUEST)
        await model.close()
    assert server.requests[0]["model"] == "meta-llama/Llama-3.1-8B:free"


async def test_a_server_on_this_machine_is_asked_without_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await asked(["fine"]))[0].text == "fine"


async def test_a_router_passes_on_the_words_of_the_server_behind_it() -> None:
    raw = {"message": "Provider returned error", "code": 400, "metadata": {"raw": "max_tokens: extra inputs"}}

    def answer(body: Body) -> Answer:
        return Answer(status=400, body={"error": raw}) if "max_tokens" in body else Answer("fine")

    assert (await asked(answer))[0].text == "fine"


GOOGLE: dict[str, tuple[str, Body, Any]] = {
    "system": (
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        {},
        lambda body: "systemInstruction" in body,
    ),
    "tokens": (
        "Unable to submit request because it has a maxOutputTokens value of 9000 but the supported range is from 1 "
        "(inclusive) to 8193 (exclusive).",
        {"maxOutputTokens": 9000},
        lambda body: body["generationConfig"]["maxOutputTokens"] > 8192,
    ),
    **{
        key: (message, {key: value}, lambda body, key=key: key in body["generationConfig"])
        for key, value, message in (
            ("temperature", 0.0, "temperature is not supported for this model"),
            ("topP", 0.9, 'Invalid JSON payload received. Unknown name "topP" at \'generation_config\''),
            ("topK", 9, "top_k is not supported"),
            ("thinkingConfig", {"thinkingBudget": 0}, "Thinking budget is not supported for this model."),
            ("candidateCount", 2, "Multiple candidates is not enabled for this model"),
            ("presencePenalty", 0.1, "Penalty is not enabled for this model"),
            ("responseLogprobs", True, "Logprobs is not enabled for this model"),
            ("seed", 1, "seed is not supported"),
            ("mediaResolution", "LOW", 'Unknown name "mediaResolution": Cannot find field.'),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("case", GOOGLE)
async def test_what_a_model_of_googles_does_not_take_is_changed_and_remembered(case: str) -> None:
    message, settings, wrong = GOOGLE[case]
    script = picky(message, wrong)
    async with ModelServer(script) as server:
        model = open_model("google:any", base_url=server.google_url, options={"generationConfig": settings})
        for _ in range(2):
            assert (await model.complete(REQUEST)).text == "fine"
        await model.close()
    assert len(server.requests) == 3
    first, last = server.requests[0], server.requests[-1]
    said = [part["text"] for part in first.get("systemInstruction", {"parts": []})["parts"]]
    assert "maxOutputTokens" in last["generationConfig"]
    parts = [*last.get("systemInstruction", {"parts": []})["parts"], *last["contents"][0]["parts"]]
    assert set(said) <= {part["text"] for part in parts}


async def test_a_model_of_googles_without_json_is_asked_in_plain_words() -> None:
    async with ModelServer(
        picky("JSON mode is not enabled for models/gemma-3-27b-it", lambda body: "responseSchema" in str(body))
    ) as server:
        from lbi.protocols import PARTS_OF_A_RUN, PromptLimits

        limits = PromptLimits(structured=PARTS_OF_A_RUN)
        model = open_model("google:any", base_url=server.google_url, limits=limits)
        assert (await model.complete(REQUEST)).text == "fine"
        await model.close()
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("message", "options", "wrong"),
    [
        ("system: Input should be a valid string", {}, lambda body: not isinstance(body["system"], str)),
        ("`temperature` and `top_p` cannot both be specified", {"top_p": 0.9}, lambda body: "top_p" in body),
        ("Unexpected parameter: top_k", {"top_k": 3}, lambda body: "top_k" in body),
        ("max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens", {"max_tokens": 9000},
         lambda body: body["max_tokens"] > 8192),
    ],
)  # fmt: skip
async def test_what_a_model_of_anthropics_does_not_take_is_changed(message: str, options: Body, wrong: Any) -> None:
    reply, sent = await asked(picky(message, wrong), provider="anthropic", **options)
    assert reply.text == "fine"
    assert len(sent) == 2


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_provider_that_rejects_every_call_ends_the_run_with_its_words(provider: str) -> None:
    async with ModelServer([Answer(status=400, message="this key may not use chat")]) as server:
        model = retried(open_model(f"{provider}:any", base_url=server.url_of(provider)), Retry())
        with pytest.raises(ModelUnavailable, match="this key may not use chat"):
            await model.complete(REQUEST)
        await model.close()
        assert len(server.requests) == 1


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_bad_request_in_an_episode_is_the_providers_and_in_no_rate(provider: str) -> None:
    from fake_environment import LampEnvironment
    from lbi.agents import AgentParts
    from lbi.records import Task
    from lbi.rollouts.loop import rollout

    async with ModelServer([Answer(status=400, message="no such field")]) as server:
        model = open_model(f"{provider}:any", base_url=server.url_of(provider))
        agent = create_react(AgentParts(model=model))
        with pytest.raises(EnvironmentFailure, match="no such field") as raised:
            await rollout(LampEnvironment(), agent, Task(instruction="x", environment="lamps"), 3)
        await model.close()
    assert raised.value.kind == "provider"


@needs_bubblewrap
@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_a_run_whose_provider_rejects_every_call_ends_with_one_line_and_an_exit_code(
    provider: str, tmp_path: Path
) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({"status": 400, "message": "this key may not use chat"}))
    folder = repository(tmp_path / "project")
    (folder / "docs").mkdir()
    (folder / "docs" / "guide.md").write_text(
        "# Greeting\n\nCall greet with a name, and it greets the one who has it.\n" * 3
    )
    command = [sys.executable, "-m", "lbi.models.testing.model_server", "--answers", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        variable = {"openai": "OPENAI", "anthropic": "ANTHROPIC", "google": "GOOGLE_GEMINI"}[provider]
        address = url + {"openai": "/v1", "anthropic": "", "google": "/v1beta"}[provider]
        model = ["-s", f"models.default={provider}:m"]
        out = tmp_path / "out"
        ended = lbi("run", "--repo", folder, "--out", out, "--quiet", *model, **{f"{variable}_BASE_URL": address})
        process.terminate()
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert "this key may not use chat" in last
    assert "rejects every call" in last
    assert "Traceback" not in ended.stderr


def test_each_row_of_the_table_names_tests_that_exist() -> None:
    text = (Path(__file__).parents[1] / "docs/providers.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "`test_" in line]
    assert len(rows) >= 30
    code = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in code, name
