"""An answer of the test server -> the body that a provider would send: Answer("hi") -> {"choices": [...]}."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Json = dict[str, Any]
#: what is wrong with an answer that arrives with status 200, or does not arrive (whole)
Flaw = Literal[
    "",
    "empty",  # no text
    "refused",
    "truncated",  # the model ran out of tokens
    "malformed",  # half of a JSON object
    "not_json",  # the page of some proxy
    "wrong_shape",  # JSON, and not that of a reply
    "no_answer",  # an error in the body of a 200
    "no_usage",
    "null_usage",
    "no_finish",  # no reason why the reply ended
    "reset",  # the connection is dropped before the answer
    "cut_off",  # the connection is closed in the middle of a body of known length
    "cut_stream",  # ... of a body that is sent in chunks
    "stall",  # the answer begins and never ends
    "hang",  # the answer never begins
    "expired",  # of a batch: the call was not carried out in time
]

_OPENAI_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_GOOGLE_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


@dataclass(frozen=True)
class Answer:
    """One answer of the server: a reply, an error, or a failure to answer."""

    text: str = "ok"
    status: int = 200
    flaw: Flaw = ""
    latency: float = 0.0  # seconds until the answer begins
    retry_after: float | None = None  # seconds: as a header, of Google in the error's details
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None  # sent as it is, in place of a provider's own: JSON, or bytes that may be anything
    message: str = ""  # of an error
    code: str = ""  # of an error: OpenAI's code, the reason in Google's details
    input_tokens: int = 100  # as billed, cached and written ones included
    output_tokens: int = 20
    cached_tokens: int = 0
    written_tokens: int = 0


CONTEXT_TOO_LONG = Answer(
    status=400,
    message="prompt is too long: this model's maximum context length is 8192 tokens",
    code="context_length_exceeded",
)
NO_TEMPERATURE = Answer(status=400, message="`temperature` is not supported with this model", code="unsupported_value")


class Format(NamedTuple):
    """What a provider makes of an answer: ``body(answer, request)`` with status 200, ``error(answer)`` with another."""

    body: Callable[[Answer, Json], Json]
    error: Callable[[Answer], Json]


def openai_body(answer: Answer, request: Json) -> Json:
    """A chat completion."""
    if answer.flaw == "no_answer":
        return {"error": {"message": "upstream failed", "code": 502}}
    text, refusal = answer.text, None
    if answer.flaw in ("empty", "refused"):
        text, refusal = "", "I cannot help with that." if answer.flaw == "refused" else None
    usage = {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": answer.cached_tokens,
            "cache_write_tokens": answer.written_tokens,
        },
    }
    choice: Json = {"index": 0, "message": {"role": "assistant", "content": text, "refusal": refusal}}
    if answer.flaw != "no_finish":
        choice["finish_reason"] = "length" if answer.flaw == "truncated" else "stop"
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": request.get("model")}
    return {**head, "choices": [choice], **_usage("usage", usage, answer)}


def openai_error(answer: Answer) -> Json:
    """An error as OpenAI words it."""
    kind = _OPENAI_ERRORS.get(answer.status)
    return {"error": {"message": _message(answer), "type": kind, "param": None, "code": answer.code or None}}


def anthropic_body(answer: Answer, request: Json) -> Json:
    """A message of Claude."""
    if answer.flaw == "no_answer":
        return {"type": "error", "error": {"type": "api_error", "message": "upstream failed"}}
    silent = answer.flaw in ("empty", "refused")
    stop = {"refused": "refusal", "truncated": "max_tokens", "no_finish": None}.get(answer.flaw, "end_turn")
    usage = {
        "input_tokens": answer.input_tokens - answer.cached_tokens - answer.written_tokens,
        "output_tokens": answer.output_tokens,
        "cache_read_input_tokens": answer.cached_tokens,
        "cache_creation_input_tokens": answer.written_tokens,
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request.get("model"),
        "content": [] if silent else [{"type": "text", "text": answer.text}],
        "stop_reason": stop,
        "stop_sequence": None,
        **_usage("usage", usage, answer),
    }


def anthropic_error(answer: Answer) -> Json:
    """An error as Anthropic words it."""
    kind = _OPENAI_ERRORS.get(answer.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": _message(answer)}}


def google_body(answer: Answer, request: Json) -> Json:
    """A reply of Gemini."""
    if answer.flaw == "no_answer":
        return {"error": {"code": 503, "message": "upstream failed", "status": "UNAVAILABLE"}}
    usage = {
        "promptTokenCount": answer.input_tokens,
        "candidatesTokenCount": answer.output_tokens,
        "cachedContentTokenCount": answer.cached_tokens,
        "totalTokenCount": answer.input_tokens + answer.output_tokens,
    }
    candidate: Json = {"index": 0}
    if answer.flaw != "no_finish":
        candidate["finishReason"] = {"refused": "SAFETY", "truncated": "MAX_TOKENS"}.get(answer.flaw, "STOP")
    if answer.flaw not in ("empty", "refused"):
        candidate["content"] = {"role": "model", "parts": [{"text": answer.text}]}
    return {"candidates": [candidate], "modelVersion": "gemini", **_usage("usageMetadata", usage, answer)}


def google_error(answer: Answer) -> Json:
    """An error as Google words it: the wait it asks for is no header but a detail."""
    details: list[Json] = []
    if answer.code:
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": answer.code})
    if answer.retry_after is not None:
        wait = f"{answer.retry_after:g}s"
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait})
    status = _GOOGLE_ERRORS.get(answer.status, "UNKNOWN")
    return {"error": {"code": answer.status, "message": _message(answer), "status": status, "details": details}}


FORMATS = {
    "openai": Format(openai_body, openai_error),
    "anthropic": Format(anthropic_body, anthropic_error),
    "google": Format(google_body, google_error),
}


def _message(answer: Answer) -> str:
    return answer.message or f"error {answer.status}"


def _usage(name: str, usage: Json, answer: Answer) -> Json:
    if answer.flaw == "no_usage":
        return {}
    return {name: None if answer.flaw == "null_usage" else usage}
