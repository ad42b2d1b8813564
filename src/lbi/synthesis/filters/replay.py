"""Drops what does not happen again: trajectory -> replayed from a reset -> both ends of a span must be as they were."""

from __future__ import annotations

from collections.abc import Mapping

from lbi.errors import EnvironmentFailure
from lbi.observations.normalise import observation_key, place
from lbi.protocols import Environment
from lbi.records import Example, Observation, Record, Trajectory, Verdict
from lbi.synthesis.filters import Parts

NAME = "replay"


class Replayed(Record):
    """How far a trajectory could be repeated: ``matched[k]`` says whether o_k was seen again, in the same state."""

    trajectory: str  # id
    matched: tuple[bool, ...]  # n + 1
    note: str = ""  # of the first difference

    @property
    def whole(self) -> bool:
        return all(self.matched)


async def replay(environment: Environment, trajectory: Trajectory) -> Replayed:
    """Reset, repeat every action in grounded form, and compare page and state after each.

    Stops at the first state that differs, as nothing after it proves anything. Raises EnvironmentFailure.
    """
    expected = trajectory.observations
    seen = await environment.reset(trajectory.task)
    matched, note = [_matches(seen, expected[0])], _difference(seen, expected[0], 0)
    for at, action in enumerate(trajectory.actions, start=1):
        if seen.digest != expected[at - 1].digest:
            break
        seen = (await environment.step(action.grounded)).observation
        matched.append(_matches(seen, expected[at]))
        note = note or _difference(seen, expected[at], at)
    missing = len(expected) - len(matched)
    return Replayed(trajectory=trajectory.id, matched=(*matched, *(False,) * missing), note=note)


def create(parts: Parts) -> Replay:
    return Replay(parts.replays)


class Replay:
    """Reads the record of a replay; a trajectory without one has not been replayed yet, which is no reason to drop."""

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


def _matches(seen: Observation, expected: Observation) -> bool:
    return not _difference(seen, expected, 0)


def _difference(seen: Observation, expected: Observation, at: int) -> str:
    """What differs. With a digest the same state at the same address is enough: a page tells the time in many ways."""
    if seen.digest != expected.digest:
        return f"observation {at}: another state"
    if bool(seen.error) != bool(expected.error):
        return f"observation {at}: " + (f"error: {seen.error}" if seen.error else "the error is gone")
    if not (seen.digest and place(seen) == place(expected)) and observation_key(seen) != observation_key(expected):
        return f"observation {at}: another page ({seen.url or seen.title})"
    return ""
