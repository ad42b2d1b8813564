"""What a model does, told to whoever asks: how many of its calls are in flight, and a span and metrics for each."""

from __future__ import annotations

import time

from lbi.errors import ModelError
from lbi.models.middleware.base import Wrapped
from lbi.monitoring import telemetry as t
from lbi.monitoring.utilisation import Utilisation
from lbi.protocols import Model, Reply, Request
from lbi.records import Usage


def traced(model: Model, utilisation: Utilisation) -> Model:
    """The same model; each of its attempts is counted while it is in flight, and told to the telemetry."""
    provider, _, name = model.name.partition(":")
    plain = {t.OPERATION: "chat", t.PROVIDER: provider, t.REQUEST_MODEL: name or provider}

    async def complete(request: Request) -> Reply:
        asked = {t.ROLE: request.role, t.TEMPERATURE: request.temperature, t.MAX_TOKENS: request.max_tokens}
        began = time.monotonic()
        with utilisation.use(), t.span(f"chat {plain[t.REQUEST_MODEL]}", {**plain, **asked}, client=True) as now:
            try:
                reply = await model.complete(request)
            except ModelError as error:
                now.fail(error.kind)
                _measure(plain | {t.ERROR: error.kind}, error.usage, began)
                raise
            now.set(_tokens(reply.usage) | {t.RESPONSE_MODEL: reply.model.partition(":")[2] or reply.model})
        _measure(plain, reply.usage, began)
        return reply

    return Wrapped(model, complete)


def _tokens(usage: Usage) -> dict[str, int]:
    return {t.INPUT_TOKENS: usage.input_tokens, t.OUTPUT_TOKENS: usage.output_tokens}


def _measure(attributes: dict[str, str], usage: Usage, began: float) -> None:
    t.record(t.DURATION, time.monotonic() - began, attributes)
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens:
            t.record(t.TOKEN_USAGE, tokens, attributes | {t.TOKEN_TYPE: kind})
