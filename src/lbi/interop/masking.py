"""Events of a trace -> the same without secrets and personal data; what was masked is counted, and never told.

A value that was found beside a telling name (`password: ...`) is masked wherever else it stands, also encoded: so a
trace is read twice, the first time only to find these.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lbi.interop.events import Event
from lbi.interop.mask_checks import is_value
from lbi.interop.mask_rules import PERSONAL, Names, Rule, find, rules
from lbi.records import Action, Observation
from lbi.storage import secrets
from lbi.storage.secrets import MASK

MOST_ENCODED = 200  # values that are looked for in all their encodings, which takes the longer the more there are
LEAST_LEARNT, LONGEST_LEARNT = 4, 500  # characters of a value
MOST_LEARNT = 10_000  # values that are looked for where nothing stands beside them
LINES_TOLD = 3
_TYPING = frozenset({"fill", "type"})
#: fields of events by which they find each other; they are stored nowhere
_LINKS = frozenset({"line", "node", "parent", "call", "reply"})


@dataclass
class Masked:
    """How often something of one kind was masked in one file, and the lines where it was first."""

    count: int = 0
    lines: list[int] = field(default_factory=list)


class Masker:
    """Masks texts and events, and counts what it masked by file and kind. Raises UserError without its rules."""

    def __init__(self, by: Iterable[Rule] | None = None) -> None:
        self._rules = tuple(rules() if by is None else by)
        self._names = Names()
        self._learnt: dict[str, str] = {}  # value: kind
        self._encoded = 0
        self.found: dict[str, dict[str, Masked]] = defaultdict(dict)  # file: {kind: ...}
        self._file, self._line = "", 0

    def begin(self, file: str) -> None:
        """What comes next is of this file, by its name without what is masked in it."""
        self._file, self._line = self.uncounted(file), 0

    def text(self, text: str) -> str:
        """The text with everything masked that a rule finds, or that was learnt before."""
        if len(text) < 4:
            return text
        parts, at = [], 0
        for each in find(text, self._rules):
            value = text[each.start : each.end]
            if value == MASK:
                continue
            parts += [text[at : each.start], MASK]
            at = each.end
            self._count(each.kind)
            if each.learn:
                self._learn(value, each.kind)
        masked = "".join([*parts, text[at:]]) if parts else text
        return self._without_learnt(masked)

    def uncounted(self, text: str) -> str:
        """As ``text``, for what is no part of a trace, such as its name."""
        file, self._file = self._file, ""
        masked = self.text(text)
        self.found.pop("", None)
        self._file = file
        return masked

    def value(self, value: Any, name: str = "") -> Any:
        """What JSON can represent, with every text in it masked, also where only its name says that it is a secret."""
        if isinstance(value, str):
            if name and is_value(value) and value != MASK and self._names.tell(name):
                self._count("password")
                if not value.isalpha() and len(value) >= 8:
                    self._learn(value, "password")
                return MASK
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(inner, str(key)) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner, name) for inner in value]
        return value

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events without what is masked in any of their texts."""
        for event in events:
            self._line = event.line
            yield self._event(event)

    def _event(self, event: Event) -> Event:
        changed: dict[str, Any] = {}
        for each in fields(event):
            if each.name in _LINKS:
                continue
            value = getattr(event, each.name)
            masked = self._record(value) if isinstance(value, Action | Observation) else self.value(value)
            if masked is not value and masked != value:
                changed[each.name] = masked
        return replace(event, **changed) if changed else event

    def _record(self, record: Action | Observation) -> Action | Observation:
        if isinstance(record, Action) and record.kind in _TYPING and self._names.tell(record.name):
            self._learn(record.value, "password")
        texts = {
            name: self.text(value)
            for name in ("text", "name", "value", "url", "title", "error")
            if isinstance(value := record.__dict__.get(name), str)
        }
        return record.model_copy(update=texts)

    def _count(self, kind: str) -> None:
        masked = self.found[self._file].setdefault(kind, Masked())
        masked.count += 1
        if self._line and self._line not in masked.lines and len(masked.lines) < LINES_TOLD:
            masked.lines.append(self._line)

    def _learn(self, value: str, kind: str) -> None:
        if (
            not LEAST_LEARNT <= len(value) <= LONGEST_LEARNT
            or value in self._learnt
            or len(self._learnt) >= MOST_LEARNT
        ):
            return
        self._learnt[value] = kind
        if not kind.startswith(PERSONAL) and self._encoded < MOST_ENCODED:
            self._encoded += 1
            secrets.learn(value)

    def _without_learnt(self, text: str) -> str:
        there = [value for value in self._learnt if value in text]
        if not there:
            return text
        longest_first = sorted(there, key=lambda value: (-len(value), value))
        pattern = r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"

        def masked(match: re.Match[str]) -> str:
            self._count(self._learnt[match[0]])
            return MASK

        return re.sub(pattern, masked, text)

    def totals(self) -> dict[str, int]:
        """{kind: how often} over all files, the most frequent first."""
        counts: Counter[str] = Counter()
        for kinds in self.found.values():
            for kind, masked in kinds.items():
                counts[kind] += masked.count
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
