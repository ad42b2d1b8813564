"""Drops spans without a net effect: nothing differs at the end, or what they changed is undone, at once or later."""

from __future__ import annotations

from lbi.observations.normalise import observation_key
from lbi.records import Example, Observation, Trajectory, Verdict
from lbi.synthesis.filters import FilterParts

NAME = "net_effect"


def create(parts: FilterParts) -> NetEffect:
    return NetEffect()


class NetEffect:
    """Compares page and digest, or the pages alone if the environment has no digest."""

    name = NAME

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        reason = (
            _empty(example, trajectory) or _undone_within(example, trajectory) or _undone_later(example, trajectory)
        )
        return Verdict(filter=NAME, keep=not reason, reason=reason)


def _empty(example: Example, trajectory: Trajectory) -> str:
    before, after = trajectory.observations[example.start], trajectory.observations[example.end]
    last = trajectory.actions[example.end - 1]
    answered = last.kind == "finish" and last.value.strip()
    if answered or not _same(before, after):
        return ""
    return "page and state are the same at both ends"


def _same(before: Observation, after: Observation) -> bool:
    return before.digest == after.digest and observation_key(before) == observation_key(after)


def _undone_within(example: Example, trajectory: Trajectory) -> str:
    digests = [observation.digest for observation in trajectory.observations[example.start : example.end + 1]]
    if digests[0] and digests[0] == digests[-1] and any(digest != digests[0] for digest in digests):
        return "what it changed is undone before its end"
    return ""


def _undone_later(example: Example, trajectory: Trajectory) -> str:
    observations = trajectory.observations
    before, after = observations[example.start].digest, observations[example.end].digest
    if not before or before == after:
        return ""
    later = next(
        (index for index in range(example.end + 1, len(observations)) if observations[index].digest == before), None
    )
    return "" if later is None else f"what it changed is undone by observation {later}"
