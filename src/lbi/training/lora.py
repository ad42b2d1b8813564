"""Low-rank adapters (LoRA) on every linear layer of a decoder, kept in PEFT's format.

The weights of an adapter are in 32 bits whatever the model is in: steps of 1e-5 are lost in 16. PEFT itself does the
same and is used on GPUs; on CPUs its import alone takes longer than some training runs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lbi.training.recipe import Recipe

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."  # before the names of a model's modules in PEFT's files


def add_adapters(model: Any, recipe: Recipe) -> list[Any]:
    """Freeze the model, give every linear layer but the head an adapter, and return what is to be trained.

    An adapter begins as nothing: its second matrix is zero. The first is drawn with the recipe's seed.
    """
    import torch

    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(recipe.seed)
    scale = recipe.alpha / recipe.rank
    trained = []
    for _, layer in _layers(model):
        first = torch.empty(recipe.rank, layer.in_features)
        torch.nn.init.kaiming_uniform_(first, a=math.sqrt(5), generator=generator)
        device = layer.weight.device
        layer.register_parameter("lora_A", torch.nn.Parameter(first.to(device)))
        layer.register_parameter(
            "lora_B", torch.nn.Parameter(torch.zeros(layer.out_features, recipe.rank, device=device))
        )
        layer.forward = _adapted(layer, scale)
        trained += [layer.lora_A, layer.lora_B]
    return trained


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """The linear layers, with their names in the model; not the head, which tells tokens."""
    import torch

    head = model.get_output_embeddings()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            yield name, module


def _adapted(layer: Any, scale: float) -> Any:
    """A layer's ``forward`` with its adapter: y = W x + bias + scale B A x.

    Forward and backward add in place to what the frozen weights give. Written as separate operations, most of the time
    on a CPU goes into reading and writing whole outputs, not into multiplying.
    """
    import torch
    import torch.nn.functional as functional

    def flat(x: Any) -> Any:
        return x.reshape(-1, x.shape[-1])

    class Adapted(torch.autograd.Function):  # type: ignore[misc]  # torch is not looked into
        @staticmethod
        def forward(ctx: Any, x: Any, first: Any, second: Any) -> Any:
            first, second = first.to(x.dtype), second.to(x.dtype)
            low = functional.linear(x, first).mul_(scale)
            out = functional.linear(x, layer.weight, layer.bias)
            out.view(-1, out.shape[-1]).addmm_(flat(low), second.t())
            ctx.save_for_backward(x, low, first, second)
            return out

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            x, low, first, second = ctx.saved_tensors
            of_out = flat(gradients[0])
            of_low = (of_out @ second).mul_(scale)
            of_x = (of_out @ layer.weight).addmm_(of_low, first).view(x.shape) if ctx.needs_input_grad[0] else None
            return of_x, (of_low.t() @ flat(x)).float(), (of_out.t() @ flat(low)).float()

    return lambda x: Adapted.apply(x, layer.lora_A, layer.lora_B)


def adapter_weights(model: Any) -> dict[str, Any]:
    """The adapter by PEFT's names, on the CPU."""
    found = {}
    for name, layer in _layers(model):
        for part in ("lora_A", "lora_B"):
            found[f"{PREFIX}{name}.{part}.weight"] = layer.get_parameter(part).detach().cpu().contiguous()
    return found


def restore_adapter(model: Any, stored: dict[str, Any]) -> None:
    """Put stored weights in the place of those of ``add_adapters``."""
    import torch

    with torch.no_grad():
        for name, layer in _layers(model):
            for part in ("lora_A", "lora_B"):
                layer.get_parameter(part).copy_(stored[f"{PREFIX}{name}.{part}.weight"])


def save_adapter(model: Any, folder: Path, base: str, recipe: Recipe) -> None:
    """Write the adapter as PEFT does, so that everything that reads one of these reads it."""
    from safetensors.torch import save_file

    part = folder / f".{WEIGHTS}.part"
    save_file(adapter_weights(model), part, metadata={"format": "pt"})
    part.replace(folder / WEIGHTS)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({name.rpartition(".")[2] for name, _ in _layers(model)}),
    }
    (folder / CONFIG).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
