"""Headers of a reply -> what is left of the rate limits: (Left("requests", limit=50, remaining=3, resets_in=40.0),)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from lbi.records import Left

_PARTS = ("remaining", "reset", "limit")
_ANTHROPIC = ("requests", "tokens", "input-tokens", "output-tokens")
#: what is limited, and the headers with what remains, when it resets, and the limit
_NAMES = (
    *((what, *(f"x-ratelimit-{part}-{what}" for part in _PARTS)) for what in ("requests", "tokens")),
    *((what.replace("-", " "), *(f"anthropic-ratelimit-{what}-{part}" for part in _PARTS)) for what in _ANTHROPIC),
)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def left(headers: Mapping[str, str]) -> tuple[Left, ...]:
    """Every limit that the headers state in full; one that cannot be read is no limit."""
    limits = []
    for what, remaining, reset, limit in _NAMES:
        if remaining not in headers:
            continue
        number, resets_in = _number(headers[remaining]), duration(headers.get(reset))
        if number is not None and resets_in is not None:
            limits.append(Left(what, _number(headers.get(limit)), number, resets_in))
    return tuple(limits)


def _number(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:
        return None


def duration(text: str | None) -> float | None:
    """Seconds from ``6m0s``, ``20ms``, ``1.5`` or a time such as ``2025-01-01T00:00:30Z``."""
    if not text:
        return None
    plain = _number(text)
    if plain is not None:
        return plain
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp())
