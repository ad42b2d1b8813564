"""A run folder -> which stages it has come to, how far, how fast, and whether a process is at work on it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

from lbi.report.gather import Gathered
from lbi.storage.run_folder import RunFolder

RECENT = 600.0  # seconds over which a rate is told
#: kinds of records in the order in which a run makes them, and the stage that each is the outcome of
STAGES = {
    "document": "Documents read",
    "task": "Tasks proposed",
    "trajectory": "Roll-outs",
    "example": "Examples labelled",
    "replay": "Carried out again",
    "composition": "Composed",
    "episode": "Episodes evaluated",
}


class Stage(NamedTuple):
    """How far one stage is. ``planned`` is None where nothing says how much there will be."""

    name: str
    done: int
    planned: int | None
    recent: int  # of the last ten minutes
    idle: float  # seconds since the last record

    @property
    def active(self) -> bool:
        return self.recent > 0


def stages(run: RunFolder, gathered: Gathered, now: float | None = None) -> list[Stage]:
    """Those that have begun, or that are planned."""
    now = time.time() if now is None else now
    sql = "SELECT kind, count(*), sum(created > ?), max(created) FROM record GROUP BY kind"
    rows = {kind: rest for kind, *rest in run.store.read("record", sql, (now - RECENT,))}
    planned = {"trajectory": _rollouts(gathered), "episode": _episodes(gathered)}
    found = []
    for kind, name in STAGES.items():
        done, recent, last = rows.get(kind, (0, 0, now))
        if done or planned.get(kind):
            found.append(Stage(name, int(done), planned.get(kind), int(recent or 0), now - last))
    return found


def _rollouts(gathered: Gathered) -> int | None:
    stated = gathered.config.get("synthesis")
    number = stated.get("rollouts") if isinstance(stated, dict) else None
    return number if isinstance(number, int) and number else None


def _episodes(gathered: Gathered) -> int | None:
    """Every arm and seed on every held-out task. Arms on a share of the data come on top, and are not foretold."""
    arms: Any = gathered.evaluation.get("arms")
    seeds = gathered.config.get("seeds")
    each = len(arms) * len(seeds) if isinstance(arms, list) and isinstance(seeds, list) else 0
    return each * len(gathered.heldout) or None


def holder(run: Path) -> str:
    """Who works on the run, such as "4711 on myhost"; "" if nobody is known to.

    The system's list of locks is read, as to try the lock would keep out a process that starts at that moment.
    """
    lock = run / "lock"
    try:
        node = os.stat(lock).st_ino
        held = any(line.split()[5].rpartition(":")[2] == str(node) for line in _locks() if " FLOCK " in line)
        return lock.read_text().strip() if held else ""
    except (OSError, IndexError):
        return ""


def _locks() -> list[str]:
    return Path("/proc/locks").read_text().splitlines()
