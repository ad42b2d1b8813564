"""Held-out episodes that a program scored -> what each filter of synthesis says of them, as if they were examples.

An episode is a forward example: the task's instruction, and all that was done. The check is a program that says whether
the one is what the other did, so it tells how often a judge is right (lbi.evaluation.calibration). Nobody learns from
these: they are kept apart from examples, under a kind of their own, and go into no index.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from lbi.context import RunContext
from lbi.errors import ModelError, ParseError, UserError
from lbi.evaluation.calibration import JUDGED
from lbi.monitoring.progress import Stage
from lbi.protocols import Filter
from lbi.records import Example, Result, Task, Trajectory, digest_of
from lbi.storage.run_folder import RunFolder
from lbi.synthesis import filters
from lbi.synthesis.backward import example, without_idle_steps
from lbi.synthesis.examples import PARALLEL_CALLS, boundary_of, gather
from lbi.synthesis.filter import REPLAY

STAGE = "judge episodes"


@dataclass(frozen=True)
class Scored:
    """An episode in the run folder, and whether its task's check passed."""

    key: str
    result: Result


@dataclass(frozen=True)
class Judged:
    """How many episodes there were to judge, how many were, and how often a filter failed at one."""

    scored: int
    judged: int
    failed: int


async def judge_episodes(context: RunContext, most: int) -> Judged:
    """Ask every filter of the run but the replay about ``most`` scored episodes, drawn at random; 0 = about all.

    What was asked before is not asked again. A filter that fails at an episode has a recorded failure, and no vote.
    Raises UserError where no program scored an episode.
    """
    episodes = sorted(scored_episodes(context.folder), key=lambda each: digest_of([STAGE, each.result.trajectory]))
    if not episodes:
        raise UserError(
            f"{context.folder.path} has no held-out episode that a program scored; `lbi evaluate` makes some"
        )
    chosen = episodes[: most or None]
    names = [name for name in context.config.synthesis.filters if name != REPLAY]
    judges = context.judges if "committee" in names else ()
    opened = filters.open_filters(names, filters.FilterParts(judges=judges, stage=STAGE, reused=False))
    semaphore, failed = asyncio.Semaphore(PARALLEL_CALLS), 0
    with context.progress.stage(STAGE, len(chosen)) as stage:

        async def judge(episode: Scored) -> None:
            nonlocal failed
            async with semaphore:
                walked = context.folder.store.get("episode", episode.key, Trajectory)
                if walked is not None:
                    voted = [await _asked(context, filter_, walked, stage) for filter_ in opened]
                    failed += voted.count(False)
            stage.advance()

        await gather(judge(episode) for episode in chosen)
    return Judged(len(episodes), len(chosen), failed)


def scored_episodes(folder: RunFolder) -> Iterator[Scored]:
    """Each trajectory once, as arms that did the same say nothing new."""
    checked = {key for key, task in folder.store.all("heldout", Task) if task.check is not None}
    known: set[str] = set()
    for key, result in folder.store.all("result", Result):
        if result.task in checked and not result.fault and result.steps and result.trajectory not in known:
            known.add(result.trajectory)
            yield Scored(key, result)


async def _asked(context: RunContext, filter_: Filter, walked: Trajectory, stage: Stage) -> bool:
    """False if it failed, which is recorded."""
    try:
        await _ask(context, filter_, walked)
    except (ModelError, ParseError) as error:
        context.folder.store.fail(JUDGED, _key(filter_, walked), boundary_of(error), str(error))
        stage.fail(boundary_of(error))
        return False
    return True


async def _ask(context: RunContext, filter_: Filter, walked: Trajectory) -> None:
    store, key = context.folder.store, _key(filter_, walked)
    if store.get(JUDGED, key, Example) is not None:
        return
    shown = without_idle_steps(walked)  # as in synthesis
    if shown.steps:
        asked = example("forward", walked.task.instruction, shown, 0, len(shown.steps))
        verdict = await filter_.judge(asked, shown)
        await store.put(JUDGED, key, asked.model_copy(update={"trajectory": walked.id, "verdicts": (verdict,)}))


def _key(filter_: Filter, walked: Trajectory) -> str:
    return f"{filter_.name}/{walked.id}"
