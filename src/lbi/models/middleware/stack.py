"""Model -> the same model in all its wrappers, composed in the order that the package's docstring states."""

from __future__ import annotations

from collections.abc import Collection

from lbi.models.middleware.base import CallStore, MeterStore
from lbi.models.middleware.batch_queue import BatchQueue
from lbi.models.middleware.batching import batched, queued
from lbi.models.middleware.budget import Budget, budgeted
from lbi.models.middleware.cache import cached
from lbi.models.middleware.masking import masking
from lbi.models.middleware.metering import metered
from lbi.models.middleware.retry import Retry, retried
from lbi.models.middleware.throttle import Throttle
from lbi.models.middleware.tracing import traced
from lbi.models.pricing import Prices
from lbi.monitoring.utilisation import Utilisation
from lbi.protocols import Model


def wrapped(
    model: Model,
    *,
    calls: CallStore,
    meters: MeterStore,
    prices: Prices,
    utilisation: Utilisation | None = None,
    budget: Budget | None = None,
    retry: Retry | None = None,
    throttle: Throttle | None = None,
    batch_queue: BatchQueue | None = None,
    batch_parts: Collection[str] = (),
    answered: bool = False,
) -> Model:
    """A free model is traced and metered only; any other gets all wrappers.

    ``throttle`` is shared by all models of one provider. ``batch_queue`` takes the calls of the ``batch_parts`` (label,
    judge) to the provider's batches. ``answered``: it has answered in this run before.
    Raises UserError for a budget with a model whose price is unknown.
    """
    provider = model if model.info.free else masking(model)
    provider = provider if utilisation is None else traced(provider, utilisation)
    direct = metered(provider, meters, prices)
    if model.info.free:
        return direct
    inner = retried(direct, retry or Retry(), throttle, answered=answered)
    if batch_queue is not None and batch_parts:
        in_batches = metered(masking(queued(provider, batch_queue)), meters, prices, share=batch_queue.share)
        inner = batched(inner, in_batches, batch_queue, batch_parts)
    if budget is not None and not model.info.unpaid:
        inner = budgeted(inner, budget, prices)
    return cached(inner, calls, meters)
