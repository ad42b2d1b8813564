"""Tokens -> how many of them an engine has computed before, for engines that reuse prefixes and do not say how much.

They reuse whole blocks of tokens, each known by itself and all before it; the least recently used are dropped first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import takewhile

BLOCK = 32  # tokens, on CPUs


class Prefixes:
    """Keeps the same books as the engine's own cache, which holds ``capacity`` tokens."""

    def __init__(self, capacity: int) -> None:
        self._most = max(1, capacity // BLOCK)
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def known(self, tokens: Sequence[int]) -> int:
        """Tokens at the beginning that need not be computed; the last one always is, as its successor is asked for."""
        known = list(takewhile(self._blocks.__contains__, _chain(tokens)))
        for block in known:
            self._blocks.move_to_end(block)
        return min(len(known) * BLOCK, max(0, len(tokens) - 1))

    def learn(self, tokens: Sequence[int]) -> None:
        """Remember what was computed: a prompt and the reply to it."""
        for block in _chain(tokens):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)


def _chain(tokens: Sequence[int]) -> Iterator[int]:
    """A hash for each whole block, which stands for all tokens up to its end."""
    before = 0
    for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
        before = hash((before, *tokens[start : start + BLOCK]))
        yield before
