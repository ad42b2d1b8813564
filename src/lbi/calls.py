"""Wrappers between a stage and a model, each existing once: cached(budgeted(retried(metered(model))))."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any, Protocol
from weakref import WeakValueDictionary

from lbi.batches import WAITING, Desk
from lbi.contracts import Batches, Message, Model, Reply, Request
from lbi.errors import BudgetExceeded, ModelBusy, ModelError, UserError
from lbi.gate import Gate
from lbi.models import IMAGE_TOKENS, THINKING_TOKENS
from lbi.prices import Prices
from lbi.prompts import DEFAULT_LIMITS, Limits, estimate_tokens, render
from lbi.records import Usage
from lbi.retry import Retry, Tries, tried, within

Complete = Callable[[Request], Coroutine[Any, Any, Reply]]


#: calls that begin in one turn of the event loop
_AT_ONCE = 16


class CallStore(Protocol):
    """Where calls are kept; the run's store is one."""

    def get_call(self, key: str) -> Reply | None: ...

    def put_call(
        self, key: str, role: str, stage: str, model: str, messages_json: str, reply: Reply
    ) -> Awaitable[None]: ...

    def fail_call(
        self, key: str, role: str, stage: str, model: str, messages_json: str, message: str, usage: Usage
    ) -> Awaitable[None]: ...


class MeterStore(Protocol):
    """Where meters are kept; the run's store is one."""

    def add(self, stage: str, **amounts: float) -> object:
        """Nobody waits for it: what is written later is acknowledged later."""
        ...


class MemoryCalls:
    """Calls and meters for as long as the process lives: for tests, and for runs that keep nothing."""

    def __init__(self) -> None:
        self.calls: dict[str, Reply] = {}
        self.failed: dict[str, str] = {}
        self.meters: dict[str, dict[str, float]] = {}

    def get_call(self, key: str) -> Reply | None:
        return self.calls.get(key)

    async def put_call(self, key: str, role: str, stage: str, model: str, messages_json: str, reply: Reply) -> None:
        self.calls.setdefault(key, reply)
        self.failed.pop(key, None)

    async def fail_call(
        self, key: str, role: str, stage: str, model: str, messages_json: str, message: str, usage: Usage
    ) -> None:
        self.failed[key] = message

    def add(self, stage: str, **amounts: float) -> None:
        meter = self.meters.setdefault(stage, {})
        for name, amount in amounts.items():
            meter[name] = meter.get(name, 0.0) + amount


class Wrapped:
    """A model whose calls take another way; everything else is the model's own."""

    def __init__(self, model: Model, complete: Complete) -> None:
        self.name = model.name
        self.free = is_free(model)
        self.endpoint = endpoint_of(model)
        self.limits = limits_of(model)
        self.image_tokens = image_tokens_of(model)
        self.close = model.close
        self._complete = complete

    async def complete(self, request: Request) -> Reply:
        return await self._complete(request)


def is_free(model: Model) -> bool:
    return bool(getattr(model, "free", False))


def endpoint_of(model: Model) -> str:
    """The address of a server that is not the provider's own."""
    return str(getattr(model, "endpoint", ""))


def batches_of(model: Model) -> Batches | None:
    """The provider's batch interface, where it has one."""
    found = getattr(model, "batches", None)
    return found if isinstance(found, Batches) else None


def limits_of(model: Model) -> Limits:
    found = getattr(model, "limits", DEFAULT_LIMITS)
    return found if isinstance(found, Limits) else DEFAULT_LIMITS


def image_tokens_of(model: Model) -> Callable[[str], int]:
    """By the hash of an image: about how many tokens it is billed as."""
    found: Callable[[str], int] = getattr(model, "image_tokens", lambda image: IMAGE_TOKENS)
    return found


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


# money


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
    asked, said = _estimated_input(model, request), estimate_tokens(reply.text)
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
    asked = 2 * _estimated_input(model, request)
    usage = Usage(calls=1, input_tokens=asked, output_tokens=request.max_tokens + THINKING_TOKENS)
    written = usage.model_copy(update={"written_tokens": asked})
    return max(prices.cost(model.name, each, endpoint_of(model)) or 0.0 for each in (usage, written))


def _estimated_input(model: Model, request: Request) -> int:
    """Four bytes a token, and images by the rule of their provider."""
    messages, of_image = render(request, limits_of(model)), image_tokens_of(model)
    shown = sum(of_image(image) for message in messages for image in message.images)
    return shown + sum(estimate_tokens(message.content) + 8 for message in messages)


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
        tokens = _estimated_input(model, request)

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
