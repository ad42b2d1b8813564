"""A language model in miniature as a GGUF file, and an adapter to it: real files that the real engines load, no hub.

One layer, random weights, one token per byte, the architecture of Qwen 2. It says noise, and ends texts soon.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HIDDEN, INNER, HEADS, CONTEXT = 64, 128, 2, 12_288
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ENDS = 7.0  # how much likelier than other characters a quotation mark is, in logits, about
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def need(*modules: str) -> None:
    """Skip a test whose engine is not installed here."""
    lacking = [name for name in modules if importlib.util.find_spec(name) is None]
    if lacking:
        pytest.skip(f"no {', '.join(lacking)} here: the extra `local` installs them")


def alphabet() -> list[str]:
    """The characters that stand for the 256 bytes, as GPT-2 has them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    shown = {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}
    return [shown[byte] for byte in range(256)]


def write_model(file: Path, *, precision: str = "F16", tied: bool = True) -> Path:
    """``precision``: F16, or a block format such as Q8_0. ``tied``: the output is the embedding, at 8 bits."""
    import gguf
    import numpy as np

    letters = alphabet()
    tokens = [*letters, letters[ord("e")] + letters[ord("r")], *_SPECIAL]
    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_type("model")
    writer.add_name("tiny")
    writer.add_block_count(1)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(1)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - len(_SPECIAL)) + [3] * len(_SPECIAL))
    writer.add_token_merges([f"{letters[ord('e')]} {letters[ord('r')]}"])
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_bos_token_id(len(tokens) - 3)
    writer.add_pad_token_id(len(tokens) - 3)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    kind = gguf.GGMLQuantizationType[precision]
    chance = np.random.default_rng(0)
    embedding = None
    for name, shape in _shapes(len(tokens)).items():
        values = chance.normal(0, 0.3, shape).astype(np.float32)
        if name.endswith("norm.weight"):
            values = np.ones(shape, dtype=np.float32)
        if name in ("blk.0.attn_output.weight", "blk.0.ffn_down.weight"):
            values[0] = 0.0  # the first number of what is passed on is the same everywhere ...
        if name == "token_embd.weight":
            values[:, 0] = 3.0
            values[ord('"'), 0] += _ENDS  # ... and makes texts end soon
            embedding = values
        if name == "output.weight" and tied and embedding is not None:
            quantised = gguf.quants.quantize(embedding, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        elif len(shape) == 1:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _shapes(tokens: int) -> dict[str, tuple[int, ...]]:
    layer = {
        "attn_norm.weight": (HIDDEN,),
        "ffn_norm.weight": (HIDDEN,),
        **{f"attn_{part}.weight": (HIDDEN, HIDDEN) for part in ("q", "k", "v", "output")},
        **{f"attn_{part}.bias": (HIDDEN,) for part in "qkv"},
        "ffn_gate.weight": (INNER, HIDDEN),
        "ffn_up.weight": (INNER, HIDDEN),
        "ffn_down.weight": (HIDDEN, INNER),
    }
    matrices = {"token_embd.weight": (tokens, HIDDEN), "output.weight": (tokens, HIDDEN)}
    return {**matrices, "output_norm.weight": (HIDDEN,), **{f"blk.0.{name}": shape for name, shape in layer.items()}}


def write_adapter(file: Path, *, strength: float = 4.0) -> Path:
    """A LoRA adapter of rank 2 that changes what the tiny model says."""
    import gguf
    import numpy as np

    writer = gguf.GGUFWriter(file, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    chance = np.random.default_rng(1)
    for part in ("q", "v", "output"):
        for side, shape in (("a", (2, HIDDEN)), ("b", (HIDDEN, 2))):
            values = chance.normal(0, strength, shape).astype(np.float32)
            writer.add_tensor(f"blk.0.attn_{part}.weight.lora_{side}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
