"""ShareGPT's format, as LLaMA-Factory reads it: conversations between system, human and gpt."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export import consumers
from lbi.training.export.consumers import Facts
from lbi.training.export.lengths import LLAMA_FACTORY
from lbi.training.export.sinks import JsonLines
from lbi.training.export.turns import Turn, messages_of

__all__ = ["CONSUMERS", "ENDING", "configs", "open_sink", "row"]

ENDING = "jsonl"
CONSUMERS = (LLAMA_FACTORY,)
open_sink = JsonLines


NAMES = {"system": "system", "user": "human", "assistant": "gpt"}


def row(turn: Turn) -> Json:
    conversation = [{"from": NAMES[message["role"]], "value": message["content"]} for message in messages_of(turn)]
    return {"conversations": [*conversation, {"from": "gpt", "value": turn.reply}]}


def configs(facts: Facts) -> dict[str, str]:
    return consumers.llama_factory(facts)
