"""Files of training data that are written row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from lbi.protocols import Json


class Sink(Protocol):
    """A file being written."""

    def put(self, row: Json) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """Writes JSON Lines, in UTF-8."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="utf-8", newline="\n")

    def put(self, row: Json) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()
