"""Drops spans that return to an earlier page and state (A-B-A), or alternate between two actions (A-B-A-B)."""

from __future__ import annotations

from lbi.observations.normalise import observation_key
from lbi.records import Action, Example, Trajectory, Verdict
from lbi.synthesis.filters import FilterParts

NAME = "loop"
#: actions that may leave no trace on the page as it is compared (a date is masked), or have none (an answer)
_TRACELESS = frozenset({"fill", "select", "finish"})


def create(parts: FilterParts) -> Loop:
    return Loop()


class Loop:
    """Compares the normalised page and the digest. Two actions in turns are a loop if the digest stays the same."""

    name = NAME

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        reason = _revisit(example, trajectory) or _alternation(example, trajectory)
        return Verdict(filter=NAME, keep=not reason, reason=reason)


def _revisit(example: Example, trajectory: Trajectory) -> str:
    states = [(observation_key(observation), observation.digest) for observation in trajectory.observations]
    for later in range(example.start + 1, example.end + 1):
        for earlier in range(example.start, later):
            between = trajectory.actions[earlier:later]
            if states[earlier] == states[later] and not _traceless(between):
                return f"observation {later} is observation {earlier} again"
    return ""


def _traceless(actions: tuple[Action, ...]) -> bool:
    return all(action.kind in _TRACELESS for action in actions)


def _alternation(example: Example, trajectory: Trajectory) -> str:
    actions = [action.grounded for action in trajectory.actions]
    observations = trajectory.observations
    for index in range(example.start, example.end - 3):
        first, second, third, fourth = actions[index : index + 4]
        if (
            (first, second) == (third, fourth)
            and first != second
            and observations[index].digest == observations[index + 4].digest
        ):
            return f"actions {index + 1} to {index + 4} are two actions in turns"
    return ""
