"""The documents of the chosen programs, as far as their installed packages hold any."""

from __future__ import annotations

from lbi.benchmarks.spider2v.environment import Spider2VEnvironments
from lbi.documents.corpus import DocumentSource


async def manuals_of(environments: Spider2VEnvironments) -> tuple[DocumentSource, ...]:
    return ()
