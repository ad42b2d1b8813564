"""TRL's preference pairs for DPO: one prompt, the reply of a kept example, and that of a dropped one."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export import consumers
from lbi.training.export.consumers import Facts
from lbi.training.export.lengths import TRL_DPO
from lbi.training.export.pairs import Pair
from lbi.training.export.sinks import JsonLines
from lbi.training.export.turns import messages_of

__all__ = ["CONSUMERS", "ENDING", "configs", "open_sink", "row_of_pair"]

ENDING = "jsonl"
CONSUMERS = (TRL_DPO,)
open_sink = JsonLines


def row_of_pair(pair: Pair) -> Json:
    return {
        "prompt": messages_of(pair.turn),
        "chosen": [{"role": "assistant", "content": pair.turn.reply}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }


def configs(facts: Facts) -> dict[str, str]:
    return consumers.trl(facts, "dpo")
