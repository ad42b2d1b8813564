"""Held-out tasks x arms x seeds -> results: does an agent with the data do better than without?

Every arm gets the same tasks, start states and (but for the control with extra steps) step limits. Scoring happens
while the environment is still open. A failure of environment or harness is recorded as such and never as a zero.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lbi import parse
from lbi.agents import Parts, open_agent
from lbi.backward import without_duplicates
from lbi.claims import Place
from lbi.config import Arm, Data
from lbi.contracts import Agent, Environment, Fields, Request, Submits
from lbi.errors import EnvironmentFailure, ModelError, ParseError, ScoreError
from lbi.leakage import example_dates, latest
from lbi.progress import Stage
from lbi.records import Document, Example, Fault, Result, Task, Trajectory, Usage
from lbi.retrieve import ExampleIndex
from lbi.rollout import rollout
from lbi.telemetry import AGENT, TASK
from lbi.workshop import Workshop

#: which kinds of examples an arm's data are made of
KINDS: Mapping[Data, tuple[str, ...]] = {
    "none": (),
    "forward": ("forward",),
    "backward": ("abstract", "summary"),
    "composed": ("abstract", "summary", "composed"),
    "shuffled": ("abstract", "summary"),
}


@dataclass(frozen=True)
class Attempt:
    """One cell of the evaluation."""

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


def stratified(tasks: Sequence[Task], count: int, seed: int = 0) -> list[Task]:
    """``count`` tasks spread evenly over categories, and over levels within them; 0 = all. Seeded, nested in count."""
    if count <= 0 or count >= len(tasks):
        return list(tasks)
    chance = random.Random(seed)
    strata: dict[tuple[str, int], list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.name):
        strata.setdefault((task.category, task.level), []).append(task)
    for some in strata.values():
        chance.shuffle(some)
    by_category: dict[str, list[Task]] = {}
    for (category, _), some in sorted(strata.items(), key=lambda item: item[0]):
        by_category.setdefault(category, [])
        by_category[category] = _interleave(by_category[category], some)
    chosen: list[Task] = []
    while len(chosen) < count:
        for some in by_category.values():
            if some and len(chosen) < count:
                chosen.append(some.pop(0))
    return chosen


def _interleave(one: list[Task], other: list[Task]) -> list[Task]:
    mixed = [(index / max(len(one), 1), 0, task) for index, task in enumerate(one)]
    mixed += [(index / max(len(other), 1), 1, task) for index, task in enumerate(other)]
    return [task for _, _, task in sorted(mixed, key=lambda item: item[:2])]


def examples_for(
    data: Data, examples: Sequence[tuple[Example, Trajectory]], seed: int, share: float = 1.0
) -> list[tuple[Example, Trajectory]]:
    """The examples of one arm. ``share`` keeps those of a seeded part of the trajectories, nested in the share."""
    chosen = [(e, t) for e, t in examples if e.kind in KINDS[data] and e.kept]
    chosen = without_duplicates(chosen)
    if share < 1.0:
        names = sorted({t.id for _, t in examples})
        random.Random(seed).shuffle(names)
        allowed = set(names[: round(share * len(names))])
        chosen = [(e, t) for e, t in chosen if t.id in allowed]
    if data == "shuffled":
        labels = [e.instruction for e, _ in chosen]
        random.Random(f"shuffle/{seed}").shuffle(labels)
        chosen = [(e.model_copy(update={"instruction": i}), t) for (e, t), i in zip(chosen, labels, strict=True)]
    return chosen


async def evaluate(
    shop: Workshop,
    tasks: Sequence[Task],
    seed: int,
    examples: Sequence[tuple[Example, Trajectory]],
    documents: Sequence[Document],
) -> list[Result]:
    """All arms on all tasks for one seed, arms side by side so that the machine's mood meets all of them alike."""
    store, config = shop.run.store, shop.config
    attempts = [Attempt(arm, seed, task) for task in tasks for arm in config.evaluation.arms]
    growing = next((arm for arm in config.evaluation.arms if arm.name == config.evaluation.growth_arm), None)
    if growing is not None:
        attempts += [Attempt(growing, seed, task, share) for task in tasks for share in config.evaluation.growth]
    # what was lost to the environment says nothing yet, and another day it may go well
    known = {key for key, result in store.all("result", Result) if result.fault != "environment"}
    left = [attempt for attempt in attempts if attempt.key not in known]
    indexes: dict[tuple[Data, float], ExampleIndex] = {}
    agents = {
        a.arm_name: await _agent(shop, a, examples, documents, indexes) for a in {x.arm_name: x for x in left}.values()
    }
    try:
        with shop.progress.stage(f"evaluate (seed {seed})", len(attempts)) as stage:
            stage.have(len(attempts) - len(left))

            async def one(attempt: Attempt) -> None:
                agent = agents[attempt.arm_name]
                await _episode(shop, attempt, agent, stage)

            async with asyncio.TaskGroup() as group:
                for attempt in left:
                    group.create_task(one(attempt))
    finally:
        for index in indexes.values():
            index.close()
    return [result for attempt in attempts if (result := store.get("result", attempt.key, Result)) is not None]


async def _episode(shop: Workshop, attempt: Attempt, agent: Agent, stage: Stage) -> None:
    store, config = shop.run.store, shop.config
    note = shop.failing("result", attempt.key, stage)

    async def work(environment: Environment) -> None:
        with stage.working("roll-out", {AGENT: agent.name, TASK: attempt.key}):
            limit = round(config.evaluation.step_limit * attempt.arm.step_factor)
            trajectory = await rollout(environment, agent, attempt.task, limit, attempt.seed)
            result = await _score(shop, environment, attempt, trajectory)
            store.put("episode", attempt.key, trajectory)
            await store.put("result", attempt.key, result)

    def failed(error: EnvironmentFailure, last: bool) -> None:
        note(error, last)
        if last:
            store.put("result", attempt.key, _result(attempt, None, 0.0, "environment", str(error)))

    await shop.pool.do(work, failed=failed, place=Place("result", attempt.key))
    stage.advance()


async def _agent(
    shop: Workshop,
    attempt: Attempt,
    examples: Sequence[tuple[Example, Trajectory]],
    documents: Sequence[Document],
    indexes: dict[tuple[Data, float], ExampleIndex],
) -> Agent:
    """An arm's agent with the arm's index; indexes are built once and shared."""
    arm, config = attempt.arm, shop.config
    place = (arm.data, attempt.share)
    chosen = examples_for(arm.data, examples, attempt.seed, attempt.share) if arm.data != "none" else []
    dates = _dates(arm.data, chosen, examples, documents)
    if arm.data != "none" and place not in indexes:
        folder = shop.index_folder / f"{arm.data}-{attempt.seed}-{attempt.share:g}"
        trajectories = {trajectory.id: trajectory for _, trajectory in chosen}
        vectors = None
        if shop.embedder is not None and chosen:
            vectors = await shop.embedder.embed([example.instruction for example, _ in chosen])
        plain = [example for example, _ in chosen]
        indexes[place] = ExampleIndex.build(folder, plain, trajectories, vectors, dates)
    parts = Parts(
        model=shop.role("act"),
        query_model=shop.role("query"),
        index=indexes.get(place),
        embedder=shop.embedder,
        documents=documents,
        dates=set(dates.values()),
        m1=config.retrieval.m1,
        m2=config.retrieval.m2,
        m3=config.retrieval.m3,
        top_documents=config.retrieval.documents,
        sample=attempt.seed,
        stage=f"evaluate: {attempt.arm_name}",
    )
    return open_agent(arm.agent, parts)


def _dates(
    data: Data,
    chosen: Sequence[tuple[Example, Trajectory]],
    examples: Sequence[tuple[Example, Trajectory]],
    documents: Sequence[Document],
) -> dict[str, str]:
    """Id of an arm's example -> the date of what it comes from; with another's label, the later of both."""
    dates = example_dates([*examples, *chosen], documents)
    if data == "shuffled":
        labels: dict[str, list[str]] = {}
        for example, _ in examples:
            labels.setdefault(example.instruction, []).append(dates[example.id])
        dates |= {e.id: latest([dates[e.id], *labels.get(e.instruction, [])]) for e, _ in chosen}
    return {example.id: dates[example.id] for example, _ in chosen}


async def _score(shop: Workshop, environment: Environment, attempt: Attempt, trajectory: Trajectory) -> Result:
    if trajectory.stop == "model_failure":
        return _result(attempt, trajectory, 0.0, "model", trajectory.error)
    if attempt.task.check is None:
        try:
            score, reason = await _judged(shop, trajectory)
        except (ModelError, ParseError) as error:  # a judge that fails says nothing of the agent
            return _result(attempt, trajectory, 0.0, "harness", str(error))
        return _result(attempt, trajectory, score, "", reason)
    try:
        score, reason = await environment.score(attempt.task, trajectory.answer)
    except ScoreError as error:
        return _result(attempt, trajectory, 0.0, "harness", str(error))
    submitted = await environment.submission() if isinstance(environment, Submits) else ""
    return _result(attempt, trajectory, score, "", reason).model_copy(update={"submission": submitted})


async def _judged(shop: Workshop, trajectory: Trajectory) -> tuple[float, str]:
    """Without a check the committee stands in: 1 if every member says that the task was accomplished."""
    if not trajectory.steps:
        return 0.0, "no step was taken"
    fields = Fields(
        task=trajectory.task,
        trajectory=trajectory,
        start=0,
        end=len(trajectory.steps),
        instruction=trajectory.task.instruction,
    )
    reasons = []
    for model in shop.judges:
        vote, _ = await parse.ask(
            model, Request(role="judge", fields=fields, stage="evaluate: judge"), parse.vote(model.name)
        )
        if not vote.aligned:
            return 0.0, f"{model.name}: {vote.reason}"
        reasons.append(f"{model.name}: {vote.reason}")
    return 1.0, "; ".join(reasons)


def _result(attempt: Attempt, trajectory: Trajectory | None, score: float, fault: Fault, reason: str) -> Result:
    """Without a trajectory the episode was lost to the environment."""
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
