"""llama.cpp: reads any GGUF file, and adapters. The library's own server is asked in this process."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lbi.models.local.serving.protocol import Answer, Ask, Order, TooLong, Unusable

_COMPACT = {"x-guidance": {"whitespace_flexible": False}}  # blanks between the parts of a reply are tokens, too
_WAITING = 64  # requests that may wait for a slot


class Llama:
    """One model, perhaps with an adapter."""

    def __init__(self, order: Order) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = order["file"]
        params.n_ctx, params.n_parallel = order["context"], order["slots"]
        params.kv_unified = True  # slots share the context, so one long prompt may have all of it
        for threads in (params.cpuparams, params.cpuparams_batch):
            threads.n_threads = order["threads"]
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
        params.warmup = False
        params.force_pure_content_parser = True  # a reply that was cut off is one, too, and no error of the server
        # it opens a port of its own, which nobody is told the key of
        params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [secrets.token_hex(32)]
        params.ui = False
        if order["adapter"]:
            adapter = xllamacpp.CommonAdapterLoraInfo()
            adapter.path, adapter.scale = order["adapter"], 1.0
            params.lora_adapters = [adapter]
        self._server = xllamacpp.Server(params)
        self._threads = ThreadPoolExecutor(max_workers=_WAITING)
        self._moved = time.monotonic()

    def moved(self) -> float:
        return self._moved

    async def answer(self, ask: Ask) -> Answer:
        self._moved = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            reply = await loop.run_in_executor(self._threads, self._server.handle_chat_completions, _body(ask))
        except RuntimeError as error:
            raise Unusable(" ".join(str(error).split())[:300]) from error
        self._moved = time.monotonic()
        return _answer(json.loads(reply) if isinstance(reply, str | bytes) else reply)


def _body(ask: Ask) -> dict[str, Any]:
    import xllamacpp

    body: dict[str, Any] = {
        "messages": ask.messages,
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
        "seed": ask.seed,
        "cache_prompt": True,
    }
    if ask.schema is not None:
        # as a grammar: with a schema the library also parses the reply, and fails at one that was cut off
        body["grammar"] = xllamacpp.json_schema_to_grammar({**ask.schema, **_COMPACT})
    return body


def _answer(reply: dict[str, Any]) -> Answer:
    if error := reply.get("error"):
        message = str(error.get("message", error) if isinstance(error, dict) else error)
        too_long = "exceed_context_size" in str(error) or "context size" in message
        raise TooLong(message) if too_long else Unusable(message)
    choice, usage = reply["choices"][0], reply.get("usage", {})
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", reply.get("timings", {}).get("cache_n", 0))
    return Answer(
        text=choice["message"].get("content") or "",
        truncated=choice.get("finish_reason") == "length",
        prompt=int(usage.get("prompt_tokens", 0)),
        cached=int(cached or 0),
        reply=int(usage.get("completion_tokens", 0)),
    )
