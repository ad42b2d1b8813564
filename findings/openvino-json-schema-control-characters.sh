#!/usr/bin/env bash
# Expected: a reply that is held to a JSON schema (`StructuredOutputConfig.json_schema`) is JSON. What happens (OpenVINO
# GenAI 2026.4.1): a text of the schema that has a `maxLength` may hold raw tabs and other control characters, and one
# that has a `pattern` raw line breaks, too, which JSON forbids, so `json.loads` refuses the reply. The same text without
# either is held to JSON. Concerns whoever bounds the texts of a reply so that a small model comes to an end, and asks it
# for code or tables: the bound makes replies unreadable. Shown with a model of random weights, which tries everything.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q openvino-genai==2026.4.1 openvino-tokenizers==2026.4.1 gguf==0.19.0
cd "$folder"
venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
import json
import sys
from importlib.metadata import version

sys.modules["openvino_telemetry"] = None  # it would report this import to its makers

import gguf
import numpy
import openvino
import openvino_genai

TOKENS = 258  # one for each byte, "he", and an end


def write_model(path):
    """One layer of the architecture of Qwen 2 with weights at random."""
    width, inner = 64, 128
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_type("model")
    writer.add_name("random")
    writer.add_block_count(1)
    writer.add_context_length(1024)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(7)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*letters, letters[104] + letters[101], "<|end|>"])
    writer.add_token_types([1] * 257 + [3])
    writer.add_token_merges([f"{letters[104]} {letters[101]}"])
    writer.add_eos_token_id(257)
    writer.add_bos_token_id(257)
    writer.add_pad_token_id(257)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    draw = numpy.random.default_rng(7)
    shapes = {"token_embd.weight": (TOKENS, width), "output.weight": (TOKENS, width)}
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


def reply(schema, seed):
    settings = openvino_genai.GenerationConfig()
    settings.max_new_tokens, settings.apply_chat_template = 300, False
    settings.do_sample, settings.temperature, settings.rng_seed = True, 3.0, seed
    held = openvino_genai.StructuredOutputConfig()
    held.json_schema = json.dumps(schema)
    settings.structured_output_config = held
    (tokens,) = pipeline.generate(prompt, settings).tokens
    return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")


def is_broken(text):
    """Whether a control character stands in a text of the reply."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg == "Invalid control character at"  # and not that it was cut off
    return False


write_model("model.gguf")
pipeline = openvino_genai.LLMPipeline("model.gguf", "CPU")
prompt = openvino.Tensor(numpy.array([[72, 101, 108, 108, 111, 32]], dtype=numpy.int64))
print("openvino-genai", version("openvino-genai"))
rows = (({}, False, False), ({"maxLength": 40}, True, False), ({"pattern": "^[^#]{1,40}$"}, True, True))
for bound, controls, line_breaks in rows:
    schema = {"type": "object", "properties": {"a": {"type": "string", **bound}}, "required": ["a"]}
    broken = [text for text in (reply(schema, seed) for seed in range(20)) if is_broken(text)]
    with_breaks = [text for text in broken if "\n" in text.split('"')[3]]
    print(f"bound {bound}: control characters in {len(broken)} of 20 replies, line breaks in {len(with_breaks)}")
    for text in (with_breaks or broken)[:1]:
        print(f"  such as {text!r}")
    if (bool(broken), bool(with_breaks)) != (controls, line_breaks):
        raise SystemExit(f"changed: {bound}: control characters in {len(broken)}, line breaks in {len(with_breaks)}")
PY
echo "as described"
