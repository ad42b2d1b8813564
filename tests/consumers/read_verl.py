"""verl: composes its arguments and reads the rows: FOLDER MODEL -> what the loss is on in each row."""

import json
import sys
from pathlib import Path

from absent import stand_in_for
from transformers import AutoTokenizer

stand_in_for("ray", "torchdata")

from hydra import compose, initialize_config_module  # noqa: E402
from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset  # noqa: E402

folder, model = sys.argv[1:]
arguments = (Path(folder) / "verl.args").read_text().split()
with initialize_config_module("verl.trainer.config", version_base=None):
    config = compose("sft_trainer_engine", overrides=arguments)  # an unknown name is an error
tokenizer = AutoTokenizer.from_pretrained(model)
settings = {**config.data, "max_length": 1 << 14, "ignore_input_ids_mismatch": True}  # one token per byte here
data = MultiTurnSFTDataset([f"{folder}/{config.data.train_files}"], tokenizer, settings)
said = []
for row in data:
    kept = row["input_ids"][row["loss_mask"].bool()]
    said.append(tokenizer.decode(kept, skip_special_tokens=True).strip())
print(json.dumps({"said": said, "length": config.data.max_length, "rank": config.model.lora_rank}))
