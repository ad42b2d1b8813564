"""How much of a question a record accounts for, and how far one of its fields is what is asked for.

What a question says is looked for in a record (a row, a section, the page of a thing): in its values, in what it
stands under, in the names of its fields. A word that few records say counts more.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from lbi.observations.parse import Page
from lbi.offline.facts import DAY, Record, is_number, records
from lbi.offline.kin import akin, root, roots
from lbi.offline.lexical import contains_phrase
from lbi.offline.query import Query


def _roots(text: str) -> frozenset[str]:
    return frozenset(root(word) for word in text.split())


PERSONS = _roots("owner author name account user host manager member borrower reporter contact by")
_PEOPLE = _roots("account role telephone phone mail email job login joined position")
_DATES = _roots("date day due deadline")
_NAMES = _roots("name title call")
_OVER = _roots("closed done resolved fixed finished completed cancelled archived returned sold paid")
OPEN = _roots("open active unfinished pending outstanding")
UNSAID = 1.0  # weight of a word that no record says
LACKING = 0.8  # for what says nothing of the word that tells most
ASIDE = 0.5  # of what other sentences say than the one that asks
SECTIONS = 1000  # group of the sections of a page


@dataclass(frozen=True)
class Told:
    """An answer, where it stands, and how much of the question is accounted for."""

    score: float
    text: str
    url: str


@dataclass(frozen=True)
class Weigher:
    """One question and what these pages tell."""

    query: Query
    pages: Sequence[Page]

    @cached_property
    def known(self) -> tuple[Record, ...]:
        return tuple(r for page in self.pages for r in records(page))

    @cached_property
    def reach(self) -> dict[int, float]:
        """Of each record the most of the question that it can account for."""
        total = sum(self.weights.values()) or 1.0
        near = {word: self._kin(word).keys() for word in self.weights}
        return {
            id(r): sum(w for word, w in self.weights.items() if not near[word].isdisjoint(r.every)) / total
            for r in self.known
        }

    @cached_property
    def groups(self) -> dict[tuple[str, int], list[Record]]:
        """Tables, and lists of sections."""
        found: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for record in self.known:
            if record.group >= 0:
                found[record.url, record.group].append(record)
        return found

    @cached_property
    def weights(self) -> dict[str, float]:
        """What each word of the question tells."""
        seen: Counter[str] = Counter()
        for record in self.known:
            seen.update(record.own | record.named)
        every = math.log(2 + len(self.known))
        found = {
            word: (math.log((2 + len(self.known)) / (1 + seen[word])) / every + 0.15)
            if seen[word]
            else UNSAID * self._rare(word)
            for word in self.query.about
        }
        names = _names(self.query.text)
        found = {word: weight * (1.5 if word in names else 1.0) for word, weight in found.items()}
        return {word: weight * (ASIDE if word in self.query.aside else 1.0) for word, weight in found.items()}

    def _rare(self, word: str) -> float:
        """A word that stands nowhere in this form may be there in another."""
        named = re.search(rf"\b(?:{re.escape(word[:1].upper())}{re.escape(word[1:3])}|\d)", self.query.text) is not None
        return 0.55 if any(self._kin(word)) else UNSAID if named else 0.7

    @cached_property
    def _vocabulary(self) -> frozenset[str]:
        return frozenset(w for r in self.known for part in (r.own, r.named, r.context) for w in part)

    def _kin(self, word: str) -> dict[str, float]:
        if word not in self._relations:
            found = {w: akin(word, w) for w in self._vocabulary}
            self._relations[word] = {w: worth for w, worth in found.items() if worth}
        return self._relations[word]

    @cached_property
    def _relations(self) -> dict[str, dict[str, float]]:
        return {}

    def says(self, word: str, where: Iterable[str] | frozenset[str]) -> float:
        near = self._kin(word)
        return max((near[w] for w in near.keys() & set(where)), default=0.0)

    # how much of the question a record accounts for

    def covered(self, record: Record, field: int = -1) -> dict[str, float]:
        """Word of the question -> how far the record says it, beside the value of this field."""
        found = {}
        values = frozenset(w for at, (_, value) in enumerate(record.cells) if at != field for w in value)
        named = record.cells[field][0] if field >= 0 else frozenset[str]()
        text = record.own - {w for _, value in record.cells for w in value}
        for word in self.query.about:
            worth = max(self.says(word, values), 0.9 * self.says(word, text), 0.95 * self.says(word, named))
            found[word] = max(
                worth,
                0.75 * self.says(word, record.context),
                (0.8 if self.query.limit[0] else 0.35) * self.says(word, record.named),
            )
            found[word] = max(found[word], 0.6 * self.says(word, record.near))
            if word in OPEN and self.is_open(record):
                found[word] = 1.0
        return found

    def is_open(self, record: Record) -> bool:
        status = [value for name, value in record.cells if root("status") in name or root("state") in name]
        return any(value and not value & _OVER for value in status)

    def share(self, covered: dict[str, float], leave: frozenset[str] = frozenset()) -> float:
        total = sum(w for word, w in self.weights.items() if word not in leave)
        if not total:
            return 0.5
        most = 0.9 * max(self.weights.values())
        lacks = any(self.weights[word] >= most and covered[word] < 0.3 for word in covered if word not in leave)
        told = sum(self.weights[word] * covered[word] for word in covered if word not in leave) / total
        return told * (LACKING if lacks else 1.0)

    # which field is asked for

    def field_fits(self, record: Record, at: int) -> float:
        """How far a field is what the question asks for."""
        name = record.cells[at][0]
        text = record.fields[at][1].strip()
        if not text or not re.search(r"\w", text):
            return 0.0
        query = self.query
        if record_number(record, at) and query.kind != "count":
            return 0.9 if root("number") in query.target else 0.0
        fits = 0.0
        if query.target and query.kind not in ("count",):
            hits = [self.says(word, name) for word in query.target]
            fits = 0.8 * max(hits) + 0.2 * sum(hits) / len(hits)
        if query.kind == "who":
            if is_number(text) is not None or DAY.search(text) or len(text.split()) > 4:
                return 0.0
            verbs = max((self.says(word, name) for word in query.about), default=0.0)
            person = 0.6 * bool(name & PERSONS)
            return max(verbs * (1.0 if verbs > 0.9 else 0.9) if name else 0.0, person, fits * 0.9)
        if query.kind == "when":
            if not DAY.search(text):
                return 0.0
            verbs = max((self.says(word, name) for word in query.about), default=0.0)
            return max(0.65, 0.55 + 0.45 * verbs, fits, 0.7 * bool(name & _DATES))
        if query.kind == "count":
            if is_number(text) is None or record.number == text.lstrip("#"):
                return 0.0
            return max((self.says(word, name) for word in query.target), default=0.0)
        if query.kind == "where":
            return 0.9 * max((self.says(word, name) for word in (root("where"), *query.about)), default=0.0)
        if not query.target:
            return max((self.says(word, name) for word in query.about), default=0.0) * 0.8
        described = min((max((akin(a, n) for a in query.about), default=0.0) for n in name), default=0.0)
        alone = record.group < 0 or record.group >= SECTIONS
        return max(fits, (0.7 if alone else 0.55) * described)

    def is_kind(self, record: Record) -> float:
        """How far the record itself is what is asked for."""
        if self.query.kind == "who" and record.name and (record.named & (_PEOPLE | {root("person")})):
            return 0.8
        head = self.query.target[-1:] or (() if self.query.kind != "value" else ("",))
        if not head or not record.name:
            return 0.0
        if self.query.person:
            persons = {w for n in record.named for w in (n,)} & _NAMES and record.named & _PEOPLE
            return 0.8 if persons or record.named & {root("person")} or record.context & {root("member")} else 0.0
        if head == ("",) and record.group < 0:
            return 0.0
        if head == ("",) or self.query.target[-1] in ("one",):
            return 0.55
        own_column = record.cells[0][0] if record.group >= 0 and record.cells else frozenset[str]()
        return 0.85 * max(self.says(word, record.context | own_column) for word in self.query.target)

    def left(self, record: Record, at: int = -1) -> frozenset[str]:
        """Words of what is asked for that this field, or the record itself, is called by: these are no conditions."""
        called = record.cells[at][0] if at >= 0 else record.context | record.named
        return frozenset(word for word in self.query.target if self.says(word, called) >= 0.6)

    def told(self, score: float, text: str, url: str, fits: float = 0.0) -> Told:
        """What the question says itself is hardly what it asks for."""
        return Told(score - 0.3 * (fits < 0.85 and contains_phrase(self.query.text, text)), text, url)

    def value(self, record: Record, at: int) -> str:
        text = record.fields[at][1].strip()
        if self.query.kind == "when" and (day := DAY.search(text)):
            return day[0]
        return text


def record_number(record: Record, at: int) -> bool:
    """Whether a field is only the number that the record goes by."""
    return bool(record.number) and record.fields[at][1].lstrip("#") == record.number


def _names(text: str) -> frozenset[str]:
    """Words of names in a text: written with capitals, but not at its beginning, numbers, and what is quoted."""
    said = re.findall(r"(?<=\w )[A-Z][\w-]*|\d[\d.-]*\w*|\"[^\"]+\"", text)
    return frozenset(word for part in said for word in roots(part))
