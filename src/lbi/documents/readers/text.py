"""Plain text -> one section, to be cut at blank lines later: headings cannot be recognised for certain."""

from __future__ import annotations

from lbi.documents.sections import DocumentPage, Section

ENDINGS: tuple[str, ...] = ()  # not ".txt": many manuals in other formats have that ending
CONTENT_TYPES: tuple[str, ...] = ()


def likelihood(text: str) -> float:
    """Low for every text, so that any other format that is likely comes first."""
    return 0.1


def read(text: str) -> DocumentPage:
    return DocumentPage(sections=(Section((), text),))
