"""check committee: a run's filters are asked about episodes that a program scored; how often are they right?"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from lbi.cli import open_console
from lbi.config import resolve
from lbi.context import context_of
from lbi.environments import described
from lbi.errors import UserError
from lbi.evaluation.calibration import JUDGED, Calibration, by_check, calibrations
from lbi.evaluation.judged_episodes import Judged, judge_episodes
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.monitoring.terminal import say
from lbi.records import Example, Result
from lbi.report import write_report
from lbi.report.words import chance, percent, plural
from lbi.rollouts.learnt import NoEnvironments
from lbi.storage.run_folder import RunFolder


def check_committee(run: str, limit: int, as_json: bool, quiet: bool) -> int:
    """Print a row for each filter and member, and write the run's report anew; 1 if a filter failed at an episode.

    Raises UserError where no program scored an episode.
    """
    if not run:
        raise UserError("which run? Write `lbi check committee RUN`, with the folder of a run that was evaluated")
    progress = Progress(terminal.open_console(stderr=True), quiet=quiet or as_json)
    judged, rows = asyncio.run(_judged(Path(run), limit, progress))
    if as_json:
        told = [{**row.model_dump(mode="json"), "verdict": row.verdict} for row in rows]
        say(json.dumps({**vars(judged), "rows": told}, indent=2, ensure_ascii=False))
    else:
        _print(judged, rows)
    return 1 if judged.failed else 0


async def _judged(run: Path, limit: int, progress: Progress) -> tuple[Judged, list[Calibration]]:
    with RunFolder(run, writing=False) as folder:
        config = resolve(folder.config, str(run / "config.json"))
    with RunFolder(run) as folder:
        context = context_of(folder, config, progress, NoEnvironments(described(config)))
        try:
            _ = context.judges
            await context.prepare_models()
            judged = await judge_episodes(context, limit)
        finally:
            await context.close()
        votes = [example for _, example in folder.store.all(JUDGED, Example)]
        results = [result for _, result in folder.store.all("result", Result)]
        write_report(folder)
    return judged, calibrations(votes, "check", by_check(results))


def _print(judged: Judged, rows: list[Calibration]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("filter", "member", "episodes", "passed", "accepted", "precision", "95%", "recall", "p", ""):
        table.add_column(name, justify="left" if name in ("filter", "member", "") else "right", overflow="fold")
    for row in rows:
        numbers = (str(row.examples), percent(row.base), str(row.accepted), percent(row.precision))
        interval = f"{percent(row.low)} to {percent(row.high)}"
        words = (escape(row.filter), escape(row.member))
        table.add_row(*words, *numbers, interval, percent(row.recall), chance(row.p), row.verdict)
    open_console().print(table)
    say(
        f"{judged.judged} of {plural(judged.scored, 'different episode')} that a program scored; "
        "those of one task are much alike, so intervals and p are too sure of themselves"
    )
    if judged.failed:
        say(f"{plural(judged.failed, 'vote')} failed, and counts as none; the same command asks again")
