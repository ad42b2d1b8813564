"""What an environment on another machine answers: a value or an error of ours, and the images that were taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lbi.errors import LbiError


@dataclass(frozen=True)
class Raised:
    """An error of ours, in parts: how its class is made from arguments is its own affair, and no matter here."""

    kind: type[LbiError]
    message: str
    state: Mapping[str, Any]

    @classmethod
    def of(cls, error: LbiError) -> Raised:
        return cls(type(error), str(error), dict(vars(error)))

    def error(self, place: str = "") -> LbiError:
        """The same error again: its class, its message with the ``place`` before it, and what it holds."""
        error = self.kind.__new__(self.kind)
        error.args = (f"{place}: {self.message}" if place else self.message,)
        vars(error).update(self.state)
        return error


@dataclass(frozen=True)
class Answer:
    """What one call came to. ``images``: PNGs that it took, by the hash under which the value names them."""

    value: Any = None
    raised: Raised | None = None
    images: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """What a worker says of the environment that it has opened."""

    name: str
    actions: str
    version: str
    """Of the application; "" = it cannot be told."""
