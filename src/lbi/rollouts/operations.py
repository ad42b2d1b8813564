"""Trajectories -> the operations that they carried out: 'click button "Save" after textbox "Colour"'.

An operation is an action that changed the state behind the pages, with the fields that were filled for it. Where the
environment cannot tell its state, it is an action after which the page at the same address says something else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from lbi.observations.normalise import observation_key, place
from lbi.observations.parse import TICKS
from lbi.records import Action, Observation, Trajectory

#: kinds of actions that enter something, and change nothing before it is sent
ENTERING = frozenset({"fill", "type", "select", "upload"})
MAX_NAME = 60  # characters of a name


class Operation(NamedTuple):
    """What was done to what. Numbers in names are masked: deleting item 3 and item 4 is one operation."""

    verb: str
    role: str
    name: str
    fields: tuple[str, ...] = ()  # filled before it on the same page, such as 'textbox "Colour"'

    @property
    def target(self) -> tuple[str, str, str]:
        """The operation whatever was filled for it."""
        return self.verb, self.role, self.name

    def __str__(self) -> str:
        text = " ".join(part for part in (self.verb, self.role, f'"{self.name}"' if self.name else "") if part)
        return f"{text} after {', '.join(self.fields)}" if self.fields else text


def operations_in(trajectories: Iterable[Trajectory]) -> Counter[Operation]:
    """The operations and how often each was carried out, in the order in which they were first found."""
    counts: Counter[Operation] = Counter()
    for trajectory in trajectories:
        counts.update(operations_of(trajectory))
    return counts


def operations_of(trajectory: Trajectory) -> list[Operation]:
    """One for each action that changed something, in order."""
    found: list[Operation] = []
    fields: list[str] = []
    observations = trajectory.observations
    for at, action in enumerate(trajectory.actions):
        before, after = observations[at], observations[at + 1]
        changed = _changed(action, before, after)
        if changed:
            found.append(_operation(action, tuple(sorted(set(fields)))))
        if changed or place(before) != place(after):
            fields.clear()
        elif _enters(action) and not after.error:
            fields.append(f'{action.role} "{_masked(action.name)}"')
    return found


def _changed(action: Action, before: Observation, after: Observation) -> bool:
    if after.error or action.kind in ("finish", ""):
        return False
    if before.digest or after.digest:
        return before.digest != after.digest
    # without a state to compare: moving about is none, nor is what only shows in the field that was filled
    same_place = place(before) == place(after)
    return same_place and not _enters(action) and observation_key(before) != observation_key(after)


def _enters(action: Action) -> bool:
    return action.kind in ENTERING or (action.kind == "click" and action.role in TICKS)


def _operation(action: Action, fields: tuple[str, ...]) -> Operation:
    if not action.role and action.kind not in ("goto", "press"):  # of a command, the program
        return Operation(action.kind, "", _program(action), fields)
    name = action.name or (action.value.partition("?")[0] if action.kind in ("goto", "press") else "")
    return Operation(action.kind, action.role, _masked(name), fields)


def _program(action: Action) -> str:
    words = action.value.split()
    return _masked(action.name or next((word for word in words if "=" not in word), ""))


def _masked(name: str) -> str:
    return re.sub(r"\d+", "0", " ".join(name.split()))[:MAX_NAME]
