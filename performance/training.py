"""Rows per second of our training loop beside TRL's defaults: one model, the same rows, precision and threads.

python performance/training.py                      a small random model with a vocabulary of real size
python performance/training.py --model FOLDER       a model of yours: a folder, a GGUF file, OWNER/NAME of a hub
python performance/training.py --data EXPORT        rows of an export of the format trl

Both compute the same steps of LoRA, one after the other: TRL with what it does by default (all logits, one row at a
time), ours with the head on the replies only. Prints rows per second, the ratio, and both curves of losses.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from pathlib import Path

from lbi.training import curve
from lbi.training.backends import Job, backend
from lbi.training.curve import Curve
from lbi.training.recipe import Recipe
from lbi.training.rows import load_rows
from lbi.training.tokens import ChatTokenizer
from lbi.training.weights import find_weights

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = asked.model or str(write_model(folder / "model", asked.vocabulary))
        data = asked.data or write_rows(folder / "data", asked.rows, asked.words)
        weights = find_weights(model)
        tokenizer = ChatTokenizer.load(weights.source)
        rows = load_rows(data, tokenizer, 1 << 20)
        rows = rows._replace(train=rows.train[: asked.rows], validation=[])
        lengths = [len(row.ids) for row in rows.train]
        learned = [row.learned for row in rows.train]
        mean = sum(lengths) / len(lengths)
        print(
            f"{len(rows.train)} rows of {mean:.0f} tokens on average, {sum(learned) / len(learned):.0f} of them learned"
        )
        recipe = Recipe(
            batch=asked.batch, epochs=1, learning_rate=1e-3, max_length=max(lengths), precision=asked.precision,
            warmup=0, save_every=1 << 20,
        )  # fmt: skip
        speeds, losses = {}, {}
        for name in asked.order.split(","):
            out = folder / name
            out.mkdir()
            job = Job(weights, tokenizer, rows, recipe, out, Curve(out, recipe.steps_of(len(rows.train))))
            began, busy = time.perf_counter(), time.process_time()
            backend(name)(job)
            whole, busy = time.perf_counter() - began, time.process_time() - busy
            steps = curve.read(out)
            timed = steps[-1]["seconds"] - steps[0]["seconds"]  # the first step also pays for what is done once
            counted = len(rows.train) - steps[0]["rows"]
            speeds[name], losses[name] = counted / timed, [step["loss"] for step in steps]
            print(f"{name}: {speeds[name]:.3f} rows/s after its first step ({whole:.0f} s in all, {busy:.0f} CPU-s)")
            print(f"  losses {' '.join(f'{loss:.4f}' for loss in losses[name])}", flush=True)
        if len(speeds) == 2:
            apart = max(abs(a - b) for a, b in zip(losses["loop"], losses["trl"], strict=True))
            print(f"ratio {speeds['loop'] / speeds['trl']:.2f}; the curves are at most {apart:.4f} apart")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--words", type=int, default=300, help="of a prompt, where no data are given")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=100_000, help="of the model with random weights")
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--order", default="trl,loop")
    return parser.parse_args()


def write_rows(folder: Path, count: int, words: int) -> Path:
    """Prompts of so many words with replies of a dozen, as steps of an agent have them."""
    folder.mkdir()
    chance = random.Random(0)
    lines = []
    for _ in range(count):
        page = " ".join(f"w{chance.randrange(9000)}" for _ in range(words))
        reply = f"REASON: the page has a button\nACTION: click(e{chance.randrange(90)})"
        lines.append(
            {"prompt": [{"role": "user", "content": page}], "completion": [{"role": "assistant", "content": reply}]}
        )
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "export.json").write_text('{"format": "trl"}')
    return folder


SMALL = {
    "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip


def write_model(folder: Path, vocabulary: int, sizes: dict[str, int] = SMALL, device: str = "cpu") -> Path:
    """A Qwen2 with random weights, of four layers if nothing else is said: as in real small models, most of its weights
    are its table of tokens."""
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, *(f"w{number}" for number in range(9000))]
    tokenizer = Tokenizer(models.WordLevel({token: at for at, token in enumerate(tokens)}, unk_token=alphabet[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in ("<eos>", "<|user|>", "<|assistant|>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "pad_token": "<eos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "chat_template": TEMPLATE}))
    config = AutoConfig.for_model(
        "qwen2", vocab_size=vocabulary, bos_token_id=None, eos_token_id=len(tokens), pad_token_id=len(tokens), **sizes
    )
    torch.manual_seed(0)
    with torch.device(device):
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(str(folder))
    return folder


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
