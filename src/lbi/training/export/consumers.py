"""What trainers need beside the rows: a config of theirs, with the paper's recipe and a length that cuts nothing.

Each is a text by file name; they are written as JSON values in YAML, which every YAML reader takes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lbi.training.recipe import PAPER

YOUR_MODEL = "YOUR_MODEL"  # what a person has to put in
BASE = {"learning_rate": PAPER.learning_rate, "num_train_epochs": int(PAPER.epochs), "seed": PAPER.seed}


@dataclass(frozen=True)
class Facts:
    """What a consumer's config depends on."""

    files: Mapping[str, str]  # {"train": "train.jsonl"}
    max_length: int  # tokens of the longest row, rounded up
    conversations: bool  # rows are whole trajectories


def yaml(settings: Mapping[str, Any], *comments: str) -> str:
    """A YAML file: one line for each setting."""
    lines = [f"# {comment}" for comment in comments]
    return "\n".join([*lines, *(f"{key}: {_value(value)}" for key, value in settings.items())]) + "\n"


def _value(value: Any) -> str:
    """As JSON; of a number with an exponent YAML wants a point and a sign, or takes it for a text."""
    return f"{value:.6f}".rstrip("0") if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def trl(facts: Facts, command: str = "sft", **more: Any) -> dict[str, str]:
    """For ``trl sft --config trl.yaml``; of pairs the command is ``dpo``."""
    settings = {
        "model_name_or_path": YOUR_MODEL,
        "dataset_name": ".",
        "output_dir": "output",
        "max_length": facts.max_length,
        **BASE,
        "lr_scheduler_type": "linear",
        "warmup_steps": PAPER.warmup,
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": PAPER.batch,
        "gradient_checkpointing": True,
        "bf16": True,
        "use_peft": True,
        "lora_r": PAPER.rank,
        "lora_alpha": PAPER.alpha,
        "lora_target_modules": ["all-linear"],
        "dataset_test_split": "validation",
        "eval_strategy": "epoch" if "validation" in facts.files else "no",
        **more,
    }
    said = f"put a model in the place of {YOUR_MODEL}, then: trl {command} --config trl.yaml"
    return {"trl.yaml": yaml(settings, said)}


def axolotl(facts: Facts) -> dict[str, str]:
    """For ``axolotl train axolotl.yaml``."""
    rows = {
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": [],
        "message_field_training": "training",
        "ds_type": "json",
    }
    settings = {
        "base_model": YOUR_MODEL,
        "datasets": [{"path": facts.files["train"], **rows}],
        **(
            {
                "test_datasets": [{"path": facts.files["validation"], "split": "train", **rows}],
                "evals_per_epoch": 1,
                "eval_sample_packing": False,  # it refuses to pack what fills no whole batch
            }
            if "validation" in facts.files
            else {}
        ),
        "sequence_len": facts.max_length,
        "excess_length_strategy": "raise",
        "sample_packing": True,
        "adapter": "lora",
        "lora_r": PAPER.rank,
        "lora_alpha": PAPER.alpha,
        "lora_target_linear": True,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": PAPER.batch,
        "num_epochs": int(PAPER.epochs),
        "learning_rate": PAPER.learning_rate,
        "lr_scheduler": "linear",
        "warmup_ratio": PAPER.warmup,
        "optimizer": "adamw_torch",
        "bf16": True,
        "gradient_checkpointing": True,
        "attn_implementation": "flash_attention_2",
        "output_dir": "output",
        "seed": PAPER.seed,
    }
    return {
        "axolotl.yaml": yaml(settings, f"put a model in the place of {YOUR_MODEL}, then: axolotl train axolotl.yaml")
    }


def llama_factory(facts: Facts) -> dict[str, str]:
    """For ``llamafactory-cli train llamafactory.yaml``, with the description of the data that it wants."""
    shape = {"formatting": "sharegpt", "columns": {"messages": "conversations"}}
    info = {f"lbi_{side}": {"file_name": name, **shape} for side, name in facts.files.items()}
    settings = {
        "model_name_or_path": YOUR_MODEL,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_target": "all",
        "lora_rank": PAPER.rank,
        "lora_alpha": PAPER.alpha,
        "dataset_dir": ".",
        "dataset": "lbi_train",
        **({"eval_dataset": "lbi_validation", "eval_strategy": "epoch"} if "validation" in facts.files else {}),
        "template": "YOUR_TEMPLATE",
        "cutoff_len": facts.max_length,
        **BASE,
        "lr_scheduler_type": "linear",
        "warmup_ratio": PAPER.warmup,
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": PAPER.batch,
        "bf16": True,
        "output_dir": "output",
    }
    said = f"put a model and its template in the places of {YOUR_MODEL} and YOUR_TEMPLATE, then:"
    return {
        "dataset_info.json": json.dumps(info, indent=2) + "\n",
        "llamafactory.yaml": yaml(settings, said, "llamafactory-cli train llamafactory.yaml"),
    }


def verl(facts: Facts) -> dict[str, str]:
    """The arguments of verl's SFT trainer, one a line."""
    lines = [
        f"data.train_files={facts.files['train']}",
        *([f"data.val_files={facts.files['validation']}"] if "validation" in facts.files else []),
        "data.messages_key=messages",
        f"data.max_length={facts.max_length}",
        "data.truncation=error",
        f"data.train_batch_size={PAPER.batch}",
        "data.micro_batch_size_per_gpu=1",
        f"optim.lr={PAPER.learning_rate:.6f}".rstrip("0"),
        f"optim.lr_warmup_steps_ratio={PAPER.warmup}",
        f"trainer.total_epochs={int(PAPER.epochs)}",
        f"model.path={YOUR_MODEL}",
        f"model.lora_rank={PAPER.rank}",
        f"model.lora_alpha={PAPER.alpha}",
    ]
    return {"verl.args": "\n".join(lines) + "\n"}


def unsloth(facts: Facts) -> dict[str, str]:
    """A program for Unsloth, which reads TRL's rows and has no config file."""
    files = dict(facts.files)
    return {
        "unsloth_train.py": UNSLOTH.format(
            model=YOUR_MODEL,
            files=files,
            evaluate="epoch" if "validation" in files else "no",
            length=facts.max_length,
            rank=PAPER.rank,
            alpha=PAPER.alpha,
            batch=PAPER.batch,
            epochs=int(PAPER.epochs),
            rate=PAPER.learning_rate,
            warmup=PAPER.warmup,
            seed=PAPER.seed,
        )
    }


UNSLOTH = '''"""Trains with Unsloth on one GPU: put a model in the place of {model}, then: python unsloth_train.py"""

from unsloth import FastLanguageModel  # before trl, which it changes

from datasets import load_dataset
from trl import SFTConfig, SFTTrainer

model, tokenizer = FastLanguageModel.from_pretrained("{model}", max_seq_length={length}, load_in_4bit=True)
model = FastLanguageModel.get_peft_model(
    model, r={rank}, lora_alpha={alpha}, use_gradient_checkpointing="unsloth", random_state={seed}
)
data = load_dataset("json", data_files={files})
settings = SFTConfig(
    output_dir="output",
    max_length={length},
    completion_only_loss=True,
    per_device_train_batch_size=1,
    per_device_eval_batch_size=1,
    eval_strategy="{evaluate}",
    gradient_accumulation_steps={batch},
    num_train_epochs={epochs},
    learning_rate={rate},
    lr_scheduler_type="linear",
    warmup_steps={warmup},
    seed={seed},
)
trainer = SFTTrainer(
    model=model, processing_class=tokenizer, args=settings,
    train_dataset=data["train"], eval_dataset=data.get("validation"),
)
trainer.train()
model.save_pretrained("output/adapter")
'''
