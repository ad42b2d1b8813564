"""``provider:name`` -> a model that is ready to be asked: one provider per file of the folder ``providers``.

A provider's file has ``create(name, settings) -> Model``, and is found by being there; those of other distributions are
found by entry points of the group ``lbi.models``. It may also have

* ``SPEC``: how a config names its models, such as "openai:NAME"; without it, by the provider's name alone
* ``NAMES``: beginnings of its models' names, for who writes a name without its provider
* ``image_tokens(name, size)``: about how many tokens an image is billed as, for the estimate before a run
* ``EXPLORERS``: family of environments -> the agent that attempts tasks there without asking a model
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lbi import plugins
from lbi.errors import UserError
from lbi.models.pricing import known_models
from lbi.protocols import IMAGE_TOKENS, Model, PromptLimits
from lbi.storage.names import address_problem, without_password

#: set to 1, no request leaves this machine: for tests, and for processes that tests start
FORBID_VARIABLE = "LBI_FORBID_PAID_REQUESTS"
#: tokens that a model of the provider's own endpoint may spend on thoughts, on top of those of its reply
THINKING_TOKENS = 4096
_forbidding = 0


class PaidRequestForbidden(BaseException):
    """A request was about to leave the machine where that is forbidden.

    No ``Exception``: whatever retries, classifies or reports failures must not take it for one of them.
    """


class MissingKey(UserError):
    """No key for a provider. ``variables`` are those of the environment of which one must be set."""

    def __init__(self, provider: str, variables: Sequence[str]) -> None:
        self.provider, self.variables = provider, tuple(variables)
        super().__init__(_missing_text([self]))


def raise_missing_keys(missing: Sequence[MissingKey]) -> None:
    """One error for all keys that a run lacks, if it lacks any."""
    if missing:
        raise UserError(_missing_text(missing))


def _missing_text(missing: Sequence[MissingKey]) -> str:
    needed = {" or ".join(error.variables): error.provider for error in missing}
    providers_named = " and ".join(dict.fromkeys(needed.values()))
    variables = "variable" if len(needed) == 1 else "variables"
    return (
        f"no key for {providers_named}: set the environment {variables} {' and '.join(needed)}, "
        "or use a model that needs none (`lbi list models`)"
    )


@dataclass(frozen=True)
class Settings:
    """What every provider is given. ``options`` are added to the body of each request as they are."""

    base_url: str = ""  # empty = the provider's own endpoint
    timeout: float = 120.0  # seconds for one request as a whole
    limits: PromptLimits = field(default_factory=PromptLimits)
    load_image: Callable[[str], bytes] | None = None  # hash -> PNG; without it no images are shown
    options: Mapping[str, Any] = field(default_factory=dict)
    priced: Callable[[str], bool] = lambda spec: False  # whether the user gave a price for a model the list lacks


def open_model(
    spec: str,
    *,
    base_url: str = "",
    timeout: float = 120.0,
    limits: PromptLimits | None = None,
    load_image: Callable[[str], bytes] | None = None,
    options: Mapping[str, Any] | None = None,
    priced: Callable[[str], bool] = lambda spec: False,
) -> Model:
    """Open the model that a config names, such as ``openai:NAME``. Raises UserError for what cannot be opened.

    ``priced`` says of a model whether the user gave a price for it, which vouches for a name that the list lacks.
    """
    module, name = _provider(spec), spec.partition(":")[2]
    if base_url and (problem := address_problem(base_url)):
        raise UserError(f"the address {without_password(base_url)!r} of a model server: {problem}")
    shown = (limits or PromptLimits()).model_copy(update={} if load_image else {"images": ()})
    settings = Settings(base_url or "", timeout, shown, load_image, dict(options or {}), priced)
    model: Model = module.create(name, settings)
    return model


def image_tokens(spec: str, size: tuple[int, int]) -> int:
    """About how many tokens a model is billed for an image of a size, by the rule that its provider documents."""
    rule = getattr(_provider(spec), "image_tokens", None)
    return int(rule(spec.partition(":")[2], size)) if rule else IMAGE_TOKENS


def explorers_of(spec: str) -> Mapping[str, str]:
    """Family of environments -> the agent that attempts tasks there without asking this model; most have none."""
    explorers: Mapping[str, str] = getattr(_provider(spec), "EXPLORERS", {})
    return explorers


def providers() -> tuple[str, ...]:
    """The names of all providers."""
    return plugins.names("models")


def _provider(spec: str) -> Any:
    """The module of a model's provider. Raises UserError where there is none, with what may have been meant."""
    provider = spec.partition(":")[0]
    if provider not in plugins.available("models") and (meant := _with_provider(spec)):
        raise UserError(f"there is no model provider {provider!r}; did you mean {' or '.join(meant)}?")
    return plugins.load("models", provider)


def _with_provider(name: str) -> list[str]:
    """A model's name with each of our providers that names its models so, or else has such a one on the price list."""
    ours = [plug_in.name for plug_in in plugins.available("models").values() if plug_in.entry is None]
    naming = [provider for provider in ours if name.startswith(_names(provider))]
    return [f"{provider}:{name}" for provider in naming or ours if naming or known_models(provider).recognises(name)]


def _names(provider: str) -> tuple[str, ...]:
    return tuple(getattr(plugins.load("models", provider), "NAMES", ()))


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
