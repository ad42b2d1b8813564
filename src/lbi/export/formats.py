"""A turn -> a row of a training file: TRL, OpenAI, ShareGPT, or with its whole lineage as JSON Lines or Parquet."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lbi.errors import UserError
from lbi.export.turns import Turn
from lbi.protocols import Json


def _messages(turn: Turn) -> list[Json]:
    return [{"role": message.role, "content": message.content} for message in turn.prompt]


def _trl(turn: Turn) -> Json:
    """TRL's conversational prompt-completion: with ``completion_only_loss`` only the completion is learned."""
    return {"prompt": _messages(turn), "completion": [{"role": "assistant", "content": turn.reply}]}


def _openai(turn: Turn) -> Json:
    """OpenAI's fine-tuning format; the weight keeps the loss off any earlier turn of the assistant."""
    earlier = [message | ({"weight": 0} if message["role"] == "assistant" else {}) for message in _messages(turn)]
    return {"messages": [*earlier, {"role": "assistant", "content": turn.reply, "weight": 1}]}


def _sharegpt(turn: Turn) -> Json:
    names = {"system": "system", "user": "human", "assistant": "gpt"}
    said = [{"from": names[message["role"]], "value": message["content"]} for message in _messages(turn)]
    return {"conversations": [*said, {"from": "gpt", "value": turn.reply}]}


def _full(turn: Turn) -> Json:
    """The pair with its whole lineage."""
    example, trajectory, document = turn.lesson.example, turn.lesson.trajectory, turn.lesson.document
    return {
        "split": turn.side,
        "example": example.id,
        "kind": example.kind,
        "tier": example.tier,
        "instruction": example.instruction,
        "environment": trajectory.task.environment,
        "trajectory": trajectory.id,
        "agent": trajectory.agent,
        "stop": trajectory.stop,
        "span": [example.start, example.end],
        "step": turn.at,
        "parents": list(example.parents),
        "document": example.document or trajectory.task.document,
        "source": document.source if document else "",
        "licence": document.licence if document else "",
        "verdicts": [verdict.model_dump(mode="json") for verdict in example.verdicts],
        **_trl(turn),
    }


class Sink(Protocol):
    """A file being written."""

    def put(self, row: Json) -> None: ...

    def close(self) -> None: ...


class _Lines:
    """JSON Lines."""

    def __init__(self, file: Path) -> None:
        self._file = file.open("w", encoding="utf-8", newline="\n")

    def put(self, row: Json) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Parquet, zstd-3, row groups of 1,000."""

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
    """The columns of ``_full`` with their types; spelt out, as an empty list would leave them to guesswork."""
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


@dataclass(frozen=True, slots=True)
class Format:
    """How a turn becomes a row, and what file the rows go to."""

    row: Callable[[Turn], Json]
    sink: Callable[[Path], Sink] = _Lines
    ending: str = "jsonl"


FORMATS = {
    "trl": Format(_trl),
    "openai": Format(_openai),
    "sharegpt": Format(_sharegpt),
    "jsonl": Format(_full),
    "parquet": Format(_full, _Parquet, "parquet"),
}
