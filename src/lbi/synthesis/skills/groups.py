"""Verified examples -> what users do in an application: operations that recur, by the part of it where they end.

/newticket, /newticket  ->  newticket: click button "Create ticket" after textbox "Summary", in 14 roll-outs
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lbi.observations.normalise import kind_of_place, place
from lbi.observations.operations import Operation, Operations
from lbi.records import Example, Trajectory

VERIFIED = ("replayed", "checked")
KINDS = ("abstract", "summary", "composed")
RECURS = 2  # roll-outs in which an operation was carried out, at least
MOST_OPERATIONS = 12  # of a group; one with more is parted by the kind of page

Pair = tuple[Example, Trajectory]


@dataclass(frozen=True)
class OperationGroup:
    """The examples that end with one operation."""

    operation: Operation
    pairs: tuple[Pair, ...]

    @property
    def rollouts(self) -> int:
        return len(rollouts_of(self.pairs))

    @property
    def changes(self) -> bool:
        """Whether it changes the application, and does not only lead somewhere."""
        return any(t.observations[e.end - 1].digest != t.observations[e.end].digest for e, t in self.pairs)


@dataclass(frozen=True)
class Group:
    """The operations in one part of an application: those that change it, then those that lead somewhere."""

    area: str
    operations: tuple[OperationGroup, ...]

    @property
    def rollouts(self) -> int:
        return len(rollouts_of(pair for each in self.operations for pair in each.pairs))

    @property
    def changing(self) -> int:
        """Roll-outs in which something was changed."""
        return len(rollouts_of(pair for each in self.operations if each.changes for pair in each.pairs))


def verified(pairs: Iterable[Pair]) -> list[Pair]:
    """The kept examples that were carried out a second time with the same outcome, or whose result was checked."""
    return [(e, t) for e, t in pairs if e.kept and e.tier in VERIFIED and e.kind in KINDS]


def groups_of(pairs: Sequence[Pair], reader: Operations) -> list[Group]:
    """The groups, first those where most roll-outs changed something. ``reader`` knows the pages of all examples."""
    by_operation: dict[tuple[str, ...], list[tuple[Operation, Pair]]] = {}
    for example, trajectory in pairs:
        operation = reader.of_span(trajectory, example.start, example.end)
        if operation is not None:
            key: tuple[str, ...] = (_area(example, trajectory, operation), *operation.alike)
            by_operation.setdefault(key, []).append((operation, (example, trajectory)))
    areas: dict[str, list[OperationGroup]] = {}
    for key, found in by_operation.items():
        group = OperationGroup(found[0][0], tuple(pair for _, pair in found))
        if group.rollouts >= RECURS:
            areas.setdefault(key[0], []).append(group)
    groups = [part for area, members in areas.items() for part in _parted(area, members)]
    return sorted(groups, key=lambda group: (-group.changing, -group.rollouts, group.area))


def _parted(area: str, members: Sequence[OperationGroup]) -> Iterable[Group]:
    if len(members) <= MOST_OPERATIONS:
        yield _group(area, members)
        return
    kinds = [Counter(_kind(*pair) for pair in each.pairs).most_common(1)[0][0] for each in members]
    for kind in sorted(set(kinds)):
        yield _group(kind or area, [each for each, own in zip(members, kinds, strict=True) if own == kind])


def _group(area: str, operations: Iterable[OperationGroup]) -> Group:
    ordered = sorted(operations, key=lambda each: (not each.changes, -each.rollouts, str(each.operation)))
    return Group(area, tuple(ordered))


def rollouts_of(pairs: Iterable[Pair]) -> set[str]:
    """The tasks that were attempted: composed examples and second attempts of one task are no further evidence."""
    return {trajectory.task.id for example, trajectory in pairs if example.kind != "composed"}


def _kind(example: Example, trajectory: Trajectory) -> str:
    return kind_of_place(place(trajectory.observations[example.end - 1])).partition("?")[0]


def _area(example: Example, trajectory: Trajectory, operation: Operation) -> str:
    """The first part of the address where an operation ends; where nothing has addresses, the program that is run."""
    page = trajectory.observations[example.end - 1]
    if not page.url:
        return (operation.name.split() or [operation.verb])[0]
    parts = [part for part in re.split(r"[/#!]+", _kind(example, trajectory)) if part]
    return parts[0] if parts else "start"
