"""A model of this machine -> how fast it is here: Trial(read=512.3, again=0.31, written=27.9, ...)."""

from __future__ import annotations

import random
import time

from lbi.models.local.server import Address, LocalServer, Weights
from lbi.models.providers._wire import Wire
from lbi.models.registry import Settings
from lbi.protocols import Json
from lbi.records import Record

_PROMPT = 2_000  # tokens, about
_REPLY = 64
_WORDS = ("page", "ticket", "button", "milestone", "link", "search", "text", "list", "report", "owner", "field", "wiki")
_PATIENCE = 1_800.0  # seconds for one request


class Trial(Record):
    """What was measured."""

    engine: str
    threads: int
    slots: int
    context: int
    seconds_to_start: float
    prompt_tokens: int
    read: float  # tokens of a new prompt per second
    again: float  # seconds for the same prompt once more
    again_cached: int  # tokens of it that were read from the cache
    written: float  # tokens of a reply per second


async def measure(weights: Weights) -> Trial:
    """Start a server of its own, ask it three times, and stop it. Raises LocalFailure and ModelError."""
    server, began = LocalServer(weights, lambda line: None), time.monotonic()
    try:
        address = await server.running()
        return await _measured(server, address, weights, time.monotonic() - began)
    finally:
        await server.stop()


async def _measured(server: LocalServer, address: Address, weights: Weights, started: float) -> Trial:
    settings = Settings(timeout=_PATIENCE)
    wire = Wire(weights.name, address.url, {"authorization": f"Bearer {address.key}"}, settings)
    text = _text()
    try:
        await _ask(wire, "Say hello.", 1)  # what is set up at the first request is no part of reading
        first, read_in = await _ask(wire, text, 1)
        second, again_in = await _ask(wire, text, 1)
        third, written_in = await _ask(wire, text, _REPLY)
    finally:
        await wire.close()
    fit = server.fit
    assert fit is not None
    return Trial(
        engine=weights.engine,
        threads=fit.threads,
        slots=fit.slots,
        context=fit.context,
        seconds_to_start=round(started, 1),
        prompt_tokens=first["prompt_tokens"],
        read=round((first["prompt_tokens"] - first["prompt_tokens_details"]["cached_tokens"]) / read_in, 1),
        again=round(again_in, 2),
        again_cached=second["prompt_tokens_details"]["cached_tokens"],
        written=round((third["completion_tokens"] - 1) / max(written_in - again_in, 0.001), 1),
    )


async def _ask(wire: Wire, text: str, tokens: int) -> tuple[Json, float]:
    """The usage and the seconds of one request."""
    began = time.monotonic()
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "temperature": 0}
    answer = await wire.post("/v1/chat/completions", body)
    usage: Json = answer.body["usage"]
    return usage, time.monotonic() - began


def _text() -> str:
    """A long task whose reply is long, too: each line is another, as prompts of ours are."""
    chance = random.Random(0)
    lines = [f"{number}. {' '.join(chance.choices(_WORDS, k=8))}" for number in range(_PROMPT // 12)]
    return "Here is a list.\n" + "\n".join(lines) + "\nWrite the list again, line by line, from its beginning."
