"""HTTP status and body of an error -> the failure: 429 -> "rate limit", 400 "prompt is too long" -> "too long"."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from lbi.errors import FailureKind, ModelBusy, ModelError
from lbi.models.providers._left import duration, left
from lbi.storage.secrets import mask

_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "too many tokens",
    "maximum number of tokens",
    "payload size exceeds",
    "context limit",
    "maximum prompt length",
    "reduce the length of the messages",
    "input is too long",
    "`inputs` tokens + `max_new_tokens`",
    "too long for requested model",
)
#: ... so named that the status does not matter: llama.cpp has sent 500 with it
_SURELY_TOO_LONG = ("context_length_exceeded", "exceed_context_size", "available context size")
#: what a chat template says of turns that it does not take; llama.cpp sends 500 with it, proxies also 404
_TEMPLATE = (
    *("raise_exception", "jinja exception", "roles must alternate", "system role not supported"),
    *("system message must be at the beginning", "only user and assistant roles are supported"),
)
#: rate limits and errors that no waiting lifts, at least not today
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached", "credit balance is too low", "requestsperday")
_FLAGGED = ("moderation", "flagged")
#: a filter of the provider's that looked at the content, which comes as a 400 from most
_FILTERED = (
    *("content_filter", "content filter", "content management policy", "responsibleaipolicy", "content_policy"),
    *("content policy", "usage policy", "usage policies", "safety system", "safety reasons", "data_inspection_failed"),
    *("inappropriate content", "sensitive content", "prohibited_content", "prohibited content", "guardrail"),
    *("contentfilter", "content_moderation", "blocked by", "invalid_prompt"),
)
_BUSY: dict[int, FailureKind] = {
    408: "timeout",
    409: "server error",
    424: "server error",
    425: "server error",
    499: "server error",
    498: "overloaded",
    429: "rate limit",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_FATAL: dict[int, FailureKind] = {401: "authentication", 402: "no money", 403: "authentication", 404: "unknown model"}
_ADVICE = {
    "too long": "the prompt exceeds what the model takes",
    "no money": "no money or quota is left at the provider",
}


def failure(status: int, body: Any, headers: Mapping[str, str], name: str) -> ModelError:
    """The failure that an HTTP status, and the JSON or text that came with it, stand for."""
    kind = _kind(status, _all_texts(body))
    if status == 402 and "retry-after" in headers:  # money that other calls have under way
        kind = "rate limit"
    cause = f"{_ADVICE[kind]}, HTTP {status}" if kind in _ADVICE else f"HTTP {status}"
    stated = _message(body)
    parameter = _parameter(body)
    if parameter and parameter not in stated:
        stated = f"{stated}; parameter: {parameter}"
    message = f"{name}: {kind}: {cause}" + (f" ({stated})" if stated else "")
    if 300 <= status < 400:
        message += f"; the address leads on to {headers.get('location', 'another')[:200]}: write that one"
    if status == 404 and "model" not in stated.lower():
        message += "; see that the address is right: most end with /v1"
    if kind in _BUSY.values():
        return ModelBusy(message, kind=kind, retry_after=_retry_after(headers, body), left=left(headers))
    return ModelError(message, kind=kind)


def failure_inside(body: Mapping[str, Any], headers: Mapping[str, str], name: str) -> ModelError | None:
    """An error that came with status 200, as routers pass on those of the servers behind them."""
    error = body.get("error")
    if not error:
        return None
    code = _code_of(error)
    if code:
        return failure(code, body, headers, name)
    message = f"{name}: malformed: the reply holds an error instead of an answer ({_message(body)})"
    return ModelBusy(message, kind="malformed")


_WORDS_OF_STATUS = (
    (429, ("rate limit", "rate_limit", "too many requests", "throttl")),
    (404, ("unexpected endpoint",)),  # LM Studio's answer to an address without /v1, with status 200
    (503, ("overloaded", "unavailable", "at capacity", "no available", "loading model", "try again later")),
    (400, ("invalid_request", "bad_request", "badrequest")),
)


def _code_of(error: Any) -> int:
    """The HTTP status that an error in a good answer stands for; 0 where it does not say."""
    codes: tuple[Any, ...] = (error.get("code"), error.get("status")) if isinstance(error, dict) else ()
    for code in codes:
        with contextlib.suppress(TypeError, ValueError):
            if 400 <= int(code) < 600:
                return int(code)
    text = _all_texts(error)
    return next((code for code, words in _WORDS_OF_STATUS if any(word in text for word in words)), 0)


def _kind(status: int, text: str) -> FailureKind:
    if any(phrase in text for phrase in _NO_MONEY):
        return "no money"
    if any(phrase in text for phrase in _SURELY_TOO_LONG):
        return "too long"
    if any(phrase in text for phrase in _TEMPLATE):
        return "bad request"
    if status in (400, 422) and any(phrase in text for phrase in _TOO_LONG):
        return "too long"
    if status == 413 or (status == 429 and "request too large" in text):  # more than a minute's limit holds
        return "too long"
    if "api_key_invalid" in text:
        return "authentication"
    if status in (400, 403, 422, 451) and any(phrase in text for phrase in (*_FLAGGED, *_FILTERED)):
        return "refused"
    if status in _BUSY:
        return _BUSY[status]
    return "server error" if status >= 500 else _FATAL.get(status, "bad request")


def _all_texts(body: Any) -> str:
    """All that an error says, in lower case, however it is nested."""
    if isinstance(body, dict):
        return " ".join(_all_texts(part) for part in body.values())
    if isinstance(body, list):
        return " ".join(_all_texts(part) for part in body)
    return str(body).lower()


def _parameter(body: Any) -> str:
    """The parameter that OpenAI and those like it name apart from the message."""
    error = body.get("error") if isinstance(body, dict) else None
    named = error.get("param") if isinstance(error, dict) else None
    return named[:60] if isinstance(named, str) else ""


def _message(body: Any) -> str:
    """The message of an error: {"error": {"message"}}, Ollama's {"error"}, FastAPI's {"detail"}, or a list of one.

    A router's own words ("Provider returned error") are followed by those of the server behind it.
    """
    body = body[0] if isinstance(body, list) and body else body
    inner = body.get("error") or body.get("message") or body.get("detail") if isinstance(body, dict) else body
    text = inner.get("message") or inner if isinstance(inner, dict) else inner
    behind = inner.get("metadata") if isinstance(inner, dict) else None
    if isinstance(behind, dict) and behind.get("raw"):
        text = f"{text}: {behind['raw']}"
    message = "" if text is None else " ".join(str(text).split())
    return mask(message)[:500]


_AGAIN = re.compile(r"try again in (\d+(?:\.\d+)?)\s?(ms|s|m)\b")


def _retry_after(headers: Mapping[str, str], body: Any) -> float | None:
    """Seconds to wait, from retry-after-ms, retry-after (seconds or a date) or a detail of Google's."""
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(TypeError, ValueError):
            return max(0.0, float(headers.get(header, "none")) * unit)
    if (seconds := duration(headers.get("retry-after"))) is not None:  # 30s, 1m30s
        return seconds
    with contextlib.suppress(TypeError, ValueError):
        when = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    with contextlib.suppress(TypeError, ValueError):
        if said := _AGAIN.search(_all_texts(body)):
            return float(said[1]) * {"ms": 0.001, "m": 60.0}.get(said[2], 1.0)
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else []:
        with contextlib.suppress(AttributeError, TypeError, ValueError):
            return max(0.0, float(str(detail.get("retryDelay")).removesuffix("s")))
    return None
