"""TRL's conversational prompt and completion; with ``completion_only_loss`` only the completion is learned."""

from __future__ import annotations

from lbi.export.sinks import JsonLines
from lbi.export.turns import Turn, messages_of
from lbi.protocols import Json

__all__ = ["ENDING", "open_sink", "row"]

ENDING = "jsonl"
open_sink = JsonLines


def row(turn: Turn) -> Json:
    return {"prompt": messages_of(turn), "completion": [{"role": "assistant", "content": turn.reply}]}
