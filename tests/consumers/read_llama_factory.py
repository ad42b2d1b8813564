"""LLaMA-Factory: parses its config and reads the rows: FOLDER MODEL OUT -> {"rows": 84, "cutoff": 448, ...}."""

import json
import sys
from pathlib import Path

import datasets
import peft  # noqa: F401 - looks at what is installed, so before anything is stood in for
import yaml
from absent import stand_in_for
from transformers import PreTrainedModel, ProcessorMixin, Trainer  # noqa: F401

stand_in_for("torchaudio", "av", "librosa", "gradio", "matplotlib", "modelscope")

from llamafactory.data.converter import get_dataset_converter  # noqa: E402
from llamafactory.data.parser import get_dataset_list  # noqa: E402
from llamafactory.hparams import get_train_args  # noqa: E402

folder, model, out = sys.argv[1:]
settings = yaml.safe_load((Path(folder) / "llamafactory.yaml").read_text())
settings |= {"template": "qwen", "model_name_or_path": model, "bf16": False}
settings |= {"dataset_dir": folder, "output_dir": out}
_, data, training, tuning, _ = get_train_args(settings)
rows = 0
for attributes in get_dataset_list(["lbi_train", "lbi_validation"], folder):
    converter = get_dataset_converter(attributes.formatting, attributes, data)
    file = f"{folder}/{attributes.dataset_name}"
    for row in datasets.load_dataset("json", data_files=file, split="train"):
        made = converter(row)
        assert made["_prompt"], row
        assert made["_system"], row
        assert made["_response"][0]["content"].startswith("ACTION: click"), row
        rows += 1
told = {
    "rows": rows,
    "cutoff": data.cutoff_len,
    "rank": tuning.lora_rank,
    "rate": training.learning_rate,
    "batch": training.gradient_accumulation_steps,
    "epochs": training.num_train_epochs,
}
print(json.dumps(told))
