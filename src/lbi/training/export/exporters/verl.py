"""verl's Parquet of chat messages for its SFT trainer, which learns all replies: a row for each step has only one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lbi.protocols import Json
from lbi.training.export import consumers
from lbi.training.export.consumers import Facts
from lbi.training.export.lengths import VERL
from lbi.training.export.sinks import ParquetSink
from lbi.training.export.turns import Turn, messages_of

__all__ = ["CONSUMERS", "ENDING", "configs", "open_sink", "row"]

ENDING = "parquet"
CONSUMERS = (VERL,)


def row(turn: Turn) -> Json:
    return {"messages": [*messages_of(turn), {"role": "assistant", "content": turn.reply}]}


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([("messages", pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})))])


def open_sink(file: Path) -> ParquetSink:
    return ParquetSink(file, _schema, "verl")


def configs(facts: Facts) -> dict[str, str]:
    return consumers.verl(facts)
