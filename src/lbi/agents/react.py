"""The baseline: task, history, observation -> one request to the model -> reason and action."""

from __future__ import annotations

from lbi.agents import Parts
from lbi.models import parsing
from lbi.protocols import Decision, Fields
from lbi.records import Observation, Step, Task


def create(parts: Parts) -> React:
    return React(parts)


class React:
    """Acts on what it sees, with no knowledge but the model's own."""

    name = "react"

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        return await decide(self._parts, Fields(task=task, history=history, observation=observation, actions=actions))


async def decide(parts: Parts, fields: Fields) -> Decision:
    """Ask the model to act. The history is passed whole; what fits into the context is the prompt's business."""
    (reason, action), usage = await parsing.ask(parts.model, parts.request("act", fields), parsing.act)
    shown = tuple(shown.example.id for shown in fields.examples)
    return Decision(action=action, reason=reason, usage=usage, examples=shown)
