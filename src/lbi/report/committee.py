"""Votes on examples beside what a replay proved, what checks say, and what people said: tables of report and viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lbi.evaluation.calibration import Calibration, by_check, by_people, by_replay, calibrations
from lbi.report.gather import Gathered


@dataclass(frozen=True)
class Beside:
    """The rows of one yardstick, and what is to be known of it."""

    id: str
    title: str
    right: str  # the head of the column with the share that is right
    about: str
    rows: list[Calibration]


def beside_replay_and_checks(run: Gathered) -> list[Beside]:
    """Those of them that there is something to tell of."""
    tables = [
        Beside(
            "beside-replay",
            "Beside a replay",
            "Replayed",
            "A replay proves that the steps can be repeated and lead to the same state. It says nothing of words, "
            "so a low recall may be right. A filter is asked only about what those before it kept.",
            calibrations(run.examples, "replay", by_replay(run.replays)),
        ),
        Beside(
            "beside-checks",
            "Beside checks",
            "Passed",
            "Each filter was asked about held-out episodes as if they were examples: the task's instruction, and all "
            "that was done. The task's check, a program, knows whether that is right. Episodes of one task are much "
            "alike, so intervals and p are too sure of themselves.",
            calibrations(run.judged_episodes, "check", by_check(run.results)),
        ),
    ]
    return [table for table in tables if table.rows]


def beside_people(run: Gathered, people: Mapping[str, bool]) -> list[Beside]:
    """``people``: by an example's id, whether they accept it as it stands. Nothing, if they said nothing."""
    about = (
        "Of the examples that people judged: how many of those that a member accepted they accept as they stand, too "
        "(one to be reworded is not accepted). The interval holds for examples that were drawn at random."
    )
    rows = calibrations(run.examples, "people", by_people(people)) if people else []
    return [Beside("people", "Beside what people said", "People accept", about, rows)] if rows else []
