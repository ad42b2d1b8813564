"""Agent Data Protocol 1.2.0: one trajectory for each example, every action with the observation that it led to."""

from __future__ import annotations

from lbi.protocols import Json
from lbi.training.export.conversations import Conversation
from lbi.training.export.lengths import ADP
from lbi.training.export.sinks import JsonLines

__all__ = ["CONSUMERS", "ENDING", "open_sink", "row_of_conversation"]

ENDING = "jsonl"
CONSUMERS = (ADP,)
VERSION = "1.2.0"
open_sink = JsonLines


def row_of_conversation(conversation: Conversation) -> Json:
    example, trajectory = conversation.lesson.example, conversation.lesson.trajectory
    content: list[Json] = [
        {"class_": "text_observation", "content": conversation.system, "source": "system"},
        {"class_": "text_observation", "content": conversation.exchanges[0].shown, "source": "user"},
    ]
    for each in conversation.exchanges:
        step, led_to = trajectory.steps[each.at], trajectory.observations[each.at + 1]
        call = f"call-{each.at}"
        content.append(
            {
                "class_": "api_action",
                "function": step.action.kind or "unknown",
                "kwargs": {"action": step.action.text},
                "description": (conversation.lesson.reasons and step.reason) or None,
                "tool_call_id": call,
            }
        )
        seen = f"{led_to.error}\n\n{led_to.text}" if led_to.error else led_to.text
        content.append({"class_": "text_observation", "content": seen, "source": "user", "tool_call_id": call})
    details = {
        "instruction": example.instruction,
        "kind": example.kind,
        "tier": example.tier,
        "agent": trajectory.agent,
        "environment": trajectory.task.environment,
        "trajectory": trajectory.id,
        "document": example.document or trajectory.task.document,
        "split": conversation.side,
        "not_learned": [call.at for call in conversation.exchanges if not call.learn],
    }
    return {"schema_version": VERSION, "id": example.id, "content": content, "details": details}
