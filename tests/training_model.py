"""A model to train in tests: two layers of random weights, one token per byte (and one for "pa"), a chat template.

A Llama, or a Qwen2 whose head is its table of embeddings, as in the small models that people train on CPUs. It can
also be written as a GGUF file, as llama.cpp reads it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

HIDDEN, INNER, HEADS, LAYERS = 64, 96, 4, 2
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NEEDED = ("torch", "transformers", "safetensors", "gguf")


def need_libraries(*more: str) -> None:
    """Skip where the extra ``train`` is not installed. What is imported after this looks for nothing on a hub."""
    _import_offline()
    missing = [name for name in (*NEEDED, *more) if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(
            f"no {', '.join(missing)} here: scripts/setup.sh dev installs them where there is a CPU build of torch"
        )


def _import_offline() -> None:
    """Import what reads these variables once, and leave no trace of them for other tests of this process."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(variable, "1")
        for module in ("huggingface_hub.constants", "datasets.config"):
            if importlib.util.find_spec(module.partition(".")[0]) is not None:
                importlib.import_module(module)


def write_tokenizer(folder: Path, template: str = TEMPLATE) -> int:
    """A tokenizer as transformers reads it; returns how many tokens it has."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate([*alphabet, "pa"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("p", "a")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["<eos>", *(f"<|{role}|>" for role in ("system", "user", "assistant"))]
    tokenizer.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<eos>", "pad_token": "<eos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "chat_template": template}))
    return tokenizer.get_vocab_size()


def write_model(folder: Path, kind: str = "llama") -> Path:
    """A checkpoint with random weights of a fixed seed; ``kind``: llama or qwen2."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    size = write_tokenizer(folder)
    config = AutoConfig.for_model(
        kind,
        vocab_size=size,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS // 2,
        max_position_embeddings=1 << 14,
        tie_word_embeddings=kind == "qwen2",
        eos_token_id=size - 4,
        pad_token_id=size - 4,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(str(folder))
    return folder


def write_gguf(folder: Path, file: Path) -> Path:
    """The Qwen2 of a folder as a GGUF file of 32 bits, with what a reader of it asks for."""
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    vocabulary = json.loads((folder / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_name("tiny")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    tokens = {**vocabulary["model"]["vocab"], **{each["content"]: each["id"] for each in vocabulary["added_tokens"]}}
    listed = sorted(tokens, key=lambda token: tokens[token])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(listed)
    control = {each["content"] for each in vocabulary["added_tokens"]}
    writer.add_token_types([3 if token in control else 1 for token in listed])
    writer.add_token_merges(["p a"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.QWEN2, config["num_hidden_layers"])
    for name, values in load_file(str(folder / "model.safetensors")).items():
        writer.add_tensor(names.get_name(name, (".weight", ".bias")), values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def write_export(folder: Path, rows: int, *, validation: int = 0, seed: int = 0) -> Path:
    """An export of the format trl with short rows, each of which has a reply of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["click", "fill", "goto", "back", "press", "hover", "drag", "find"]
    for side, count in (("train", rows), ("validation", validation)):
        lines = []
        for number in range(count):
            name = f"{seed}{side[0]}{number}"
            prompt = [
                {"role": "system", "content": "Act."},
                {"role": "user", "content": f"OBJECTIVE: task {name}. " + "page " * (number % 5)},
            ]
            reply = f"ACTION: {words[number % len(words)]}(e{number})"
            lines.append(json.dumps({"prompt": prompt, "completion": [{"role": "assistant", "content": reply}]}))
        if lines:
            (folder / f"{side}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "export.json").write_text(json.dumps({"format": "trl", "tiers": {}, "kinds": {}}))
    return folder
