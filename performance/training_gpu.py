"""Tokens per second, memory and share of a GPU's peak of `lbi train` with TRL: LoRA of a model with random weights.

python performance/training_gpu.py                       7 billion weights, rows of about 8,192 tokens
python performance/training_gpu.py --small --ways plain  four layers, rows of 256, on any machine: that it runs

Each way trains the same rows for as many steps: `plain` as `lbi train` does, `checkpointing` computes inner values
again, `two` takes two rows at a time. The first step is left out of the time, as it pays for what is done once.

The share of the peak counts what LoRA must compute: 4 operations for each weight and token (forward, and back through
frozen weights), and 6 x layers x width x half the row's length for attention. Peaks are those for dense bf16 that their
makers state; `--peak` takes another card's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.training import curve
from lbi.training.backends import Job, backend
from lbi.training.curve import Curve
from lbi.training.recipe import Recipe
from lbi.training.rows import TrainingSet, load_rows
from lbi.training.tokens import ChatTokenizer
from lbi.training.weights import Weights, find_weights
from training import SMALL, write_model, write_rows

#: the sizes of the usual models of 7 billion weights
SEVEN = {
    "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
    "num_key_value_heads": 4, "tie_word_embeddings": False, "max_position_embeddings": 32768,
}  # fmt: skip
TOKENS = 6  # of a word of `write_rows`
PEAKS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.0}  # 10^12 operations a second
WAYS: dict[str, dict[str, Any]] = {"plain": {}, "checkpointing": {"checkpointing": True}, "two": {"per_device": 2}}


def main() -> None:
    asked = arguments()
    import torch

    gpu = torch.cuda.is_available()
    if not gpu and not asked.small:
        raise SystemExit("there is no GPU here; --small shows that it runs")
    sizes, length, vocabulary = (SMALL, 256, 20_000) if asked.small else (SEVEN, 8192, 152_064)
    card = torch.cuda.get_device_name() if gpu else "no GPU"
    peak = asked.peak or next((peak for name, peak in PEAKS.items() if name in card), 0.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder, began = Path(temporary), time.perf_counter()
        weights = find_weights(str(write_model(folder / "model", vocabulary, sizes, "cuda" if gpu else "cpu")))
        tokenizer = ChatTokenizer.load(weights.source)
        rows = load_rows(write_rows(folder / "data", asked.rows, (length - 100) // TOKENS), tokenizer, 1 << 20)
        tokens = sum(len(row.ids) for row in rows.train) / len(rows.train)
        held = sum(file.stat().st_size for file in Path(weights.source).glob("*.safetensors")) / 2  # bytes of bf16
        each = 4 * held + 6 * sizes["num_hidden_layers"] * sizes["hidden_size"] * tokens / 2
        print(f"{card}; {held / 1e9:.2f} billion weights, made in {time.perf_counter() - began:.0f} s")
        print(f"{len(rows.train)} rows of {tokens:.0f} tokens", flush=True)
        for way in asked.ways.split(","):
            if gpu:
                torch.cuda.reset_peak_memory_stats()
            try:
                speed = trained(folder / way, weights, tokenizer, rows, WAYS[way], asked.batch) * tokens
            except UserError as error:  # not enough memory, and the next way may need less
                print(f"{way}: {error}", flush=True)
                continue
            memory = torch.cuda.max_memory_allocated() / 2**30 if gpu else 0.0
            share = f", {speed * each / peak / 1e12:.0%} of the peak" if peak else ""
            print(f"{way}: {speed:,.0f} tokens/s, {memory:.1f} GiB at most{share}", flush=True)


def trained(
    folder: Path, weights: Weights, tokenizer: ChatTokenizer, rows: TrainingSet, way: dict[str, Any], batch: int
) -> float:
    """Rows per second after the first step."""
    folder.mkdir()
    recipe = Recipe(batch=batch, epochs=1, max_length=1 << 20, save_every=1 << 20, precision="bf16", **way)
    backend("trl")(Job(weights, tokenizer, rows, recipe, folder, Curve(folder, recipe.steps_of(len(rows.train)))))
    steps = curve.read(folder)
    shutil.rmtree(folder)
    return (len(rows.train) - batch) / (steps[-1]["seconds"] - steps[0]["seconds"])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--peak", type=float, default=0.0, help="of the card, in 10^12 operations a second")
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
