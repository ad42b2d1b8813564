"""Skills and what paired runs say of them, as rows of the report."""

from __future__ import annotations

from typing import NamedTuple

from lbi.evaluation.skills import KIND, Pairs, SkillVerdict
from lbi.storage.run_folder import RunFolder


class SkillRow(NamedTuple):
    """One skill of one seed; a line for each pair of arms that it was measured by."""

    seed: str
    name: str
    status: str
    reason: str
    pairs: tuple[Pairs, ...]


def skill_rows(run: RunFolder) -> list[SkillRow]:
    """Those that were judged, by seed and name."""
    return [
        SkillRow(key.partition("/")[0], verdict.name, verdict.status, verdict.reason, verdict.pairs)
        for key, verdict in run.store.all(KIND, SkillVerdict)
    ]
