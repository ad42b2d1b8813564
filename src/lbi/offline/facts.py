"""A page as facts: rows, sections and sentences, each with what it is called, its fields and what it stands under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from lbi.observations.parse import Page
from lbi.offline.kin import root, roots
from lbi.offline.places import segments

_ELEMENT = re.compile(r'[\w-]+(?: "((?:[^"\\]|\\.)*)")? \[e\d+\](?: \([^)]*\))?(?: -> \S+)?')
_HEAD = re.compile(r'(heading|rowheader|term) "((?:[^"\\]|\\.)*)"(?:: (.*))?$')
_LABELLED = re.compile(r"(?:- )?([^:|.]{2,40}):\s+(\S.*)")
_LINE = re.compile(r"(columns|row|text|item): (.*)$")
_LINK = re.compile(r'link "([^"]{2,40}: \d+)" \[e')
_COUNTED = re.compile(r"^(.*\S) \((\d+)\)$")  # "Books (7)"
_NUMBER_NAMES = frozenset(["no", "nr", "number", "id", "#", ""])
_CALLED = frozenset(map(root, ["name", "title", "subject", "summary", "person"]))
DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Record:
    """Something that a page tells: a row, a section, the page's own thing, or a sentence."""

    url: str
    name: str  # what it is called
    fields: tuple[tuple[str, str], ...]
    around: str  # title and headings that it stands under
    text: str = ""  # prose of it
    group: int = -1  # which table of the page it is a row of; -1 for what stands alone
    prose: bool = False
    beside: str = ""  # the paragraph around a sentence

    @cached_property
    def cells(self) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
        """Words of names and of values."""
        return tuple((frozenset(roots(n)), frozenset(roots(v))) for n, v in self.fields)

    @cached_property
    def own(self) -> frozenset[str]:
        """Words of the values, of its name and of its text."""
        found = {w for _, value in self.cells for w in value}
        return frozenset(found | set(roots(self.name)) | set(roots(self.text)))

    @cached_property
    def context(self) -> frozenset[str]:
        """Words of what it stands under and of its address."""
        return frozenset(w for part in (self.around, *segments(self.url.split("?")[0])[:2]) for w in roots(part))

    @cached_property
    def named(self) -> frozenset[str]:
        """Words of the names of its fields."""
        return frozenset(w for name, _ in self.cells for w in name)

    @cached_property
    def every(self) -> frozenset[str]:
        """All words that it has to do with."""
        return self.own | self.named | self.context | self.near

    @cached_property
    def near(self) -> frozenset[str]:
        """Words of the paragraph around it."""
        return frozenset(roots(self.beside))

    @cached_property
    def number(self) -> str:
        """The number that it goes by."""
        for name, value in self.fields:
            bare = name.lower().strip(" .:")
            if (bare in _NUMBER_NAMES or value.startswith("#")) and (m := re.fullmatch(r"#?(\d+)", value)):
                return m[1]
        last = segments(self.url.split("?")[0])[-1:]
        return last[0] if last and last[0].isdigit() and self.group < 0 else ""


def records(page: Page) -> tuple[Record, ...]:
    """All that a page tells."""
    if "records" not in page.memo:
        page.memo["records"] = tuple(_Reader(page).read())
    return cast("tuple[Record, ...]", page.memo["records"])


def plain(text: str) -> str:
    """A line without references and addresses."""
    return " ".join(_ELEMENT.sub(lambda m: m[1] or "", text).split())


class _Reader:
    def __init__(self, page: Page) -> None:
        self.url = page.url.split("#")[0]
        self.title = re.split(r"\s+[–—|]\s+|\s+-\s+", page.title)[0]
        self.page = page
        self.found: list[Record] = []
        self.groups = 0
        self.header: tuple[str, ...] = ()
        self.rows: list[tuple[str, ...]] = []
        self.heading = ""
        self.pairs: list[tuple[str, str]] = []
        self.prose: list[str] = []
        self.all: list[tuple[str, str]] = []
        self.told: list[str] = []

    def read(self) -> list[Record]:
        for _, raw in self.page.by_line[2:]:
            self._line(raw.strip())
        self._section("")
        names = [name for name, _ in self.all]
        if names and len(set(names)) > 0.7 * len(names):
            name = re.sub(r"^#\d+:?\s*", "", self.title).strip("()") or self.title
            self.found.insert(0, Record(self.url, name, tuple(self.all), self.title, " ".join(self.told)))
        elif self.told:
            self.found.insert(0, Record(self.url, self.title, (), self.title, " ".join(self.told), prose=True))
        return self.found

    def _line(self, line: str) -> None:
        if found := _HEAD.match(line):
            self._head(found[1], found[2], plain(found[3] or ""))
            return
        if found := _LINK.match(line):
            name, _, value = found[1].rpartition(": ")
            self._pair(name, value)
            return
        found = _LINE.match(line)
        if found is None:
            if not line.startswith("link"):
                self._table()
            return
        kind, text = found[1], found[2]
        if kind in ("columns", "row"):
            cells = tuple(plain(cell) for cell in re.split(r"(?:^|\s)\|(?=\s|$)", text))
            if kind == "columns":
                self._table()
                self.header = cells
            else:
                self.rows.append(cells)
            return
        self._table()
        said = plain(text)
        labelled = _LABELLED.fullmatch(said)
        if labelled and len(labelled[1].split()) < 6:
            self._pair(labelled[1].strip(), labelled[2])
        elif re.search(r"\w", said):
            self.prose.append(said)
            self.told.append(said)

    def _head(self, kind: str, name: str, rest: str) -> None:
        self._table()
        if kind == "heading":
            self._section(name)
        elif rest:
            self._pair(name.rstrip(": "), rest)
        else:
            self.prose.append(name)
            self.told.append(name)

    def _pair(self, name: str, value: str) -> None:
        self.pairs.append((name.strip(" :"), value))
        self.all.append(self.pairs[-1])

    def _section(self, heading: str) -> None:
        """Ends one section, begins another."""
        self._table()
        name = self.heading.rpartition(": ")[2]
        text = " ".join(self.prose)
        if self.heading and self.pairs:
            days = [
                ("date", day[0]) for day in [DAY.search(text)] if day and not any(DAY.search(v) for _, v in self.pairs)
            ]
            around = f"{self.title} {self.heading}"
            self.found.append(Record(self.url, name, (("", name), *self.pairs, *days), around, text, group=1000))
        around = f"{self.title} {self.heading}"
        for line in self.prose:
            for sentence in re.split(r"(?<=[.!?;])\s+", line):
                self.found.append(Record(self.url, "", (), around, sentence, prose=True, beside=line))
        self.heading, self.pairs, self.prose = heading, [], []
        if counted := _COUNTED.match(heading):
            self.found.append(Record(self.url, "", ((counted[1], counted[2]),), self.title, group=-2))

    def _table(self) -> None:
        header, rows = self.header, self.rows
        self.header, self.rows = (), []
        if not rows:
            return
        if not header and len(rows) > 1 and not any(re.search(r"\d", cell) for cell in rows[0]):
            header, rows = rows[0], rows[1:]
        around = f"{self.title} {self.heading}"
        for row in rows:
            fields = tuple((header[at] if at < len(header) else "", cell) for at, cell in enumerate(row))
            self.found.append(Record(self.url, _called(fields), fields, around, group=self.groups))
        self.groups += 1


def _called(fields: tuple[tuple[str, str], ...]) -> str:
    """The cell that says what a row is about: in a column for names, else the first that is no number."""
    for name, value in fields:
        if _CALLED & set(roots(name)) and value:
            return value
    return next((v for _, v in fields if re.search(r"[^\W\d_]{2}", v) and not DAY.match(v)), "")


def is_number(text: str) -> float | None:
    """60, 1,200 or 14.50 EUR as a number."""
    found = re.fullmatch(r"[^\w\d]?\s*#?(\d+(?:[.,]\d+)*)\s*(?:%|[A-Za-z€$£.]{0,7})", text.strip())
    if found is None:
        return None
    plain_ = re.sub(r"[.,](?=\d{3}(?:\D|$))", "", found[1]).replace(",", ".")
    return float(plain_) if plain_.count(".") < 2 else None
