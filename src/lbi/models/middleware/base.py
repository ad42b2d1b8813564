"""What wrappers of models have in common: a model with another way to complete, what a model tells, where calls go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from lbi.models.registry import IMAGE_TOKENS
from lbi.prompts import DEFAULT_LIMITS
from lbi.prompts.limits import Limits
from lbi.protocols import Batches, Model, Reply, Request
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
