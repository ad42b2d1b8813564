"""Model and usage -> US dollars, or None where no price is known: an unknown price is never taken for 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lbi.records import Usage


class Bill(Usage):
    """A usage as the provider states it; only its price depends on what is told apart here."""

    written_tokens: int = 0  # part of input_tokens that the provider wrote to its cache, at a price of its own

    @property
    def usage(self) -> Usage:
        return Usage(**{name: getattr(self, name) for name in Usage.model_fields})


@dataclass(frozen=True)
class KnownModels:
    """The models of one provider that the price list has."""

    names: list[str]
    provider: Any

    def recognises(self, name: str) -> bool:
        return bool(self.provider is not None and self.provider.find_model(name))


def known_models(provider: str) -> KnownModels:
    """What the price list that came with genai-prices has of a provider; nothing is downloaded."""
    from genai_prices.data_snapshot import get_snapshot

    found = next((each for each in get_snapshot().providers if each.id == provider), None)
    return KnownModels(sorted(model.id for model in found.models) if found else [], found)


class Prices:
    """The price list, and prices of the user's own: US dollars per million input and output tokens, by model.

    A model is named ``openai:gpt-4o``, in the overrides also ``gpt-4o``.
    """

    def __init__(self, overrides: Mapping[str, tuple[float, float]] | None = None) -> None:
        self._overrides = dict(overrides or {})

    def overrides(self, model: str) -> bool:
        return self._override(model) is not None

    def cost(self, model: str, usage: Usage, endpoint: str = "") -> float | None:
        """What a usage costs. ``endpoint`` is the address of a server that is not the provider's own."""
        own = self._override(model)
        if own is not None:
            return (own[0] * usage.input_tokens + own[1] * usage.output_tokens) / 1e6
        return self._listed(model, usage, endpoint)

    def knows(self, model: str, endpoint: str = "") -> bool:
        return self.cost(model, Usage(calls=1, input_tokens=1000, output_tokens=1000), endpoint) is not None

    def _override(self, model: str) -> tuple[float, float] | None:
        return self._overrides.get(model, self._overrides.get(model.partition(":")[2]))

    def _listed(self, model: str, usage: Usage, endpoint: str) -> float | None:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price

        provider, _, name = model.partition(":")
        written = usage.written_tokens if isinstance(usage, Bill) else 0
        tokens = Tokens(
            input_tokens=max(usage.input_tokens, usage.cached_tokens + written),
            cache_read_tokens=usage.cached_tokens,
            cache_write_tokens=written,
            output_tokens=usage.output_tokens,
        )
        try:
            if endpoint:
                return float(calc_price(tokens, name, provider_api_url=endpoint).total_price)
            return float(calc_price(tokens, name, provider_id=provider).total_price)
        except LookupError:
            return None
