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


async def decide(parts: AgentParts, fields: Fields, read: parsing.Parser[tuple[str, str]] = parsing.act) -> Decision:
    """Ask the model for the next action. The whole history is passed; the prompt cuts it to the context's length.

    ``read``: makes the reason and the action of its reply.
    """
    if parts.skills is not None and fields.task is not None:
        fields = fields.model_copy(update={"skills": parts.skills.best(fields.task)})
    (reason, action), usage = await parsing.ask(parts.model, parts.request("act", fields), read)
    shown = (*(shown.example.id for shown in fields.examples), *(skill.item for skill in fields.skills))
    return Decision(action=action, reason=reason, usage=usage, examples=shown)
