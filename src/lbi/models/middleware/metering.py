"""Model -> the same model, whose tokens and money are counted for each attempt, also for one that failed."""

from __future__ import annotations

from lbi.errors import ModelError
from lbi.models.middleware.base import MeterStore, Wrapped, estimated_input, meter_of
from lbi.models.pricing import Prices
from lbi.prompts import estimate_tokens
from lbi.protocols import Model, Reply, Request
from lbi.records import Usage


def metered(model: Model, meters: MeterStore, prices: Prices, share: float = 1.0) -> Model:
    """Prices each call and adds it up per stage and role, also a call whose reply could not be used.

    ``share`` is the part of the usual price that a call costs.

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
    if model.info.free or reply.usage.input_tokens or reply.usage.output_tokens:
        return reply.usage
    tokens = {"input_tokens": estimated_input(model, request), "output_tokens": estimate_tokens(reply.text)}
    return reply.usage.model_copy(update=tokens)


def _priced(model: Model, usage: Usage, prices: Prices, share: float) -> Usage:
    if model.info.free or model.info.unpaid or not usage.calls:
        cost: float | None = 0.0
    else:
        cost = prices.cost(model.name, usage, model.info.endpoint)
        cost = None if cost is None else cost * share
    return usage.model_copy(update={"cost": cost})


def _add(meters: MeterStore, request: Request, usage: Usage, failures: int = 0) -> None:
    meters.add(
        meter_of(request),
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
