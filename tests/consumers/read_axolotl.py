"""Axolotl: checks its config and tokenizes the rows: FOLDER MODEL -> what has a label in each row."""

import json
import sys
from pathlib import Path

import peft  # noqa: F401 - looks at what is installed, so before anything is stood in for
import yaml
from absent import stand_in_for
from transformers import AutoTokenizer, PreTrainedModel, ProcessorMixin, Trainer  # noqa: F401

stand_in_for("wandb", "comet_ml", "optimum", "xformers", "s3fs", "trackio", "scipy", "numba", "evaluate")
stand_in_for("mlflow", "gradio", "modal")

from axolotl.prompt_strategies.chat_template import load  # noqa: E402
from axolotl.utils.dict import DictDefault  # noqa: E402
from axolotl.utils.schemas.config import AxolotlInputConfig  # noqa: E402

folder, model = sys.argv[1:]
settings = yaml.safe_load((Path(folder) / "axolotl.yaml").read_text())
settings |= {"base_model": model}
checked = AxolotlInputConfig(**settings).model_dump(exclude_none=True)
assert set(settings) <= set(checked), f"not taken: {set(settings) - set(checked)}"
tokenizer = AutoTokenizer.from_pretrained(model)
strategy = load(tokenizer, DictDefault({**checked, "train_on_inputs": False}), DictDefault(settings["datasets"][0]))
said = []
for line in (Path(folder) / "train.jsonl").read_text().splitlines():
    made = strategy.tokenize_prompt(json.loads(line))
    said.append(tokenizer.decode([token for token in made["labels"] if token != -100]))
print(json.dumps({"said": said, "length": checked["sequence_len"], "rank": checked["lora_r"]}))
