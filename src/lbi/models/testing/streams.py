"""An answer of the test server -> the events of a stream, and the body of OpenAI's Responses, as providers send them.

Answer("hi there") -> data: {"choices": [{"delta": {"content": "hi "}}]}, ..., data: [DONE]
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from lbi.models.testing.wire_formats import Answer, Json, anthropic_body, openai_body, openai_error

_PIECES = re.compile(r"\S+\s*|\s+")


def responses_body(answer: Answer, request: Json) -> Json:
    """A reply of OpenAI's Responses."""
    part = {"type": "output_text", "text": answer.text, "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": request.get("model"),
        "status": "completed",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "usage": usage,
    }


def chat_events(answer: Answer, request: Json) -> Iterator[bytes]:
    """Chunks of a chat completion."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request.get("model")}

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        return _data({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    for piece in _PIECES.findall(answer.text):
        yield chunk({"content": piece})
    yield chunk({}, "stop")
    if (request.get("stream_options") or {}).get("include_usage"):
        yield _data({**head, "choices": [], "usage": openai_body(answer, request)["usage"]})
    yield b"data: [DONE]\n\n"


def responses_events(answer: Answer, request: Json) -> Iterator[bytes]:
    """Events of OpenAI's Responses."""
    whole = responses_body(answer, request)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    message = whole["output"][0]
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**message, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **at, "part": empty},
        *(
            {"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []}
            for piece in _PIECES.findall(answer.text)
        ),
        {"type": "response.output_text.done", **at, "text": answer.text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": message["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.completed", "response": whole},
    ]
    for number, event in enumerate(events):
        yield _named({**event, "sequence_number": number})


def anthropic_events(answer: Answer, request: Json) -> Iterator[bytes]:
    """Events of a message of Claude."""
    whole = anthropic_body(answer, request)
    yield _named({"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}})
    yield _named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for piece in _PIECES.findall(answer.text):
        yield _named({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    yield _named({"type": "content_block_stop", "index": 0})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _named({"type": "message_delta", "delta": delta, "usage": {"output_tokens": answer.output_tokens}})
    yield _named({"type": "message_stop"})


#: by the end of a path: what a stream of an answer consists of
STREAMS: dict[str, Callable[[Answer, Json], Iterator[bytes]]] = {
    "/v1/chat/completions": chat_events,
    "/v1/responses": responses_events,
    "/v1/messages": anthropic_events,
}
RESPONSES = (responses_body, openai_error)


def _data(event: Json) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _named(event: Json) -> bytes:
    return f"event: {event['type']}\n".encode() + _data(event)
