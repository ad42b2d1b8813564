"""A training set and a model -> a folder with an adapter, what it was made of, and files that it can be served from.

runs/mine/adapter/
  adapter_model.safetensors, adapter_config.json   PEFT's format (with method full: the whole model)
  adapter.gguf, merged-q8_0.gguf                   for llama.cpp; merged only where the base is a GGUF file
  training.json, losses.jsonl                      what it was made of, and the loss by step
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.models.local.choice import MERGED, RECORD
from lbi.protocols import Json
from lbi.storage.files import write_atomically
from lbi.training import checkpoint, curve, gguf_files
from lbi.training.backends import TRAINER, Job, backend, choose_backend
from lbi.training.curve import Curve, Show
from lbi.training.folder import LOCK, advice_when_the_disk_is_full, alone_in
from lbi.training.lora import WEIGHTS
from lbi.training.recipe import Recipe
from lbi.training.rows import TrainingSet, load_rows
from lbi.training.tokens import ChatTokenizer
from lbi.training.weights import Weights, find_weights

NEEDED = ("torch", "transformers", "safetensors", "gguf")
#: of a recipe, what changes neither the outcome nor how far it goes
FREE = {"backend", "save_every", "checkpointing", "per_device"}


@dataclass(frozen=True)
class Prepared:
    """A training of which everything is known but its outcome."""

    weights: Weights
    tokenizer: ChatTokenizer
    rows: TrainingSet
    recipe: Recipe
    out: Path
    backend: str
    identity: dict[str, str]
    finished: Json  # its record, if it was trained before; else {}

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(row.ids) for row in (*self.rows.train, *self.rows.validation))


def train(data: Path, model: str, recipe: Recipe, out: Path, *, show: Show | None = None) -> Json:
    """Train on the export in ``data`` and return the content of training.json.

    A training that was stopped goes on from its last checkpoint; one that is finished is not repeated. Raises UserError
    for bad input, for too little memory, and if ``out`` holds another training.
    """
    return compute(prepare(data, model, recipe, out), show=show)


def prepare(data: Path, model: str, recipe: Recipe, out: Path) -> Prepared:
    """Read everything that a training needs, and write nothing. Raises UserError as ``train`` does, but for memory."""
    require_libraries()
    if out.exists() and not out.is_dir():
        raise UserError(f"cannot write to {out}: it is a file; choose another --out")
    if (out / LOCK).is_file():
        with alone_in(out):
            stored = read_record(out)
    else:
        stored = read_record(out)
    weights = find_weights(model)
    tokenizer = ChatTokenizer.load(weights.source, weights.name)
    rows = load_rows(data, tokenizer, recipe.max_length)
    identity = identity_of(weights, rows, recipe)
    finished = stored.get("status") == "finished"
    if finished and stored.get("identity") == identity:
        return Prepared(weights, tokenizer, rows, recipe, out, str(stored["backend"]), identity, stored)
    chosen = choose_backend(recipe)
    if finished or _begun(out):
        refuse_another(out, stored.get("identity", {}), identity, _settings_changed(stored, recipe))
        chosen = _as_begun(out, recipe, chosen)
    return Prepared(weights, tokenizer, rows, recipe, out, chosen, identity, {})


def compute(prepared: Prepared, *, show: Show | None = None) -> Json:
    """Train what was prepared, from its last checkpoint where there is one, and return the content of training.json."""
    if prepared.finished:
        return prepared.finished
    out, weights, rows, recipe = prepared.out, prepared.weights, prepared.rows, prepared.recipe
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; choose another --out") from None
    with alone_in(out), advice_when_the_disk_is_full(out):
        record = _record(prepared)
        _write(out, record)
        losses = Curve(out, recipe.steps_of(len(rows.train)), show)
        backend(prepared.backend)(Job(weights, prepared.tokenizer, rows, recipe, out, losses))
        files = _write_gguf(out, weights, recipe)
        served = {"files": files, "serve": _served_by(out, weights, files)}
        record |= {"status": "finished", "planned_steps": losses.steps, **outcome(out), **served}
        _write(out, record)
        _remove_checkpoints(out)
    return record


def _begun(out: Path) -> bool:
    """Whether there is work of a training to go on with. What failed before its first checkpoint left none."""
    return any(_checkpoints(out).values())


def _checkpoints(out: Path) -> dict[str, bool]:
    """Whether there is one of each backend."""
    return {"loop": (out / checkpoint.FILE).is_file(), "trl": any((out / TRAINER).glob("checkpoint-*"))}


def _as_begun(out: Path, recipe: Recipe, chosen: str) -> str:
    """The backend whose checkpoints are there: another cannot read them, and would begin again."""
    there = [name for name, has in _checkpoints(out).items() if has]
    if not there or chosen in there:
        return chosen
    if recipe.backend == "auto":
        return there[0]
    raise UserError(
        f"{out} holds checkpoints of --backend {there[0]}, which {chosen} cannot go on from; "
        f"add --backend {there[0]}, or choose another --out"
    )


def _settings_changed(stored: Json, recipe: Recipe) -> str:
    """Such as "rank 16, not 4": what a recipe was when the training began."""
    before, now = stored.get("recipe"), recipe.model_dump(mode="json", exclude=FREE)
    if not isinstance(before, dict):
        return ""
    return ", ".join(
        f"{name} {before.get(name)}, not {value}" for name, value in now.items() if before.get(name) != value
    )


def require_libraries() -> None:
    """Raises UserError where one is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f'lbi train needs {", ".join(missing)}; install with: pip install "learn-by-interact[train]" (on a machine '
            "without a GPU install a CPU build of torch first, or pip brings several GB of CUDA)"
        )


def identity_of(weights: Weights, rows: TrainingSet, recipe: Recipe) -> dict[str, str]:
    """What decides the outcome of a training, by the words in which it is told when it is another."""
    settings = recipe.model_dump(mode="json", exclude=FREE)
    return {
        "model": weights.digest or weights.source,
        "training set": rows.digest,
        "recipe": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
    }


def refuse_another(folder: Path, stored: dict[str, str], identity: dict[str, str], settings: str = "") -> None:
    """Raises UserError that names what is another than when the training began; ``settings``: those of the recipe."""
    changed = [name for name, value in identity.items() if stored.get(name) != value]
    if changed:
        told = [f"{name} ({settings})" if name == "recipe" and settings else name for name in changed]
        raise UserError(
            f"{folder} holds a training with another {' and another '.join(told)}; "
            "choose another --out, or delete that folder to train from the beginning"
        )


def read_record(folder: Path) -> Json:
    """The content of training.json; {} where there is none."""
    file = folder / RECORD
    if not file.is_file():
        return {}
    try:
        stored = json.loads(file.read_text("utf-8"))
        return dict(stored)
    except (ValueError, TypeError) as error:
        raise UserError(f"{file} cannot be read ({error}); delete it to train from the beginning") from None


def outcome(folder: Path) -> Json:
    """How the loss went, from what was written down."""
    steps = curve.read(folder)
    measured = [entry["validation"] for entry in steps if "validation" in entry]
    return {
        "steps": len(steps),
        "seconds": steps[-1]["seconds"],
        "first_loss": steps[0]["loss"],
        "last_loss": steps[-1]["loss"],
        **({"validation_loss": measured[-1]} if measured else {}),
    }


def _record(prepared: Prepared) -> Json:
    weights, rows, recipe = prepared.weights, prepared.rows, prepared.recipe
    both = [*rows.train, *rows.validation]
    export = {key: rows.report.get(key) for key in ("format", "tiers", "kinds", "spans", "licences", "made_by")}
    return {
        "status": "running",
        "model": weights.name,
        "base_gguf": str(weights.gguf.resolve()) if weights.gguf else "",
        "base_sha256": weights.digest,
        "backend": prepared.backend,
        "recipe": recipe.model_dump(mode="json"),
        "rows": {"train": len(rows.train), "validation": len(rows.validation)},
        "tokens": {"all": sum(len(row.ids) for row in both), "learned": sum(row.learned for row in both)},
        "longest": prepared.longest,
        "planned_steps": recipe.steps_of(len(rows.train)),
        "export": export,
        "replies": rows.report.get("replies", "text"),
        "identity": prepared.identity,
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "python": platform.python_version(),
    }


def _write(folder: Path, record: Json) -> None:
    write_atomically(folder / RECORD, (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode())


def _write_gguf(folder: Path, weights: Weights, recipe: Recipe) -> list[str]:
    """The adapter for llama.cpp, and merged where the base is a GGUF file; nothing where GGUF has no names."""
    if not (folder / WEIGHTS).is_file():
        return []
    shape = gguf_files.shape_of(_config(weights))
    if shape is None:
        return []
    pairs = gguf_files.read_adapter(folder, shape)
    gguf_files.write_adapter(pairs, recipe.alpha, shape, folder / gguf_files.ADAPTER)
    if weights.gguf is None:
        return [gguf_files.ADAPTER]
    gguf_files.write_merged(weights.gguf, pairs, recipe.alpha / recipe.rank, folder / MERGED)
    return [gguf_files.ADAPTER, MERGED]


def _served_by(folder: Path, weights: Weights, files: list[str]) -> str:
    """How the model is named where it is used; "" where only transformers or vLLM can serve it."""
    if MERGED in files:
        return f"local:{folder}"
    return ""


def _config(weights: Weights) -> dict[str, Any]:
    from transformers import AutoConfig

    return dict(AutoConfig.from_pretrained(weights.source).to_dict())


def _remove_checkpoints(folder: Path) -> None:
    (folder / checkpoint.FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / TRAINER, ignore_errors=True)
