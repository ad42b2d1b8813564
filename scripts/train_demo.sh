#!/usr/bin/env bash
# From stored roll-outs to a table "untrained / trained" on two cores: scripts/train_demo.sh [FOLDER [MODEL [ROWS [ENGINE [TASKS [ROLLOUTS]]]]]]
# Every part goes on where it was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."

out="${1:-runs/train-demo}"
model="${2:-qwen2.5-coder-0.5b}"
rows="${3:-48}"
engine="${4:-openvino}"
tasks="${5:-0}" # 0 = all
rollouts="${6:-24}"
lbi=".venv/bin/lbi"
[ -x "$lbi" ] || lbi="$(command -v lbi)"
# prompts of the size that a small model can read on two cores, in training as in the evaluation
small=(-s prompts.history=1500 -s prompts.observation=5000 -s prompts.knowledge=4000)

# 1. roll-outs by the offline explorer, and instructions constructed backward from them: stored in $out, made once
"$lbi" synthesize examples/notes/lbi.toml --out "$out" --progress lines "${small[@]}" -s synthesis.rollouts="$rollouts"
# 2. an adapter, and weights with the adapter in them
"$lbi" train "$out" --model "$model" --allow-offline --replies json --size "$rows" --diverse --validation 0 \
    --batch 4 --learning-rate 3e-4 --epochs 1
# 3. the same held-out tasks with both
"$lbi" evaluate "$out" --out "$out/measured" --progress lines -s workers=2 -s evaluation.step_limit=6 -s evaluation.tasks="$tasks" \
    -s evaluation.reference='"untrained"' -s models.timeout=600.0 -s evaluation.arms="[
  { name = \"untrained\", agent = \"react\", model = \"local:$model@$engine\" },
  { name = \"trained\", agent = \"react\", model = \"local:$out/adapter@$engine\" }]"
