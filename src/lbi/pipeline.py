"""The method (arXiv 2501.10893), one call per stage: documents -> tasks -> trajectories -> examples -> results.

Each stage stores its outcomes in the run folder under a key for each piece of work, and does only what is not stored
yet. So a run that was interrupted goes on where it was, and each stage can be read on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lbi.config import Config
from lbi.context import RunContext, RunOutcome, open_context
from lbi.evaluation.after import count_uses, store_verdicts
from lbi.evaluation.check_names import look_up_checks
from lbi.evaluation.holdout import split_held_out
from lbi.evaluation.indexes import index_examples
from lbi.evaluation.runner import evaluate
from lbi.evaluation.summary import summarise
from lbi.monitoring.progress import Progress
from lbi.monitoring.telemetry import Telemetry
from lbi.records import Document, Result, Task
from lbi.rollouts.look_around import look_around
from lbi.rollouts.schedule import roll_out
from lbi.rollouts.set_up import set_up
from lbi.synthesis.compose import compose
from lbi.synthesis.examples import read_documents, stored_documents, stored_tasks
from lbi.synthesis.filter import filter_examples
from lbi.synthesis.label import label
from lbi.synthesis.origins import note_learnt
from lbi.synthesis.propose import Proposals, propose_tasks
from lbi.synthesis.seeds import pages_as_documents, seeded_by_pages
from lbi.synthesis.skills.write import skills_of_arms
from lbi.synthesis.stream import run_stages
from lbi.synthesis.verify import verify

#: the half of the method to run; "" = both
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
    """Start a run in the folder ``out``, or continue the one that is there: what is finished is not done again.

    ``join``: work together with the process that has the folder open, if there is one. However the run ends, its report
    is written. Raises UserError for bad input, and BudgetExceeded or ModelUnavailable if the run must stop.
    """
    async with open_context(config, out, progress, join=join, telemetry=telemetry) as context:
        await look_up_checks(context)
        return await context.finish(await learn_by_interact(context, only))


async def learn_by_interact(context: RunContext, only: Only = "") -> list[Result]:
    """Synthesis (paper, Algorithm 1), then agents that retrieve from it (Algorithm 2), measured on held-out tasks."""
    tasks: Proposals | None = None
    if only == "evaluation":
        documents = stored_documents(context)
    else:
        actions, sources = await set_up(context)
        pages = seeded_by_pages(context.config)
        documents = await pages_as_documents(context) if pages else read_documents(context, sources)
        await look_around(context)  # pages for a map of the application (not in the paper)
        tasks = propose_tasks(context, documents, actions)  # self-instruct (sec. 2.2), round by round
    held_out, results = list[Task](), list[Result]()
    for seed in context.config.seeds:
        if tasks is not None:
            await synthesize(context, tasks, seed)
        held_out = held_out or split_held_out(context, stored_tasks(context))  # the tasks to measure with
        if only != "synthesis":
            results += await measure(context, held_out, documents, seed)
            summarise(context, held_out, results)
    return results


async def synthesize(context: RunContext, tasks: Proposals, seed: int) -> None:
    """Tasks -> examples in the run folder. Stages overlap: one trajectory is labelled while others are rolled out."""
    trajectories = await run_stages(
        context,
        seed,
        roll_out(context, tasks, seed),  # attempt the tasks; whether they succeed does not matter (sec. 2.2)
        label(  # backward construction: what did these steps really carry out? (sec. 2.2)
            context,
            seed,
            filter_examples(context),  # repeats, detours, what is undone, what judges doubt (sec. 2.3)
        ),
        verify(context, seed),  # carry it out again: does the same happen? (not in the paper)
    )
    await compose(context, trajectories, seed)  # join examples to the way from the start page (not in the paper)
    note_learnt(context, seed)  # from which documents and which version of the application (not in the paper)


async def measure(
    context: RunContext, held_out: Sequence[Task], documents: Sequence[Document], seed: int
) -> list[Result]:
    """Examples -> indexes -> agents that retrieve at every step (sec. 2.4) -> results, beside agents that do not."""
    skills = await skills_of_arms(context, seed)  # instructions for what recurs, if an arm has them (not in the paper)
    async with index_examples(context, documents, seed) as indexes:
        results = await evaluate(context, held_out, seed, indexes)
    count_uses(context, results)  # which examples and skills helped or hurt (not in the paper)
    store_verdicts(context, seed, skills, results)  # a skill is kept only where paired runs say so
    return results
