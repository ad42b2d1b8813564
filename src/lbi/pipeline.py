"""The method (arXiv 2501.10893), a call for each stage: documents -> tasks -> trajectories -> examples -> results.

Each stage stores its outcomes in the run folder under the key of the work that they are the outcome of, and does what
has no row there yet. So a run that was stopped goes on where it was, and each stage can be read on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lbi.config import Config
from lbi.context import RunContext, RunOutcome, open_context
from lbi.evaluation.holdout import split_held_out
from lbi.evaluation.indexes import index_examples
from lbi.evaluation.runner import evaluate
from lbi.evaluation.summary import summarise
from lbi.monitoring.progress import Progress
from lbi.monitoring.telemetry import Telemetry
from lbi.records import Document, Result, Task
from lbi.rollouts.schedule import roll_out
from lbi.rollouts.set_up import set_up
from lbi.synthesis.compose import compose
from lbi.synthesis.examples import read_documents, stored_documents, stored_tasks
from lbi.synthesis.label import label
from lbi.synthesis.propose import propose_tasks
from lbi.synthesis.stream import overlapped
from lbi.synthesis.verify import verify

#: what a run is for, where it is not for both
Only = Literal["", "synthesis", "evaluation"]


async def run(
    config: Config,
    out: Path,
    progress: Progress | None = None,
    *,
    only: Only = "",
    join: bool = False,
    telemetry: Telemetry | None = None,
) -> RunOutcome:
    """Run or continue a run. Everything finished is taken from the folder ``out``; the rest is done.

    With ``join``, together with the process that works on it already, if there is one. However a run ends, its report
    is written. Raises UserError for what is asked wrongly, and BudgetExceeded or ModelUnavailable when it must stop.
    """
    async with open_context(config, out, progress, join=join, telemetry=telemetry) as context:
        return await context.finished(await learn_by_interact(context, only))


async def learn_by_interact(context: RunContext, only: Only = "") -> list[Result]:
    """Synthesis (paper, Algorithm 1) and agents that retrieve from it (Algorithm 2), measured on held-out tasks."""
    if only == "evaluation":
        documents, proposed = stored_documents(context), stored_tasks(context)
    else:
        actions, sources = await set_up(context)
        documents = read_documents(context, sources)
        proposed = await propose_tasks(context, documents, actions)  # self-instruct (sec. 2.2)
    held_out, tasks = split_held_out(context, proposed)
    results: list[Result] = []
    for seed in context.config.seeds:
        if only != "evaluation":
            await synthesize(context, tasks, seed)
        if only != "synthesis":
            results += await measure(context, held_out, documents, seed)
            summarise(context, held_out, results)
    return results


async def synthesize(context: RunContext, tasks: Sequence[Task], seed: int) -> None:
    """Tasks -> examples. The stages overlap: one trajectory is labelled while another is still rolled out."""
    trajectories = await overlapped(
        context,
        seed,
        roll_out(context, tasks, seed),  # attempt the tasks; whether they succeed does not matter (sec. 2.2)
        label(context, seed),  # backward construction (sec. 2.2), through the filters (sec. 2.3)
        verify(context, seed),  # carry it out again: does the same happen? (not in the paper)
    )
    await compose(context, trajectories, seed)  # join examples to the way from the start page (not in the paper)


async def measure(
    context: RunContext, held_out: Sequence[Task], documents: Sequence[Document], seed: int
) -> list[Result]:
    """Examples -> indexes -> agents that retrieve at every step (sec. 2.4) -> results, beside agents that do not."""
    async with index_examples(context, documents, seed) as indexes:
        return await evaluate(context, held_out, seed, indexes)
