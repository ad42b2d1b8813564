"""What calls cost: counted, priced, added up, and held below a budget."""

from __future__ import annotations

import asyncio
import re

from lbi.contracts import Model, Reply, Request
from lbi.errors import BudgetExceeded, ModelError, UserError
from lbi.models import THINKING_TOKENS
from lbi.prices import Prices
from lbi.prompts import estimate_tokens, render
from lbi.records import Usage
from lbi.wrap import MeterStore, Wrapped, endpoint_of, image_tokens_of, is_free, limits_of


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


def parse_budget(text: str) -> float:
    """US dollars of ``20usd``, ``$20`` or ``20``."""
    found = re.fullmatch(r"\s*\$?\s*(\d+(?:\.\d+)?)\s*(?:usd|\$)?\s*", text, flags=re.IGNORECASE)
    if found is None:
        raise UserError(f'cannot read the budget "{text}"; write it in US dollars, such as 20usd')
    return float(found[1])


class Budget:
    """Dollars that may be spent by all models of a run together. ``spent`` is what earlier processes of it spent."""

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._in_flight: list[float] = []  # estimates; a running sum would drift away from 0
        self._changed = asyncio.Event()

    async def reserve(self, estimate: float) -> None:
        """Set money aside for a call, waiting for calls in flight where they may turn out cheaper than estimated.

        Raises BudgetExceeded only when none is in flight any more: what ends the run must not throw away replies that
        are paid for.
        """
        while self.spent + sum(self._in_flight) + estimate > self.limit:
            if not self._in_flight:
                raise BudgetExceeded(
                    f"the budget of {self.limit:.2f} USD is used up: {self.spent:.4f} are spent and the next call may "
                    f"cost {estimate:.4f}; continue the run with a higher --budget"
                )
            await self._changed.wait()
        self._in_flight.append(estimate)

    def settle(self, estimate: float, paid: float) -> None:
        """Put what a call really cost in place of its estimate."""
        self._in_flight.remove(estimate)
        self.spent += paid
        self._changed.set()
        self._changed = asyncio.Event()


def budgeted(model: Model, budget: Budget, prices: Prices) -> Model:
    """Starts no call that could take the spending beyond the budget; calls in flight count with their estimate."""
    if not prices.knows(model.name, endpoint_of(model)):
        raise UserError(
            f"there is a budget, and the price of {model.name} is unknown; give it under [models.prices] as "
            f'"{model.name}" = [input, output] in US dollars per million tokens, or leave the budget away'
        )

    async def complete(request: Request) -> Reply:
        estimate = _estimate(model, request, prices)
        await budget.reserve(estimate)
        paid = estimate  # until something else is known; of a cancelled call nothing ever is
        try:
            reply = await model.complete(request)
            paid = estimate if reply.usage.cost is None else reply.usage.cost
        except ModelError as error:
            paid = error.usage.cost or 0.0
            raise
        finally:
            budget.settle(estimate, paid)
        return reply

    return Wrapped(model, complete)


def _estimate(model: Model, request: Request, prices: Prices) -> float:
    """The most that a call may cost, within reason: two bytes a token, and a reply that uses all its room.

    Whether the prompt is written to the provider's cache is the provider's choice, so the dearer of the two counts.
    """
    asked = 2 * estimated_input(model, request)
    usage = Usage(calls=1, input_tokens=asked, output_tokens=request.max_tokens + THINKING_TOKENS)
    written = usage.model_copy(update={"written_tokens": asked})
    return max(prices.cost(model.name, each, endpoint_of(model)) or 0.0 for each in (usage, written))


def estimated_input(model: Model, request: Request) -> int:
    """Four bytes a token, and images by the rule of their provider."""
    messages, of_image = render(request, limits_of(model)), image_tokens_of(model)
    shown = sum(of_image(image) for message in messages for image in message.images)
    return shown + sum(estimate_tokens(message.content) + 8 for message in messages)
