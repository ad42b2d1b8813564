"""Axolotl's chat messages, each with ``training``: whether the loss is taken on it."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export import consumers
from lbi.training.export.consumers import Facts
from lbi.training.export.conversations import Conversation
from lbi.training.export.lengths import AXOLOTL
from lbi.training.export.sinks import JsonLines
from lbi.training.export.turns import Turn, messages_of

__all__ = ["CONSUMERS", "ENDING", "configs", "open_sink", "row", "row_of_conversation"]

ENDING = "jsonl"
CONSUMERS = (AXOLOTL,)
open_sink = JsonLines


def row(turn: Turn) -> Json:
    earlier = [message | {"training": False} for message in messages_of(turn)]
    return {"messages": [*earlier, {"role": "assistant", "content": turn.reply, "training": True}]}


def row_of_conversation(conversation: Conversation) -> Json:
    learned = zip(conversation.messages(), conversation.learned_replies(), strict=True)
    return {"messages": [message | {"training": learn} for message, learn in learned]}


def configs(facts: Facts) -> dict[str, str]:
    return consumers.axolotl(facts)
