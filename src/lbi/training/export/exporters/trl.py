"""TRL's conversational prompt and completion; with ``completion_only_loss`` only the completion is learned."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export import consumers
from lbi.training.export.consumers import Facts
from lbi.training.export.lengths import TRL
from lbi.training.export.sinks import JsonLines
from lbi.training.export.turns import Turn, messages_of

__all__ = ["CONSUMERS", "ENDING", "configs", "open_sink", "row"]

ENDING = "jsonl"
CONSUMERS = (TRL,)
open_sink = JsonLines


def row(turn: Turn) -> Json:
    return {"prompt": messages_of(turn), "completion": [{"role": "assistant", "content": turn.reply}]}


def configs(facts: Facts) -> dict[str, str]:
    return {**consumers.trl(facts, completion_only_loss=True), **consumers.unsloth(facts)}
