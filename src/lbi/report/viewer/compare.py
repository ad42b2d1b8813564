"""Two trajectories, or two runs -> what is the same in both, and what is not."""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from lbi.observations.diff import changes
from lbi.records import Trajectory
from lbi.report import evaluation
from lbi.report.gather import Entry, Gathered
from lbi.report.viewer.source import RunView
from lbi.report.viewer.steps import ShownStep, steps_of
from lbi.report.words import percent


@dataclass(frozen=True)
class PairedStep:
    """A step of each, where they did the same; else of one only, or of both where they did something else instead."""

    left: ShownStep | None
    right: ShownStep | None
    same: bool
    seen: str  # how the right one's page differs from the left one's; "" where it does not, or where there is one only


def paired(left: list[ShownStep], right: list[ShownStep]) -> list[PairedStep]:
    """Both in order, with as many of the same actions beside each other as can be."""
    one_side, other_side = ([step.step.action.written for step in side] for side in (left, right))
    rows: list[PairedStep] = []
    for change, i, j, k, m in SequenceMatcher(None, one_side, other_side, autojunk=False).get_opcodes():
        for at in range(max(j - i, m - k)):
            one = left[i + at] if i + at < j else None
            other = right[k + at] if k + at < m else None
            seen = changes(one.seen.text, other.seen.text) if one and other else ""
            rows.append(PairedStep(one, other, change == "equal", seen))
    return rows


@dataclass(frozen=True)
class Side:
    """One of two trajectories that are compared."""

    view: RunView
    entry: Entry
    trajectory: Trajectory

    @property
    def name(self) -> str:
        result = self.entry.result
        return f"{result.arm}, seed {result.seed}" if result else self.entry.source

    def beside(self, other: Side) -> str:
        """Its name, with that of its run where the other one is of another."""
        return self.name if self.view is other.view else f"{self.view.name}: {self.name}"

    @property
    def address(self) -> str:
        return self.view.to(f"trajectory/{self.entry.anchor}")


def first_difference(rows: list[PairedStep]) -> int:
    """The number, counted from 1, of the first row that is not the same; 0 = they did the same throughout."""
    return next((number for number, row in enumerate(rows, 1) if not row.same), 0)


def rows_of(left: Side, right: Side) -> list[PairedStep]:
    return paired(steps_of(left.view, left.trajectory), steps_of(right.view, right.trajectory))


# runs


def different_settings(left: dict[str, Any], right: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(key, value in the one, in the other) of what two configs do not have in common; "–" = not stated."""
    one, other = _flat(left), _flat(right)
    return [
        (key, one.get(key, "–"), other.get(key, "–"))
        for key in sorted({*one, *other})
        if one.get(key) != other.get(key)
    ]


def _flat(config: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[before + key] = json.dumps(value, ensure_ascii=False)
    return found


def rates(left: Gathered, right: Gathered) -> list[tuple[str, str, str]]:
    """(arm, rate with its interval in the one run, in the other); those that both have stand first."""
    one, other = ({row.summary.arm: _rate(row) for row in evaluation.arms(run)} for run in (left, right))
    arms = sorted(dict.fromkeys([*one, *other]), key=lambda arm: not (arm in one and arm in other))
    return [(arm, one.get(arm, "–"), other.get(arm, "–")) for arm in arms]


def _rate(row: evaluation.ArmRow) -> str:
    if row.rate is None:
        return row.summary.no_number
    return f"{percent(row.rate)} of {row.summary.tasks} ({evaluation.interval_of_rate(row)})"


@dataclass(frozen=True)
class TaskPair:
    """A held-out task with one arm and one seed in two runs."""

    task: str
    arm: str
    left: Entry
    right: Entry


def task_pairs(left: Gathered, right: Gathered) -> list[TaskPair]:
    """The episodes that both runs have; those that came out otherwise stand first."""
    pairs = [
        TaskPair(task, f"{arm}, seed {seed}", entry, right.episodes[arm, seed, task])
        for (arm, seed, task), entry in left.episodes.items()
        if (arm, seed, task) in right.episodes
    ]
    return sorted(pairs, key=lambda pair: (pair.left.outcome == pair.right.outcome, pair.task, pair.arm))
