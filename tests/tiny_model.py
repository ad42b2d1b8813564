"""A language model in miniature, and `transformers serve` with it: a real checkpoint, tokenizer and server, no hub.

One layer, random weights, one token per byte. It says a word of at least eight lower-case letters to everything: enough
for a search query or a single label, never a list of tasks, an action or a vote.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

HIDDEN, INNER, HEADS = 32, 64, 2
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
_PATIENCE = 120.0  # seconds until the server answers: it loads torch, on a machine that may be busy


def prompt_tokens(messages: list[dict[str, Any]]) -> int:
    """How many tokens these messages have for the model, counted without it; neighbours with one role are one turn."""
    turns = [(role, [m["content"] for m in some]) for role, some in groupby(messages, key=lambda m: m["role"])]
    written = [f"{role}: " + "\n\n".join(parts) + "\n" for role, parts in turns]
    return len("".join([*written, "assistant: "]).encode())


def write_model(folder: Path) -> Path:
    """A checkpoint of a Llama as transformers reads it."""
    folder.mkdir(parents=True)
    vocabulary = _write_tokenizer(folder)
    letters = {vocabulary[letter] for letter in string.ascii_lowercase}
    # with every other token an end, a reply begins with the letters it is made to have, and soon is over
    ends = sorted(set(vocabulary.values()) - letters)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(vocabulary),
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "max_position_embeddings": 1 << 17,
        "tie_word_embeddings": False,
        "dtype": "float32",
        "eos_token_id": ends,
        "pad_token_id": ends[0],
    }
    (folder / "config.json").write_text(json.dumps(config))
    generation = {"eos_token_id": ends, "pad_token_id": ends[0], "min_new_tokens": 8}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    _write_weights(folder / "model.safetensors", len(vocabulary))
    return folder


def _write_tokenizer(folder: Path) -> dict[str, int]:
    """One token per byte, and one that ends a reply."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {char: at for at, char in enumerate([*alphabet, "<eos>"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "pad_token": "<eos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "chat_template": TEMPLATE}))
    return vocabulary


def _write_weights(file: Path, tokens: int) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    chance = np.random.default_rng(0)
    layer = "model.layers.0"
    shapes = {
        "model.embed_tokens": (tokens, HIDDEN),
        "lm_head": (tokens, HIDDEN),
        **{f"{layer}.self_attn.{part}_proj": (HIDDEN, HIDDEN) for part in "qkvo"},
        **{f"{layer}.mlp.{part}_proj": (INNER, HIDDEN) for part in ("gate", "up")},
        f"{layer}.mlp.down_proj": (HIDDEN, INNER),
    }
    weights = {f"{name}.weight": chance.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    for name in ("model.norm", f"{layer}.input_layernorm", f"{layer}.post_attention_layernorm"):
        weights[f"{name}.weight"] = np.ones(HIDDEN, dtype=np.float32)
    save_file(weights, file, metadata={"format": "pt"})


def missing() -> str:
    """Why `transformers serve` cannot be started here; empty = it can."""
    needed = ("torch", "transformers", "fastapi", "uvicorn")
    lacking = [name for name in needed if importlib.util.find_spec(name) is None]
    if not lacking:
        return ""
    return f"no {', '.join(lacking)} here: scripts/setup.sh installs them where there is a CPU build of torch"


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """(address for base_url, name of the model, the server's log), for as long as this is entered."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    model, log, home = write_model(folder / "tiny"), folder / "serve.log", folder / "home"
    home.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--device", "cpu"]
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **offline},
        )  # fmt: skip
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1", f"openai:{model}", log
    finally:
        process.kill()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"transformers serve did not come up:\n{log.read_text()[-2000:]}")
