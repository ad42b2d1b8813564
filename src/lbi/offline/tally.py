"""What rows tell together: how many there are of a kind, which has the most, what they add up to."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date

from lbi.offline.facts import DAY, Record, is_number
from lbi.offline.kin import root
from lbi.offline.lexical import contains_phrase
from lbi.offline.weigh import OPEN, Told, Weigher, record_number

_NOT = re.compile(r"\b(?:not|no longer|n't|except|other than|without)\b", re.IGNORECASE)


class Tally(Weigher):
    """Answers from tables and lists of sections."""

    def allowed(self, record: Record) -> bool:
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
        return any(self.says(word, record.cells[at][0]) for word in self.query.about)

    def meant(self, group: list[Record], leave: frozenset[str]) -> tuple[list[Record], float]:
        """Rows that fulfil the conditions, and how much of the conditions these rows account for."""
        negated = _NOT.search(self.query.text)
        rows, share, total = [r for r in group if self.allowed(r)], 0.0, 0.0
        named = frozenset(w for r in group[:1] for w in r.named)
        for word in self.query.about:
            if word in leave:
                continue
            weight = self.weights[word]
            total += weight
            hits = [r for r in rows if self.says(word, r.own) >= 0.9 or (word in OPEN and self.is_open(r))]
            everywhere = [r for r in group if self.says(word, r.own) >= 0.9]
            context = max(self.says(word, group[0].context), self.says(word, named))
            if everywhere or hits:
                at = re.search(rf"\b{re.escape(word[:4])}", self.query.text, re.IGNORECASE)
                if negated and at and negated.start() < at.start() < negated.start() + 25:
                    hits = [r for r in rows if r not in everywhere]
                if hits or not context:
                    rows, share = hits, share + weight
                    continue
            share += weight * 0.8 * context
        return rows, share / total if total else 0.9

    def count(self) -> list[Told]:
        """How many rows there are of a kind, with these properties."""
        found: list[Told] = []
        asked = frozenset(self.query.target)
        for (url, _), group in self.groups.items():
            what = group[0].context | group[0].cells[0][0]
            kind = max((self.says(word, what) for word in asked), default=0.4)
            rows, share = self.meant(group, frozenset(word for word in asked if self.says(word, what) >= 0.6))
            if kind >= 0.4 and (rows or share > 0.7):
                size = 0.01 * min(len(group), 10) / 10
                found.append(Told(0.4 * 0.9 * kind + 0.57 * share + size, str(len(rows)), url))
        return found

    def extreme(self) -> list[Told]:
        query, found = self.query, list[Told]()
        for (url, _), group in self.groups.items():
            for at in range(max(len(r.fields) for r in group)):
                measured = [(m, r) for r in group if (m := self._measure(r, at)) is not None]
                if len(measured) < 2:
                    continue
                name = measured[0][1].cells[at][0]
                by = max((self.says(word, name) for word in query.by), default=0.0)
                timely = query.extreme == "time"
                days = isinstance(measured[0][0], str)
                other = 0.1 if query.by else 0.3
                fit = max(by, (0.75 if days else other) if timely else 0.0 if days else other)
                if record_number(measured[0][1], at) and not timely:
                    continue
                leave = frozenset(query.target) | frozenset(query.by)
                rows, share = self.meant([r for _, r in measured], leave)
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
        return (self.value(record, at), worth) if worth > 0.3 else (record.name, 0.3)

    def _commonest(self, url: str, group: list[Record]) -> list[Told]:
        """Whose rows are the most, where rows are what is counted."""
        query = self.query
        kind = max((self.says(word, group[0].context) for word in query.by), default=0.0)
        if not query.counts or kind < 0.5 or len(group) < 3:
            return []
        found = []
        rows, share = self.meant(group, frozenset(query.target) | frozenset(query.by))
        for at in range(max(len(r.fields) for r in group)):
            fits = max((self.field_fits(r, at) for r in rows if at < len(r.fields)), default=0.0)
            counts = Counter(r.fields[at][1] for r in rows if at < len(r.fields) and r.fields[at][1].strip())
            ordered = sorted(counts.items(), key=lambda item: item[1], reverse=not query.low)
            if fits > 0.4 and len(ordered) > query.rank + 1 and ordered[0][1] != ordered[-1][1]:
                found.append(Told(0.35 * fits + 0.3 * kind + 0.35 * share, ordered[query.rank][0], url))
        return found

    def together(self) -> list[Told]:
        """Sums and differences of what two things or all have."""
        query, found = self.query, list[Told]()
        for (url, _), group in self.groups.items():
            meant = [r for r in group if _mentioned(query.text, r)]
            rows = meant if len(meant) > 1 else [] if query.differs else self.meant(group, frozenset(query.target))[0]
            for at in range(max(len(r.fields) for r in group)):
                measured = [m for r in rows if (m := self._measure(r, at)) is not None]
                if len(measured) < 2 or len(measured) < len(rows) or record_number(rows[0], at):
                    continue
                name = rows[0].cells[at][0]
                fit = max((self.says(w, name) for w in (*query.target, *query.about)), default=0.0)
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


def _mentioned(text: str, record: Record) -> bool:
    return len(record.name) > 1 and contains_phrase(text, record.name)
