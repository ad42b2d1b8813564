"""Which stored model calls a piece of work made, so that each step can say which prompts led to it.

    with calls_made() as keys:
        decision = await agent.act(...)
    keys  # ("9f3c...", "41aa..."), in the order in which their replies came

Whoever keeps the calls notes them; work that asks no model, or one whose calls are not kept, has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_keys: ContextVar[list[str] | None] = ContextVar("keys of the calls made", default=None)


@contextmanager
def calls_made() -> Iterator[list[str]]:
    """The list of the keys fills while the body runs, also by tasks that it starts. Within another one, only here."""
    keys: list[str] = []
    before = _keys.set(keys)
    try:
        yield keys
    finally:
        _keys.reset(before)


def note_call(key: str) -> None:
    """A call whose reply was used, from the provider or from the store."""
    keys = _keys.get()
    if keys is not None:
        keys.append(key)
