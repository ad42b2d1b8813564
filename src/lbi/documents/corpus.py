"""Documentation -> Corpus: files, folders, web pages or text -> records.Document(text="## Create a ticket ...").

One document is one section. Nothing is left out silently: what could not be read is in ``Corpus.skipped``.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from lbi.documents.apart import ReadingApart
from lbi.documents.fetch import TIMEOUT, Raw, Skipped, decode, raws
from lbi.documents.reading import Text, formats
from lbi.documents.sections import LONGEST, SHORTEST, trimmed
from lbi.records import Document, Record
from lbi.storage.names import page_problem, without_password
from lbi.storage.secrets import mask


class DocumentSource(BaseModel):
    """Where documentation is: a file, a folder or an http(s) address in ``path``, or the ``text`` itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = ""
    text: str = ""
    title: str = ""
    """Of the page; empty = what the page says, else its file name."""
    format: str = ""
    """One of ``formats()``; empty = by content type, ending, or looks."""
    licence: str = ""
    date: str = ""
    """ISO date or commit, where the documents themselves state none."""
    start_url: str = ""
    """Where the tasks proposed from it begin, as a path of the site; empty = where the environment begins."""
    code: bool = False
    """The folder is a repository: its Python files are read too, and each file is of the date of its last commit."""

    @model_validator(mode="after")
    def _one_of_both(self) -> DocumentSource:
        if bool(self.path) == bool(self.text):
            raise ValueError("documents need either a path (file, folder or URL) or a text")
        if self.start_url and (problem := page_problem(self.start_url)):
            raise ValueError(f"start_url {without_password(self.start_url)!r}: {problem}")
        if self.code and (not self.path or "://" in self.path):
            raise ValueError("code = true is for the folder of a repository in path")
        if self.format and self.format not in formats():
            raise ValueError(f"unknown document format {self.format!r}; known: {', '.join(formats())}")
        return self


class Corpus(Record):
    """The sections that were read, in the order of their sources, and what was not read."""

    documents: tuple[Document, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def read_corpus(
    sources: Sequence[DocumentSource], *, longest: int = LONGEST, shortest: int = SHORTEST, timeout: float = TIMEOUT
) -> Corpus:
    """Read all sources; the same sources give the same documents in the same order.

    A file or page that cannot be read is skipped by name. Raises UserError for a path that does not exist.
    """
    documents: dict[str, Document] = {}
    skipped: list[Skipped] = []
    with ReadingApart() as apart:
        for source in sources:
            dates = _dates(source)
            for raw in _raws(source, timeout):
                date = dates.get(raw.name.partition("/")[2], "") if dates and isinstance(raw, Raw) else source.date
                content = raw if isinstance(raw, Skipped) else _documents(apart, raw, source, date, longest, shortest)
                if isinstance(content, Skipped):
                    skipped.append(content)
                else:
                    documents |= {document.id: document for document in content}
    return Corpus(documents=tuple(documents.values()), skipped=tuple(skipped))


def _dates(source: DocumentSource) -> dict[str, str]:
    """Of a repository's files by path, where the source has no date of its own."""
    if not source.code or source.date:
        return {}
    from lbi.documents.git_dates import file_dates

    return file_dates(Path(source.path).expanduser())


def _documents(
    apart: ReadingApart, raw: Raw, source: DocumentSource, date: str, longest: int, shortest: int
) -> list[Document] | Skipped:
    try:
        page = apart.read(Text(decode(raw), source.format, raw.ending, raw.content_type, longest, shortest))
    except ValueError as error:
        return Skipped(source=raw.name, reason=str(error))
    sections = page.sections
    # what someone wrote into a config is meant to be read, however short it is
    if not source.text and sum(len(section.text.strip()) for section in sections) < shortest:
        return Skipped(source=raw.name, reason=f"fewer than {shortest} characters of text")
    return [
        Document(
            text=mask(text),  # before a prompt cuts it
            source=raw.name,
            title=source.title or page.title or _stem(raw.name),
            headings=section.headings,
            licence=source.licence,
            date=date if source.code else _iso(page.date) or date,
            start_url=source.start_url,
        )
        for section in sections
        if (text := trimmed(section.text))
    ]


def _stem(name: str) -> str:
    last = urllib.parse.unquote(name.rstrip("/").rsplit("/", 1)[-1])
    return Path(last).stem if "." in last[1:] else last


def _iso(date: str) -> str:
    """The day that a document states; anything but an ISO date may mean several."""
    day = re.search(r"\b\d{4}-\d{2}-\d{2}\b", date)
    return day[0] if day else ""


def _raws(source: DocumentSource, timeout: float) -> Iterable[Raw | Skipped]:
    if source.text:
        return [Raw(name=source.title or "text", content=source.text.encode("utf-8", "replace"))]
    also = (".py",) if source.code else ()
    return raws(source.path, any_ending=bool(source.format), also=also, timeout=timeout)
