"""Model -> the same model, whose tokens and money are counted for each attempt, also of one that failed."""

from __future__ import annotations

from lbi.errors import ModelError
from lbi.models.middleware.base import MeterStore, Wrapped, endpoint_of, image_tokens_of, is_free, limits_of
from lbi.models.pricing import Prices
from lbi.prompts import estimate_tokens, render
from lbi.protocols import Model, Reply, Request
from lbi.records import Usage


def metered(model: Model, meters: MeterStore, prices: Prices, share: float = 1.0) -> Model:
    """Prices each call and adds it up per stage and role, also a call whose reply could not be used.

    ``share`` is what of the usual price the call costs.

    Meters: calls, failures, input_tokens, output_tokens, cached_tokens, written_tokens, seconds, cost (US dollars),
    unpriced (calls whose cost is unknown and therefore no part of ``cost``).
    """

    async def complete(request: Request) -> Reply:
        try:
            reply = await model.complete(request)
        except ModelError as error:
            error.usage = _priced(model, error.usage, prices, share)
            _add(meters, request, error.usage, failures=1)
            raise
        usage = _priced(model, _counted(model, request, reply), prices, share)
        _add(meters, request, usage)
        return reply.model_copy(update={"usage": usage})

    return Wrapped(model, complete)


def _counted(model: Model, request: Request, reply: Reply) -> Usage:
    """The usage of a reply, estimated where a server states none: what is not counted would cost nothing."""
    if is_free(model) or reply.usage.input_tokens or reply.usage.output_tokens:
        return reply.usage
    asked, said = estimated_input(model, request), estimate_tokens(reply.text)
    return reply.usage.model_copy(update={"input_tokens": asked, "output_tokens": said})


def _priced(model: Model, usage: Usage, prices: Prices, share: float) -> Usage:
    if is_free(model) or not usage.calls:
        cost: float | None = 0.0
    else:
        cost = prices.cost(model.name, usage, endpoint_of(model))
        cost = None if cost is None else cost * share
    return usage.model_copy(update={"cost": cost})


def _add(meters: MeterStore, request: Request, usage: Usage, failures: int = 0) -> None:
    meters.add(
        f"{request.stage or 'other'}/{request.role}",
        calls=usage.calls,
        failures=failures,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        written_tokens=usage.written_tokens,
        seconds=usage.seconds,
        cost=usage.cost or 0.0,
        unpriced=0 if usage.cost is not None else usage.calls,
    )


def estimated_input(model: Model, request: Request) -> int:
    """Four bytes a token, and images by the rule of their provider."""
    messages, of_image = render(request, limits_of(model)), image_tokens_of(model)
    shown = sum(of_image(image) for message in messages for image in message.images)
    return shown + sum(estimate_tokens(message.content) + 8 for message in messages)
