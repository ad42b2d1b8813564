"""A server on loopback that speaks the formats of OpenAI, Anthropic and Google, and fails in the ways real ones do.

    async with ModelServer([Answer(status=429, retry_after=1), "hello"]) as server:
        model = open_model("openai:any", base_url=server.openai_url)

In a process of its own, until it is stopped; prints its address:
``python -m lbi.models.testing.model_server --latency 1``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.models.testing.batch_service import BatchService
from lbi.models.testing.improvised import improvised, journalled
from lbi.models.testing.streams import RESPONSES, STREAMS
from lbi.models.testing.wire_formats import CONTEXT_TOO_LONG, FORMATS, NO_TEMPERATURE, Answer, Flaw, Format, Json

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["CONTEXT_TOO_LONG", "NO_TEMPERATURE", "Answer", "Flaw", "ModelServer", "Script"]

Script = Iterable[Answer | str] | Callable[[Json], Answer | str]
_NOT_JSON = "<html><body>502 Bad Gateway</body></html>"
_BACKLOG = 4096  # connections that may arrive at once


@dataclass
class ModelServer:
    """Gives the answers of ``script`` in order, the last one for ever, or those of a function of the request's body."""

    script: Script = ("ok",)
    keep: bool = True  # keep the requests; without it memory stays flat however many come
    port: int = 0  # 0 = a free one
    requests: list[Json] = field(default_factory=list)  # bodies, with the headers under "headers"
    served: int = 0  # requests that arrived
    most_at_once: int = 0  # requests that were being answered at the same time
    url: str = ""
    batch_service: BatchService = field(init=False)  # its batches

    def __post_init__(self) -> None:
        self.batch_service = BatchService(self.next)

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        return self.url

    @property
    def google_url(self) -> str:
        return f"{self.url}/v1beta"

    def url_of(self, provider: str) -> str:
        """The base url under which a provider's client finds its format."""
        return {"openai": self.openai_url, "anthropic": self.anthropic_url, "google": self.google_url}[provider]

    async def __aenter__(self) -> ModelServer:
        from aiohttp import web

        self._left = None if callable(self.script) else list(self.script)
        self._open = 0
        self._closing = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, backlog=_BACKLOG)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        if self.batch_service.knows(request):
            return await self.batch_service.serve(request)
        form = _format_of(request.path)
        if form is None or request.method != "POST":
            return web.json_response({"error": {"message": f"nothing is at {request.path}"}}, status=404)
        self._open += 1
        self.served += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            body: Json = {**json.loads(await request.read()), "headers": dict(request.headers), "path": request.path_qs}
            if self.keep:
                self.requests.append(body)
            return await self._answered(request, self.next(body), body, form)
        finally:
            self._open -= 1

    def next(self, body: Json) -> Answer:
        """The script's answer to a request's body."""
        if callable(self.script):
            answer = self.script(body)
        else:
            assert self._left is not None
            answer = self._left.pop(0) if len(self._left) > 1 else self._left[0]
        return Answer(answer) if isinstance(answer, str) else answer

    async def _answered(self, request: web.BaseRequest, answer: Answer, body: Json, form: Format) -> web.StreamResponse:
        from aiohttp import web

        if answer.latency:
            await asyncio.sleep(answer.latency)
        if answer.flaw == "hang":
            await self._closing.wait()
        if answer.flaw in ("reset", "hang"):
            return _dropped(request)
        stream = next((events for end, events in STREAMS.items() if request.path.endswith(end)), None)
        if stream and body.get("stream") and answer.status == 200 and answer.body is None:
            return await self._streamed(request, list(stream(answer, body)), answer)
        usual = form.body(answer, body) if answer.status == 200 else form.error(answer)
        if isinstance(answer.body, bytes):
            return web.Response(body=answer.body, status=answer.status, headers=dict(answer.headers))
        text = json.dumps(usual if answer.body is None else answer.body)
        if answer.flaw in ("cut_off", "cut_stream", "stall"):
            return await self._half(request, text.encode(), answer.flaw)
        text = {"malformed": text[: len(text) // 2], "not_json": _NOT_JSON, "wrong_shape": "[1]"}.get(answer.flaw, text)
        headers = dict(answer.headers)
        if answer.retry_after is not None and form is not FORMATS["google"]:
            headers["retry-after"] = f"{answer.retry_after:g}"
        kind = "text/html" if answer.flaw == "not_json" else "application/json"
        return web.Response(body=text.encode(), status=answer.status, headers=headers, content_type=kind)

    async def _streamed(self, request: web.BaseRequest, events: list[bytes], answer: Answer) -> web.StreamResponse:
        """Events one by one; with a flaw the first half of them, and then the connection's end, or nothing for ever."""
        from aiohttp import web

        headers = {"content-type": "text/event-stream; charset=utf-8", **answer.headers}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        for event in events[: len(events) // 2] if answer.flaw in ("cut_stream", "stall") else events:
            await response.write(event)
        if answer.flaw == "stall":
            await self._closing.wait()
        if answer.flaw in ("cut_stream", "stall"):
            assert request.transport is not None
            request.transport.close()
        return response

    async def _half(self, request: web.BaseRequest, body: bytes, flaw: Flaw) -> web.StreamResponse:
        """The first half of a body, and then the end of the connection, or nothing for ever."""
        from aiohttp import web

        response = web.StreamResponse(headers={"content-type": "application/json"})
        if flaw == "cut_stream":
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if flaw == "stall":
            await self._closing.wait()
        assert request.transport is not None
        request.transport.close()  # after what was written has left, which abort would throw away
        return response


def _dropped(request: web.BaseRequest) -> web.StreamResponse:
    from aiohttp import web

    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _format_of(path: str) -> Format | None:
    if path.endswith("/v1/chat/completions"):
        return FORMATS["openai"]
    if path.endswith("/v1/responses"):
        return Format(*RESPONSES)
    if path.endswith("/v1/messages"):
        return FORMATS["anthropic"]
    return FORMATS["google"] if path.endswith(":generateContent") else None


def _read(file: Path) -> list[Answer]:
    """One answer per line: a JSON string, or an object of Answer's fields."""
    rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
    return [Answer(row) if isinstance(row, str) else Answer(**row) for row in rows]


async def serve(script: Script, port: int) -> None:
    """Serve until cancelled; the first line printed is the address."""
    async with ModelServer(script, keep=False, port=port) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m lbi.models.testing.model_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 = a free one, which is printed")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--answers", type=Path, help="JSON lines: a reply, or an object of Answer's fields")
    parser.add_argument("--improvise", action="store_true", help="replies that fit our prompts, by their hash")
    parser.add_argument("--journal", type=Path, help="file for a line per request that arrived: the hash of its turns")
    given = parser.parse_args()
    answers = _read(given.answers) if given.answers else [Answer()]
    script: Script = [replace(answer, latency=answer.latency or given.latency) for answer in answers]
    if given.improvise:
        script = improvised(given.latency)
    if given.journal and callable(script):
        script = journalled(script, given.journal)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(script, given.port))


if __name__ == "__main__":
    main()
