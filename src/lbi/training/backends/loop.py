"""A training loop for CPUs: what rows have in common once, and the head only where a token of the reply is to be told.

A prompt has twenty times as many tokens as its reply, and a vocabulary a hundred times as many entries as the decoder
has channels: of a small model on a CPU, most of the time goes into logits that nobody looks at. So the decoder is run,
its outputs before the reply's tokens are taken, and the head is applied to these alone. And all rows of a batch begin
with the same rules of hundreds of tokens: see `lbi.training.beginning`. Rows are computed one by one, since several at
once are no faster on a CPU and their padding costs; gradients are gathered until the batch is full.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

from lbi.training import beginning, checkpoint, lora
from lbi.training.backends import Job
from lbi.training.checkpoint import Checkpoint
from lbi.training.memory import advice_when_memory_runs_out
from lbi.training.recipe import Recipe
from lbi.training.rows import Row
from lbi.training.scorer import Scorer
from lbi.training.weights import load_model

MAX_NORM = 1.0  # of a step's gradient, as in Transformers' trainer


def train(job: Job) -> None:
    """Train until the last step, from a checkpoint where there is one, and write the result into the job's folder."""
    with advice_when_memory_runs_out(job.recipe):
        _Loop(job).run()


def batches(rows: int, recipe: Recipe) -> Iterator[list[int]]:
    """The rows of each step, in the order of the seed. The last batch of an epoch may be smaller."""
    steps, epoch = recipe.steps_of(rows), 0
    while steps > 0:
        order = list(range(rows))
        random.Random(f"{recipe.seed}/{epoch}").shuffle(order)
        for start in range(0, rows, recipe.batch):
            if steps > 0:
                yield order[start : start + recipe.batch]
            steps -= 1
        epoch += 1


def rate_at(step: int, steps: int, recipe: Recipe) -> float:
    """The learning rate of step 1, 2, ..., ``steps``: up in the warm-up, then down to 0 in a straight line."""
    warmup = math.ceil(steps * recipe.warmup)
    done = step - 1
    if done < warmup:
        return recipe.learning_rate * done / warmup
    return recipe.learning_rate * max(0.0, (steps - done) / max(1, steps - warmup))


class _Loop:
    def __init__(self, job: Job) -> None:
        import torch

        self.job, self.recipe = job, job.recipe
        self.rows = job.data.train
        self.steps = self.recipe.steps_of(len(self.rows))
        torch.manual_seed(self.recipe.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = load_model(job.weights, dtype_of(self.recipe)).to(self.device)
        if self.recipe.checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.trained = self._trained()
        self.optimiser = torch.optim.AdamW(self.trained, lr=self.recipe.learning_rate, weight_decay=0.0)
        self.scorer = Scorer(self.model)
        self.model.train()
        self.shares = False

    def _trained(self) -> list[Any]:
        if self.recipe.method == "full":
            return [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        return lora.add_adapters(self.model, self.recipe)

    def run(self) -> None:
        done = self._restore()
        if not done:
            self.scorer.refuse_another_head(self.rows[0])
            self._try_the_longest()
        self.shares = not self.recipe.checkpointing and beginning.can_be_shared(self.scorer, self.rows)
        self.job.curve.begin(done)
        for step, chosen in enumerate(batches(len(self.rows), self.recipe), 1):
            if step > done:
                self._step(step, [self.rows[at] for at in chosen])
                if step % self.recipe.save_every == 0 or step == self.steps:
                    self._save(step)
        self._write_result()

    def _step(self, step: int, rows: Sequence[Row]) -> None:
        """One step of the optimiser: the mean loss over all tokens of the batch's replies."""
        import torch

        tokens = sum(row.learned for row in rows)
        total = beginning.learn(self.scorer, rows, tokens, share=self.shares)
        rate = rate_at(step, self.steps, self.recipe)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        torch.nn.utils.clip_grad_norm_(self.trained, MAX_NORM)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        measured = self._measured() if self._ends_epoch(step) and self.job.data.validation else {}
        everything = sum(len(row.ids) for row in rows)
        self.job.curve.add(step, total / tokens, rate, len(rows), everything, **measured)

    def _ends_epoch(self, step: int) -> bool:
        return step == self.steps or step % -(-len(self.rows) // self.recipe.batch) == 0

    def _measured(self) -> dict[str, float]:
        import torch

        rows = self.job.data.validation
        with torch.no_grad():
            total = beginning.measure(self.scorer, rows, share=self.shares)
        return {"validation": round(total / sum(row.learned for row in rows), 6)}

    def _try_the_longest(self) -> None:
        """Whether memory suffices is known before anything is computed that could be lost."""
        longest = max(self.rows, key=lambda row: len(row.ids))
        self.scorer.loss(longest).backward()
        self.optimiser.zero_grad(set_to_none=True)

    def _restore(self) -> int:
        import torch

        stored = checkpoint.load(self.job.folder)
        if stored is None:
            return 0
        if self.recipe.method == "full":
            self.model.load_state_dict(stored.weights)
        else:
            lora.restore_adapter(self.model, stored.weights)
        self.optimiser.load_state_dict(stored.optimiser)
        torch.set_rng_state(stored.random)
        return stored.step

    def _save(self, step: int) -> None:
        import torch

        weights = self.model.state_dict() if self.recipe.method == "full" else lora.adapter_weights(self.model)
        state = self.optimiser.state_dict()
        checkpoint.save(Checkpoint(step, weights, state, torch.get_rng_state()), self.job.folder)

    def _write_result(self) -> None:
        if self.recipe.method == "full":
            self.model.save_pretrained(str(self.job.folder))
        else:
            lora.save_adapter(self.model, self.job.folder, self.job.weights.source, self.recipe)
        self.job.tokenizer.inner.save_pretrained(str(self.job.folder))


def dtype_of(recipe: Recipe) -> Any:
    """bf16 unless all weights are trained on a CPU: steps of 1e-5 are lost in weights of 16 bits."""
    import torch

    if recipe.precision != "auto":
        return {"bf16": torch.bfloat16, "fp32": torch.float32}[recipe.precision]
    return torch.float32 if recipe.method == "full" else torch.bfloat16
