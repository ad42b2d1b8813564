"""Model -> the same model, which never asks the same question twice: replies come from the run's store."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any
from weakref import WeakValueDictionary

from lbi.errors import ModelError
from lbi.models.middleware.base import CallStore, MeterStore, Wrapped, meter_of
from lbi.monitoring.calls_made import note_call
from lbi.prompts import render
from lbi.protocols import Message, Model, Reply, Request

#: calls that begin in one turn of the event loop
_CALLS_PER_TURN = 16


def cached(model: Model, calls: CallStore, meters: MeterStore) -> Model:
    """Answers what was answered before from the store, and has every new answer in the store before it is used.

    A call that failed for good is kept apart from the answers, to be looked at, and asked again the next time.

    A hit keeps its tokens, so that arms can be compared whichever came first, and costs neither money nor time; the
    meter counts it under ``hits`` and nothing else. The same question asked twice at once is sent once.
    """
    locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
    begin = asyncio.Semaphore(_CALLS_PER_TURN)

    async def complete(request: Request) -> Reply:
        # of a thousand calls that come at once, the first are on their way before the last is rendered: the server
        # works meanwhile, and the replies come back one after the other too, and not all in one moment
        async with begin:
            await asyncio.sleep(0)
        messages = render(request, model.info.limits)
        key = call_key_of(model, request)
        async with locks.setdefault(key, asyncio.Lock()):
            known = calls.get_call(key)
            if known is not None:
                note_call(key)
                meters.add(meter_of(request), hits=1)
                return known.model_copy(update={"usage": known.usage.model_copy(update={"cost": 0.0, "seconds": 0.0})})
            prompt = json.dumps([message.model_dump(mode="json") for message in messages], ensure_ascii=False)
            try:
                reply = await model.complete(request)
            except ModelError as error:
                await calls.fail_call(key, request.role, request.stage, model.name, prompt, str(error), error.usage)
                raise
            await calls.put_call(key, request.role, request.stage, model.name, prompt, reply)
            note_call(key)
            return reply

    return Wrapped(model, complete)


def call_key_of(model: Model, request: Request) -> str:
    """The key under which a model's reply to a request is kept."""
    limits = model.info.limits
    return call_key(model.name, request, render(request, limits), limits.image_side)


def call_key(model: str, request: Request, messages: tuple[Message, ...], image_side: int = 0) -> str:
    """Hash of everything that decides a reply; with ``sample``, several samples of one prompt are several calls.

    Images count by their hash and, where there are some, by the size to which they are cut down.
    """
    turns = [(message.role, message.content, message.images) for message in messages]
    parts: list[Any] = [model, request.temperature, request.max_tokens, request.sample, turns]
    if any(message.images for message in messages):
        parts.append(image_side)
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
