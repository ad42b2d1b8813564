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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.models.local.choice import MERGED, RECORD
from lbi.protocols import Json
from lbi.storage.files import write_atomically
from lbi.training import checkpoint, curve, gguf_files
from lbi.training.backends import Job, backend, choose_backend
from lbi.training.curve import Curve, Show
from lbi.training.lora import WEIGHTS
from lbi.training.recipe import Recipe
from lbi.training.rows import TrainingSet, load_rows
from lbi.training.tokens import ChatTokenizer
from lbi.training.weights import Weights, find_weights

NEEDED = ("torch", "transformers", "safetensors", "gguf")
#: of a recipe, what changes neither the outcome nor how far it goes
FREE = {"backend", "save_every", "checkpointing", "per_device"}


def train(data: Path, model: str, recipe: Recipe, out: Path, *, show: Show | None = None) -> Json:
    """Train on the export in ``data`` and return the content of training.json.

    A training that was stopped goes on from its last checkpoint; one that is finished is not repeated. Raises UserError
    for bad input, for too little memory, and if ``out`` holds another training.
    """
    require_libraries()
    weights = find_weights(model)
    tokenizer = ChatTokenizer.load(weights.source)
    rows = load_rows(data, tokenizer, recipe.max_length)
    identity = identity_of(weights, rows, recipe)
    stored = read_record(out)
    if stored:
        refuse_another(out, stored.get("identity", {}), identity)
        if stored["status"] == "finished":
            return stored
    chosen = choose_backend(recipe)
    out.mkdir(parents=True, exist_ok=True)
    record = _record(weights, rows, recipe, chosen, identity)
    _write(out, record)
    job = Job(weights, tokenizer, rows, recipe, out, Curve(out, recipe.steps_of(len(rows.train)), show))
    backend(chosen)(job)
    files = _write_gguf(out, weights, recipe)
    record |= {"status": "finished", **outcome(out), "files": files, "serve": _served_by(out, weights, files)}
    _write(out, record)
    _remove_checkpoints(out)
    return record


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


def refuse_another(folder: Path, stored: dict[str, str], identity: dict[str, str]) -> None:
    """Raises UserError that names what is another than when the training began."""
    changed = [name for name, value in identity.items() if stored.get(name) != value]
    if changed:
        raise UserError(
            f"{folder} holds a training with another {' and another '.join(changed)}; "
            "choose another --out, or delete that folder to train from the beginning"
        )


def read_record(folder: Path) -> Json:
    """The content of training.json; {} where there is none."""
    file = folder / RECORD
    if not file.is_file():
        return {}
    try:
        stored = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{file} cannot be read ({error}); delete it to train from the beginning") from None
    return dict(stored)


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


def _record(weights: Weights, rows: TrainingSet, recipe: Recipe, chosen: str, identity: dict[str, str]) -> Json:
    both = [*rows.train, *rows.validation]
    export = {key: rows.report.get(key) for key in ("format", "tiers", "kinds", "spans", "licences", "made_by")}
    return {
        "status": "running",
        "model": weights.name,
        "base_gguf": str(weights.gguf.resolve()) if weights.gguf else "",
        "base_sha256": weights.digest,
        "backend": chosen,
        "recipe": recipe.model_dump(mode="json"),
        "rows": {"train": len(rows.train), "validation": len(rows.validation)},
        "tokens": {"all": sum(len(row.ids) for row in both), "learned": sum(row.learned for row in both)},
        "longest": max(len(row.ids) for row in both),
        "planned_steps": recipe.steps_of(len(rows.train)),
        "export": export,
        "replies": rows.report.get("replies", "text"),
        "identity": identity,
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
        return f"local:{folder / MERGED}"
    return ""


def _config(weights: Weights) -> dict[str, Any]:
    from transformers import AutoConfig

    return dict(AutoConfig.from_pretrained(weights.source).to_dict())


def _remove_checkpoints(folder: Path) -> None:
    (folder / checkpoint.FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / "trainer", ignore_errors=True)
