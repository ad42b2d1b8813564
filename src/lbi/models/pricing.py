"""Model and usage -> US dollars, or None where no price is known: an unknown price is never taken for 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pydantic import Field, model_validator

from lbi.records import Record, Usage

LIST = "genai-prices"


class Price(Record):
    """US dollars per million tokens. In a config also as a list: ``[input, output]``."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float | None = Field(None, ge=0)  # input that is read from the provider's cache; None = as other input
    written: float | None = Field(None, ge=0)  # input that is written to it; None = as other input
    date: str = ""  # since when it holds, or when it was looked up
    source: str = "config"

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        if len(value) not in (2, 3, 4):
            raise ValueError("a price is [input, output], and where known cached and written input after them")
        return dict(zip(("input", "output", "cached", "written"), value, strict=False))

    def cost(self, usage: Usage) -> float:
        """US dollars."""
        plain = max(usage.input_tokens - usage.cached_tokens - usage.written_tokens, 0)
        read = self.input if self.cached is None else self.cached
        write = self.input if self.written is None else self.written
        prompt = self.input * plain + read * usage.cached_tokens + write * usage.written_tokens
        return (prompt + self.output * usage.output_tokens) / 1e6


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

    listed = next((entry for entry in get_snapshot().providers if entry.id == provider), None)
    return KnownModels(sorted(model.id for model in listed.models) if listed else [], listed)


class Prices:
    """The price list, and prices of the user's own, which win.

    A model is named ``openai:gpt-4o``, in the overrides also ``gpt-4o``.
    """

    def __init__(self, overrides: Mapping[str, Price | tuple[float, float]] | None = None) -> None:
        self._overrides = {name: Price.model_validate(price) for name, price in (overrides or {}).items()}

    def overrides(self, model: str) -> bool:
        return self._override(model) is not None

    def cost(self, model: str, usage: Usage, endpoint: str = "") -> float | None:
        """What a usage costs in US dollars. ``endpoint`` is the address of a server that is not the provider's own."""
        own = self._override(model)
        return self._listed(model, usage, endpoint) if own is None else own.cost(usage)

    def of(self, model: str, today: str, endpoint: str = "") -> Price | None:
        """The price of short prompts, with where it is from; ``today`` is the ISO date at which it is looked up."""
        own = self._override(model)
        if own is not None:
            return own.model_copy(update={"date": own.date or today})
        tokens = 1000
        usages = {
            "input": Usage(calls=1, input_tokens=tokens),
            "output": Usage(calls=1, output_tokens=tokens),
            "cached": Usage(calls=1, input_tokens=tokens, cached_tokens=tokens),
            "written": Usage(calls=1, input_tokens=tokens, written_tokens=tokens),
        }
        costs = {kind: self._listed(model, usage, endpoint) for kind, usage in usages.items()}
        if costs["input"] is None or costs["output"] is None:
            return None
        prices = {kind: None if cost is None else round(cost * 1e6 / tokens, 6) for kind, cost in costs.items()}
        return Price.model_validate({**prices, "date": today, "source": f"{LIST} {version(LIST)}"})

    def knows(self, model: str, endpoint: str = "") -> bool:
        return self.cost(model, Usage(calls=1, input_tokens=1000, output_tokens=1000), endpoint) is not None

    def _override(self, model: str) -> Price | None:
        return self._overrides.get(model, self._overrides.get(model.partition(":")[2]))

    def _listed(self, model: str, usage: Usage, endpoint: str) -> float | None:
        from genai_prices import Usage as Tokens
        from genai_prices import calc_price

        provider, _, name = model.partition(":")
        written = usage.written_tokens
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
