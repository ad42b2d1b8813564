#!/usr/bin/env bash
# Expected: a request to llama.cpp's server says with `lora` which adapters count, and one that is not in the list has the
# scale 0, as its documentation tells. What happens (xllamacpp 2026.10.11549): a list that names one adapter turns the
# others off, but the empty list turns none off. All of them stay at the scales with which they were loaded, as if there
# were no such field. `[{"id": 0, "scale": 0}]` does turn them off. Concerns whoever asks tuned model and base model by one
# server, to compare them or to judge one by the other: both answers come from the tuned one.
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

WIDTH, INNER = 64, 128


def write_model(path):
    """One layer of the architecture of Qwen 2 with weights at random, and a token for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_block_count(1)
    writer.add_context_length(1024)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
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
    shapes = {"token_embd.weight": (258, WIDTH), "output.weight": (258, WIDTH)}
    shapes |= {f"blk.0.attn_{part}.weight": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{part}.weight": (INNER, WIDTH) for part in ("gate", "up")}
    shapes["blk.0.ffn_down.weight"] = (WIDTH, INNER)
    for name, shape in shapes.items():
        writer.add_tensor(name, draw.normal(0, 0.3, shape).astype("float32"))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", numpy.ones(WIDTH, "float32"))
    for part in "qkv":
        writer.add_tensor(f"blk.0.attn_{part}.bias", numpy.zeros(WIDTH, "float32"))
    finish(writer)


def write_adapter(path, seed):
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    draw = numpy.random.default_rng(seed)
    for side, shape in (("a", (2, WIDTH)), ("b", (WIDTH, 2))):
        writer.add_tensor(f"blk.0.attn_output.weight.lora_{side}", draw.normal(0, 1, shape).astype("float32"))
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(*adapters):
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup, params.ui = "model.gguf", 1024, 1, False, False
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    infos = []
    for path in adapters:
        info = xllamacpp.CommonAdapterLoraInfo()
        info.path, info.scale = path, 1.0
        infos.append(info)
    params.lora_adapters = infos
    return xllamacpp.Server(params)


def reply(server, **more):
    answer = server.handle_completions(
        {"prompt": "Hello", "max_tokens": 12, "temperature": 0, "ignore_eos": True, "logprobs": 1, **more}
    )
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    return [one["id"] for one in answer["choices"][0]["logprobs"]["content"]]


write_model("model.gguf")
write_adapter("first.gguf", 1)
write_adapter("second.gguf", 2)
print("xllamacpp", version("xllamacpp"))
base, first, both = serve(), serve("first.gguf"), serve("first.gguf", "second.gguf")
alone = {"neither": reply(base), "the first": reply(first), "both": reply(both)}
if len({str(tokens) for tokens in alone.values()}) != 3:
    raise SystemExit("changed: the adapters of this script do not show in what the model says")
rows = (
    ([{"id": 0, "scale": 0}, {"id": 1, "scale": 0}], "neither"),
    ([{"id": 0, "scale": 0}], "neither"),
    ([{"id": 0, "scale": 1}], "the first"),
    ([], "both"),
)
for listed, expected in rows:
    tokens = reply(both, lora=listed)
    found = next((name for name, others in alone.items() if others == tokens), "something else")
    print(f"two adapters loaded, lora = {json.dumps(listed)}: {found} answered, {tokens[:6]} ...")
    if found != expected:
        raise SystemExit(f"changed: lora = {json.dumps(listed)} means {found}, no longer {expected}")
PY
echo "as described"
