"""Model -> the same model, whose replies hold no secret: a prompt holds none, and a server may still echo its key."""

from __future__ import annotations

from lbi.models.middleware.base import Wrapped
from lbi.protocols import Model, Reply, Request
from lbi.storage.secrets import mask


def masking(model: Model) -> Model:
    """A reply is the same whether it comes from the model or from the store, which keeps no secret."""

    async def complete(request: Request) -> Reply:
        reply = await model.complete(request)
        text = mask(reply.text)
        return reply if text == reply.text else reply.model_copy(update={"text": text})

    return Wrapped(model, complete)
