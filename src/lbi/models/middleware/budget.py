"""Model -> the same model, which starts no call that could take the run's spending beyond its budget."""

from __future__ import annotations

import asyncio
import re

from lbi.errors import BudgetExceeded, ModelError, UserError
from lbi.models.middleware.base import Wrapped, estimated_input
from lbi.models.pricing import Prices
from lbi.models.registry import THINKING_TOKENS
from lbi.protocols import Model, Reply, Request
from lbi.records import Usage


def parse_budget(text: str) -> float:
    """US dollars of ``20usd``, ``$20`` or ``20``."""
    amount = re.fullmatch(r"\s*\$?\s*(\d+(?:\.\d+)?)\s*(?:usd|\$)?\s*", text, flags=re.IGNORECASE)
    if amount is None:
        raise UserError(f'cannot read the budget "{text}"; write it in US dollars, such as 20usd')
    return float(amount[1])


class Budget:
    """US dollars that all models of a run together may spend. ``spent`` begins with what earlier processes spent."""

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._in_flight: list[float] = []  # estimates; a running sum would drift away from 0
        self._changed = asyncio.Event()

    async def reserve(self, estimate: float) -> None:
        """Set money aside for a call. Where there is too little, wait for calls in flight: they may turn out cheaper.

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
    """Sets money aside for each call before it starts. Raises UserError for a model whose price is unknown."""
    if not prices.knows(model.name, model.info.endpoint):
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
    tokens = 2 * estimated_input(model, request)
    plain = Usage(calls=1, input_tokens=tokens, output_tokens=request.max_tokens + THINKING_TOKENS)
    written = plain.model_copy(update={"written_tokens": tokens})
    return max(prices.cost(model.name, usage, model.info.endpoint) or 0.0 for usage in (plain, written))
