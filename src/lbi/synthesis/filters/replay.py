"""Drops spans whose first or last page does not come again when the trajectory is replayed (not in the paper)."""

from __future__ import annotations

from collections.abc import Mapping

from lbi.errors import EnvironmentFailure
from lbi.observations.normalise import observation_key, place
from lbi.protocols import Environment
from lbi.records import Example, Observation, Record, Trajectory, Verdict
from lbi.synthesis.filters import FilterParts

NAME = "replay"


class Replayed(Record):
    """How far a trajectory could be repeated: ``matched[k]`` = observation o_k was seen again, in the same state."""

    trajectory: str  # id
    matched: tuple[bool, ...]  # n + 1, one for each observation
    note: str = ""  # the first difference in words

    @property
    def whole(self) -> bool:
        return all(self.matched)


async def replay(environment: Environment, trajectory: Trajectory) -> Replayed:
    """Reset, repeat every action in its grounded form, and compare page and state after each.

    Stops at the first state that differs, as nothing after it would prove anything. Raises EnvironmentFailure.
    """
    expected = trajectory.observations
    observed = await environment.reset(trajectory.task)
    matched, note = [_matches(observed, expected[0])], difference(observed, expected[0], 0)
    for index, action in enumerate(trajectory.actions, start=1):
        if observed.digest != expected[index - 1].digest:
            break
        observed = (await environment.step(action.grounded)).observation
        matched.append(_matches(observed, expected[index]))
        note = note or difference(observed, expected[index], index)
    missing = len(expected) - len(matched)
    return Replayed(trajectory=trajectory.id, matched=(*matched, *(False,) * missing), note=note)


def create(parts: FilterParts) -> Replay:
    return Replay(parts.replays)


class Replay:
    """Judges by the record of a replay. Raises EnvironmentFailure for a trajectory that was not replayed."""

    name = NAME

    def __init__(self, replays: Mapping[str, Replayed]) -> None:
        self._replays = replays

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        replayed = self._replays.get(trajectory.id)
        if replayed is None:
            raise EnvironmentFailure(f"trajectory {trajectory.id} has not been replayed")
        ends = {"start": example.start, "end": example.end}
        differ = [f"{name} (observation {at})" for name, at in ends.items() if not replayed.matched[at]]
        reason = f"{' and '.join(differ)} not seen again: {replayed.note}" if differ else ""
        return Verdict(filter=NAME, keep=not differ, reason=reason)


def _matches(observed: Observation, expected: Observation) -> bool:
    return not difference(observed, expected, 0)


def difference(observed: Observation, expected: Observation, at: int) -> str:
    """What differs, in words; "" if nothing does.

    If there is a digest, the same state at the same address is enough: a page may show times that are not masked.
    """
    if observed.digest != expected.digest:
        return f"observation {at}: another state"
    if bool(observed.error) != bool(expected.error):
        return f"observation {at}: " + (f"error: {observed.error}" if observed.error else "the error is gone")
    if not (observed.digest and place(observed) == place(expected)) and observation_key(observed) != observation_key(
        expected
    ):
        return f"observation {at}: another page ({observed.url or observed.title})"
    return ""
