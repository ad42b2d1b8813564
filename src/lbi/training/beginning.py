"""The tokens with which all rows of a batch begin are run once for all of them, forward and backward.

All prompts of an agent begin with the same rules: three quarters of a short prompt. In a decoder, what a token becomes
depends on the tokens before it only, so the keys and values of the common beginning are the same in each row. They are
computed once, the rest of each row is run on top of them, and the gradients that the rows leave at these keys and
values are added up and taken back through the beginning at the end: the same sum in another order, no approximation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lbi.training.rows import Row
from lbi.training.scorer import Scorer

WORTH = 32  # tokens in common below which rows are run whole


def learn(scorer: Scorer, rows: Sequence[Row], tokens: int, *, share: bool) -> float:
    """Add the gradients of (sum of the rows' losses) / ``tokens`` to the model's, and return the sum."""
    import torch

    before = common(rows) if share else 0
    kept = _keys_and_values(scorer, rows[0].ids[:before]) if before else []
    ends = [tensor.detach().requires_grad_() for tensor in kept]
    total = 0.0
    for loss in _losses(scorer, rows, before, ends):
        (loss / tokens).backward()
        total += float(loss.detach())
    # what the last layer makes of the beginning may have no part in a loss
    taken = [(tensor, end.grad) for tensor, end in zip(kept, ends, strict=True) if end.grad is not None]
    if taken:
        torch.autograd.backward([tensor for tensor, _ in taken], [gradient for _, gradient in taken])
    return total


def measure(scorer: Scorer, rows: Sequence[Row], *, share: bool) -> float:
    """The sum of the rows' losses; to be called without gradients."""
    before = common(rows) if share else 0
    kept = _keys_and_values(scorer, rows[0].ids[:before]) if before else []
    return sum(float(loss) for loss in _losses(scorer, rows, before, kept))


def _losses(scorer: Scorer, rows: Sequence[Row], before: int, kept: Sequence[Any]) -> Iterator[Any]:
    for row in rows:
        yield scorer.loss(row, before, _cache(kept)) if before else scorer.loss(row)


def common(rows: Sequence[Row]) -> int:
    """How many tokens all rows begin with, fewer than the shortest prompt; 0 where it is not worth it."""
    if len(rows) < 2:
        return 0
    longest = min(row.prompt for row in rows) - 1
    first = rows[0].ids
    found = next((at for at in range(longest) if any(row.ids[at] != first[at] for row in rows)), longest)
    return found if found >= WORTH else 0


def can_be_shared(scorer: Scorer, rows: Sequence[Row]) -> bool:
    """Whether this model gives the same loss with a beginning kept: not all keep keys and values in the usual way."""
    import torch

    some = [min(rows, key=lambda row: len(row.ids))] * 2
    with torch.no_grad():
        whole = measure(scorer, some, share=False)
        try:
            shared = measure(scorer, some, share=True)
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError):
            return False  # a model of another kind, such as one with a recurrent state
    return abs(whole - shared) <= 0.02 * abs(whole) + 0.02


def _keys_and_values(scorer: Scorer, ids: list[int]) -> list[Any]:
    """Of these tokens: keys and values of the first layer, of the second, ..."""
    from transformers import DynamicCache

    cache = DynamicCache()
    scorer.hidden(ids, cache)
    return [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]


def _cache(kept: Sequence[Any]) -> Any:
    """A cache to run a row on: it grows by the row, the tensors given stay as they are."""
    from transformers import DynamicCache

    cache = DynamicCache()
    for layer in range(len(kept) // 2):
        cache.update(kept[2 * layer], kept[2 * layer + 1], layer)
    return cache
