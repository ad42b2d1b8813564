"""Training by TRL and PEFT, for GPUs: LoRA, QLoRA or all weights, with packing and gradient checkpointing.

Rows are given to TRL as tokens and labels, so that the loss is on the same tokens as in our own loop.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.training.backends import TRAINER, Job
from lbi.training.memory import advice_when_memory_runs_out
from lbi.training.recipe import Recipe
from lbi.training.rows import Row
from lbi.training.weights import Weights, load_model

NOT_LEARNED = -100


def train(job: Job) -> None:
    """Train until the last step, from TRL's last checkpoint where there is one."""
    try:
        import peft  # noqa: F401
        from transformers import PrinterCallback, set_seed
        from trl import SFTConfig, SFTTrainer
    except ImportError as error:
        raise UserError(
            f'--backend trl needs {error.name}; install it with: pip install "learn-by-interact[train]"'
        ) from None
    recipe, checkpoints = job.recipe, job.folder / TRAINER
    set_seed(recipe.seed)  # 1.16 does so before it draws the adapter; what earlier ones do is not known
    with advice_when_memory_runs_out(recipe):
        trainer = SFTTrainer(
            model=_model(job.weights, recipe),
            args=SFTConfig(**_settings(job)),
            train_dataset=_dataset(job.data.train),
            eval_dataset=_dataset(job.data.validation) if job.data.validation else None,
            processing_class=job.tokenizer.inner,
            peft_config=_peft(recipe),
            callbacks=[_writes_down(job)],
        )
        trainer.remove_callback(PrinterCallback)  # standard output is for our own answer
        found = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        whole = [path for path in found if _is_whole(path)]
        job.curve.begin(int(whole[-1].name.rpartition("-")[2]) if whole else 0)
        trainer.train(resume_from_checkpoint=str(whole[-1]) if whole else None)
        trainer.save_model(str(job.folder))
        job.tokenizer.inner.save_pretrained(str(job.folder))


def _is_whole(checkpoint: Path) -> bool:
    """TRL writes this file last; a kill may leave it empty."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _settings(job: Job) -> dict[str, Any]:
    import torch

    recipe = job.recipe
    gpu = torch.cuda.is_available()  # without one the model's own precision decides, not this
    return {
        "output_dir": str(job.folder / TRAINER),
        "max_length": recipe.max_length,
        "packing": recipe.packing,
        "num_train_epochs": recipe.epochs,
        # what was announced; where rows are packed, how many steps there are is known to TRL alone
        "max_steps": recipe.max_steps or (-1 if recipe.packing else recipe.steps_of(len(job.data.train))),
        "per_device_train_batch_size": recipe.per_device,
        "per_device_eval_batch_size": recipe.per_device,  # its default is 8, for which there may be no memory
        "gradient_accumulation_steps": max(1, recipe.batch // recipe.per_device),
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": recipe.warmup,
        "gradient_checkpointing": recipe.checkpointing,
        "bf16": gpu and recipe.precision != "fp32",
        "use_cpu": not gpu,
        "save_strategy": "steps",
        "save_steps": recipe.save_every,
        "save_total_limit": 2,
        "eval_strategy": "epoch" if job.data.validation else "no",
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
        "seed": recipe.seed,
    }


def _dataset(rows: Sequence[Row]) -> Any:
    from datasets import Dataset

    labels = [[NOT_LEARNED] * row.prompt + row.ids[row.prompt :] for row in rows]
    return Dataset.from_dict({"input_ids": [row.ids for row in rows], "labels": labels})


def _model(weights: Weights, recipe: Recipe) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    dtype = torch.float32 if recipe.precision == "fp32" or recipe.method == "full" else torch.bfloat16
    more: dict[str, Any] = {}
    if recipe.method == "qlora":
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            bnb_4bit_use_double_quant=True,
        )
    return load_model(weights, dtype, **more)


def _peft(recipe: Recipe) -> Any:
    if recipe.method == "full":
        return None
    from peft import LoraConfig

    return LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM")


def _writes_down(job: Job) -> Any:
    """What TRL tells of a step, in our own file of losses."""
    from transformers import TrainerCallback

    class Writer(TrainerCallback):  # type: ignore[misc]  # transformers is not looked into
        def __init__(self) -> None:
            self.tokens = 0  # of all steps of this start: so TRL counts

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            job.curve.steps = state.max_steps

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs and "loss" in logs:
                rate, tokens = float(logs.get("learning_rate", 0.0)), int(logs.get("num_tokens", 0))
                now, self.tokens = tokens - self.tokens, tokens
                job.curve.add(state.global_step, float(logs["loss"]), rate, job.recipe.batch, now)

        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: dict[str, Any] | None = None, **_: Any
        ) -> None:
            if metrics and "eval_loss" in metrics:
                job.curve.amend(state.global_step, validation=round(float(metrics["eval_loss"]), 6))

    return Writer()
