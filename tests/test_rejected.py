"""What a provider rejects: a parameter is changed and remembered, a filter is a refusal, and every call is the end."""

from __future__ import annotations

from typing import Any

import pytest

from lbi.errors import ModelError, ModelUnavailable
from lbi.models.middleware.retry import Retry, retried
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.protocols import Fields, Request
from lbi.records import Document

REQUEST = Request(role="propose", fields=Fields(document=Document(text="Press Save.", source="guide.md"), count=1))
NEWER = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
Body = dict[str, Any]


def picky(message: str, wrong: Any) -> Any:
    return lambda body: Answer(status=400, message=message) if wrong(body) else Answer("fine")


PICKY: dict[str, tuple[str, Any]] = {
    "the newer name": (NEWER, lambda body: "max_tokens" in body),
    "no limit at all": ("max_tokens, max_completion_tokens: extra inputs", lambda body: "max_" in " ".join(body)),
    "fewer tokens": (
        "max_tokens is too large: 1024. This model supports at most 512 completion tokens, whereas you provided 1024.",
        lambda body: body.get("max_tokens", 0) > 512,
    ),
    "no temperature": ("`temperature` does not support 0.0 with this model", lambda body: "temperature" in body),
    "no system turn": ("System role not supported", lambda body: body["messages"][0]["role"] == "system"),
    "turns of two kinds": (
        "Conversation roles must alternate user/assistant/user/assistant/...",
        lambda body: body["messages"][0]["role"] != "user",
    ),
}


@pytest.mark.parametrize("case", PICKY)
async def test_what_the_error_names_is_changed_and_remembered(case: str) -> None:
    message, wrong = PICKY[case]
    async with ModelServer(picky(message, wrong)) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        try:
            assert (await model.complete(REQUEST)).text == "fine"
            before = len(server.requests)
            assert (await model.complete(REQUEST)).text == "fine"
        finally:
            await model.close()
        assert len(server.requests) == before + 1
        sent, first = server.requests[-1], server.requests[0]
    assert sent["messages"][-1]["content"].endswith(first["messages"][-1]["content"])


async def test_several_things_that_a_model_does_not_take_are_all_changed() -> None:
    def answer(body: Body) -> Answer:
        for message, wrong in (PICKY["the newer name"], PICKY["no temperature"], PICKY["no system turn"]):
            if wrong(body):
                return Answer(status=400, message=message)
        return Answer("fine")

    async with ModelServer(answer) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        assert (await model.complete(REQUEST)).text == "fine"
        await model.close()


@pytest.mark.parametrize("answered", [False, True])
async def test_a_provider_that_rejects_every_call_ends_the_run_with_its_words(answered: bool) -> None:
    async with ModelServer([Answer(status=400, message="tools are required here")]) as server:
        model = retried(open_model("openai:any", base_url=server.openai_url), Retry(), answered=answered)
        try:
            for _ in range(4 if answered else 0):
                with pytest.raises(ModelError):
                    await model.complete(REQUEST)
            with pytest.raises(ModelUnavailable, match="tools are required here"):
                await model.complete(REQUEST)
        finally:
            await model.close()


async def test_one_request_that_is_rejected_does_not_end_a_run() -> None:
    bad = Answer(status=400, message="odd prompt")
    async with ModelServer(["a", bad, "b", bad, bad, "c"]) as server:
        model = retried(open_model("openai:any", base_url=server.openai_url), Retry())
        got = []
        for _ in range(6):
            try:
                got.append((await model.complete(REQUEST)).text)
            except ModelError as error:
                got.append(error.kind)
        await model.close()
    assert got == ["a", "bad request", "b", "bad request", "bad request", "c"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=400, code="content_filter", message="The response was filtered"),
        Answer(status=400, message="triggering Azure OpenAI's content management policy. Please modify your prompt"),
        Answer(status=400, code="data_inspection_failed", message="Input data may contain inappropriate content."),
        Answer(status=400, message="Your request was rejected as a result of our safety system."),
        Answer(status=400, code="content_policy_violation"),
    ],
    ids=lambda answer: (answer.code or answer.message)[:20],
)
async def test_a_400_of_a_content_filter_is_a_refusal(answer: Answer) -> None:
    async with ModelServer([answer]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(ModelError) as raised:
            await model.complete(REQUEST)
        await model.close()
    assert raised.value.kind == "refused"


def nested() -> Body:
    body: Any = "x"
    for _ in range(900):
        body = {"a": body}
    return {"choices": body, "error": None}


@pytest.mark.parametrize("status", [200, 400])
async def test_a_body_of_any_depth_is_a_failure_with_a_name(status: int) -> None:
    async with ModelServer([Answer(status=status, body=nested())]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(ModelError):
            await model.complete(REQUEST)
        await model.close()


async def test_a_body_of_50_megabytes_is_the_models_failure() -> None:
    async with ModelServer([Answer("x" * 50_000_000)]) as server:
        model = open_model("openai:any", base_url=server.openai_url)
        with pytest.raises(ModelError, match="longer than") as raised:
            await model.complete(REQUEST)
        await model.close()
    assert raised.value.kind == "malformed"
