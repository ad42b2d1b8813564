"""What goes on inside a run, told to whoever asks: how many model calls are in flight."""

from __future__ import annotations

from lbi.busy import Busy
from lbi.calls import Wrapped
from lbi.contracts import Model, Reply, Request


def watched(model: Model, busy: Busy) -> Model:
    """The same model; each of its attempts is counted while it is in flight."""

    async def complete(request: Request) -> Reply:
        with busy.use():
            return await model.complete(request)

    return Wrapped(model, complete)
