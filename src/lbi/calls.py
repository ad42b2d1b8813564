"""Wrappers between a stage and a model, each existing once: cached(budgeted(retried(metered(model))))."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from weakref import WeakValueDictionary

from lbi.batches import WAITING, Desk
from lbi.contracts import Message, Model, Reply, Request
from lbi.errors import ModelBusy, ModelError
from lbi.gate import Gate
from lbi.money import Budget, budgeted, estimated_input, metered
from lbi.prices import Prices
from lbi.prompts import render
from lbi.retry import Retry, Tries, tried, within
from lbi.wrap import CallStore, MeterStore, Wrapped, is_free, limits_of

#: calls that begin in one turn of the event loop
_AT_ONCE = 16


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


class _Rows(Wrapped):
    """A model whose calls are rows of batches."""

    def __init__(self, model: Model, desk: Desk) -> None:
        async def complete(request: Request) -> Reply:
            return await desk.ask(_key(model, request), request)

        super().__init__(model, complete)


def batched(direct: Model, rows: Model, desk: Desk, waiting: Collection[str]) -> Model:
    """Calls that can wait go into batches; what is asked once more, and what a batch did not carry out, goes directly.

    So does a row that the provider rejects: on the direct way it is found out which settings the model takes.
    """

    async def complete(request: Request) -> Reply:
        if request.extra or WAITING.get(request.stage) not in waiting:
            return await direct.complete(request)
        try:
            return await rows.complete(request)
        except ModelBusy:
            return await direct.complete(request)
        except ModelError as error:
            if error.kind != "bad request":
                raise
            return await direct.complete(request)

    both = Wrapped(direct, complete)

    async def close() -> None:
        await desk.close()
        await direct.close()

    both.close = close
    return both


# patience


def retried(
    model: Model,
    retry: Retry,
    gate: Gate | None = None,
    *,
    sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    rng: random.Random | None = None,
) -> Model:
    """Every attempt passes the gate, which all tasks of a provider share; ModelBusy is tried again (lbi.retry).

    Waiting at the gate uses up nothing of a call's deadline: a dead provider and a used up rate limit are nobody's
    failure. Raises ModelUnavailable when no call can succeed.
    """
    way = (gate or Gate(model.name, clock=clock, sleep=sleep)).way(model.name)

    async def complete(request: Request) -> Reply:
        tokens = estimated_input(model, request)

        async def once(tries: Tries) -> Reply:
            while True:
                passed = await way.enter(tokens)
                try:
                    with passed:
                        passed.reply = await within(tries.starts(), model.complete(request), model.name)
                        return passed.reply
                except ModelBusy as error:
                    if not passed.probe:
                        raise
                    tries.uncounted(error)

        reply, lost = await tried(once, retry, sleep=sleep, clock=clock, rng=rng)
        return reply.model_copy(update={"usage": lost + reply.usage}) if lost.calls or lost.cost else reply

    return Wrapped(model, complete)


# memory


def cached(model: Model, calls: CallStore, meters: MeterStore) -> Model:
    """Answers what was answered before from the store, and has every new answer in the store before it is used.

    A call that failed for good is kept apart from the answers, to be looked at, and asked again the next time.

    A hit keeps its tokens, so that arms can be compared whoever came first, and costs neither money nor time; the meter
    counts it under ``hits`` and nothing else. The same question asked twice at once is sent once.
    """
    asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
    begin = asyncio.Semaphore(_AT_ONCE)

    async def complete(request: Request) -> Reply:
        # of a thousand calls that come at once, the first are on their way before the last is rendered: the server
        # works meanwhile, and the replies come back one after the other too, and not all in one moment
        async with begin:
            await asyncio.sleep(0)
        messages = render(request, limits_of(model))
        key = _key(model, request)
        async with asking.setdefault(key, asyncio.Lock()):
            known = calls.get_call(key)
            if known is not None:
                meters.add(f"{request.stage or 'other'}/{request.role}", hits=1)
                return known.model_copy(update={"usage": known.usage.model_copy(update={"cost": 0.0, "seconds": 0.0})})
            said = json.dumps([message.model_dump(mode="json") for message in messages], ensure_ascii=False)
            try:
                reply = await model.complete(request)
            except ModelError as error:
                await calls.fail_call(key, request.role, request.stage, model.name, said, str(error), error.usage)
                raise
            await calls.put_call(key, request.role, request.stage, model.name, said, reply)
            return reply

    return Wrapped(model, complete)


def _key(model: Model, request: Request) -> str:
    limits = limits_of(model)
    return call_key(model.name, request, render(request, limits), limits.image_side)


def call_key(model: str, request: Request, messages: tuple[Message, ...], image_side: int = 0) -> str:
    """Hash of everything that decides a reply; with ``sample``, several samples of one prompt are several calls.

    Images count by their hash and, where there are some, by the size to which they are cut down.
    """
    turns = [(message.role, message.content, message.images) for message in messages]
    asked: list[Any] = [model, request.temperature, request.max_tokens, request.sample, turns]
    if any(message.images for message in messages):
        asked.append(image_side)
    return hashlib.blake2b(json.dumps(asked).encode(), digest_size=16).hexdigest()
