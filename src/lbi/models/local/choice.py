"""What a config writes after ``local:`` -> a model of the catalogue or a file, its engine, an adapter.

NAME_OR_FILE[+ADAPTER][@ENGINE]: qwen2.5-coder-0.5b, ./my.gguf, qwen2.5-coder-0.5b+tuned.gguf, ./my.gguf@openvino
A folder is that of a training: RUN/adapter.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.models.local.catalog import ENGINES, EngineName, Entry, catalog, entry_of
from lbi.models.local.failures import LocalFailure
from lbi.models.local.gguf import MAGIC

_CHUNK = 1 << 22
RECORD = "training.json"  # and what it was made of
MERGED = "merged-q8_0.gguf"  # in the folder of a training: weights with the adapter in them


@dataclass(frozen=True)
class Choice:
    """One model to be run. Of ``entry`` and ``file`` one is there."""

    spec: str  # as the calls of a run name it: with the beginning of a file's hash, as files change and names do not
    entry: Entry | None
    file: Path | None
    engine: EngineName
    adapter: Path | None
    structured: bool = True  # whether it replies in JSON where the config leaves it open


def chosen(written: str) -> Choice:
    """Raises UserError: LocalFailure for an unknown name and for a file that is no GGUF."""
    rest, engine = _engine_of(written)
    name, _, adapter_name = rest.partition("+")
    if not name:
        raise UserError(
            'which model of this machine? Write "local:NAME" (`lbi models` lists them) or "local:FILE.gguf"'
        )
    adapter = _gguf(Path(adapter_name).expanduser()) if adapter_name else None
    file = Path(name).expanduser()
    if file.is_dir():  # what `lbi train` made
        file = _merged(file)
    structured = not (file.name == MERGED and _learnt_text(file.parent))
    if not (file.exists() or name.endswith(".gguf") or "/" in name):
        entry = entry_of(name)
        # adapters change what OpenVINO has no way to change (docs/local.md)
        usual: EngineName = "llama.cpp" if adapter else entry.engine
        return Choice(_spec(name, adapter, engine), entry, None, _checked(engine or usual, adapter), adapter)
    _gguf(file)
    if engine is None and adapter is None:
        engine = _engine_of_base(file)  # and so part of its name, as replies depend on it
    spec = _spec(f"{file.name}#{_short_hash(file)}", adapter, engine)
    return Choice(spec, None, file.absolute(), _checked(engine or "llama.cpp", adapter), adapter, structured)


def _merged(folder: Path) -> Path:
    """The weights in the folder of a training. Raises LocalFailure where it has none that can be run here."""
    file, record = folder / MERGED, _record(folder)
    if file.exists() or not record:
        return file
    if record.get("status") != "finished":
        raise LocalFailure("not a GGUF file", f"the training in {folder} is not finished; run lbi train again")
    raise LocalFailure(
        "not a GGUF file",
        f"{folder} has no {MERGED}: its base is no GGUF file, or all weights were trained; serve it with transformers "
        "or vLLM (docs/training.md), or train an adapter of a GGUF file or of a model of `lbi models`",
    )


def _learnt_text(folder: Path) -> bool:
    """Whether the rows that it was trained on had replies in two lines, and not in JSON."""
    return bool(_record(folder).get("replies") == "text")


def _engine_of_base(file: Path) -> EngineName | None:
    """What `lbi train` made of a model of the catalogue is run as that one is; None for any other file."""
    entry = catalog().get(str(_record(file.parent).get("model"))) if file.name == MERGED else None
    return entry.engine if entry is not None else None


def _record(folder: Path) -> dict[str, Any]:
    """What a training was made of; nothing where there is none."""
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _engine_of(written: str) -> tuple[str, EngineName | None]:
    for engine in ENGINES:
        if written.endswith(f"@{engine}"):
            return written.removesuffix(f"@{engine}"), engine
    return written, None


def _checked(engine: EngineName, adapter: Path | None) -> EngineName:
    if adapter is not None and engine == "openvino":
        raise UserError(f"the adapter {adapter} needs the engine llama.cpp; OpenVINO takes merged weights only")
    return engine


def _spec(name: str, adapter: Path | None, engine: EngineName | None) -> str:
    tuned = f"+{adapter.name}#{_short_hash(adapter)}" if adapter else ""
    return f"{name}{tuned}" + (f"@{engine}" if engine else "")


def _gguf(file: Path) -> Path:
    try:
        with file.open("rb") as opened:
            begins = opened.read(len(MAGIC))
    except OSError as error:
        raise LocalFailure("not a GGUF file", f"cannot read {file}: {error.strerror or error}") from None
    if begins != MAGIC:
        raise LocalFailure(
            "not a GGUF file", f"{file} does not begin with GGUF; convert the weights to that format first"
        )
    return file.absolute()


def _short_hash(file: Path) -> str:
    return hash_of(file)[:12]


def hash_of(file: Path) -> str:
    """The sha256 of a file, in hexadecimal digits. About a second per gigabyte."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
