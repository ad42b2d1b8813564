"""What a run has seen so far -> the map of the application and the operations, for the next round of proposals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import takewhile

from lbi.context import RunContext
from lbi.observations.application_map import application_map
from lbi.observations.normalise import place
from lbi.records import Observation, Trajectory
from lbi.rollouts.look_around import stored_pages
from lbi.rollouts.operations import operations_in

MOST_PAGES = 200  # of which a map is made


def map_so_far(context: RunContext) -> str:
    """The map of the pages that were looked at, and of those that roll-outs of the first seed came to since."""
    if not context.config.synthesis.map_pages or not context.one_application:
        return ""
    pages = _one_of_each_place([*stored_pages(context), *_undisturbed(_trajectories(context), context.restores)])
    return application_map(pages[:MOST_PAGES], context.config.limits.map)


def operations_so_far(context: RunContext) -> tuple[str, ...]:
    """The operations that roll-outs of the first seed carried out, each once."""
    return tuple(dict.fromkeys(map(str, operations_in(_trajectories(context)))))


def _trajectories(context: RunContext) -> list[Trajectory]:
    seed = context.config.seeds[0]
    return [trajectory for _, trajectory in context.folder.store.under("trajectory", f"{seed}/", Trajectory)]


def _undisturbed(trajectories: Iterable[Trajectory], restores: bool) -> Iterator[Observation]:
    """Pages as a later episode finds them: where episodes are put back, those before the first change of the state."""
    for trajectory in trajectories:
        seen = trajectory.observations
        if restores:
            yield from takewhile(lambda page, first=seen[0]: page.digest == first.digest, seen)  # type: ignore[misc]
        else:
            yield from seen


def _one_of_each_place(pages: Iterable[Observation]) -> list[Observation]:
    by_place: dict[str, Observation] = {}
    for page in pages:
        by_place.setdefault(place(page), page)
    return list(by_place.values())
