"""Best of three (not in the paper): what examples are worth beside the same money spent on further tries.

Tries the task up to three times, each time anew, and stops at the first trial that a judge accepts: the acting model
itself with the committee's prompt, which does not see the task's check, as in ``reflexion``. Unlike there nothing is
learnt from a trial that failed; instead trials after the first are sampled at a higher temperature. What is scored is
the trial that the judge accepts, else the last.

In an arm that spends as another one does (``spends_as``) it tries on while a further try fits into those tokens.
"""

from __future__ import annotations

from dataclasses import replace

from lbi.agents import AgentParts
from lbi.agents._judge import judge
from lbi.agents.react import React
from lbi.errors import ModelError, ParseError, is_outage
from lbi.protocols import Decision, Episode, Role
from lbi.records import Observation, Step, Task, Trajectory, Usage

TRIALS = 3
MOST_TRIALS = 100  # with an allowance
HEEDS_ALLOWANCE = True
TEMPERATURE = 0.8  # of the trials after the first, which would else be the same


def most_calls(step_limit: int) -> dict[Role, int]:
    return {"act": TRIALS * step_limit, "judge": TRIALS - 1}


def create(parts: AgentParts) -> BestOf:
    return BestOf(parts)


class BestOf:
    """Trial, verdict; trial, ..."""

    name = "best_of"

    def __init__(self, parts: AgentParts, trials: int = TRIALS) -> None:
        self._parts, self._trials = parts, trials

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        """One step of a first trial, where somebody else leads the episode."""
        return await React(self._parts).act(task, history, observation, actions)

    async def play(self, episode: Episode) -> Trajectory:
        """All trials. A judge that cannot be read ends them: what was done until then is the result."""
        spent, allowance = Usage(), episode.allowance
        most = MOST_TRIALS if allowance else self._trials
        for number in range(most):
            trial = await episode.trial(React(self._of_trial(number, most)))
            result = trial.model_copy(update={"agent": self.name, "beside": spent})
            if trial.stop == "model_failure" or number + 1 == most:
                return result
            if allowance:
                so_far = allowance.spent(spent + trial.usage)
                if not allowance.has_room(so_far, so_far / (number + 1)):
                    return result
            try:
                vote, usage = await judge(self._parts, trial)
            except (ModelError, ParseError) as error:
                if is_outage(error):
                    raise
                return result.model_copy(update={"beside": spent + error.usage})
            if vote.aligned:
                return result.model_copy(update={"beside": spent + usage})
            spent += trial.usage + usage
        raise AssertionError("there is at least one trial")

    def _of_trial(self, number: int, most: int) -> AgentParts:
        """The first trial is what ``react`` does; no other one is the sample of another seed."""
        if not number:
            return self._parts
        return replace(self._parts, sample=self._parts.sample * most + number, temperature=TEMPERATURE)
