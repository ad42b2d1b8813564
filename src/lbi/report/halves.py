"""Held-out tasks whose failures somebody looked at, apart from those nobody did: what mending by step logs is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lbi.evaluation.statistics import Comparison
from lbi.report import evaluation
from lbi.report.evaluation import ArmRow
from lbi.report.gather import Gathered

NAMES = {True: "looked at while the method was made", False: "looked at by nobody"}


@dataclass(frozen=True)
class Half:
    """One part of the held-out tasks, with what each arm solves of it and how far that is from the reference."""

    seen: bool
    tasks: int
    arms: list[ArmRow]
    compared: dict[str, Comparison]  # by arm

    @property
    def name(self) -> str:
        return f"{self.tasks} tasks {NAMES[self.seen]}"


def halves(run: Gathered) -> list[Half]:
    """The unseen tasks first; nothing where all tasks with results are of one kind."""
    seen = {name for name, task in run.heldout.items() if task.seen}
    parts = [[r for r in run.results if (r.task in seen) is half] for half in (False, True)]
    if not all(parts):
        return []
    return [_half(replace(run, results=part), half) for part, half in zip(parts, (False, True), strict=True)]


def _half(run: Gathered, seen: bool) -> Half:
    return Half(
        seen=seen,
        tasks=len({result.task for result in run.results}),
        arms=evaluation.arms(run),
        compared={row.arm: row for row in evaluation.comparisons(run)},
    )


def as_json(parts: Sequence[Half]) -> list[dict[str, Any]]:
    """For programs. Rates and differences are shares of 1."""
    return [
        {
            "seen": half.seen,
            "tasks": half.tasks,
            "arms": [
                {"arm": row.summary.arm, "success": row.rate, "low": row.low, "high": row.high} for row in half.arms
            ],
            "comparisons": [
                {**row.model_dump(mode="json"), "interval": evaluation.interval_of_difference(row)}
                for row in half.compared.values()
            ],
        }
        for half in parts
    ]
