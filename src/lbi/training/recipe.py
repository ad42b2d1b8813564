"""The recipe of a training run: the paper's by default (App. C), and what a person or a machine asks for instead.

Rank and masking are not given in the paper: rank 16, loss on the replies only, oldest history dropped first.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lbi.records import Record

Method = Literal["lora", "qlora", "full"]
Backend = Literal["auto", "loop", "trl"]
Precision = Literal["auto", "bf16", "fp32"]


class Recipe(Record):
    """Everything that decides what a training run computes, beside its data and its model."""

    method: Method = "lora"
    backend: Backend = "auto"
    """``loop``: our own, for CPUs. ``trl``: TRL and PEFT, for GPUs. ``auto``: by what the machine has."""
    epochs: float = Field(default=3.0, gt=0, allow_inf_nan=False)
    batch: int = Field(default=128, ge=1)
    """Rows of one step of the optimiser; gathered row by row, so that memory does not grow with it."""
    per_device: int = Field(default=1, ge=1)
    """Rows that are computed at once, by TRL only: on a CPU several at once are no faster."""
    learning_rate: float = Field(default=2e-5, gt=0, allow_inf_nan=False)
    warmup: float = Field(default=0.03, ge=0, lt=1)
    """The share of steps in which the rate rises from 0; it then falls to 0 in a straight line."""
    max_length: int = Field(default=8192, ge=8)
    """Tokens of a row. A longer one is refused before training begins, never cut."""
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    precision: Precision = "auto"
    packing: bool = False
    checkpointing: bool = False
    """Compute the decoder's inner values again on the way back instead of keeping them: less memory, slower."""
    save_every: int = Field(default=20, ge=1)
    """Steps between two checkpoints; a kill loses no more than these."""
    max_steps: int = Field(default=0, ge=0)
    """Stop after so many steps, whatever the epochs; 0 = no."""
    seed: int = 0

    def steps_of(self, rows: int) -> int:
        """Steps of the optimiser for so many rows. The last batch of an epoch may be smaller."""
        per_epoch = -(-rows // self.batch)
        steps = max(1, round(self.epochs * per_epoch))
        return min(steps, self.max_steps) if self.max_steps else steps


PAPER = Recipe()
