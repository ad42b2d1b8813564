#!/usr/bin/env bash
# OpenVINO GenAI 2026.4.1 makes a tokenizer from a GGUF file that cuts every text to 8,192 tokens and says nothing, also with
# a larger max_length, whatever context the file states (32,768 here). A prompt loses its end, where its question stands.
# Give it a GGUF file of Qwen 2 at 8 bits: findings/openvino-gguf-tokenizer-cuts.sh q8_0.gguf
set -euo pipefail
weights=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q openvino-genai==2026.4.1 openvino-tokenizers==2026.4.1
WEIGHTS="$weights" "$folder/venv/bin/python" - <<'PY'
import os

import openvino_genai

tokenizer = openvino_genai.Tokenizer(os.environ["WEIGHTS"])
text = "word " * 40_000
for more in ({}, {"max_length": 100_000}, {"truncation": False}):
    tokens = tokenizer.encode(text, add_special_tokens=False, **more).input_ids.shape[1]
    print(more, tokens)
    assert tokens == 8_192, "it is no longer cut to 8,192 tokens"
PY
echo "as described"
