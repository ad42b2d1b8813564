"""Where a training run is: weights, optimiser, step and random state in one file, so that a kill loses nothing else.

The file is written beside its place and renamed, so there is always a whole one.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.errors import UserError

FILE = "checkpoint.pt"


@dataclass(frozen=True)
class Checkpoint:
    """The state after ``step`` steps."""

    step: int
    weights: dict[str, Any]
    optimiser: dict[str, Any]
    random: Any


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Replace the checkpoint of a folder; the one before stays where the new one cannot be written."""
    import torch

    part = folder / f".{FILE}.{os.getpid()}.part"
    try:
        with part.open("wb") as opened:
            torch.save(vars(checkpoint), opened)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(folder / FILE)
    except (OSError, RuntimeError):
        part.unlink(missing_ok=True)
        raise


def load(folder: Path) -> Checkpoint | None:
    """The checkpoint of a folder, None where there is none. Raises UserError for one that cannot be read."""
    import torch

    for part in folder.glob(f".{FILE}.*.part"):  # of a training that was killed while it wrote
        part.unlink(missing_ok=True)
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        return Checkpoint(**torch.load(file, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, TypeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]  # what follows is for programmers
        raise UserError(f"{file} cannot be read ({first}); delete it to train from the beginning") from None
