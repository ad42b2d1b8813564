"""Files of training data that are written row by row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from lbi.errors import UserError
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


class FullestFirst(JsonLines):
    """JSON Lines whose first rows hold something in every list that any row holds something in.

    Readers such as `datasets` infer the types of all rows from the first megabytes, and of an empty list they infer
    none.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._path, self._rows = file, 0
        self._seen: set[str] = set()
        self._telling: list[int] = []  # the rows that hold something in a list that was empty in all before

    def put(self, row: Json) -> None:
        filled = set(_filled(row, ""))
        if filled - self._seen:
            self._seen |= filled
            self._telling.append(self._rows)
        self._rows += 1
        super().put(row)

    def close(self) -> None:
        super().close()
        if self._telling == list(range(len(self._telling))):
            return
        part = self._path.with_name(f"{self._path.name}.sorted")
        with part.open("w", encoding="utf-8", newline="\n") as out:
            for first in (True, False):
                out.writelines(line for at, line in enumerate(self._lines()) if (at in self._telling) is first)
        part.replace(self._path)

    def _lines(self) -> Iterator[str]:
        with self._path.open(encoding="utf-8", newline="\n") as written:
            yield from written


def _filled(value: Any, path: str) -> Iterator[str]:
    """The lists, by their path in a row, that hold something."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _filled(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield path
            yield from _filled(inner, f"{path}[]")


class ParquetSink:
    """Writes Parquet, compressed by zstd at level 3, in row groups of 1,000. Raises UserError without pyarrow."""

    GROUP = 1_000

    def __init__(self, file: Path, schema: Callable[[], Any], fmt: str) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise UserError(
                f'the export format {fmt} needs pyarrow; install it with: pip install "learn-by-interact[parquet]"'
            ) from None
        self._schema = schema()
        self._file = pyarrow.parquet.ParquetWriter(file, self._schema, compression="zstd", compression_level=3)
        self._rows: list[Json] = []

    def put(self, row: Json) -> None:
        self._rows.append(row)
        if len(self._rows) == self.GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        if self._rows:
            self._file.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def close(self) -> None:
        self._flush()
        self._file.close()
