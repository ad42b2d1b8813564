"""Plain text -> one section, which is cut later at blank lines: no heading can be told for sure."""

from __future__ import annotations

from lbi.documents.sections import Page, Section

ENDINGS: tuple[str, ...] = ()  # ".txt" says little: whole manuals in other formats are shipped under it
CONTENT_TYPES: tuple[str, ...] = ()


def likelihood(text: str) -> float:
    """What anything is that is nothing else."""
    return 0.1


def read(text: str) -> Page:
    return Page(sections=(Section((), text),))
