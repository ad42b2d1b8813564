"""One instruction -> carried out on the application with what was learnt in a run: ``lbi act``, ``lbi.act``.

One episode, tried once: on an application that people use, what was half done is not begun again by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lbi.agents.spans import Spans
from lbi.config import MOST_STEPS
from lbi.environments._timeouts import WithTimeouts
from lbi.errors import BudgetExceeded, EnvironmentFailure, LbiError, UserError
from lbi.evaluation.arm_agents import agent_of_arm
from lbi.protocols import Agent, Decision
from lbi.records import Action, Observation, Step, StopReason, Task, Trajectory
from lbi.rollouts.kept import Act, Keeper, new_folder
from lbi.rollouts.learnt import Learnt, Use, open_learnt, opened, read_run
from lbi.rollouts.loop import Took, rollout
from lbi.rollouts.play_span import PlaysSpan, span_of_run, task_of
from lbi.rollouts.watching import Confirm, Confirmed, Nobody, StoppedByPerson, Watched, Watcher

STAGE = "act"


class ActWatcher(Watcher):
    """As ``Watcher``, for a whole act."""

    def begins(self, learnt: Learnt, steps: int, folder: Path) -> None:
        """The application is about to be opened."""
        return None

    async def ends(self, act: Act) -> None:
        """The episode is over and kept; the application is still open."""
        return None


class NobodyWatches(Nobody, ActWatcher):
    """Watches nothing."""


class _Told(NobodyWatches):
    """Tells a function of each step."""

    def __init__(self, on_step: Took) -> None:
        self._on_step = on_step

    def took(self, step: Step, after: Observation) -> None:
        self._on_step(step, after)


def told_by(on_step: Took | None) -> ActWatcher | None:
    """A watcher that calls a function for each step with what is seen after it."""
    return None if on_step is None else _Told(on_step)


@dataclass(frozen=True)
class ActOptions:
    """How one instruction is carried out; ``use.live`` says on what."""

    use: Use
    steps: int | None = None
    """At most; None = as many as the run's evaluation gave."""
    out: Path | None = None
    """Folder for what is kept; None = a new one in RUN/acts."""
    span: str = ""
    """Id of an example, or its beginning: its steps are carried out, and no model is asked."""
    values: Mapping[str, str] = field(default_factory=dict)
    """What takes the place of the span's values, by the names of its parameters."""


async def act(
    run: Path,
    instruction: str,
    options: ActOptions,
    *,
    watcher: ActWatcher | None = None,
    confirm: Confirm | None = None,
) -> Act:
    """Carry out one instruction, and keep what happened after each step.

    Raises UserError for what is asked wrongly and EnvironmentFailure for an application that cannot be opened; what
    fails later is the act's ``error``. Interrupted, or out of budget, what was done until then is kept.
    """
    if not (instruction.strip() or options.span):
        raise UserError("the instruction is empty; say what is to be done, or name an example with --span")
    if options.values and not options.span:
        raise UserError("values were given without a span; name the example whose values they are with --span")
    if options.span:
        return await _act_by_span(run, instruction, options, watcher, confirm)
    read = await asyncio.to_thread(read_run, run, options.use)
    steps = options.steps or round(read.config.evaluation.step_limit * read.arm.step_factor)
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"an episode has 1 to {MOST_STEPS} steps, not {steps}")
    folder = new_folder(run, options.out)
    with _removed_unless_begun(folder):
        async with open_learnt(run, read, options.use, folder) as learnt:
            task = Task(instruction=instruction.strip(), environment=learnt.context.environments.name)
            agent = await agent_of_arm(learnt.context, learnt.arm, learnt.indexes, sample=learnt.seed, stage=STAGE)
            return await _Episode(learnt, task, agent, steps, watcher or NobodyWatches(), confirm).run()


async def _act_by_span(
    run: Path, instruction: str, options: ActOptions, watcher: ActWatcher | None, confirm: Confirm | None
) -> Act:
    if instruction.strip():
        raise UserError("an instruction and --span were given; a span says itself what is done, so leave one out")
    read = await asyncio.to_thread(read_run, run, replace(options.use, agent=Spans.name))
    span = await asyncio.to_thread(span_of_run, read, options.span, options.values)
    folder = new_folder(run, options.out)
    with _removed_unless_begun(folder):
        async with open_learnt(run, read, options.use, folder) as learnt:
            task = task_of(span, learnt.context.environments.name)
            plays, watching = PlaysSpan(span), watcher or NobodyWatches()
            return await _Episode(learnt, task, plays, len(span.actions) + 1, watching, confirm, span.actions).run()


@contextlib.contextmanager
def _removed_unless_begun(folder: Path) -> Iterator[None]:
    """A folder that was made for an act of which nothing came is of use to nobody."""
    try:
        yield
    finally:
        if not Keeper.holds_act(folder):
            Keeper.remove(folder)


class _Episode:
    """Carries out the instruction once, watched and kept."""

    def __init__(
        self,
        learnt: Learnt,
        task: Task,
        agent: Agent,
        steps: int,
        watcher: ActWatcher,
        confirm: Confirm | None,
        planned: tuple[Action, ...] = (),
    ) -> None:
        """``planned``: the steps of a span, where one is carried out."""
        self._planned = planned
        self._learnt, self._limit, self._watcher, self._confirm = learnt, steps, watcher, confirm
        self._task, self._agent = task, agent
        self._keeper = Keeper(learnt, task)
        self._steps: list[Step] = []
        self._page: Observation | None = None
        self._began = time.monotonic()

    async def run(self) -> Act:
        learnt = self._learnt
        self._watcher.begins(learnt, self._limit, learnt.context.folder.path)
        async with opened(learnt) as environment:
            acted_on = Confirmed(environment, self._confirm) if self._confirm else environment
            try:
                trajectory = await rollout(
                    acted_on, Watched(self._agent, self), self._task, self._limit, took=self.took
                )
            except StoppedByPerson as error:
                trajectory = self._so_far("stopped", str(error))
            except EnvironmentFailure as error:
                if self._page is None:  # nothing was opened, so nothing has begun
                    raise
                trajectory = self._so_far("environment_failure", str(error))
            except (LbiError, asyncio.CancelledError) as error:
                if self._page is not None:
                    self._end(self._so_far(*_cut_short(error)), "")
                raise
            act = self._end(trajectory, await _submission(environment))
            await self._watcher.ends(act)
        return act

    # told by the loop and the agent

    def sees(self, number: int, page: Observation) -> None:
        self._page = page
        if number == 1:
            self._keeper.keep(self._so_far("stopped"), time.monotonic() - self._began)
        self._watcher.sees(number, page)

    def decides(self, decision: Decision) -> None:
        self._watcher.decides(decision)

    def took(self, step: Step, after: Observation) -> None:
        self._steps.append(step)
        self._page = after
        self._keeper.keep(self._so_far("stopped"), time.monotonic() - self._began)
        self._watcher.took(step, after)

    def _so_far(self, stop: StopReason, error: str = "") -> Trajectory:
        return Trajectory(
            task=self._task,
            agent=self._agent.name,
            steps=tuple(self._steps),
            last=self._page or Observation(text=""),
            stop=stop,
            error=error,
        )

    def _end(self, trajectory: Trajectory, submission: str) -> Act:
        act = self._keeper.end(trajectory, submission, time.monotonic() - self._began)
        return replace(act, rest=self._planned[_taken(trajectory) :])


def _taken(trajectory: Trajectory) -> int:
    """How many steps of a span were taken: the end of the episode is none, nor is what could not be carried out."""
    after = zip(trajectory.actions, trajectory.observations[1:], strict=True)
    return sum(action.kind != "finish" and not page.error for action, page in after)


def _cut_short(error: BaseException) -> tuple[StopReason, str]:
    if isinstance(error, BudgetExceeded):
        return "budget", str(error)
    return ("stopped", "interrupted") if isinstance(error, asyncio.CancelledError) else ("model_failure", str(error))


async def _submission(environment: WithTimeouts) -> str:
    """What the episode hands in, such as a patch; an environment that is out of order hands in nothing."""
    with contextlib.suppress(EnvironmentFailure):
        return await environment.submission()
    return ""
