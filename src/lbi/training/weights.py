"""The name of a model -> a folder that transformers reads: a folder, a model of a hub, or a GGUF file.

A GGUF file is dequantised once and kept, by its content, in the cache of weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.models.local.catalog import catalog
from lbi.models.local.weights import fetched
from lbi.monitoring.terminal import say
from lbi.training.memory import is_about_memory

#: keys of a GGUF file that training needs
ARCHITECTURE = "general.architecture"
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Weights:
    """Where a model lies."""

    name: str  # as it was asked for
    source: str  # what transformers is given: a folder, or the name of a model of a hub
    gguf: Path | None = None  # the file that it comes from, if it is one
    digest: str = ""  # sha256 of that file


def find_weights(name: str, cache: Path | None = None) -> Weights:
    """A folder, a GGUF file, a name of the catalogue of local models, or OWNER/NAME of a hub.

    Raises UserError for what is none of these. The catalogue's are fetched; a hub is asked only when it is loaded.
    """
    path = Path(name).expanduser()
    if name in catalog() and not path.exists():
        path = fetched(catalog()[name], _tell)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise UserError(f"there is no file {path}; --model takes a folder, a GGUF file or a model of a hub")
        digest = _sha256(path)
        return Weights(name, str(_dequantised(path, digest, cache or default_cache())), path, digest)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise UserError(f"{path} is no model: there is no config.json in it")
        return Weights(name, str(path))
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise UserError(
            f"there is no model {name}; --model takes a folder with config.json, a GGUF file, a name of `lbi models`, "
            "or OWNER/NAME of a hub"
        )
    return Weights(name, name)


def _tell(line: str) -> None:
    say(line, file=sys.stderr)


def default_cache() -> Path:
    """Where what is made of weights is kept, in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lbi" / "weights"


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _dequantised(file: Path, digest: str, cache: Path) -> Path:
    """The folder with the weights of a GGUF file in bf16. It takes its name when it is complete."""
    folder = cache / f"{file.stem}-{digest[:16]}"
    if (folder / "config.json").is_file():
        return folder
    part = cache / f".{folder.name}.{os.getpid()}.part"
    try:
        part.mkdir(parents=True)
        _write_dequantised(file, part)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except OSError as error:
        raise UserError(f"cannot keep the weights of {file} in {cache}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _write_dequantised(file: Path, folder: Path) -> None:
    """As transformers reads it, without the marks of a quantised model, which it would refuse to save."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # it advises another precision
    where = {"gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **where)
        model: Any = AutoModelForCausalLM.from_pretrained(str(file.parent), dtype=torch.bfloat16, **where)
    except (ValueError, KeyError, NotImplementedError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot read {file} as a model that can be trained: {first}") from None
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))


def load_model(weights: Weights, dtype: Any, **more: Any) -> Any:
    """The model for training; ``more`` is as transformers takes it. Raises UserError where it cannot be had."""
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        return AutoModelForCausalLM.from_pretrained(weights.source, dtype=dtype, **more)
    except (OSError, ValueError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        if is_about_memory(error):
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot load the model {weights.name}: {first}") from None


def model_type(weights: Weights) -> str:
    """Such as "qwen2"; "" for a model of a hub that is not on this machine."""
    config = Path(weights.source) / "config.json"
    return str(json.loads(config.read_text("utf-8")).get("model_type", "")) if config.is_file() else ""
