"""Model -> the same model, whose calls are counted while they are in flight, with a span and metrics for each."""

from __future__ import annotations

import time

from lbi.errors import ModelError
from lbi.models.middleware.base import Wrapped
from lbi.monitoring import telemetry as t
from lbi.monitoring.utilisation import Utilisation
from lbi.protocols import Model, Reply, Request
from lbi.records import Usage


def traced(model: Model, utilisation: Utilisation) -> Model:
    """Counts each attempt while it is in flight, and reports it to the telemetry. No text of a call is part of that."""
    provider, _, name = model.name.partition(":")
    of_model = {t.OPERATION: "chat", t.PROVIDER: provider, t.REQUEST_MODEL: name or provider}

    async def complete(request: Request) -> Reply:
        of_call = {t.ROLE: request.role, t.TEMPERATURE: request.temperature, t.MAX_TOKENS: request.max_tokens}
        title = f"chat {of_model[t.REQUEST_MODEL]}"
        began = time.monotonic()
        with utilisation.use(), t.span(title, {**of_model, **of_call}, client=True) as span:
            try:
                reply = await model.complete(request)
            except ModelError as error:
                span.fail(error.kind)
                _measure(of_model | {t.ERROR: error.kind}, error.usage, began)
                raise
            span.set(_tokens(reply.usage) | {t.RESPONSE_MODEL: reply.model.partition(":")[2] or reply.model})
        _measure(of_model, reply.usage, began)
        return reply

    return Wrapped(model, complete)


def _tokens(usage: Usage) -> dict[str, int]:
    return {t.INPUT_TOKENS: usage.input_tokens, t.OUTPUT_TOKENS: usage.output_tokens}


def _measure(attributes: dict[str, str], usage: Usage, began: float) -> None:
    t.record(t.DURATION, time.monotonic() - began, attributes)
    for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if tokens:
            t.record(t.TOKEN_USAGE, tokens, attributes | {t.TOKEN_TYPE: kind})
