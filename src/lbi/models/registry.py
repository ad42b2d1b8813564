"""``provider:name`` -> a model that is ready to be asked: one provider per file of this folder.

A provider's file has ``create(name, settings) -> Model``; a new one is found by being here. Its model may say
``free = True`` (no key, no money: nothing is cached, metered or budgeted), ``endpoint``, ``limits`` and
``image_tokens(hash)``; the file may have ``image_tokens(name, size)``, for the plan.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lbi import plugins
from lbi.errors import UserError
from lbi.prompts.limits import Limits
from lbi.protocols import Model

#: set to 1, no request leaves this machine: for tests, and for processes that tests start
FORBID_VARIABLE = "LBI_FORBID_PAID_REQUESTS"
#: tokens that a model of the provider's own endpoint may spend on thoughts, on top of those of its reply
THINKING_TOKENS = 4096
#: ... and for an image, where nothing is known of it
IMAGE_TOKENS = 1500
_forbidding = 0


class PaidRequestForbidden(BaseException):
    """A request was about to leave the machine where that is forbidden.

    No ``Exception``: whatever retries, classifies or reports failures must not take it for one of them.
    """


@dataclass(frozen=True)
class Settings:
    """What every provider is told. ``options`` are added to the body of each request as they are."""

    base_url: str = ""  # empty = the provider's own endpoint
    timeout: float = 120.0  # seconds for one request as a whole
    limits: Limits = field(default_factory=Limits)
    load_image: Callable[[str], bytes] | None = None  # hash -> PNG; without it no images are shown
    options: Mapping[str, Any] = field(default_factory=dict)
    priced: Callable[[str], bool] = lambda spec: False  # whether the user gave a price for a model the list lacks


def open_model(
    spec: str,
    *,
    base_url: str = "",
    timeout: float = 120.0,
    limits: Limits | None = None,
    load_image: Callable[[str], bytes] | None = None,
    options: Mapping[str, Any] | None = None,
    priced: Callable[[str], bool] = lambda spec: False,
) -> Model:
    """Open ``offline``, ``openai:NAME``, ``anthropic:NAME``, ... Raises UserError for what cannot be opened.

    ``priced`` says of a model whether the user gave a price for it, which vouches for a name that the list lacks.
    """
    provider, _, name = spec.partition(":")
    module = plugins.load("models", provider)
    if base_url and urlsplit(base_url).scheme not in ("http", "https"):
        raise UserError(f'the address "{base_url}" of a model server must begin with http:// or https://')
    shown = (limits or Limits()).model_copy(update={} if load_image else {"images": ()})
    settings = Settings(base_url or "", timeout, shown, load_image, dict(options or {}), priced)
    model: Model = module.create(name, settings)
    return model


def image_tokens(spec: str, size: tuple[int, int]) -> int:
    """About how many tokens a model is billed for an image of a size, by the rule that its provider documents."""
    provider, _, name = spec.partition(":")
    rule = getattr(plugins.load("models", provider), "image_tokens", None)
    return int(rule(name, size)) if rule else IMAGE_TOKENS


def providers() -> tuple[str, ...]:
    """The files of this folder."""
    return plugins.names("models")


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def paid_requests_forbidden() -> Iterator[None]:
    """While this is entered, every request to another machine raises PaidRequestForbidden."""
    global _forbidding
    _forbidding += 1
    try:
        yield
    finally:
        _forbidding -= 1


def check_allowed(url: str) -> None:
    """What every provider calls before a request."""
    forbidden = _forbidding or os.environ.get(FORBID_VARIABLE, "") not in ("", "0")
    if forbidden and not is_loopback(url):
        raise PaidRequestForbidden(f"a request to {url} was about to be sent while paid requests are forbidden")
