"""Trajectories -> the operations that changed something: 'click button "Save" after textbox "Colour"'.

An action changed something if the state behind the pages is another one after it or, where the environment cannot tell
its state, if the page at the same address says something else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lbi.observations.normalise import observation_key, place
from lbi.observations.operations import Operation, Operations
from lbi.records import Observation, Trajectory


def operations_in(trajectories: Iterable[Trajectory]) -> Counter[Operation]:
    """The operations and how often each was carried out, in the order in which they were first found."""
    walks = list(trajectories)
    read = Operations(seen for walk in walks for seen in walk.observations)
    return Counter(operation for walk in walks for operation in operations_of(walk, read))


def operations_of(trajectory: Trajectory, read: Operations | None = None) -> list[Operation]:
    """One for each action that changed something, in order, with the fields that were filled for it on its page.

    ``read`` knows the pages by which links are told apart; None = those of the trajectory.
    """
    read = read or Operations(trajectory.observations)
    found: list[Operation] = []
    entered: list[str] = []
    observations = trajectory.observations
    for at, action in enumerate(trajectory.actions):
        before, after = observations[at], observations[at + 1]
        operation = read.of_actions([action.grounded])
        if operation is None or after.error:
            changed = False
        elif changed := _changed(operation, before, after):
            found.append(read.of_actions([*entered, action.grounded]) or operation)
        if changed or place(before) != place(after):
            entered.clear()
        elif operation is not None and operation.enters and not after.error:
            entered.append(action.grounded)
    return found


def _changed(operation: Operation, before: Observation, after: Observation) -> bool:
    if before.digest or after.digest:
        return before.digest != after.digest
    # without a state to compare: moving about is none, nor is what only shows in the field that was filled
    same_place = place(before) == place(after)
    return same_place and not operation.enters and observation_key(before) != observation_key(after)
