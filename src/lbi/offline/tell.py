"""Facts and a question -> the answers that they give, each with the share of the question that it accounts for.

What is asked for is a field of the record that says most of the question; if it has none such, that of another record
that is called by one of its values: two hops.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

from lbi.observations.parse import Page
from lbi.offline.facts import Record
from lbi.offline.kin import root
from lbi.offline.lexical import contains_phrase
from lbi.offline.prose import said_in
from lbi.offline.tally import Tally
from lbi.offline.weigh import PERSONS, Told

JOINED = 0.9
LEAST = 0.3  # share of a question below which a record is not looked at
DIRECT = 0.8  # score of an answer in one step that makes two steps needless


class Teller(Tally):
    """Answers one question from what these pages tell."""

    def answers(self) -> list[Told]:
        """What the facts tell, the best first."""
        query = self.query
        found: list[Told] = []
        if query.kind == "page":
            found = self._page()
        elif query.differs or (query.sums and query.kind in ("count", "value")):
            found = self.together()
        elif query.extreme:
            found = [*self.extreme()]
        elif query.kind == "yes":
            found = self._yes()
        if (query.kind == "yes" or query.differs) and found:
            return sorted(found, key=lambda t: -t.score)
        if query.kind == "count":
            found = [*found, *self.count()]
        if not query.extreme and query.kind != "page":
            found = [*found, *self._lookup(), *self._sentences()]
        elif not found or query.kind != "page":
            found = [*found, *self._sentences()]
        return sorted((t for t in found if re.search(r"\w", t.text)), key=lambda t: -t.score)

    def _lookup(self) -> list[Told]:
        found: list[Told] = []
        weak: list[tuple[Record, dict[str, float], float]] = []
        limited = bool(self.query.limit[0])
        for record in self.known:
            if (
                record.prose
                or record.group == -2
                or self.reach[id(record)] < LEAST
                or (limited and not self.allowed(record))
            ):
                continue
            bare = self.covered(record)
            if self.share(bare) < 0.2:
                continue
            weak.append((record, bare, self.share(bare)))
            for at in range(len(record.fields)):
                fits = self.field_fits(record, at)
                if fits > 0.3:
                    share = self.share(self.covered(record, at), self.left(record, at))
                    found.append(self.told(0.4 * fits + 0.6 * share, self.value(record, at), record.url, fits))
            if self.query.kind in ("value", "who"):
                if (fits := self.is_kind(record)) > 0.3:
                    share = self.share(bare, self.left(record) if fits > 0.6 else frozenset())
                    found.append(self.told(0.4 * fits + 0.6 * share, record.name, record.url))
                if root("number") in self.query.target and record.number:
                    share = self.share(bare, frozenset(self.query.target))
                    kind = max((self.says(word, record.context) for word in self.query.about), default=0.0)
                    found.append(Told(0.4 * kind + 0.6 * share, record.number, record.url))
        best = max((t.score for t in found), default=0.0)
        if best < DIRECT:
            found.extend(self._hops(weak))
        return found

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
        asked = frozenset(self.query.target) | PERSONS & {root("member")}
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
                            found.append(self.told(0.4 * fits + 0.6 * share, self.value(other, field), other.url))
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


def _title(page: Page) -> str:
    return re.split(r"\s+[–—|]\s+|\s+-\s+", page.title)[0]
