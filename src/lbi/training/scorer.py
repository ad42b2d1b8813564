"""Row -> the sum of the losses of its reply's tokens; the head is applied where one of these is to be told, only."""

from __future__ import annotations

import inspect
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

    def loss(self, row: Row, before: int = 0, cache: Any = None) -> Any:
        """With a ``cache`` of the row's first ``before`` tokens (fewer than its prompt has), only the rest is run."""
        import torch.nn.functional as functional

        hidden = self.hidden(row.ids[before:], cache)[row.prompt - before - 1 : -1]
        told = self.tensor(row.ids[row.prompt :])[0]
        return functional.cross_entropy(self.logits(hidden).float(), told, reduction="sum")

    def hidden(self, ids: list[int], cache: Any = None) -> Any:
        """The decoder's outputs as a table of positions; a batch's dimension would make the head copy its weights."""
        kept = {self.name_of_cache: cache} if cache is not None else {}
        return self.decoder(input_ids=self.tensor(ids), use_cache=cache is not None, **kept).last_hidden_state[0]

    def tensor(self, ids: list[int]) -> Any:
        import torch

        return torch.tensor([ids], device=self.head.weight.device)

    def logits(self, hidden: Any) -> Any:
        import torch

        logits = self.head(hidden)
        return self.cap * torch.tanh(logits / self.cap) if self.cap else logits

    def refuse_another_head(self, row: Row) -> None:
        """Some models do more with their head's output; what is learned then would not be what is said."""
        import torch

        prompt = row.ids[: row.prompt]
        with torch.no_grad():
            own = self.model(input_ids=self.tensor(prompt), logits_to_keep=1, use_cache=False).logits[0, -1].float()
            ours = self.logits(self.hidden(prompt)[-1:])[0].float()
        if not torch.allclose(own, ours, rtol=1e-2, atol=1e-2):
            raise UserError("this model computes its logits in a way of its own; train it with --backend trl")
