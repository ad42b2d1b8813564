"""A trial -> what the acting model itself says of it, with the committee's prompt: was the objective reached?"""

from __future__ import annotations

from lbi.agents import AgentParts
from lbi.models import parsing
from lbi.protocols import Fields
from lbi.records import Trajectory, Usage, Vote


def as_judged(trial: Trajectory) -> Fields:
    """The whole trial and its objective. The task's check is in no prompt."""
    end, instruction = len(trial.steps), trial.task.instruction
    return Fields(task=trial.task, trajectory=trial, start=0, end=end, instruction=instruction)


async def judge(parts: AgentParts, trial: Trajectory) -> tuple[Vote, Usage]:
    """Raises ModelError or ParseError."""
    request = parts.request("judge", as_judged(trial))
    return await parsing.ask(parts.model, request, parsing.vote(parts.model.name))
