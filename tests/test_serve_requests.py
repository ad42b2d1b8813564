"""How the proxy reads requests of other agents: what they are to do, what they see, where something can be added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbi.interop.server.conversation import Conversation, Segment, instruction_in, segments
from lbi.interop.server.json_places import added_text, document, with_insertions
from lbi.interop.server.observed import observation_of
from lbi.interop.server.requests import Format, format_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(), values, max_size=4),
    st.text() | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": st.text()}), max_size=2),
    st.text(min_size=1).map(lambda text: text.replace("\ud800", "")),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_what_is_added_is_at_its_place_and_all_else_is_as_it_was(
    others: dict[str, Any], content: Any, added: str, indent: int | None, ascii_only: bool
) -> None:
    request = {**others, "messages": [{"role": "user"}, {"content": content, "role": "user", **others}], "z": others}
    written = json.dumps(request, indent=indent, ensure_ascii=ascii_only)
    _, message = document(written, "messages")["messages"].items
    wanted = json.loads(written)["messages"][1]["content"]
    insertion = added_text(written, message, "content", "text", added)
    if "content" in others and not isinstance(wanted, str | list):
        assert insertion is None
        return
    assert insertion is not None
    longer = with_insertions(written, [insertion])
    read = json.loads(longer)
    told = read["messages"][1].pop("content")
    assert told == (
        f"{wanted}\n\n{added}".removeprefix("\n\n" if not wanted else "")
        if isinstance(wanted, str)
        else [*wanted, {"type": "text", "text": added}]
    )
    as_it_was = json.loads(written)
    del as_it_was["messages"][1]["content"]
    assert read == as_it_was
    assert longer.replace(insertion.text, "", 1) == written or insertion.text in written


@pytest.mark.parametrize(
    "written",
    ["", "[]", "{", '{"a": 1,}', '{"a" 1}', '{"a": 1} 2', '{"a": 1, "a": 2}', '{"m": [1 2]}', '{"m": [1,', "{1: 2}"],
)
def test_what_is_no_object_is_a_value_error(written: str) -> None:
    with pytest.raises(ValueError):
        document(written, "m")


def test_nothing_in_it_is_no_error() -> None:
    assert document(" { } ", "m") == {}
    assert document('{"m": [ ]}', "m")["m"].items == ()


# conversations


def read(path: str, request: dict[str, Any]) -> Conversation:
    form = format_of(path)
    assert isinstance(form, Format)
    return form.read(document(json.dumps(request), form.messages))


def told(path: str, request: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    """(instruction, what is seen now, actions so far) of each segment."""
    return [_told(segment) for segment in segments(read(path, request))]


def _told(segment: Segment) -> tuple[str, str, list[str]]:
    situation = segment.situation
    return situation.instruction, situation.observation.text, [step.action.text for step in situation.history]


def chat(*messages: tuple[str, Any], tools: bool = False) -> dict[str, Any]:
    listed = [{"role": role, "content": content} for role, content in messages]
    return {"messages": listed, **({"tools": [{"type": "function"}]} if tools else {})}


CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"


def test_paths_of_requests() -> None:
    known = {path: form.name for path in PATHS if (form := format_of(path))}
    assert known == {
        "/v1/chat/completions": "chat",
        "/api/v1/chat/completions": "chat",
        "/openai/deployments/x/chat/completions": "chat",
        "/v1/responses": "responses",
        "/v1/messages": "messages",
        "/v1/messages/count_tokens": "messages",
    }


PATHS = [
    "/v1/chat/completions",
    "/api/v1/chat/completions",
    "/openai/deployments/x/chat/completions",
    "/v1/responses",
    "/v1/responses/resp_1",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/messages/batches",
    "/v1/models",
    "/v1/embeddings",
    "/",
]


def test_an_agent_without_tools_has_its_instruction_first_and_sees_what_comes_after() -> None:
    request = chat(
        ("system", "act"),
        ("user", "Task: Close ticket 7\n\nURL: /\nlink [e1]"),
        ("assistant", "I look.\n```bash\nls -la\n```"),
        ("user", "a.txt"),
        ("assistant", "```sh\ncat a.txt\n```"),
        ("user", "hello"),
    )
    ((instruction, seen, actions),) = told(CHAT, request)
    assert (instruction, seen) == ("Close ticket 7", "hello")
    assert [action.split("\n")[-2] for action in actions] == ["ls -la", "cat a.txt"]
    (segment,) = segments(read(CHAT, request))
    assert [step.action.kind for step in segment.situation.history] == ["ls", "cat"]
    assert segment.situation.history[0].observation.url == "/"


def test_an_agent_with_tools_has_a_new_instruction_wherever_something_was_typed() -> None:
    calls = [
        {"function": {"name": "look", "arguments": '{"at": 1}'}},
        {"function": {"name": "find", "arguments": "{}"}},
    ]
    request = chat(("user", "Close ticket 7"), tools=True)
    request["messages"] += [
        {"role": "assistant", "content": "well", "tool_calls": calls},
        {"role": "tool", "content": "page one"},
        {"role": "tool", "content": [{"type": "text", "text": "page two"}]},
        {"role": "assistant", "content": "Done."},
        {"role": "user", "content": "Now open it again"},
    ]
    assert told(CHAT, request) == [
        ("Close ticket 7", "page one\npage two", ['look({"at": 1}); find({})']),
        ("Now open it again", "", []),
    ]


def test_what_a_program_adds_to_what_was_typed_is_no_instruction() -> None:
    reminder = "<system-reminder>\nBe brief\n</system-reminder>"
    blocks: Sequence[dict[str, Any]] = [{"type": "text", "text": reminder}, {"type": "text", "text": "Close ticket 7"}]
    request = {
        "tools": [{"name": "look"}],
        "messages": [
            {"role": "user", "content": blocks},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {"a": "ä"}}]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "a page"}]},
                    {"type": "text", "text": reminder},
                ],
            },
            {"role": "user", "content": reminder},
        ],
    }
    assert told(MESSAGES, request) == [("Close ticket 7", "a page", ['look({"a": "ä"})'])]


def test_items_of_responses_between_two_outputs_are_one_action() -> None:
    request = {
        "input": [
            {"role": "developer", "content": "act"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Close ticket 7"}]},
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look"}]},
            {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "1"},
            {"type": "computer_call", "action": {"type": "click"}, "call_id": "2"},
            {"type": "function_call_output", "call_id": "1", "output": "a page"},
            {"type": "computer_call_output", "call_id": "2", "output": {"type": "computer_screenshot"}},
            {"type": "item_reference", "id": "x"},
        ]
    }
    ((instruction, seen, actions),) = told(RESPONSES, request)
    assert (instruction, actions) == ("Close ticket 7", ['I look; look({}); computer({"type": "click"})'])
    assert seen.startswith("a page\n{")
    assert told(RESPONSES, {"input": "Close ticket 7"}) == [("Close ticket 7", "", [])]
    assert told(RESPONSES, {"input": [{"type": "function_call_output", "output": "alone"}]}) == []
    assert told(RESPONSES, {"previous_response_id": "x"}) == []


@pytest.mark.parametrize(
    ("text", "instruction", "rest"),
    [
        ("Close ticket 7", "Close ticket 7", ""),
        ("OBJECTIVE:\nClose ticket 7\n\nPAGE\nlink", "Close ticket 7", "PAGE\nlink"),
        ("You act.\n**Goal**: Close ticket 7\nlink", "Close ticket 7", "You act.\n\nlink"),
        ("# Task\n\nClose ticket 7\nand more", "Close ticket 7", "and more"),
        ("<user_request>\nClose\nticket 7\n</user_request>\n<state>x</state>", "Close\nticket 7", "<state>x</state>"),
        ("Close ticket 7\n\n" + "x" * 3000, "Close ticket 7", "x" * 3000),
        ("y" * 2500, "y" * 2000, "y" * 500),
    ],
)
def test_the_instruction_within_what_was_typed(text: str, instruction: str, rest: str) -> None:
    assert instruction_in(text) == (instruction, rest)


def test_a_page_of_another_tool_reads_like_ours() -> None:
    seen = observation_of(
        "### Page state\n- Page URL: http://localhost:3000/new?a=b\n- Page Title: New note\n"
        '- generic [ref=e1]:\n  - textbox "Title" [ref=e7]\n  - text: - a list\n'
    )
    assert (seen.url, seen.title) == ("/new?a=b", "New note")
    assert 'textbox "Title" [e7]' in seen.text
    assert "[ref=" not in seen.text
    plain = observation_of("- a list\n- of things, url: none")
    assert (plain.text, plain.url) == ("- a list\n- of things, url: none", "")
    assert observation_of("URL: /new\nTitle: New", url="/given").url == "/given"
    assert observation_of("url: http://[bad\n\ud800").url in ("", "http://[bad")
