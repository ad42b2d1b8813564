"""Alpaca's format: instruction and output, the page in between."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export.sinks import JsonLines
from lbi.training.export.turns import Turn

ENDING = "jsonl"
open_sink = JsonLines


def row(turn: Turn) -> Json:
    *context, question = (message.content for message in turn.prompt)
    return {"instruction": "\n\n".join(context), "input": question, "output": turn.reply}
