"""An engine -> POST /v1/chat/completions and GET /health in OpenAI's format, on a free port of loopback."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from lbi.models.local.serving.protocol import Answer, Ask, Engine, TooLong, Unusable

_LONGEST = 20_000_000  # bytes of a request
_DEFAULT_TOKENS = 1024


async def serve(engine: Engine, key: str, ready: Callable[[int], None]) -> None:
    """Until the process ends. ``ready`` is told the port."""
    app = Service(engine, key).application()
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ready(int(runner.addresses[0][1]))
    await asyncio.Event().wait()


class Service:
    """The two addresses."""

    def __init__(self, engine: Engine, key: str) -> None:
        self._engine, self._key, self._busy = engine, key, 0

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_LONGEST, middlewares=[self._with_key])
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/health", self._health)
        return app

    @web.middleware
    async def _with_key(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Other users of this machine can reach the port, too."""
        stated = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(stated.encode(), self._key.encode()):
            return _error(401, "invalid key")
        response: web.StreamResponse = await handler(request)
        return response

    async def _health(self, request: web.Request) -> web.Response:
        """``still``: seconds since the engine last got further, while it has anything to do."""
        still = time.monotonic() - self._engine.moved() if self._busy else 0.0
        return web.json_response({"status": "ok", "busy": self._busy, "still": still})

    async def _complete(self, request: web.Request) -> web.Response:
        try:
            ask = _ask(json.loads(await request.read()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _error(400, f"cannot read the request: {error}")
        self._busy += 1
        try:
            answer = await self._engine.answer(ask)
        except TooLong as error:
            return _error(400, f"context_length_exceeded: {error}")
        except Unusable as error:
            return _error(400, str(error))
        finally:
            self._busy -= 1
        return web.json_response(_body(answer))


def _ask(body: dict[str, Any]) -> Ask:
    wanted = body.get("response_format") or {}
    return Ask(
        messages=[{"role": str(turn["role"]), "content": str(turn["content"])} for turn in body["messages"]],
        schema=wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None,
        max_tokens=int(body.get("max_tokens") or _DEFAULT_TOKENS),
        temperature=float(body.get("temperature") or 0.0),
        seed=int(body.get("seed") or 0),
    )


def _body(answer: Answer) -> dict[str, Any]:
    return {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": "length" if answer.truncated else "stop",
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt,
            "completion_tokens": answer.reply,
            "prompt_tokens_details": {"cached_tokens": answer.cached},
        },
    }


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": {"message": message}}, status=status)
