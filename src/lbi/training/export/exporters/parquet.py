"""Parquet: the same columns as ``jsonl``, with types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbi.training.export.exporters.jsonl import row
from lbi.training.export.lengths import TRL
from lbi.training.export.sinks import ParquetSink

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row", "schema"]

ENDING = "parquet"
CONSUMERS = (TRL,)


def schema() -> Any:
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


def open_sink(file: Path) -> ParquetSink:
    return ParquetSink(file, schema, "parquet")
