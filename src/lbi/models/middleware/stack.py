"""Wrappers between a stage and a model, each existing once: cached(budgeted(retried(metered(model))))."""

from __future__ import annotations

from collections.abc import Collection

from lbi.models.middleware.base import CallStore, MeterStore, is_free
from lbi.models.middleware.batching import Desk, _Rows, batched
from lbi.models.middleware.budget import Budget, budgeted
from lbi.models.middleware.cache import cached
from lbi.models.middleware.metering import metered
from lbi.models.middleware.retry import Retry, retried
from lbi.models.middleware.throttle import Gate
from lbi.models.pricing import Prices
from lbi.protocols import Model


def wrapped(
    model: Model,
    *,
    calls: CallStore,
    meters: MeterStore,
    prices: Prices,
    budget: Budget | None = None,
    retry: Retry | None = None,
    gate: Gate | None = None,
    desk: Desk | None = None,
    waiting: Collection[str] = (),
) -> Model:
    """All wrappers in the order that makes sense: hits cost nothing, and every attempt is metered.

    Money is set aside once for all attempts of a call and before the gate: who waits for money holds no place there,
    and its wait is no silence of the provider's. A free model is only metered. ``gate`` is shared by all models of one
    provider, ``desk`` takes the calls of who is ``waiting`` (label, judge) to the provider's batches.
    Raises UserError for a budget with a model whose price is unknown.
    """
    inner = metered(model, meters, prices)
    if is_free(model):
        return inner
    inner = retried(inner, retry or Retry(), gate)
    if desk is not None and waiting:
        inner = batched(inner, metered(_Rows(model, desk), meters, prices, share=desk.share), desk, waiting)
    if budget is not None:
        inner = budgeted(inner, budget, prices)
    return cached(inner, calls, meters)


# batches


# patience


# memory
