"""The evaluation: runs every arm on every held-out task for each seed. Is an agent better with the data than without?

Every arm gets the same tasks, start states and step limits, except controls: one has more steps, others spend as many
tokens as another arm's episode did, and come after it. Scoring happens while the environment is still open. A failure
of environment or harness is recorded as such, never as a score of 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lbi.agents._judge import as_judged
from lbi.config import MOST_STEPS, Arm
from lbi.context import RunContext
from lbi.errors import EnvironmentFailure, ModelError, ParseError, ScoreError
from lbi.evaluation.arm_agents import agent_of_arm
from lbi.evaluation.indexes import ArmIndexes
from lbi.models import parsing
from lbi.monitoring.calls_made import calls_made
from lbi.monitoring.progress import Stage
from lbi.monitoring.telemetry import AGENT, TASK
from lbi.protocols import Agent, Allowance, Environment, PlaysEpisodes, Request, Submits
from lbi.records import Fault, Result, Task, Trajectory, Usage
from lbi.rollouts.loop import rollout
from lbi.storage.leases import WorkKey


@dataclass(frozen=True)
class Attempt:
    """One episode of the evaluation: an arm, a seed and a task."""

    arm: Arm
    seed: int
    task: Task
    share: float = 1.0  # of the trajectories whose examples may be used

    @property
    def arm_name(self) -> str:
        return self.arm.name if self.share == 1.0 else f"{self.arm.name} @{self.share:g}"

    @property
    def key(self) -> str:
        return f"{self.arm_name}/{self.seed}/{self.task.name or self.task.id}"

    @property
    def model_key(self) -> str:
        """Of the episode as which this one spends."""
        return f"{self.arm.spends_as}/{self.seed}/{self.task.name or self.task.id}"


async def evaluate(context: RunContext, tasks: Sequence[Task], seed: int, indexes: ArmIndexes) -> list[Result]:
    """Run all arms on all tasks for one seed. Arms run side by side, so that a busy machine affects them alike."""
    store, config = context.folder.store, context.config
    attempts = [Attempt(arm, seed, task) for task in tasks for arm in config.evaluation.arms]
    growth_arm = next((arm for arm in config.evaluation.arms if arm.name == config.evaluation.growth_arm), None)
    if growth_arm is not None:
        attempts += [Attempt(growth_arm, seed, task, share) for task in tasks for share in config.evaluation.growth]
    # an episode that the environment failed has no score yet, so it is run again
    known = {key for key, result in store.all("result", Result) if result.fault != "environment"}
    to_do = [attempt for attempt in attempts if attempt.key not in known]
    one_of_each_arm = {attempt.arm_name: attempt for attempt in to_do}
    agents = {arm: await _agent(context, attempt, indexes) for arm, attempt in one_of_each_arm.items()}
    with context.progress.stage(f"evaluate (seed {seed})", len(attempts)) as stage:
        stage.have(len(attempts) - len(to_do))
        for later in (False, True):
            async with asyncio.TaskGroup() as group:
                for attempt in (each for each in to_do if bool(each.arm.spends_as) is later):
                    group.create_task(_episode(context, attempt, agents[attempt.arm_name], stage))
    return [result for attempt in attempts if (result := store.get("result", attempt.key, Result)) is not None]


async def _episode(context: RunContext, attempt: Attempt, agent: Agent, stage: Stage) -> None:
    store, config = context.folder.store, context.config
    record_failure = context.failure_recorder("result", attempt.key, stage)
    allowance = None
    if attempt.arm.spends_as:
        model = store.get("result", attempt.model_key, Result)
        if model is None or model.fault == "environment":
            stage.advance()
            return  # nothing says how much it may spend
        allowance = Allowance.of(model.usage)

    async def work(environment: Environment) -> None:
        with stage.working("roll-out", {AGENT: agent.name, TASK: attempt.key}):
            limit = round(config.evaluation.step_limit * attempt.arm.step_factor)
            if allowance and not isinstance(agent, PlaysEpisodes):
                limit = MOST_STEPS
            trajectory = await rollout(environment, agent, attempt.task, limit, attempt.seed, allowance=allowance)
            result = await _score(context, environment, attempt, trajectory)
            store.put("episode", attempt.key, trajectory)
            await store.put("result", attempt.key, result)

    def failed(error: EnvironmentFailure, last: bool) -> None:
        record_failure(error, last)
        if last:
            store.put("result", attempt.key, _result(attempt, None, 0.0, "environment", error.classified))

    await context.pool.do(work, failed=failed, key=WorkKey("result", attempt.key))
    stage.advance()


async def _agent(context: RunContext, attempt: Attempt, indexes: ArmIndexes) -> Agent:
    stage = f"evaluate: {attempt.arm_name}"
    return await agent_of_arm(context, attempt.arm, indexes, share=attempt.share, sample=attempt.seed, stage=stage)


async def _score(context: RunContext, environment: Environment, attempt: Attempt, trajectory: Trajectory) -> Result:
    if trajectory.stop == "model_failure":
        return _result(attempt, trajectory, 0.0, "model", trajectory.error)
    if attempt.task.check is None:
        try:
            with calls_made() as calls:
                score, reason = await _judged(context, trajectory)
        except (ModelError, ParseError) as error:  # a judge that fails says nothing of the agent
            return _result(attempt, trajectory, 0.0, "harness", str(error))
        return _result(attempt, trajectory, score, "", reason).model_copy(update={"calls": tuple(calls)})
    try:
        score, reason = await environment.score(attempt.task, trajectory.answer)
    except ScoreError as error:
        return _result(attempt, trajectory, 0.0, "harness", str(error))
    submitted = await environment.submission() if isinstance(environment, Submits) else ""
    return _result(attempt, trajectory, score, "", reason).model_copy(update={"submission": submitted})


async def _judged(context: RunContext, trajectory: Trajectory) -> tuple[float, str]:
    """The score of a task without a check: 1 if every member of the committee says that it was accomplished, else 0."""
    if not trajectory.steps:
        return 0.0, "no step was taken"
    fields = as_judged(trajectory)
    reasons = []
    for model in context.judges:
        vote, _ = await parsing.ask(
            model, Request(role="judge", fields=fields, stage="evaluate: judge"), parsing.vote(model.name)
        )
        if not vote.aligned:
            return 0.0, f"{model.name}: {vote.reason}"
        reasons.append(f"{model.name}: {vote.reason}")
    return 1.0, "; ".join(reasons)


def _result(attempt: Attempt, trajectory: Trajectory | None, score: float, fault: Fault, reason: str) -> Result:
    """The result of an episode; without a trajectory, of one that the environment failed for good."""
    return Result(
        task=attempt.task.name or attempt.task.id,
        category=attempt.task.category,
        level=attempt.task.level,
        arm=attempt.arm_name,
        seed=attempt.seed,
        score=score,
        steps=len(trajectory.steps) if trajectory else 0,
        usage=trajectory.usage if trajectory else Usage(),
        stop=trajectory.stop if trajectory else "environment_failure",
        fault=fault,
        reason=reason,
        trajectory=trajectory.id if trajectory else "",
    )
