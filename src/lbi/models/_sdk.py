"""What the SDKs of OpenAI and Anthropic have in common: keys, names, errors, and a last look at a reply."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import difflib
import os
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import groupby
from typing import Any, TypeVar

from lbi.contracts import Message
from lbi.errors import ModelBusy, ModelError, UserError
from lbi.models import Settings, is_loopback
from lbi.prices import known_models
from lbi.records import Usage

T = TypeVar("T")

NO_KEY = "none"
#: refused for now: time-outs, conflicts, rate limits; and everything from 500 on (529 is Anthropic's overload)
_BUSY = {408, 409, 425, 429}
#: a rate limit that no waiting lifts
_OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit_reached")
_TOO_LONG = ("context_length_exceeded", "context length", "context window", "prompt is too long", "too many tokens")


def located(settings: Settings, variable: str) -> Settings:
    """The settings with the server's address from the environment, where the config names none."""
    address = settings.base_url or os.environ.get(variable, "").strip()
    return dataclasses.replace(settings, base_url=address)


def api_key(variable: str, provider: str, settings: Settings) -> str:
    """The key from the environment; a server on this machine needs none."""
    key = os.environ.get(variable, "").strip()
    if key:
        return key
    if is_loopback(settings.base_url):
        return NO_KEY
    raise UserError(f"no key for {provider}: set the environment variable {variable}, or use the model offline")


def check_name(name: str, provider: str, settings: Settings) -> None:
    """Names are checked against the price list; a server of one's own may call its models anything."""
    if not name:
        raise UserError(f'which model of {provider}? Write "{provider}:NAME"')
    if settings.base_url or settings.priced(f"{provider}:{name}"):
        return
    known = known_models(provider)
    if not known.recognises(name):
        near = difflib.get_close_matches(name, known.names, n=3, cutoff=0.5)
        hint = f"nearest known: {', '.join(near)}" if near else f"known are, for example: {', '.join(known.names[-3:])}"
        raise UserError(f'unknown model "{name}" of {provider}; {hint}. For a newer model give its price in the config')


@contextlib.asynccontextmanager
async def translated(sdk: Any, name: str, settings: Settings, key: str) -> AsyncIterator[None]:
    """Turn what an SDK raises into ModelBusy and ModelError. Both SDKs name their exceptions alike."""
    try:
        async with asyncio.timeout(settings.timeout):
            yield
    except TimeoutError as error:
        raise ModelBusy(f"{name}: timeout: no reply within {settings.timeout:g} s") from error
    except sdk.APIStatusError as error:
        raise _of_status(error, name, key) from error
    except sdk.APIConnectionError as error:  # the SDKs' transports call some lost connections time-outs
        raise ModelBusy(f"{name}: connection: {_because(error)}") from error
    except (sdk.APIError, ValueError) as error:  # a body that is no JSON, or not the JSON of a reply
        raise ModelBusy(f"{name}: malformed: the server's reply could not be read ({_because(error)})") from error


class Temperature:
    """Whether a model takes a temperature: newer ones of both providers answer 400 to one, and nothing else tells."""

    def __init__(self) -> None:
        self._taken = True

    async def send(self, send: Callable[[dict[str, float]], Awaitable[T]], temperature: float) -> T:
        """Send with the temperature, and once more without it where it is rejected; remembered from then on."""
        with_it = self._taken
        try:
            return await send({"temperature": temperature} if with_it else {})
        except ModelError as error:
            rejected = getattr(error.__cause__, "status_code", 0) == 400 and "temperature" in str(error).lower()
            if not (with_it and rejected):
                raise
        self._taken = False
        return await send({})


def checked_text(text: str, stop: str, name: str, usage: Usage) -> str:
    """The text of a reply that is whole; ``stop`` is why it ended, in the words "", refused, truncated or too long."""
    if stop:
        hint = "; raise max_tokens or let the model think less" if stop == "truncated" else ""
        raise ModelError(f"{name}: {stop}: the model's reply cannot be used{hint}", usage=usage)
    if not text.strip():
        raise ModelError(f"{name}: empty: the model replied without any text", usage=usage)
    return text


def turns(messages: tuple[Message, ...]) -> list[tuple[str, list[Message]]]:
    """Neighbours with one role as one turn: many servers insist on user and assistant taking turns."""
    return [(role, list(group)) for role, group in groupby(messages, key=lambda message: message.role)]


def image_data(name: str, settings: Settings) -> str:
    """A PNG of the run in base64."""
    if settings.load_image is None:
        raise ValueError(f"the prompt holds the image {name}, and the model was opened without load_image")
    return b64encode(settings.load_image(name)).decode()


def _of_status(error: Any, name: str, key: str) -> ModelError:
    status = int(error.status_code)
    text = str(error.message) if key == NO_KEY else str(error.message).replace(key, "***")
    said = " ".join(text.split())[:500]
    code = str(getattr(error, "code", None) or "")
    if status == 413 or (400 <= status < 500 and any(mark in f"{code} {said}".lower() for mark in _TOO_LONG)):
        return ModelError(f"{name}: too long: the prompt exceeds the model's context ({said})")
    if code in _OUT_OF_MONEY:
        return ModelError(f"{name}: no money: {said}")
    if status in _BUSY or status >= 500:
        return ModelBusy(f"{name}: busy: HTTP {status} ({said})", retry_after=_retry_after(error.response.headers))
    reason = "authentication" if status in (401, 403) else "unknown model" if status == 404 else "bad request"
    return ModelError(f"{name}: {reason}: HTTP {status} ({said})")


def _retry_after(headers: Any) -> float | None:
    """Seconds to wait, from retry-after-ms or retry-after (seconds or a date)."""
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(TypeError, ValueError):
            return max(0.0, float(headers.get(header)) * unit)
    with contextlib.suppress(TypeError, ValueError):
        when = parsedate_to_datetime(headers.get("retry-after"))
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None


def _because(error: BaseException) -> str:
    cause = error.__cause__ or error
    return f"{type(cause).__name__} {cause}".strip()[:300]


def seconds_since(start: float) -> float:
    """Wall time of a call, for its usage."""
    return round(time.monotonic() - start, 3)
