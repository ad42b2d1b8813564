"""Who computes a training run: ``loop`` is ours, for CPUs, ``trl`` is TRL and PEFT, for GPUs.

Each has ``train(job)``. Torch is imported within functions only: nothing but `lbi train` may load it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from lbi.errors import UserError
from lbi.training.curve import Curve
from lbi.training.recipe import Recipe
from lbi.training.rows import TrainingSet
from lbi.training.tokens import ChatTokenizer
from lbi.training.weights import Weights

TRAINER = "trainer"  # TRL's folder of checkpoints, within the adapter's


@dataclass(frozen=True)
class Job:
    """One training run."""

    weights: Weights
    tokenizer: ChatTokenizer
    data: TrainingSet
    recipe: Recipe
    folder: Path  # of the adapter
    curve: Curve


def choose_backend(recipe: Recipe) -> str:
    """``loop`` or ``trl``. Raises UserError where the recipe asks for what a CPU cannot do."""
    import torch

    gpu = torch.cuda.is_available()
    chosen = recipe.backend if recipe.backend != "auto" else "trl" if gpu else "loop"
    if recipe.method == "qlora" and not gpu:
        raise UserError("QLoRA needs a CUDA GPU; train with --method lora here")
    if recipe.method == "qlora" and importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("QLoRA needs bitsandbytes: pip install bitsandbytes; or train with --method lora")
    if chosen == "loop" and (recipe.packing or recipe.method == "qlora"):
        raise UserError("packing and QLoRA are done by TRL: add --backend trl")
    return chosen


def backend(name: str) -> Callable[[Job], None]:
    """What trains; loads its libraries when it is called."""
    return cast(Callable[[Job], None], import_module(f"lbi.training.backends.{name}").train)
