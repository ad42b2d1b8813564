"""Filters that drop examples (paper, sec. 2.3): one file for each, called like the filter, with ``create(parts)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbi import plugins
from lbi.protocols import Filter, Model
from lbi.records import TIERS, Example, Tier, Trajectory, Verdict

if TYPE_CHECKING:
    from lbi.synthesis.filters.replay import Replayed

#: the tier of an example that a filter kept; filters that are not listed only drop
EARNED: dict[str, Tier] = {"committee": "committee", "replay": "replayed"}

#: stands in place of a filter, in the verdict of a person who worded an example anew (lbi.interop.judged)
REWORDED = "reworded"
NOTHING = Verdict(filter="labeller", keep=False, reason="nothing was achieved, says who labels")


@dataclass(frozen=True)
class FilterParts:
    """What filters are made of. Each takes what it needs, and raises UserError for what is missing."""

    judges: Sequence[Model] = ()
    """The members of the committee."""
    replays: Mapping[str, Replayed] = field(default_factory=dict)
    """Trajectory id -> how its replay went. It may be filled later; it is read when an example is judged."""
    sample: int = 0
    """Tells calls with the same prompt apart in the cache of calls."""
    max_tokens: int = 1024
    """Of a judge's reply."""
    stage: str = "filter"
    """The stage under which the calls are metered."""
    reused: bool = True
    """Whether enough prompts begin alike for a provider's prompt cache to be worth its price."""


def filter_names() -> tuple[str, ...]:
    return plugins.names("filters")


def open_filters(names: Sequence[str], parts: FilterParts) -> tuple[Filter, ...]:
    """The filters with these names, in this order; name cheap ones first. Raises UserError for an unknown name."""
    return tuple(plugins.load("filters", name).create(parts) for name in names)


async def apply(filters: Sequence[Filter], example: Example, trajectory: Trajectory) -> Example:
    """The example with the filters' verdicts and the tier that it earned. The first filter that drops it is the last.

    An example has no instruction if the labeller said that there is nothing to learn; then no filter is asked. Raises
    what a filter raises: an example that could not be judged is neither kept nor dropped.
    """
    if not example.instruction:
        return example.model_copy(update={"verdicts": (NOTHING,)})
    verdicts: list[Verdict] = []
    tier: Tier = "unverified"
    for filter_ in filters:
        verdict = await filter_.judge(example, trajectory)
        verdicts.append(verdict)
        if not verdict.keep:
            break
        tier = max(tier, EARNED.get(verdict.filter, tier), key=TIERS.index)
    return example.model_copy(update={"verdicts": tuple(verdicts), "tier": tier})
