"""A data set for a hub: Parquet with the columns of ``jsonl``, and a card (README.md) that says what is in it."""

from __future__ import annotations

from pathlib import Path

from lbi.training.export.exporters.parquet import row, schema
from lbi.training.export.lengths import TRL
from lbi.training.export.sinks import ParquetSink

__all__ = ["CARD", "CONSUMERS", "ENDING", "open_sink", "row"]

ENDING = "parquet"
CONSUMERS = (TRL,)
CARD = True  # lbi.training.export.card writes it


def open_sink(file: Path) -> ParquetSink:
    return ParquetSink(file, schema, "datasets")
