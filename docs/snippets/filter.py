"""Drops examples whose instruction is too long to be what a person would ask."""

from __future__ import annotations

from lbi.records import Example, Trajectory, Verdict
from lbi.synthesis.filters import FilterParts

LONGEST = 40  # words


def create(parts: FilterParts) -> Brief:
    return Brief()


class Brief:
    name = "brief"

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        words = len(example.instruction.split())
        reason = f"the instruction has {words} words" if words > LONGEST else ""
        return Verdict(filter=self.name, keep=not reason, reason=reason)
