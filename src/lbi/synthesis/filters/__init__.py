"""One file per filter; its name is the filter's, and its ``create(parts)`` makes one (paper, sec. 2.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbi import plugins
from lbi.protocols import Filter, Model
from lbi.records import TIERS, Example, Tier, Trajectory, Verdict

if TYPE_CHECKING:
    from lbi.synthesis.filters.replay import Replayed

#: what an example has earned that a filter kept; other filters prove nothing, they only drop
EARNED: dict[str, Tier] = {"committee": "committee", "replay": "replayed"}


NOTHING = Verdict(filter="labeller", keep=False, reason="nothing was achieved, says who labels")


@dataclass(frozen=True)
class Parts:
    """What a filter may be made of; each takes what it needs and says what is missing."""

    judges: Sequence[Model] = ()
    """The committee."""
    replays: Mapping[str, Replayed] = field(default_factory=dict)
    """How the replay of each trajectory went, by the trajectory's id. Looked into when an example is judged."""
    sample: int = 0
    max_tokens: int = 1024
    stage: str = "filter"
    """Whom the calls are booked to."""
    reused: bool = True
    """Whether so many spans begin alike that a provider's prompt cache is worth what writing to it costs."""


def filter_names() -> tuple[str, ...]:
    return plugins.names("filters")


def open_filters(names: Sequence[str], parts: Parts) -> tuple[Filter, ...]:
    """The filters of these names, in this order: cheap ones first."""
    return tuple(plugins.load("filters", name).create(parts) for name in names)


async def apply(filters: Sequence[Filter], example: Example, trajectory: Trajectory) -> Example:
    """Ask the filters in order up to the first that drops; the verdicts and the tier are the returned example's.

    An example without an instruction is one of which its labeller said that there is nothing to learn; no filter is
    asked. Raises what a filter raises: an example that could not be judged is neither kept nor dropped.
    """
    if not example.instruction:
        return example.model_copy(update={"verdicts": (NOTHING,)})
    verdicts: list[Verdict] = []
    tier: Tier = "unverified"
    for each in filters:
        verdict = await each.judge(example, trajectory)
        verdicts.append(verdict)
        if not verdict.keep:
            break
        tier = max(tier, EARNED.get(verdict.filter, tier), key=TIERS.index)
    return example.model_copy(update={"verdicts": tuple(verdicts), "tier": tier})
