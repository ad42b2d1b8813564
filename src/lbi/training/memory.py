"""Out of memory -> a line that says what to lower."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lbi.errors import UserError
from lbi.training.recipe import Recipe

#: what libraries say, in small letters, when there is no more memory
_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad allocation")


@contextlib.contextmanager
def advice_when_memory_runs_out(recipe: Recipe) -> Iterator[None]:
    """Turn a failed allocation into a UserError. Other errors pass unchanged."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_about_memory(error):
            raise
        raise UserError(
            f"not enough memory to train; {advice(recipe)}. What was finished is kept, and the same command continues"
        ) from error


def is_about_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)


def advice(recipe: Recipe) -> str:
    """What can be lowered, most effective first. Nothing that is lowered already, or that changes no memory."""
    ways = []
    if not recipe.checkpointing:
        ways.append("add --checkpointing (the same result, slower)")
    if recipe.per_device > 1:
        ways.append(f"lower --per-device below {recipe.per_device} (the same result)")
    if recipe.method == "full":
        ways.append("train with --method lora")
    if recipe.precision == "fp32":
        ways.append("take --precision bf16")
    ways.append(f"make rows shorter (--max-chars) so that --max-length can be below {recipe.max_length:,}")
    if recipe.method == "lora":
        ways.append("on a GPU take --method qlora")
    return "; or ".join(["take a smaller model", *ways])
