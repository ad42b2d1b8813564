"""JSON Lines: prompt and completion with their whole lineage, from the document to the filters' verdicts."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export.lengths import TRL
from lbi.training.export.sinks import FullestFirst
from lbi.training.export.turns import Turn, messages_of

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row"]

ENDING = "jsonl"
CONSUMERS = (TRL,)
WITHOUT_CALLS = {"votes": {"__all__": {"calls"}}}  # they are stored in the run folder only
open_sink = FullestFirst  # parents and votes are empty in most rows


def row(turn: Turn) -> Json:
    example, trajectory, document = turn.lesson.example, turn.lesson.trajectory, turn.lesson.document
    return {
        "split": turn.side,
        "example": example.id,
        "kind": example.kind,
        "tier": example.tier,
        "instruction": example.instruction,
        "environment": trajectory.task.environment,
        "trajectory": trajectory.id,
        "agent": trajectory.agent,
        "stop": trajectory.stop,
        "span": [example.start, example.end],
        "step": turn.at,
        "parents": list(example.parents),
        "document": example.document or trajectory.task.document,
        "source": document.source if document else "",
        "licence": document.licence if document else "",
        "verdicts": [verdict.model_dump(mode="json", exclude=WITHOUT_CALLS) for verdict in example.verdicts],
        "prompt": messages_of(turn),
        "completion": [{"role": "assistant", "content": turn.reply}],
    }
