"""TRL's ``input_ids`` and ``labels`` of whole trajectories: exactly the replies that are to be learned have a label.

TRL takes the loss on all replies of ``messages``, or on none; labels that a row brings it leaves as they are. Needs the
tokenizer of the model that is trained, with its chat template.
"""

from __future__ import annotations

from lbi.errors import UserError
from lbi.protocols import Json
from lbi.training.export import consumers
from lbi.training.export.consumers import Facts
from lbi.training.export.conversations import Conversation
from lbi.training.export.lengths import TRL
from lbi.training.export.sinks import JsonLines
from lbi.training.tokens import ChatTokenizer

__all__ = ["CONSUMERS", "ENDING", "open_sink", "with_tokenizer"]

ENDING = "jsonl"
CONSUMERS = (TRL,)
NOT_LEARNED = -100
open_sink = JsonLines


class Masked:
    """The format for one model's tokenizer."""

    ENDING = ENDING
    CONSUMERS = CONSUMERS
    open_sink = staticmethod(open_sink)

    def __init__(self, tokenizer: ChatTokenizer) -> None:
        self._tokenizer = tokenizer

    def row_of_conversation(self, conversation: Conversation) -> Json:
        ids, learned = self._tokenizer.masked(conversation.messages(), conversation.learned_replies())
        labels = [token if learn else NOT_LEARNED for token, learn in zip(ids, learned, strict=True)]
        return {"input_ids": ids, "labels": labels}

    def configs(self, facts: Facts) -> dict[str, str]:
        return consumers.trl(facts)


def with_tokenizer(name: str) -> Masked:
    if not name:
        raise UserError("the format trl_masked writes tokens; name the model's tokenizer with --tokenizer FOLDER")
    return Masked(ChatTokenizer.load(name))
