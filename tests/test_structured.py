"""Structured replies: what is asked for over the wire, per provider and role, and one parser for all forms."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lbi.config import resolve
from lbi.errors import ModelError, ParseError
from lbi.models import parsing
from lbi.models.middleware.cache import call_key
from lbi.models.registry import open_model
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.models.testing.wire_formats import Json
from lbi.prompts import part_of, render
from lbi.protocols import PARTS_OF_A_RUN, Fields, Model, Part, PromptLimits, Request
from lbi.records import Action, Document, Observation, Step, Task, Trajectory

PROVIDERS = ("anthropic", "google", "openai")
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "google": "GEMINI_API_KEY"}
TASK, PAGE = Task(instruction="Close ticket 7", environment="web"), Observation(text='button "Close" [e1]')
STEP = Step(observation=PAGE, action=Action(text="click(e1)", kind="click"))
RUN = Trajectory(task=TASK, agent="a", steps=(STEP, STEP), last=PAGE, stop="done")
SPAN = {"trajectory": RUN, "start": 0, "end": 2}
SPANS = ((0, 1), (1, 2))
VOTE = '"aligned": true, "coherent": true, "natural": false, "reasonable": true'

#: role -> its fields, its parser, what it means, the reply in the prompt's own form, and the same by the schema
CASES: dict[str, tuple[Request, Any, Any, str, str]] = {
    "propose": (
        Request(role="propose", fields=Fields(document=Document(text="Press Close.", source="x"), count=1)),
        parsing.propose,
        [parsing.Proposal("Close it", "Press [Close].", ending=True)],
        '[{"instruction": "Close it", "quote": "Press [Close].", "ending": true}]',
        '{"tasks": [{"instruction": "Close it", "quote": "Press [Close].", "ending": true}]}',
    ),
    "act": (
        Request(role="act", fields=Fields(task=TASK, observation=PAGE)),
        parsing.act,
        ("It is open", 'fill(e1, "a \\"b\\"")'),
        'REASON: It is open\nACTION: fill(e1, "a \\"b\\"")',
        json.dumps({"reason": "It is open", "action": 'fill(e1, "a \\"b\\"")'}, indent=1),
    ),
    "query": (
        Request(role="query", fields=Fields(task=TASK, observation=PAGE)),
        parsing.query,
        "close a ticket",
        "close a ticket",
        '{"query": "close\\na ticket"}',
    ),
    "abstract": (
        Request(role="abstract", fields=Fields(**SPAN)),
        parsing.instruction,
        'Close "7"',
        'Close "7"',
        '{"instruction": "Close \\"7\\""}',
    ),
    "summarise": (
        Request(role="summarise", fields=Fields(**SPAN)),
        parsing.summary,
        "Replicate the following: press Close.",
        "Replicate the following: press Close.",
        '{"summary": "Replicate the following: press Close."}',
    ),
    "abstract of spans": (
        Request(role="abstract", fields=Fields(**SPAN, spans=SPANS)),
        parsing.of_spans(parsing.instruction, ("0-1", "1-2")),
        {"0-1": "Look", "1-2": "Close it"},
        '{"0-1": "Look", "1-2": "Close it"}',
        '{"labels": [{"span": "0-1", "text": "Look"}, {"span": "1-2", "text": "Close it"}]}',
    ),
    "judge": (
        Request(role="judge", fields=Fields(**SPAN, instruction="Close it")),
        parsing.vote("m"),
        parsing.vote("m")(f'{{"reason": "so", {VOTE}}}'),
        "reason: so\naligned: yes\ncoherent: yes\nnatural: no\nreasonable: yes",
        f'{{"reason": "so", {VOTE}}}',
    ),
}


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def opened(
    provider: str, script: Any, structured: tuple[Part, ...] | None = PARTS_OF_A_RUN
) -> AsyncIterator[tuple[Model, ModelServer]]:
    async with ModelServer(script) as server:
        model = open_model(
            f"{provider}:some", base_url=server.url_of(provider), limits=PromptLimits(structured=structured)
        )
        try:
            yield model, server
        finally:
            await model.close()


def schema_sent(asked: Json) -> Json | None:
    """The schema in a request, wherever its provider has it."""
    if "response_format" in asked:
        form = asked["response_format"]
        assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
        return form["json_schema"]["schema"]
    if "output_config" in asked:
        form = asked["output_config"]["format"]
        assert form["type"] == "json_schema"
        return form["schema"]
    generation = asked.get("generationConfig", {})
    assert ("responseSchema" in generation) == (generation.get("responseMimeType") == "application/json")
    return generation.get("responseSchema")


def prompt_sent(asked: Json) -> str:
    return json.dumps([asked.get(part) for part in ("system", "systemInstruction", "messages", "contents")])


@pytest.mark.parametrize("case", CASES)
async def test_the_schema_goes_over_the_wire_and_the_reply_is_read(provider: str, case: str) -> None:
    request, parser, meant, _, structured = CASES[case]
    async with opened(provider, [structured]) as (model, server):
        found, _ = await parsing.ask(model, request, parser)
    (asked,) = server.requests
    schema = schema_sent(asked)
    assert schema is not None
    assert fits(json.loads(structured), schema, provider)
    assert found == meant
    assert "nothing else" not in prompt_sent(asked) or case == "judge"  # the prompt asks for what the schema demands


def fits(value: Any, schema: Json, provider: str) -> bool:
    """Whether a reply is what a schema of ours allows; strict forms allow nothing optional and nothing beside it."""
    kind = schema["type"]
    if kind == "object":
        assert schema["required"] == list(schema["properties"])
        assert schema.get("additionalProperties", None) == (None if provider == "google" else False)
        inner = schema["properties"]
        return set(value) == set(inner) and all(fits(value[name], inner[name], provider) for name in inner)
    if kind == "array":
        return isinstance(value, list) and all(fits(each, schema["items"], provider) for each in value)
    return isinstance(value, {"string": str, "boolean": bool}[kind])


@pytest.mark.parametrize("case", CASES)
async def test_off_for_a_part_its_prompt_is_the_usual_one_and_the_same_parser_reads_it(
    provider: str, case: str
) -> None:
    request, parser, meant, plain, _ = CASES[case]
    others = tuple(part for part in PARTS_OF_A_RUN if part != part_of(request.role))
    async with opened(provider, [plain], others) as (model, server):
        found, _ = await parsing.ask(model, request, parser)
    assert schema_sent(server.requests[0]) is None
    assert render(request, PromptLimits(structured=others)) == render(request, PromptLimits())
    assert found == meant


@pytest.mark.parametrize("case", CASES)
def test_one_parser_reads_both_forms(case: str) -> None:
    _, parser, meant, plain, structured = CASES[case]
    assert parser(plain) == parser(structured) == meant


@pytest.mark.parametrize("case", CASES)
def test_the_form_of_the_reply_is_part_of_the_cache_key_where_the_prompt_says_it(case: str) -> None:
    request, *_ = CASES[case]
    messages = [render(request, PromptLimits(structured=structured)) for structured in ((), PARTS_OF_A_RUN)]
    plain, structured = (call_key("m", request, each) for each in messages)
    assert (plain == structured) == (case == "judge")  # which asks for one JSON object anyhow


async def test_a_model_that_takes_no_schema_is_asked_in_the_prompts_own_form_from_then_on(provider: str) -> None:
    request, parser, meant, plain, _ = CASES["act"]
    no = Answer(status=400, message="Invalid parameter: json_schema is not supported with this model")
    async with opened(provider, [no, plain, plain]) as (model, server):
        assert (await parsing.ask(model, request, parser))[0] == meant
        assert (await parsing.ask(model, request, parser))[0] == meant
    assert [schema_sent(asked) is None for asked in server.requests] == [False, True, True]
    assert ["ACTION: " in prompt_sent(asked) for asked in server.requests] == [False, True, True]


async def test_another_bad_request_is_not_blamed_on_the_schema(provider: str) -> None:
    async with opened(provider, [Answer(status=400, message="messages: too many")]) as (model, server):
        with pytest.raises(ModelError, match="too many"):
            await model.complete(CASES["act"][0])
    assert len(server.requests) == 1


async def test_left_open_a_server_of_ones_own_is_asked_in_the_prompts_own_form(provider: str) -> None:
    async with opened(provider, [CASES["act"][3]], None) as (model, server):
        await model.complete(CASES["act"][0])
    assert schema_sent(server.requests[0]) is None


def test_left_open_the_providers_own_endpoint_is_asked_for_structure(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEYS[provider], "k")
    name = {"anthropic": "claude-sonnet-4-5", "google": "gemini-2.5-flash", "openai": "gpt-5-mini"}[provider]
    model: Any = open_model(f"{provider}:{name}", limits=resolve({}, "test").limits)
    assert model.info.limits.structured == PARTS_OF_A_RUN
    off: Any = open_model(f"{provider}:{name}", limits=resolve({"models": {"structured": ["judge"]}}, "test").limits)
    assert off.info.limits.structured == ("judge",)


@pytest.mark.parametrize("said", ['{"reason": "so"}', '{"reason": "so", "action": "press it"}', '{"action": 3}'])
def test_an_object_without_an_action_is_unreadable(said: str) -> None:
    with pytest.raises(ParseError):
        parsing.act(said)


@pytest.mark.parametrize("said", ['{"query": ""}', '{"query": 3}', '{"other": "x"}'])
def test_an_object_that_is_no_query_is_taken_for_what_it_says(said: str) -> None:
    """Only the text under the expected name is the reply; braces alone make no reply structured."""
    if said == '{"query": ""}':
        with pytest.raises(ParseError):
            parsing.query(said)
    else:
        assert parsing.query(said) == said
