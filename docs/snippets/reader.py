"""Org mode -> sections, one for each heading."""

from __future__ import annotations

import re

from lbi.documents.sections import DocumentPage, Section

ENDINGS = (".org",)
CONTENT_TYPES = ("text/org",)
HEADING = re.compile(r"^\*+ +(.+)$", re.MULTILINE)


def likelihood(text: str) -> float:
    """How sure this reader is of a file whose ending says nothing: 0 to 1."""
    return 0.8 if "#+TITLE:" in text else 0.0


def read(text: str) -> DocumentPage:
    """Raises ValueError for what cannot be read."""
    starts = [match.start() for match in HEADING.finditer(text)]
    if not starts:
        return DocumentPage(sections=(Section((), text),))
    parts = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    sections = [Section((part.partition("\n")[0].lstrip("* "),), part) for part in parts]
    return DocumentPage(sections=tuple(sections))
