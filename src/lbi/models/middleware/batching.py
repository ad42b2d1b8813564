"""Model -> the same model, whose calls that can wait go into the provider's batches, for half the price."""

from __future__ import annotations

from collections.abc import Collection

from lbi.errors import ModelBusy, ModelError
from lbi.models.middleware.base import Wrapped
from lbi.models.middleware.batch_queue import BatchQueue
from lbi.models.middleware.cache import call_key_of
from lbi.protocols import Model, Reply, Request

#: the stages whose calls can wait, and the part of the run that asks in them
WAITING = {"label": "label", "filter": "judge"}


def queued(model: Model, queue: BatchQueue) -> Model:
    """Each call is a row of a batch, and is answered when the batch is done."""

    async def complete(request: Request) -> Reply:
        return await queue.ask(call_key_of(model, request), request)

    return Wrapped(model, complete)


def batched(direct: Model, in_batches: Model, queue: BatchQueue, parts: Collection[str]) -> Model:
    """Calls of the ``parts`` (label, judge) go into batches, all others directly.

    What is asked once more, and what a batch did not carry out, goes directly too. So does a call that the provider
    rejects: the direct way finds out which settings the model takes.
    """

    async def complete(request: Request) -> Reply:
        if request.extra or WAITING.get(request.stage) not in parts:
            return await direct.complete(request)
        try:
            return await in_batches.complete(request)
        except ModelBusy:
            return await direct.complete(request)
        except ModelError as error:
            if error.kind != "bad request":
                raise
            return await direct.complete(request)

    async def close() -> None:
        await queue.close()
        await direct.close()

    return Wrapped(direct, complete, close=close)
