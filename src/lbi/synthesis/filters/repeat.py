"""Drops spans with an action that failed, or that was repeated with the same outcome (paper, sec. 2.3)."""

from __future__ import annotations

from lbi.observations.normalise import observation_key
from lbi.records import Example, Trajectory, Verdict
from lbi.synthesis.filters import FilterParts

NAME = "repeat"


def create(parts: FilterParts) -> Repeat:
    return Repeat()


class Repeat:
    """Compares each action, and the page and digest after it, with the one before."""

    name = NAME

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        reason = _failed(example, trajectory) or _repeated(example, trajectory)
        return Verdict(filter=NAME, keep=not reason, reason=reason)


def _failed(example: Example, trajectory: Trajectory) -> str:
    for at in range(example.start + 1, example.end + 1):
        if error := trajectory.observations[at].error:
            return f"action {at} failed: {' '.join(error.split())[:200]}"
    return ""


def _repeated(example: Example, trajectory: Trajectory) -> str:
    outcomes = [
        (action.grounded, observation_key(observation), observation.digest)
        for action, observation in zip(trajectory.actions, trajectory.observations[1:], strict=True)
    ]
    for at in range(example.start + 1, example.end):
        if outcomes[at] == outcomes[at - 1]:
            return f"action {at + 1} repeats action {at}, with the same outcome"
    return ""
