"""OpenAI's fine-tuning format; weights exclude earlier turns of the assistant from the loss."""

from __future__ import annotations

from lbi.export.lengths import OPENAI
from lbi.export.sinks import JsonLines
from lbi.export.turns import Turn, messages_of
from lbi.protocols import Json

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row"]

ENDING = "jsonl"
CONSUMERS = (OPENAI,)
open_sink = JsonLines


def row(turn: Turn) -> Json:
    earlier = [message | ({"weight": 0} if message["role"] == "assistant" else {}) for message in messages_of(turn)]
    return {"messages": [*earlier, {"role": "assistant", "content": turn.reply, "weight": 1}]}
