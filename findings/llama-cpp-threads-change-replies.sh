#!/usr/bin/env bash
# Expected: the number of threads decides how long llama.cpp takes, and not what it says. What happens (xllamacpp
# 2026.10.11549, CPU): with flash attention, which is also what it takes by default, the threads for generation
# (`cpuparams.n_threads`) change the probabilities of tokens as soon as prompt and reply have some 250 tokens, and so with
# equal seed, temperature and prompt the reply. The threads for prompts (`cpuparams_batch.n_threads`) change nothing, nor
# does either number with flash attention off, or in a conversation of 200 tokens. The same number gives the same reply.
# Concerns whoever stores replies by prompt and seed, repeats an evaluation on another machine (the default number is that
# of its cores), or starts a model's process again with fewer threads.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q xllamacpp==2026.10.11549 gguf==0.19.0
cd "$folder"
venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
import json
from importlib.metadata import version

import gguf
import numpy
import xllamacpp


def write_model(path):
    """One layer of the architecture of Qwen 2 with weights at random, and a token for each byte."""
    width, inner = 64, 128
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(1)
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*letters, letters[104] + letters[101], "<|end|>"])
    writer.add_token_types([1] * 257 + [3])
    writer.add_token_merges([f"{letters[104]} {letters[101]}"])
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)
    draw = numpy.random.default_rng(7)
    shapes = {"token_embd.weight": (258, width), "output.weight": (258, width)}
    shapes |= {f"blk.0.attn_{part}.weight": (width, width) for part in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{part}.weight": (inner, width) for part in ("gate", "up")}
    shapes["blk.0.ffn_down.weight"] = (width, inner)
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, shape in shapes.items():
        values = draw.normal(0, 0.3, shape).astype("float32")
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", numpy.ones(width, "float32"))
    for part in "qkv":
        writer.add_tensor(f"blk.0.attn_{part}.bias", numpy.zeros(width, "float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def reply(length, flash, generation, batch):
    """The tokens of a reply to a prompt of so many tokens, and the logarithms of their probabilities."""
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup, params.ui = "model.gguf", 4096, 1, False, False
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cpuparams.n_threads, params.cpuparams_batch.n_threads = generation, batch
    params.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{flash}")
    asked = {"prompt": "x" * length, "max_tokens": 100, "temperature": 1, "seed": 5, "ignore_eos": True, "logprobs": 1}
    answer = xllamacpp.Server(params).handle_completions(asked)
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    told = answer["choices"][0]["logprobs"]["content"]
    return [one["id"] for one in told], [one["logprob"] for one in told]


def parts(one, other):
    """The number of the first token of which two replies differ; "never"."""
    return next((at for at, pair in enumerate(zip(one, other, strict=True), 1) if pair[0] != pair[1]), "never")


write_model("model.gguf")
print("xllamacpp", version("xllamacpp"))
default = xllamacpp.CommonParams().flash_attn_type
if default != xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO:
    raise SystemExit(f"changed: flash attention is by default {default}, no longer AUTO")
print("the first token with other probabilities, and the first that is another one, with 2 threads in place of 1:")
for flash, length, differs in (("ENABLED", 600, True), ("AUTO", 600, True), ("DISABLED", 600, False), ("ENABLED", 100, False)):
    tokens, chances = reply(length, flash, 1, 1)
    others = {"generation": reply(length, flash, 2, 1), "prompts": reply(length, flash, 1, 2), "neither": reply(length, flash, 1, 1)}
    found = {name: (parts(chances, each[1]), parts(tokens, each[0])) for name, each in others.items()}
    print(f"  flash attention {flash}, prompt of {length} tokens:", found)
    never = ("never", "never")
    if ("never" in found["generation"]) == differs:
        raise SystemExit(f"changed: {flash}, {length} tokens, threads for generation: {found['generation']}")
    if found["prompts"] != never or found["neither"] != never:
        raise SystemExit(f"changed: {flash}, {length} tokens: {found}")
PY
echo "as described"
