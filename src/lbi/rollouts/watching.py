"""An agent and an environment -> the same, with somebody who watches every decision and may be asked before it is done.

Both are wrappers, so that one loop does: what is watched is what is measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal, Protocol

from lbi.errors import LbiError
from lbi.protocols import Agent, Decision, Environment, Foreseen, Foresees, Outcome
from lbi.records import Observation, Step, Task

Answer = Literal["yes", "no", "all", "stop"]
#: asked about an action that may change something; "all" = yes, and to all that follow
Confirm = Callable[[Foreseen], Awaitable[Answer]]
NOT_ALLOWED = "the person you act for did not allow this action, and it was not carried out; do without it, or finish"


def asking(confirm: Callable[[str, str], bool]) -> Confirm:
    """A function of the action, as it is written, and why it may change something, as one that can be waited for."""

    async def ask(foreseen: Foreseen) -> Answer:
        return "yes" if confirm(foreseen.action.written, foreseen.changes) else "no"

    return ask


class StoppedByPerson(LbiError):
    """Whoever was asked wants nothing more to be done."""


class Watcher(Protocol):
    """Is told what happens as it happens."""

    def sees(self, number: int, page: Observation) -> None:
        """The agent looks at a page and decides; ``number`` is that of the step, from 1."""
        ...

    def decides(self, decision: Decision) -> None: ...

    def took(self, step: Step, after: Observation) -> None:
        """A step has ended; ``after`` is what is seen now."""
        ...


class Nobody:
    """Watches nothing."""

    def sees(self, number: int, page: Observation) -> None:
        return None

    def decides(self, decision: Decision) -> None:
        return None

    def took(self, step: Step, after: Observation) -> None:
        return None


class Watched:
    """An agent whose decisions somebody is told of before they are carried out."""

    def __init__(self, agent: Agent, watcher: Watcher) -> None:
        self.name = agent.name
        self._agent, self._watcher = agent, watcher

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        self._watcher.sees(len(history) + 1, observation)
        decision = await self._agent.act(task, history, observation, actions)
        self._watcher.decides(decision)
        return decision


class _Foreseeing(Environment, Foresees, Protocol):
    """An environment that tells what an action may do."""


class Confirmed:
    """An environment in which nothing that may change something is done before somebody has said yes."""

    def __init__(self, environment: _Foreseeing, confirm: Confirm) -> None:
        self.name, self.actions = environment.name, environment.actions
        self._environment, self._confirm = environment, confirm
        self._all = False
        self._last = Observation(text="")

    async def reset(self, task: Task) -> Observation:
        self._last = await self._environment.reset(task)
        return self._last

    async def step(self, action: str) -> Outcome:
        """Raises StoppedByPerson if whoever is asked wants an end; for a no, the agent is told."""
        foreseen = await self._environment.foresee(action)
        if foreseen.changes and not self._all:
            answer = await self._confirm(foreseen)
            if answer == "stop":
                raise StoppedByPerson("stopped by you")
            if answer == "no":
                self._last = self._last.model_copy(update={"error": NOT_ALLOWED})
                return Outcome(action=foreseen.action, observation=self._last)
            self._all = answer == "all"
        outcome = await self._environment.step(action)
        self._last = outcome.observation
        return outcome

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return await self._environment.score(task, answer)

    async def close(self) -> None:
        await self._environment.close()
