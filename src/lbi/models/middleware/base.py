"""What the wrappers have in common: a model with another way to complete, stores to write to, the size of a prompt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from lbi.prompts import estimate_tokens, render
from lbi.protocols import Model, Reply, Request
from lbi.records import Usage

Complete = Callable[[Request], Coroutine[Any, Any, Reply]]


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
        """Add to the meters of a stage. Nobody waits until it is written."""
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
    """A model that completes in another way, and perhaps closes in another; everything else is the model's own."""

    def __init__(
        self, model: Model, complete: Complete, *, close: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> None:
        self.name, self.info = model.name, model.info
        self._complete, self._close = complete, close or model.close

    async def complete(self, request: Request) -> Reply:
        return await self._complete(request)

    async def close(self) -> None:
        await self._close()


def meter_of(request: Request) -> str:
    """The name of the meter that a request counts for: ``stage/role``."""
    return f"{request.stage or 'other'}/{request.role}"


def estimated_input(model: Model, request: Request) -> int:
    """About how many tokens a prompt has: four bytes each, and images by the rule of their provider."""
    messages = render(request, model.info.limits)
    of_images = sum(model.info.image_tokens(image) for message in messages for image in message.images)
    return of_images + sum(estimate_tokens(message.content) + 8 for message in messages)
