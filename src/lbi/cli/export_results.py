"""export --format results: what the agents of a run did on its held-out tasks, as folders that others' tools read.

ARM/seed-N/results/CATEGORY/TASK/result.txt has the score, as OSWorld's runner writes it; trajectory.json beside it what
was done, in ATIF. What failed by the environment or the harness has no result.txt, as it has no score.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.records import Result, Trajectory
from lbi.report.words import plural
from lbi.storage.run_folder import RunFolder
from lbi.training.export.exporters.atif import episode

SCORE, DONE = "result.txt", "trajectory.json"


def export_results(run: Path, folder: Path, seeds: set[int] | None, as_json: bool) -> int:
    """Written into ``folder``, which must not be there. Raises UserError."""
    if folder.exists():
        raise UserError(f"{folder} is there already; name another --out, or remove it")
    with RunFolder(run, writing=False) as opened:
        episodes = dict(opened.store.all("episode", Trajectory))
        results = [pair for pair in opened.store.all("result", Result) if seeds is None or pair[1].seed in seeds]
    if not results:
        raise UserError(f"{run} has no results of held-out tasks to write; `lbi run` or `lbi evaluate` makes them")
    counts: Counter[str] = Counter()
    for key, result in results:
        place = folder / _plain(result.arm) / f"seed-{result.seed}" / "results"
        place = place / _plain(result.category or "tasks") / _plain(result.task)
        place.mkdir(parents=True, exist_ok=True)
        if not result.fault:
            (place / SCORE).write_text(f"{result.score:g}\n", "utf-8")
        if key in episodes:
            told = json.dumps(episode(episodes[key], result), indent=1, ensure_ascii=False)
            (place / DONE).write_text(told + "\n", "utf-8")
        counts["without a score" if result.fault else "scored"] += 1
    told = f"{plural(counts['scored'], 'score')}, {counts['without a score']} without one"
    say(json.dumps(dict(counts), indent=2) if as_json else f"Written to {folder}: {told}")
    return 0


def _plain(name: str) -> str:
    return re.sub(r"[^\w.@+-]+", "-", name).lstrip(".") or "-"
