"""A roll-out whose agent said that its task cannot be carried out -> a record of that, beside the trajectory.

The agent says so by the answer N/A, as the prompt tells it. The roll-out is labelled like any other: what it did carry
out is learnt from it.
"""

from __future__ import annotations

import re

from lbi.records import Impossible, Trajectory

_NOT_POSSIBLE = re.compile(r"[\"'`\s]*n/a\b", re.IGNORECASE)


def said_impossible(trajectory: Trajectory) -> bool:
    """Whether its answer is N/A, with or without a reason behind it: "N/A: there is no such user"."""
    return trajectory.stop == "done" and _NOT_POSSIBLE.match(trajectory.answer) is not None


def impossible(trajectory: Trajectory) -> Impossible:
    """The record of such a trajectory, with what the agent gave as the reason."""
    reason = trajectory.answer.strip(" \"'`")[3:].strip(" .:,;-–—\n")
    return Impossible(task=trajectory.task.id, reason=reason or trajectory.steps[-1].reason)
