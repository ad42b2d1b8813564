"""Reflexion (Shinn et al. 2023): tries a task again with what it learnt from the trials that failed (paper, table 2).

After each trial a judge, which does not see the task's check, says whether the objective was reached; if not, the model
puts into words what to do otherwise, and the next trial begins anew with these lessons. As in the paper there are three
trials. It reports 14.3 / 20.2 / 5.7 / 9.3 with Gemini and 54.4 / 40.4 / 15.6 / 10.5 with Claude on SWE-bench, WebArena,
OSWorld and Spider2-V. Ours differs in the judge: the paper does not say who judged, here it is the acting model itself
with the prompt of the committee, so that no other model helps. What is scored is the last trial, or the first that the
judge accepts.
"""

from __future__ import annotations

from lbi.agents import AgentParts
from lbi.agents._judge import as_judged, judge
from lbi.agents.react import decide
from lbi.errors import ModelError, ParseError, is_outage
from lbi.models import parsing
from lbi.protocols import Decision, Episode, Fields, Role
from lbi.records import Observation, Step, Task, Trajectory, Usage

TRIALS = 3


def most_calls(step_limit: int) -> dict[Role, int]:
    return {"act": TRIALS * step_limit, "judge": TRIALS - 1, "reflect": TRIALS - 1}


def create(parts: AgentParts) -> Reflexion:
    return Reflexion(parts)


class Reflexion:
    """Trial, verdict, lesson; trial, ..."""

    name = "reflexion"

    def __init__(self, parts: AgentParts, trials: int = TRIALS) -> None:
        self._parts, self._trials = parts, trials

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        """One step of a first trial, where somebody else leads the episode."""
        return await Trial(self._parts).act(task, history, observation, actions)

    async def play(self, episode: Episode) -> Trajectory:
        """All trials. A judge or a lesson that cannot be read ends them: what was done until then is the result."""
        lessons: tuple[str, ...] = ()
        spent = Usage()
        while True:
            trial = await episode.trial(Trial(self._parts, lessons))
            result = trial.model_copy(update={"agent": self.name, "beside": spent})
            if trial.stop == "model_failure" or len(lessons) + 1 == self._trials:
                return result
            try:
                lesson, usage = await self._lesson(trial, lessons)
            except (ModelError, ParseError) as error:
                if is_outage(error):
                    raise
                return result.model_copy(update={"beside": spent + error.usage})
            if lesson is None:
                return result.model_copy(update={"beside": spent + usage})
            lessons = (*lessons, lesson)
            spent += trial.usage + usage

    async def _lesson(self, trial: Trajectory, lessons: tuple[str, ...]) -> tuple[str | None, Usage]:
        """What to do otherwise; None where the judge says that the objective was reached."""
        parts = self._parts
        vote, usage = await judge(parts, trial)
        if vote.aligned:
            return None, usage
        fields = as_judged(trial).model_copy(update={"verdict": vote.reason, "lessons": lessons})
        try:
            lesson, more = await parsing.ask(parts.model, parts.request("reflect", fields), parsing.lesson)
        except (ModelError, ParseError) as error:
            error.usage += usage
            raise
        return lesson, usage + more


class Trial:
    """Acts like ``react``, with the lessons of earlier trials."""

    name = "reflexion"

    def __init__(self, parts: AgentParts, lessons: tuple[str, ...] = ()) -> None:
        self._parts, self._lessons = parts, lessons

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        fields = Fields(task=task, history=history, observation=observation, actions=actions, lessons=self._lessons)
        return await decide(self._parts, fields)
