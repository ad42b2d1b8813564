"""What the providers have in common: keys, names, addresses, turns, and the checks that every reply has to pass."""

from __future__ import annotations

import dataclasses
import difflib
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar

from lbi.errors import FailureKind, ModelError, UserError
from lbi.models.images import Size, scaled, scaled_size, size_of
from lbi.models.pricing import known_models
from lbi.models.registry import MissingKey, Settings, is_loopback
from lbi.models.schemas import schema_of
from lbi.prompts import render
from lbi.protocols import PARTS_OF_A_RUN, Message, PromptLimits, Request
from lbi.records import Usage
from lbi.storage.names import address_problem, without_password
from lbi.storage.secrets import from_environ, learn_address

T = TypeVar("T")

Prompt = tuple[Message, ...]
Schema = tuple[str, dict[str, Any]]  # its name, and what it says

NO_KEY = "none"
#: words of an error that is about the schema of the reply
_SCHEMA_WORDS = (
    "schema",
    "response_format",
    "output_config",
    "structured",
    "responsemimetype",
    "response_mime_type",
    "json mode",
    "grammar",
)


def located(settings: Settings, variable: str) -> Settings:
    """The settings with the server's address from the environment, where the config names none.

    Where they leave it open, replies are structured at the provider's own endpoint: of other servers nothing is known.
    """
    address, limits = settings.base_url or os.environ.get(variable, "").strip(), settings.limits
    learn_address(address, variable)
    if address and (problem := address_problem(address)):
        raise UserError(f"the address {without_password(address)!r} of a model server: {problem}")
    if limits.structured is None:
        limits = limits.model_copy(update={"structured": () if address else PARTS_OF_A_RUN})
    return dataclasses.replace(settings, base_url=address, limits=limits)


def api_key(provider: str, settings: Settings, *variables: str) -> str:
    """The key from the first of the environment's variables that is set; a server on this machine needs none.

    Raises MissingKey.
    """
    key = next(filter(None, (from_environ(variable).strip() for variable in variables)), "")
    if key:
        return key
    if is_loopback(settings.base_url):
        return NO_KEY
    raise MissingKey(provider, variables)


def check_name(name: str, provider: str, settings: Settings) -> None:
    """Names are checked against the price list; a server of one's own may call its models anything."""
    if not name:
        raise UserError(f'which model of {provider}? Write "{provider}:NAME"')
    if settings.base_url or settings.priced(f"{provider}:{name}"):
        return
    known = known_models(provider)
    if not known.recognises(name):
        nearest = difflib.get_close_matches(name, known.names, n=3, cutoff=0.5)
        examples = ", ".join(known.names[-3:])
        hint = f"nearest known: {', '.join(nearest)}" if nearest else f"known are, for example: {examples}"
        raise UserError(f'unknown model "{name}" of {provider}; {hint}. For a newer model give its price in the config')


class StructuredReplies:
    """Whether a model takes a schema for its reply: older ones, and many servers, answer 400 to one."""

    def __init__(self, limits: PromptLimits) -> None:
        self._with, self._taken = limits, True
        self._without = limits.model_copy(update={"structured": ()})

    async def send(self, send: Callable[[Prompt, Schema | None], Awaitable[T]], request: Request) -> T:
        """Send the prompt with its schema, and once more without where that is rejected; remembered from then on."""
        prompt, schema = self.prompt(request)
        try:
            return await send(prompt, schema)
        except ModelError as error:
            about_schema = any(word in str(error).lower() for word in _SCHEMA_WORDS)
            if not (schema and about_schema and error.kind == "bad request"):
                raise
        self._taken = False
        return await send(*self.prompt(request))

    def prompt(self, request: Request) -> tuple[Prompt, Schema | None]:
        """The prompt that is sent, and its schema; none for a model that is known to take none."""
        limits = self._with if self._taken else self._without
        return render(request, limits), schema_of(request, limits)


def checked_text(text: str, stop: FailureKind | None, name: str, usage: Usage) -> str:
    """The text of a reply that is whole; ``stop`` is why it is not."""
    if stop is not None:
        hint = "; raise max_tokens or let the model think less" if stop == "truncated" else ""
        raise ModelError(f"{name}: {stop}: the model's reply cannot be used{hint}", kind=stop, usage=usage)
    if not text.strip():
        raise ModelError(f"{name}: empty: the model replied without any text", kind="empty", usage=usage)
    return text


def turns(messages: tuple[Message, ...]) -> list[tuple[str, list[Message]]]:
    """Neighbours with one role as one turn: many servers insist on user and assistant taking turns."""
    return [(role, list(group)) for role, group in groupby(messages, key=lambda message: message.role)]


class Images:
    """The run's PNGs as they are sent, and about how many tokens each has by the provider's ``rule``."""

    def __init__(self, settings: Settings, rule: Callable[[Size], int]) -> None:
        self._load, self._side, self._rule = settings.load_image, settings.limits.image_side, rule
        # the pages of an episode are sent again with every further step
        self.data = lru_cache(maxsize=64)(self._data)
        self.tokens = lru_cache(maxsize=10_000)(self._tokens)

    def _loaded(self, name: str) -> bytes:
        if self._load is None:
            raise ValueError(f"the prompt holds the image {name}, and the model was opened without load_image")
        return self._load(name)

    def _data(self, name: str) -> str:
        """In base64."""
        return b64encode(scaled(self._loaded(name), self._side, name)).decode()

    def _tokens(self, name: str) -> int:
        return self._rule(scaled_size(size_of(self._loaded(name), name), self._side))


def usage_of(*, prompt: Any, reply: Any, cached: Any = 0, written: Any = 0, seconds: float) -> Usage:
    """The usage of one call. Tokens as the server states them; what it leaves out, or says in words, counts 0."""
    return Usage(
        calls=1,
        input_tokens=count(prompt),
        output_tokens=count(reply),
        cached_tokens=count(cached),
        written_tokens=count(written),
        cost=None,
        seconds=seconds,
    )


def count(value: Any) -> int:
    """A number of tokens from a reply."""
    return max(0, int(value)) if isinstance(value, int | float) else 0


def table(value: Any) -> dict[str, Any]:
    """A JSON object from a reply; what is none is an empty one, as servers leave out and null what they lack."""
    return value if isinstance(value, dict) else {}


def first(value: Any) -> dict[str, Any]:
    """The first object of a list from a reply."""
    return table(value[0]) if isinstance(value, list) and value else {}
