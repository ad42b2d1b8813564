"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lbi.storage.secrets import holds_secret, masked


def write_atomically(file: Path, content: bytes) -> None:
    """Replace the file. Readers see the old content or the new one, never a part, even if the process is killed.

    Secrets in JSON are masked.
    """
    content = _without_secrets(file.suffix, content)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _without_secrets(suffix: str, content: bytes) -> bytes:
    if suffix not in (".json", ".jsonl") or not holds_secret(text := content.decode()):
        return content
    if suffix == ".jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
        return "".join(_as_json(row) + "\n" for row in rows).encode()
    return (_as_json(json.loads(text), indent=2) + "\n").encode()


def _as_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(masked(value), ensure_ascii=False, indent=indent)
