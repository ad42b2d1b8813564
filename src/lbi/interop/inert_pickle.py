"""Reads pickles of others without running anything of theirs: every class and function in one is a dead stand-in.

    loaded = read_pickle(bytes)      numbers, texts, lists and dicts as they are; a StepInfo as Inert("...StepInfo")

A pickle names functions that reading it calls. Here no name is looked up: whatever is named is a stand-in that, when
it is called, remembers what it was called with.
"""

from __future__ import annotations

import io
import pickle
from typing import Any


class Inert:
    """Stands for an object whose class is not looked up; ``state`` holds its fields where it had any."""

    arguments: tuple[Any, ...]
    state: dict[str, Any]

    def __new__(cls, *arguments: Any, **named: Any) -> Inert:
        made = super().__new__(cls)  # a pickle may leave __init__ out
        made.arguments, made.state = arguments, dict(named)
        return made

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Whatever it is called with is kept."""

    def __setstate__(self, state: Any) -> None:
        fields = state[0] if isinstance(state, tuple) and state and isinstance(state[0], dict) else state
        self.state.update(fields if isinstance(fields, dict) else {"state": fields})

    # what a pickle may do with an object that it takes for a list, a set or a dict

    def append(self, item: Any) -> None:
        self.state.setdefault("items", []).append(item)

    def extend(self, items: Any) -> None:
        self.state.setdefault("items", []).extend(items)

    def add(self, item: Any) -> None:
        self.append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.state[str(key)] = value


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return type(name.rpartition(".")[2] or "Inert", (Inert,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        return Inert(pid)


def read_pickle(data: bytes) -> Any:
    """Raises ValueError for what is no whole pickle."""
    try:
        return _Reader(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"no whole pickle: {error}") from None


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of an object, or of a dict."""
    return value.state if isinstance(value, Inert) else value if isinstance(value, dict) else {}
