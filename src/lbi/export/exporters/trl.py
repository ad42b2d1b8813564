"""TRL's conversational prompt and completion; with ``completion_only_loss`` only the completion is learned."""

from __future__ import annotations

from lbi.export.lengths import TRL
from lbi.export.sinks import JsonLines
from lbi.export.turns import Turn, messages_of
from lbi.protocols import Json

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row"]

ENDING = "jsonl"
CONSUMERS = (TRL,)
open_sink = JsonLines


def row(turn: Turn) -> Json:
    return {"prompt": messages_of(turn), "completion": [{"role": "assistant", "content": turn.reply}]}
