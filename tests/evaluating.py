"""Stages of the pipeline as tests call them: on examples and trajectories in hand instead of those in a run folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lbi.context import RunContext
from lbi.evaluation.indexes import ArmIndexes
from lbi.evaluation.runner import evaluate
from lbi.records import Document, Example, Result, Task, Trajectory
from lbi.rollouts.schedule import at_once, roll_out
from lbi.synthesis.filter import filter_examples
from lbi.synthesis.label import label
from lbi.synthesis.propose import Proposals
from lbi.synthesis.stream import run_stages
from lbi.synthesis.verify import verify


async def evaluated(
    context: RunContext,
    tasks: Sequence[Task],
    seed: int,
    examples: Sequence[tuple[Example, Trajectory]],
    documents: Sequence[Document],
) -> list[Result]:
    """The results of agents that may retrieve from these examples."""
    indexes = ArmIndexes(context, seed, examples, documents)
    try:
        return await evaluate(context, tasks, seed, indexes)
    finally:
        indexes.close()


async def labelled(context: RunContext, trajectories: Sequence[Trajectory], seed: int) -> None:
    """Each trajectory labelled and filtered, all at once."""
    with label(context, seed, filter_examples(context)).opened as label_one:
        await asyncio.gather(*map(label_one, trajectories))


async def learn(context: RunContext, tasks: Sequence[Task], seed: int) -> list[Trajectory]:
    """Roll-outs, labels and replays as they overlap in a run."""
    return await run_stages(
        context,
        seed,
        roll_out(context, at_once(tasks), seed),
        label(context, seed, filter_examples(context)),
        verify(context, seed),
    )


async def proposed_at_once(context: RunContext, documents: Sequence[Document], actions: str, wanted: int) -> list[Task]:
    """All rounds of proposals, one after the other, with no roll-outs between them."""
    proposals = Proposals(context, documents, actions, wanted)
    async for _ in proposals:
        pass
    return proposals.tasks
