"""ShareGPT's format: conversations between system, human and gpt."""

from __future__ import annotations

from lbi.export.lengths import AXOLOTL, LLAMA_FACTORY
from lbi.export.sinks import JsonLines
from lbi.export.turns import Turn, messages_of
from lbi.protocols import Json

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row"]

ENDING = "jsonl"
CONSUMERS = (
    LLAMA_FACTORY,
    AXOLOTL,
)
open_sink = JsonLines


NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


def row(turn: Turn) -> Json:
    conversation = [{"from": NAMES[message["role"]], "value": message["content"]} for message in messages_of(turn)]
    return {"conversations": [*conversation, {"from": "gpt", "value": turn.reply}]}
