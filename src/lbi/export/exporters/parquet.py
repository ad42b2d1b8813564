"""Parquet: the same columns as ``jsonl``, with types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.export.exporters.jsonl import row
from lbi.export.lengths import TRL
from lbi.protocols import Json

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row"]

ENDING = "parquet"
CONSUMERS = (TRL,)


class ParquetSink:
    """Writes Parquet, compressed by zstd at level 3, in row groups of 1,000. Raises UserError without pyarrow."""

    GROUP = 1_000

    def __init__(self, file: Path) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise UserError(
                'the export format parquet needs pyarrow; install it with: pip install "learn-by-interact[parquet]"'
            ) from None
        self._schema = _schema()
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


def _schema() -> Any:
    """The columns and their types. Written out, as no type can be inferred from an empty list."""
    import pyarrow as pa

    messages = pa.list_(pa.struct({"role": pa.string(), "content": pa.string()}))
    answers = dict.fromkeys(("aligned", "coherent", "natural", "reasonable"), pa.bool_())
    vote = pa.struct({"model": pa.string(), **answers, "reason": pa.string()})
    verdict = pa.struct({"filter": pa.string(), "keep": pa.bool_(), "reason": pa.string(), "votes": pa.list_(vote)})
    texts = ("split", "example", "kind", "tier", "instruction", "environment", "trajectory", "agent", "stop")
    columns = [(name, pa.string()) for name in texts]
    columns += [("span", pa.list_(pa.int64())), ("step", pa.int64()), ("parents", pa.list_(pa.string()))]
    columns += [(name, pa.string()) for name in ("document", "source", "licence")]
    columns += [("verdicts", pa.list_(verdict)), ("prompt", messages), ("completion", messages)]
    return pa.schema(columns)


open_sink = ParquetSink
