"""Drops spans that come back to where they have been: A-B-A, and A-B-A-B, which the filter ``repeat`` does not see."""

from __future__ import annotations

from lbi.observations.normalise import observation_key
from lbi.records import Action, Example, Trajectory, Verdict
from lbi.synthesis.filters import Parts

NAME = "loop"
#: may leave no trace on the page as it is compared (a date is masked), or none by nature (an answer)
_TRACELESS = frozenset({"fill", "select", "finish"})


def create(parts: Parts) -> Loop:
    return Loop()


class Loop:
    """A state is the normalised page and the digest; two actions in turns are a loop if the digest stays the same."""

    name = NAME

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        reason = _revisit(example, trajectory) or _alternation(example, trajectory)
        return Verdict(filter=NAME, keep=not reason, reason=reason)


def _revisit(example: Example, trajectory: Trajectory) -> str:
    states = [(observation_key(seen), seen.digest) for seen in trajectory.observations]
    for later in range(example.start + 1, example.end + 1):
        for earlier in range(example.start, later):
            between = trajectory.actions[earlier:later]
            if states[earlier] == states[later] and not _traceless(between):
                return f"observation {later} is observation {earlier} again"
    return ""


def _traceless(actions: tuple[Action, ...]) -> bool:
    return all(action.kind in _TRACELESS for action in actions)


def _alternation(example: Example, trajectory: Trajectory) -> str:
    did = [action.grounded for action in trajectory.actions]
    seen = trajectory.observations
    for at in range(example.start, example.end - 3):
        first, second, third, fourth = did[at : at + 4]
        if (first, second) == (third, fourth) and first != second and seen[at].digest == seen[at + 4].digest:
            return f"actions {at + 1} to {at + 4} are two actions in turns"
    return ""
