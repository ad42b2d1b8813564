"""The baseline without retrieval (ReAct): task, history and observation -> one model call -> reason and action."""

from __future__ import annotations

from lbi.agents import AgentParts
from lbi.models import parsing
from lbi.protocols import Decision, Fields
from lbi.records import Observation, Step, Task


def create(parts: AgentParts) -> React:
    return React(parts)


class React:
    """Acts on what it observes, with the model's own knowledge alone."""

    name = "react"

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        return await decide(self._parts, Fields(task=task, history=history, observation=observation, actions=actions))


async def decide(parts: AgentParts, fields: Fields) -> Decision:
    """Ask the model for the next action. The whole history is passed; the prompt cuts it to the context's length."""
    (reason, action), usage = await parsing.ask(parts.model, parts.request("act", fields), parsing.act)
    example_ids = tuple(example_ids.example.id for example_ids in fields.examples)
    return Decision(action=action, reason=reason, usage=usage, examples=example_ids)
