"""What comes to light by a click, as the examples show it: "Details" on a lamp's page opens fields that are not seen.

A field that nobody sees is in no form; whoever has seen it once knows where it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache

from lbi.observations.parse import Element, Page
from lbi.offline.assign import Filling, assign
from lbi.offline.forms import FIELD_ROLES, TOGGLE_ROLES, Key, find, is_locked, usable
from lbi.offline.goal import page_of
from lbi.offline.memo import Unhashed
from lbi.offline.situation import Move, Situation, click
from lbi.protocols import Shown
from lbi.records import Trajectory

OPENS = "opens a field for what the instruction says"

Fold = tuple[str, Key]  # kind of page, and what was clicked on it


def unfold(here: Situation, shown: Sequence[Shown]) -> Move | None:
    """The click that opens a field which the goal has a value for."""
    typed = {s.action.value.lower() for s in here.history if s.observation.url.split("#")[0] == _bare(here.page.url)}
    for element, hidden in _closed(here, shown):
        values = [value for value in here.free_values() if value.text.lower() not in typed]
        found = assign(here.goal.text, values, hidden, {}, here.frame, here.named)
        if any(_wanted(filling, typed) for filling in found):
            return click(element), OPENS
    return None


def unfold_for(
    here: Situation, filling: Filling, fields: Sequence[Element], known: Mapping[Key, str], frame: Collection[Key]
) -> Move | None:
    """The click that opens a field which suits a value better than the one that is seen and would take it."""
    if filling.used is None:
        return None
    for element, hidden in _closed(here, here.examples):
        for other in assign(here.goal.text, [filling.used], [*fields, *hidden], known, frame, here.named):
            same = other.value.lower() == filling.value.lower()
            if same and any(other.field is field for field in hidden):
                return click(element), OPENS
    return None


def _closed(here: Situation, shown: Sequence[Shown]) -> Iterator[tuple[Element, list[Element]]]:
    """What can be opened on the page, and the fields behind it."""
    kind = _kind(here.page.url)
    present = {(field.role, field.name) for field in _fields(here.page)}
    for (where, key), fields in folds(shown).items():
        element = find(here.page, *key) if where == kind else None
        hidden = [field for field in fields if (field.role, field.name) not in present]
        if element is not None and hidden and not here.pressed(element):
            yield element, hidden


def _wanted(filling: Filling, typed: set[str]) -> bool:
    """A switch is not worth a click: its name alone says too little."""
    return filling.field.role not in TOGGLE_ROLES and bool(filling.value) and filling.value.lower() not in typed


def folds(shown: Sequence[Shown]) -> dict[Fold, tuple[Element, ...]]:
    """Of all trajectories: what was clicked without leaving the page, and the fields that were there after it only."""
    found: dict[Fold, dict[Key, Element]] = {}
    for trajectory in {one.trajectory.id: one.trajectory for one in shown}.values():
        for fold, fields in _folds(trajectory.id, Unhashed(trajectory)):
            found.setdefault(fold, {}).update({(field.role, field.name): field for field in fields})
    return {fold: tuple(fields.values()) for fold, fields in found.items()}


@lru_cache(maxsize=1024)
def _folds(id_: str, hidden: Unhashed[Trajectory]) -> tuple[tuple[Fold, tuple[Element, ...]], ...]:
    trajectory = hidden.value
    found = []
    for step, after in zip(trajectory.steps, trajectory.observations[1:], strict=True):
        before, action = step.observation, step.action
        if action.kind != "click" or not action.name or action.role in TOGGLE_ROLES:
            continue
        if _bare(before.url) != _bare(after.url) or before.digest != after.digest or after.error:
            continue
        known = {(field.role, field.name) for field in _fields(page_of(before))}
        new = tuple(field for field in _fields(page_of(after)) if (field.role, field.name) not in known)
        if new:
            found.append(((_kind(before.url), (action.role, action.name)), new))
    return tuple(found)


def _fields(page: Page) -> list[Element]:
    return [e for e in page.elements if (e.role in FIELD_ROLES and usable(e)) or is_locked(e)]


def _bare(url: str) -> str:
    return url.split("#")[0]


def _kind(url: str) -> str:
    """The page without what says which one of its kind it is, as far as that is a number."""
    return re.sub(r"\d+", "0", url.split("#")[0].split("?")[0])
