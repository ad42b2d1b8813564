"""Facts and a question -> the answers that they give, each with the share of the question that it accounts for.

What a question says is looked for in a record (a row, a section, the page of a thing): in its values, in what it stands
under, in the names of its fields. A word that few records say counts more. What is asked for is one of its fields; if it
has none such, that of another record that is called by one of its values: two hops.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from lbi.environments.snapshot import Page
from lbi.offline.facts import DAY, Record, is_number, records
from lbi.offline.kin import akin, root, roots
from lbi.offline.lexical import contains_phrase, listed
from lbi.offline.prose import said_in
from lbi.offline.query import Query

_PERSONS = frozenset(
    map(
        root,
        [
            "owner",
            "author",
            "name",
            "account",
            "user",
            "host",
            "manager",
            "member",
            "borrower",
            "reporter",
            "contact",
            "by",
        ],
    )
)
_PEOPLE = frozenset(
    map(
        root,
        listed("""
account role telephone phone mail email job login joined position
"""),
    )
)
_DATES = frozenset(map(root, ["date", "day", "due", "deadline"]))
_NAMES = frozenset(map(root, ["name", "title", "call"]))
_OVER = frozenset(
    map(
        root,
        [
            "closed",
            "done",
            "resolved",
            "fixed",
            "finished",
            "completed",
            "cancelled",
            "archived",
            "returned",
            "sold",
            "paid",
        ],
    )
)
_OPEN = frozenset(map(root, ["open", "active", "unfinished", "pending", "outstanding"]))
_NOT = re.compile(r"\b(?:not|no longer|n't|except|other than|without)\b", re.IGNORECASE)
UNSAID = 1.0  # weight of a word that no record says
JOINED = 0.9
LACKING = 0.8  # for what says nothing of the word that tells most
LEAST = 0.3  # share of a question below which a record is not looked at
DIRECT = 0.8  # score of an answer in one step that makes two steps needless
SECTIONS = 1000  # group of the sections of a page
ASIDE = 0.5  # of what other sentences say than the one that asks


@dataclass(frozen=True)
class Told:
    score: float
    text: str
    url: str


@dataclass(frozen=True)
class Teller:
    """Answers one question from what these pages tell."""

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

    def _says(self, word: str, where: Iterable[str] | frozenset[str]) -> float:
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
            worth = max(self._says(word, values), 0.9 * self._says(word, text), 0.95 * self._says(word, named))
            found[word] = max(
                worth,
                0.75 * self._says(word, record.context),
                (0.8 if self.query.limit[0] else 0.35) * self._says(word, record.named),
            )
            found[word] = max(found[word], 0.6 * self._says(word, record.near))
            if word in _OPEN and self._is_open(record):
                found[word] = 1.0
        return found

    def _is_open(self, record: Record) -> bool:
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
        name, value = record.cells[at]
        text = record.fields[at][1].strip()
        if not text or not re.search(r"\w", text):
            return 0.0
        query = self.query
        if record_number(record, at) and query.kind != "count":
            return 0.9 if root("number") in query.target else 0.0
        fits = 0.0
        if query.target and query.kind not in ("count",):
            hits = [self._says(word, name) for word in query.target]
            fits = 0.8 * max(hits) + 0.2 * sum(hits) / len(hits)
        if query.kind == "who":
            if is_number(text) is not None or DAY.search(text) or len(text.split()) > 4:
                return 0.0
            verbs = max((self._says(word, name) for word in query.about), default=0.0)
            person = 0.6 * bool(name & _PERSONS)
            return max(verbs * (1.0 if verbs > 0.9 else 0.9) if name else 0.0, person, fits * 0.9)
        if query.kind == "when":
            if not DAY.search(text):
                return 0.0
            verbs = max((self._says(word, name) for word in query.about), default=0.0)
            return max(0.65, 0.55 + 0.45 * verbs, fits, 0.7 * bool(name & _DATES))
        if query.kind == "count":
            if is_number(text) is None or record.number == text.lstrip("#"):
                return 0.0
            return max((self._says(word, name) for word in query.target), default=0.0)
        if query.kind == "where":
            return 0.9 * max((self._says(word, name) for word in (root("where"), *query.about)), default=0.0)
        if not query.target:
            return max((self._says(word, name) for word in query.about), default=0.0) * 0.8
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
        if head == ("",) or self.query.target[-1] in ("one",):
            return 0.55
        own_column = record.cells[0][0] if record.group >= 0 and record.cells else frozenset[str]()
        return 0.85 * max(self._says(word, record.context | own_column) for word in self.query.target)

    def _left(self, record: Record, at: int = -1) -> frozenset[str]:
        """Words of what is asked for that this field, or the record itself, is called by: these are no conditions."""
        called = record.cells[at][0] if at >= 0 else record.context | record.named
        return frozenset(word for word in self.query.target if self._says(word, called) >= 0.6)

    # answers

    def answers(self) -> list[Told]:
        """What the facts tell, the best first."""
        query = self.query
        found: list[Told] = []
        if query.kind == "page":
            found = self._page()
        elif query.differs or (query.sums and query.kind in ("count", "value")):
            found = self._together()
        elif query.extreme:
            found = [*self._extreme()]
        elif query.kind == "yes":
            found = self._yes()
        if (query.kind == "yes" or query.differs) and found:
            return sorted(found, key=lambda t: -t.score)
        if query.kind == "count":
            found = [*found, *self._count()]
        if not query.extreme and query.kind != "page":
            found = [*found, *self._lookup(), *self._sentences()]
        elif not found or query.kind != "page":
            found = [*found, *self._sentences()]
        return sorted((t for t in found if re.search(r"\w", t.text)), key=lambda t: -t.score)

    def _allowed(self, record: Record) -> bool:
        """Whether a number or a date of it is within the limit that the question sets."""
        how, bound = self.query.limit
        if not how:
            return True
        day = bool(DAY.match(bound))
        for at, (_, value) in enumerate(record.fields):
            said = DAY.search(value) if day else is_number(value)
            if said is None or (not day and not self._limited(record, at)):
                continue
            a, b = (said[0], bound) if day else (said, float(bound.replace(",", ".")))  # type: ignore[index]
            over = how in ("more than", "over", "above", "after") and a > b  # type: ignore[operator]
            from_ = how in ("at least", "since") and a >= b  # type: ignore[operator]
            under = how in ("less than", "fewer than", "under", "below", "before") and a < b  # type: ignore[operator]
            to = how in ("at most", "until") and a <= b  # type: ignore[operator]
            return over or from_ or under or to
        return False

    def _limited(self, record: Record, at: int) -> bool:
        return any(self._says(word, record.cells[at][0]) for word in self.query.about)

    def _lookup(self) -> list[Told]:
        found: list[Told] = []
        weak: list[tuple[Record, dict[str, float], float]] = []
        limited = bool(self.query.limit[0])
        for record in self.known:
            if (
                record.prose
                or record.group == -2
                or self.reach[id(record)] < LEAST
                or (limited and not self._allowed(record))
            ):
                continue
            bare = self.covered(record)
            if self.share(bare) < 0.2:
                continue
            weak.append((record, bare, self.share(bare)))
            for at in range(len(record.fields)):
                fits = self.field_fits(record, at)
                if fits > 0.3:
                    share = self.share(self.covered(record, at), self._left(record, at))
                    found.append(self._told(0.4 * fits + 0.6 * share, self._value(record, at), record.url, fits))
            if self.query.kind in ("value", "who"):
                if (fits := self.is_kind(record)) > 0.3:
                    share = self.share(bare, self._left(record) if fits > 0.6 else frozenset())
                    found.append(self._told(0.4 * fits + 0.6 * share, record.name, record.url))
                if root("number") in self.query.target and record.number:
                    share = self.share(bare, frozenset(self.query.target))
                    kind = max((self._says(word, record.context) for word in self.query.about), default=0.0)
                    found.append(Told(0.4 * kind + 0.6 * share, record.number, record.url))
        best = max((t.score for t in found), default=0.0)
        if best < DIRECT:
            found.extend(self._hops(weak))
        return found

    def _told(self, score: float, text: str, url: str, fits: float = 0.0) -> Told:
        """What the question says itself is hardly what it asks for."""
        return Told(score - 0.3 * (fits < 0.85 and contains_phrase(self.query.text, text)), text, url)

    def _value(self, record: Record, at: int) -> str:
        text = record.fields[at][1].strip()
        if self.query.kind == "when" and (day := DAY.search(text)):
            return day[0]
        return text

    def _hops(self, near: list[tuple[Record, dict[str, float], float]]) -> list[Told]:
        """The field of another record that is called by a value of one that the question describes."""
        keys: Counter[tuple[str, str, int]] = Counter()
        by_value: dict[str, list[tuple[Record, int]]] = defaultdict(list)
        for record in self.known:
            for at, (_, value) in enumerate(record.fields if not record.prose else ()):
                if re.search(r"[^\W\d_]{3}", value) and len(value) < 40:
                    by_value[value.strip().lower()].append((record, at))
                    keys[value.strip().lower(), record.url, record.group] += 1
        found = []
        asked = frozenset(self.query.target) | _PERSONS & {root("member")}
        for record, _, _ in sorted(near, key=lambda item: -item[2])[:12]:
            for at, (_, value) in enumerate(record.fields):
                for other, key in by_value.get(value.strip().lower(), ()):
                    if keys[value.strip().lower(), other.url, other.group] > 1:
                        continue  # it says of others too, and so does not name it
                    if other is record or (other.url, other.group) == (record.url, record.group):
                        continue
                    first = self.covered(record, at)
                    for field in range(len(other.fields)):
                        fits = self.field_fits(other, field) if field != key else 0.0
                        if fits > 0.5:
                            second = self.covered(other, field)
                            both = {word: max(first[word], 0.9 * second[word]) for word in first}
                            share = JOINED * self.share(both, asked)
                            found.append(self._told(0.4 * fits + 0.6 * share, self._value(other, field), other.url))
        return found

    # tables

    def _meant(self, group: list[Record], leave: frozenset[str]) -> tuple[list[Record], float]:
        """Rows that fulfil the conditions, and how much of the conditions these rows account for."""
        negated = _NOT.search(self.query.text)
        rows, share, total = [r for r in group if self._allowed(r)], 0.0, 0.0
        named = frozenset(w for r in group[:1] for w in r.named)
        for word in self.query.about:
            if word in leave:
                continue
            weight = self.weights[word]
            total += weight
            hits = [r for r in rows if self._says(word, r.own) >= 0.9 or (word in _OPEN and self._is_open(r))]
            everywhere = [r for r in group if self._says(word, r.own) >= 0.9]
            context = max(self._says(word, group[0].context), self._says(word, named))
            if everywhere or hits:
                at = re.search(rf"\b{re.escape(word[:4])}", self.query.text, re.IGNORECASE)
                if negated and at and negated.start() < at.start() < negated.start() + 25:
                    hits = [r for r in rows if r not in everywhere]
                if hits or not context:
                    rows, share = hits, share + weight
                    continue
            share += weight * 0.8 * context
        return rows, share / total if total else 0.9

    def _count(self) -> list[Told]:
        """How many rows there are of a kind, with these properties."""
        found: list[Told] = []
        asked = frozenset(self.query.target)
        for (url, _), group in self.groups.items():
            what = group[0].context | group[0].cells[0][0]
            kind = max((self._says(word, what) for word in asked), default=0.4)
            rows, share = self._meant(group, frozenset(word for word in asked if self._says(word, what) >= 0.6))
            if kind >= 0.4 and (rows or share > 0.7):
                size = 0.01 * min(len(group), 10) / 10
                found.append(Told(0.4 * 0.9 * kind + 0.57 * share + size, str(len(rows)), url))
        return found

    def _extreme(self) -> list[Told]:
        query, found = self.query, list[Told]()
        for (url, _), group in self.groups.items():
            for at in range(max(len(r.fields) for r in group)):
                measured = [(m, r) for r in group if (m := self._measure(r, at)) is not None]
                if len(measured) < 2:
                    continue
                name = measured[0][1].cells[at][0]
                by = max((self._says(word, name) for word in query.by), default=0.0)
                timely = query.extreme == "time"
                days = isinstance(measured[0][0], str)
                other = 0.1 if query.by else 0.3
                fit = max(by, (0.75 if days else other) if timely else 0.0 if days else other)
                if record_number(measured[0][1], at) and not timely:
                    continue
                leave = frozenset(query.target) | frozenset(query.by)
                rows, share = self._meant([r for _, r in measured], leave)
                ordered = sorted((m for m in measured if m[1] in rows), key=lambda m: m[0], reverse=not query.low)
                if len(ordered) <= query.rank:
                    continue
                winner = ordered[query.rank][1]
                text, fits = self._wanted(winner, at)
                if text:
                    found.append(Told(0.3 * fits + 0.3 * fit + 0.35 * share, text, url))
            found.extend(self._commonest(url, group))
        return found

    def _measure(self, record: Record, at: int) -> str | float | None:
        if at >= len(record.fields):
            return None
        text = record.fields[at][1]
        day = DAY.search(text)
        return day[0] if day else is_number(text)

    def _wanted(self, record: Record, by: int) -> tuple[str, float]:
        """What is asked of the record that is found: one of its fields, or what it is called."""
        fits = [(self.field_fits(record, at), at) for at in range(len(record.fields))]
        worth, at = max(fits, default=(0.0, -1))
        kind = self.is_kind(record)
        if root("number") in self.query.target and record.number:
            return record.number, 0.9
        if kind > worth - 0.05 and record.name:
            return record.name, kind
        return (self._value(record, at), worth) if worth > 0.3 else (record.name, 0.3)

    def _commonest(self, url: str, group: list[Record]) -> list[Told]:
        """Whose rows are the most, where rows are what is counted."""
        query = self.query
        kind = max((self._says(word, group[0].context) for word in query.by), default=0.0)
        if not query.counts or kind < 0.5 or len(group) < 3:
            return []
        found = []
        rows, share = self._meant(group, frozenset(query.target) | frozenset(query.by))
        for at in range(max(len(r.fields) for r in group)):
            fits = max((self.field_fits(r, at) for r in rows if at < len(r.fields)), default=0.0)
            counts = Counter(r.fields[at][1] for r in rows if at < len(r.fields) and r.fields[at][1].strip())
            ordered = sorted(counts.items(), key=lambda item: item[1], reverse=not query.low)
            if fits > 0.4 and len(ordered) > query.rank + 1 and ordered[0][1] != ordered[-1][1]:
                found.append(Told(0.35 * fits + 0.3 * kind + 0.35 * share, ordered[query.rank][0], url))
        return found

    def _together(self) -> list[Told]:
        """Sums and differences of what two things or all have."""
        query, found = self.query, list[Told]()
        for (url, _), group in self.groups.items():
            meant = [r for r in group if _mentioned(query.text, r)]
            rows = meant if len(meant) > 1 else [] if query.differs else self._meant(group, frozenset(query.target))[0]
            for at in range(max(len(r.fields) for r in group)):
                measured = [m for r in rows if (m := self._measure(r, at)) is not None]
                if len(measured) < 2 or len(measured) < len(rows) or record_number(rows[0], at):
                    continue
                name = rows[0].cells[at][0]
                fit = max((self._says(w, name) for w in (*query.target, *query.about)), default=0.0)
                if isinstance(measured[0], str):
                    if not query.differs:
                        continue
                    days = [date.fromisoformat(str(m)).toordinal() for m in measured]
                    found.append(Told(0.5 + 0.4 * max(fit, 0.6), str(abs(days[0] - days[1])), url))
                    continue
                numbers = [float(m) for m in measured]
                value = abs(numbers[0] - numbers[1]) if query.differs else sum(numbers)
                score = 0.4 * fit + 0.35 * (len(meant) > 1) + (0.2 if fit else 0.0)
                found.append(Told(score if meant else 0.85 * fit, f"{value:g}", url))
        return found

    def _yes(self) -> list[Told]:
        found = []
        for record in self.known:
            if record.group == -2 or self.reach[id(record)] < LEAST:
                continue
            share = self.share(self.covered(record))
            if share > 0.8:
                found.append(Told(share, "yes", record.url))
            elif record.name and contains_phrase(self.query.text, record.name):
                found.append(Told(0.7, "no", record.url))
        return found

    def _page(self) -> list[Told]:
        """What the page is called that says most of it, one of its sentences counting most."""
        whole: dict[str, tuple[float, str]] = {}
        for record in self.known:
            if record.prose or record.group >= -1:
                share = self.share(self.covered(record))
                if share > whole.get(record.url, (0.0, ""))[0]:
                    whole[record.url] = (share, "")
        titles = {r.url: r for r in self.known}
        return [
            Told(share, _title(page), page.url)
            for page in self.pages
            if (share := whole.get(page.url.split("#")[0], (0.0, ""))[0]) > 0.3 and page.url.split("#")[0] in titles
        ]

    def _sentences(self) -> list[Told]:
        found = []
        for record in self.known:
            if record.prose and len(record.text) < 500 and self.reach[id(record)] >= LEAST:
                share = self.share(self.covered(record))
                if share > 0.3:
                    text, sure = said_in(record.text, self.query)
                    found.append(
                        Told(share * (0.55 + 0.4 * sure) * (0.6 if self.query.extreme else 1.0), text, record.url)
                    )
        return found


def record_number(record: Record, at: int) -> bool:
    """Whether a field is only the number that the record goes by."""
    return bool(record.number) and record.fields[at][1].lstrip("#") == record.number


def _names(text: str) -> frozenset[str]:
    """Words of names in a text: written with capitals, but not at its beginning, numbers, and what is quoted."""
    said = re.findall(r"(?<=\w )[A-Z][\w-]*|\d[\d.-]*\w*|\"[^\"]+\"", text)
    return frozenset(word for part in said for word in roots(part))


def _title(page: Page) -> str:
    return re.split(r"\s+[–—|]\s+|\s+-\s+", page.title)[0]


def _mentioned(text: str, record: Record) -> bool:
    return len(record.name) > 1 and contains_phrase(text, record.name)
