"""OpenAI's fine-tuning format; only replies of weight 1 are learned."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export.conversations import Conversation
from lbi.training.export.lengths import OPENAI
from lbi.training.export.sinks import JsonLines
from lbi.training.export.turns import Turn, messages_of

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row", "row_of_conversation"]

ENDING = "jsonl"
CONSUMERS = (OPENAI,)
open_sink = JsonLines


def row(turn: Turn) -> Json:
    earlier = [message | ({"weight": 0} if message["role"] == "assistant" else {}) for message in messages_of(turn)]
    return {"messages": [*earlier, {"role": "assistant", "content": turn.reply, "weight": 1}]}


def row_of_conversation(conversation: Conversation) -> Json:
    learned = zip(conversation.messages(), conversation.learned_replies(), strict=True)
    return {
        "messages": [
            message | ({"weight": int(learn)} if message["role"] == "assistant" else {}) for message, learn in learned
        ]
    }
