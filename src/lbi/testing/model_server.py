"""A server on loopback that speaks the wire formats of OpenAI and Anthropic, and fails in the ways that real ones do.

async with ModelServer([Answer(status=429, retry_after=1), "hello"]) as server:
    model = open_model("openai:any", base_url=server.openai_url)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from aiohttp import web

Json = dict[str, Any]
#: what is wrong with an answer that arrives with status 200, or does not arrive
Flaw = Literal["", "empty", "refused", "truncated", "malformed", "no_answer", "no_usage", "reset", "hang"]

_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True)
class Answer:
    """One answer of the server: a reply, an error, or a failure to answer."""

    text: str = "ok"
    status: int = 200
    flaw: Flaw = ""
    retry_after: float | None = None  # seconds, as a header
    message: str = ""  # of an error
    code: str = ""  # of an error, OpenAI only
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

Script = Iterable[Answer | str] | Callable[[Json], Answer | str]


@dataclass
class ModelServer:
    """Gives the answers of ``script`` in order, the last one for ever, or those of a function of the request's body."""

    script: Script = ("ok",)
    requests: list[Json] = field(default_factory=list)  # bodies, with the headers under "headers"
    most_at_once: int = 0  # requests that were being answered at the same time
    url: str = ""

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        return self.url

    async def __aenter__(self) -> ModelServer:
        from aiohttp import web

        self._left = None if callable(self.script) else list(self.script)
        self._open = 0
        self._closing = asyncio.Event()
        application = web.Application(client_max_size=64 * 1024**2)
        application.router.add_post("/v1/chat/completions", self._openai)
        application.router.add_post("/v1/messages", self._anthropic)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, openai_body, openai_error)

    async def _anthropic(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, anthropic_body, anthropic_error)

    async def _serve(
        self, request: web.Request, body: Callable[[Answer, Json], Json], error: Callable[[Answer], Json]
    ) -> web.StreamResponse:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            asked: Json = {**await request.json(), "headers": dict(request.headers)}
            self.requests.append(asked)
            return await self._answered(request, self._next(asked), asked, body, error)
        finally:
            self._open -= 1

    def _next(self, asked: Json) -> Answer:
        if callable(self.script):
            found = self.script(asked)
        else:
            assert self._left is not None
            found = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return Answer(found) if isinstance(found, str) else found

    async def _answered(
        self,
        request: web.Request,
        answer: Answer,
        asked: Json,
        body: Callable[[Answer, Json], Json],
        error: Callable[[Answer], Json],
    ) -> web.StreamResponse:
        from aiohttp import web

        if answer.flaw == "hang":
            await self._closing.wait()
        if answer.flaw in ("reset", "hang"):
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if answer.flaw == "malformed":
            return web.Response(text='{"id": "half of a rep', content_type="application/json")
        headers = {} if answer.retry_after is None else {"retry-after": f"{answer.retry_after:g}"}
        said = body(answer, asked) if answer.status == 200 else error(answer)
        return web.json_response(said, status=answer.status, headers=headers)


def openai_body(answer: Answer, asked: Json) -> Json:
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
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked.get("model"),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
                "finish_reason": "length" if answer.flaw == "truncated" else "stop",
            }
        ],
        **({} if answer.flaw == "no_usage" else {"usage": usage}),
    }


def openai_error(answer: Answer) -> Json:
    """An error as OpenAI words it."""
    message = answer.message or f"error {answer.status}"
    return {
        "error": {"message": message, "type": _ERRORS.get(answer.status), "param": None, "code": answer.code or None}
    }


def anthropic_body(answer: Answer, asked: Json) -> Json:
    """A message of Claude."""
    if answer.flaw == "no_answer":
        return {"type": "error", "error": {"type": "api_error", "message": "upstream failed"}}
    silent = answer.flaw in ("empty", "refused")
    stop = {"refused": "refusal", "truncated": "max_tokens"}.get(answer.flaw, "end_turn")
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
        "model": asked.get("model"),
        "content": [] if silent else [{"type": "text", "text": answer.text}],
        "stop_reason": stop,
        "stop_sequence": None,
        **({} if answer.flaw == "no_usage" else {"usage": usage}),
    }


def anthropic_error(answer: Answer) -> Json:
    """An error as Anthropic words it."""
    error = {"type": _ERRORS.get(answer.status, "api_error"), "message": answer.message or f"error {answer.status}"}
    return {"type": "error", "error": error}
