"""What an id stands for, passed beside it to a cached function: the id tells one from another, this is only used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class Unhashed(Generic[T]):
    """``lru_cache`` takes all of them for the same."""

    value: T

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashed)

    def __hash__(self) -> int:
        return 0
