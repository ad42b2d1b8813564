"""Drops spans with an action that failed, or that was repeated and changed nothing (paper, sec. 2.3)."""

from __future__ import annotations

from lbi.observations.normalise import observation_key
from lbi.records import Example, Trajectory, Verdict
from lbi.synthesis.filters import Parts

NAME = "repeat"


def create(parts: Parts) -> Repeat:
    return Repeat()


class Repeat:
    """An action is invalid if it led to an error, or if doing it again led to the same page in the same state."""

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
    turns = [
        (action.grounded, observation_key(seen), seen.digest)
        for action, seen in zip(trajectory.actions, trajectory.observations[1:], strict=True)
    ]
    for at in range(example.start + 1, example.end):
        if turns[at] == turns[at - 1]:
            return f"action {at + 1} repeats action {at}, with the same outcome"
    return ""
