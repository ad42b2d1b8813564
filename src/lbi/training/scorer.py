"""Row -> the sum of the losses of its reply's tokens; the head is applied where one of these is to be told, only."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lbi.errors import UserError
from lbi.training.rows import Row


@dataclass
class Scorer:
    """A decoder and its head, apart."""

    model: Any

    def __post_init__(self) -> None:
        self.decoder, self.head = self.model.base_model, self.model.get_output_embeddings()
        takes = inspect.signature(self.decoder.forward).parameters
        self.name_of_cache = "cache" if "cache" in takes else "past_key_values"  # its name before Transformers 5.24
        self.cap = getattr(self.model.config.get_text_config(), "final_logit_softcapping", None)

    def loss(self, row: Row) -> Any:
        """A table of positions goes into the head; a batch's dimension would make it copy its weights."""
        return self._told(self.hidden([row.ids])[0, row.prompt - 1 : -1], row.ids[row.prompt :])

    def loss_of_rests(self, rows: Sequence[Row], before: int, cache: Any) -> Any:
        """Of several rows at once, given a ``cache`` of their first ``before`` tokens, fewer than each prompt has.

        Shorter rests are filled up behind their end, where nothing that counts can see it.
        """
        import torch

        longest = max(len(row.ids) for row in rows)
        hidden = self.hidden([row.ids[before:] + [0] * (longest - len(row.ids)) for row in rows], cache)
        places = [hidden[at, row.prompt - before - 1 : len(row.ids) - before - 1] for at, row in enumerate(rows)]
        return self._told(torch.cat(places), [token for row in rows for token in row.ids[row.prompt :]])

    def _told(self, hidden: Any, tokens: list[int]) -> Any:
        import torch.nn.functional as functional

        return functional.cross_entropy(self.logits(hidden).float(), self.tensor(tokens), reduction="sum")

    def hidden(self, ids: list[list[int]], cache: Any = None) -> Any:
        """The decoder's outputs: rows, positions, channels."""
        kept = {self.name_of_cache: cache} if cache is not None else {}
        return self.decoder(input_ids=self.tensor(ids), use_cache=cache is not None, **kept).last_hidden_state

    def tensor(self, ids: Sequence[Any]) -> Any:
        import torch

        return torch.tensor(ids, device=self.head.weight.device)

    def logits(self, hidden: Any) -> Any:
        import torch

        logits = self.head(hidden)
        return self.cap * torch.tanh(logits / self.cap) if self.cap else logits

    def refuse_another_head(self, row: Row) -> None:
        """Some models do more with their head's output; what is learned then would not be what is said."""
        import torch

        prompt = [row.ids[: row.prompt]]
        with torch.no_grad():
            own = self.model(input_ids=self.tensor(prompt), logits_to_keep=1, use_cache=False).logits[0, -1].float()
            ours = self.logits(self.hidden(prompt)[0, -1:])[0].float()
        if not torch.allclose(own, ours, rtol=1e-2, atol=1e-2):
            raise UserError("this model computes its logits in a way of its own; train it with --backend trl")
