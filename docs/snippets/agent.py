"""Acts as `react` does, and gives up when it comes to the same page for the third time."""

from __future__ import annotations

from lbi.agents import AgentParts
from lbi.agents.react import decide
from lbi.observations.normalise import observation_key
from lbi.protocols import Decision, Fields
from lbi.records import Observation, Step, Task

PATIENCE = 3  # visits of one page


def create(parts: AgentParts) -> Impatient:
    return Impatient(parts)


class Impatient:
    name = "impatient"

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        visits = [observation_key(step.observation) for step in history].count(observation_key(observation))
        if visits >= PATIENCE - 1:
            return Decision(action='finish("")', reason="this leads nowhere")
        return await decide(self._parts, Fields(task=task, history=history, observation=observation, actions=actions))
