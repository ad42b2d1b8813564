"""Where a new value belongs when nobody says what is there now: "the lathe stands in bay 7" + the table of machines.

A text has places for values: numbers, times, dates, names, cells. A new value goes to the place of its shape around
which the text says what the instruction says around the value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lbi.offline.contrast import Operand, operands, stands_in
from lbi.offline.layout import MARK, Table, is_heading, section, tables
from lbi.offline.lexical import STOP, contains_phrase, stem, words

SURE = 0.6  # for a name, which may stand in a text for many things
ENOUGH = 0.2  # how much the words around must have in common
BEYOND = 0.3  # weight of what belongs to another value
AHEAD = 1.15  # how much more than around any other place
_TOKEN = re.compile(r"\w+(?:[.,:-]\d+)*|;|[.!?](?=\s|$)")
_BOUNDS = frozenset(("and", "but", ";", ".", "!", "?"))
_IS = re.compile(r"\b(?:is|are|be|becomes?|as|to|in|at|by|reads?|says?|called)\s+(?:now |the |a |an )*$", re.I)
_PLAIN = re.compile(r"\b(?:is|are|be|becomes?|to)\s+(?:now )?([a-z][\w-]*)(?=[.,;!]|\s+(?:now|from)\b|$)")
_KEYED = re.compile(r"(?:^|(?<=\s))([^\W\d][^:|]{1,40}): +(\S.*)$")


@dataclass(frozen=True)
class Slot:
    start: int
    end: int
    shape: str
    around: Mapping[str, float]  # words near it, the nearer the heavier
    row: frozenset[str] = frozenset()  # words of what the row of a table is about
    column: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Exchange:
    start: int
    end: int
    new: str


def exchanges(said: str, text: str, done: Collection[str] = ()) -> list[Exchange]:
    """Places of the text, and what is to stand there; none where two places are as likely."""
    slots = _slots(said, text)
    # what stands near many values tells none of them apart
    common = Counter((slot.shape, word) for slot in slots for word, weight in slot.around.items() if weight > BEYOND)
    found: list[Exchange] = []
    shapes = Counter(slot.shape for slot in slots)
    for new in _news(said, text):
        if new.text in done:
            continue
        near, with_it = _around(said, new.start, new.end), _around(said, new.start, new.end, fading=0.05)
        scored = sorted(
            ((_worth(new, with_it if slot.row else near, slot, text, common), slot) for slot in slots),
            key=lambda item: -item[0],
        )
        scored = [(worth, slot) for worth, slot in scored if all(slot.start != other.start for other in found)]
        alone = [slot for _, slot in scored if slot.shape == new.shape and shapes[slot.shape] == 1]
        if alone and new.shape in ("date", "time"):
            scored = [(1.0, alone[0])]  # the only one there is
        if not scored or scored[0][0] < (SURE if scored[0][1].shape == "name" and not scored[0][1].row else ENOUGH):
            continue
        if len(scored) > 1 and scored[0][0] < AHEAD * scored[1][0]:
            continue
        found.append(Exchange(scored[0][1].start, scored[0][1].end, new.text))
    return found


def exchanged(text: str, found: Sequence[Exchange]) -> str:
    for one in sorted(found, key=lambda one: -one.start):
        text = text[: one.start] + one.new + text[one.end :]
    return text


def _news(said: str, text: str) -> list[Operand]:
    rows = [row for table in tables(text.split("\n")) for row in (table.head, *table.rows)]
    heads = {word for table in tables(text.split("\n")) for head in table.head.cells for word in words(head)}
    found = [
        o
        for o in operands(said)
        if o.shape != "name"
        or _IS.search(said[: o.start])
        or _subject(said, o)
        or (heads & set(words(said[: o.start])[-1:]) and said[: o.start].rstrip()[-1:] not in ".!?")
    ]
    plain = [
        Operand(m[1], "word", *m.span(1))
        for m in _PLAIN.finditer(said)
        if m[1] not in STOP and not any(o.start <= m.start(1) < o.end for o in found)
    ]
    cells = " ".join(cell for row in rows for cell in row.cells[1:])
    entries = " ".join(line[mark.end() :] for line in text.split("\n") if (mark := MARK.match(line)))
    plainly = "\n".join(MARK.sub("", line) for line in text.split("\n"))
    told = (cells, entries)
    return [o for o in [*found, *plain] if not stands_in(o.text, plainly) or any(stands_in(o.text, t) for t in told)]


def _subject(said: str, o: Operand) -> bool:
    """ "Judit is the new head": a name at the beginning that is something now."""
    return re.match(r"\s+(?:is|becomes|will be)\b", said[o.end :]) is not None


def _around(said: str, start: int, end: int, fading: float = 1.0) -> dict[str, float]:
    """Words before and after, the nearer the heavier; what stands beyond another value or an "and" counts little."""
    found: dict[str, float] = {}
    left, right = [m[0] for m in _TOKEN.finditer(said[:start])][::-1], _TOKEN.findall(said[end:])
    for side in (left, right):
        distance, beyond = 0, 1.0
        for token in side:
            if token.lower() in _BOUNDS or (token[:1].isdigit() and side is left):
                beyond *= BEYOND
            if token.lower() in STOP:
                continue
            for word in words(token) or (stem(token),):
                found[word] = max(found.get(word, 0.0), beyond / (1 + fading * distance))
            distance += 1
    return found


def _worth(
    new: Operand, near: Mapping[str, float], slot: Slot, text: str, common: Mapping[tuple[str, str], int]
) -> float:
    if not _same_shape(new, slot) or new.text == text[slot.start : slot.end]:
        return 0.0
    if slot.row and (not slot.around or _share(slot.row, near)):
        row = _share(slot.row, near)
        alike = set(words(text[slot.start : slot.end])) & set(words(new.text))
        column = max(_share(slot.column, near), 0.5 * bool(alike))  # "head of sales" after "sales clerk"
        if not row or (not column and not slot.around and slot.shape not in ("date", "number")):
            return 0.0
        return row + column if column else 0.5 * row
    if slot.shape == "word" and not stands_in(new.text, text):
        left = text[: slot.start].rstrip()
        lead = words(left[-40:])[-2:]
        return 1.0 if lead and all(near.get(word, 0) >= 0.3 for word in lead) else 0.0
    if stands_in(new.text, text):
        return 0.0
    return sum(weight * near.get(word, 0.0) / max(1, common[slot.shape, word]) for word, weight in slot.around.items())


def _share(names: frozenset[str], near: Mapping[str, float]) -> float:
    names = frozenset(word for word in names if len(word) > 1) or names
    return sum(near.get(word, 0.0) for word in names) / len(names) if names and names <= set(near) else 0.0


def _same_shape(new: Operand, slot: Slot) -> bool:
    if new.shape in ("quoted", "name"):
        return slot.shape == "name"
    return new.shape == slot.shape


def _slots(said: str, text: str) -> list[Slot]:
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Slot] = []
    taken: set[int] = set()
    named = set(words(said))
    for table in tables(lines):
        found += _cells(table, starts, said, named)
        taken |= {row.line for row in (table.head, *table.rows)}
    bounds = section(lines, named)
    for at, line in enumerate(lines):
        if at in taken or is_heading(line):
            continue
        inside = bounds is not None and bounds[0] <= at < bounds[1]
        found += [slot for slot in _in_line(line, starts[at], inside) if not _is_said(text, slot, said)]
    return found


def _is_said(text: str, slot: Slot, said: str) -> bool:
    """What the instruction itself says of the place is how it finds it, not what it wants changed."""
    return stands_in(text[slot.start : slot.end], said)


def _cells(table: Table, starts: Sequence[int], said: str, named: set[str]) -> list[Slot]:
    found = []
    heads = Counter(word for row in table.rows for word in set(words(row.cells[0])))
    for row in table.rows:
        if len(row.cells) != len(table.head.cells):
            continue
        for (start, end), cell, head in list(zip(row.spans, row.cells, table.head.cells, strict=True))[1:]:
            shape = _shape(cell)
            around = frozenset(words(row.cells[0])), frozenset(words(head))
            own = {word for word in around[0] & named if heads[word] == 1 and len(word) > 1}
            if contains_phrase(said, row.cells[0]) or own:
                around = frozenset(own) or around[0], around[1]
                found.append(Slot(starts[row.line] + start, starts[row.line] + end, shape, {}, *around))
    return found


def _shape(cell: str) -> str:
    marked = operands(cell)
    return marked[0].shape if marked and marked[0].text == cell else "name"


def _in_line(line: str, offset: int, inside: bool) -> list[Slot]:
    mark = MARK.match(line)
    first = mark.end() if mark else 0
    found = []
    for part in re.finditer(r"(?:[^.;]|[.](?=\S))+", line[first:]):
        at, said = first + part.start(), part[0]
        keyed = _KEYED.match(said.strip()) if not mark else None
        for o in operands(said):
            begins = not said[: o.start].strip() and not mark
            if o.shape == "name" and begins:
                continue
            shape = "name" if o.shape == "quoted" else o.shape
            around = _around(said, o.start, o.end)
            row, column = frozenset[str](), frozenset[str]()
            head = re.split(r"[,:;(–]", said)[0] if mark and part.start() == 0 else ""
            if head.strip() and o.start > len(head):
                row, column = frozenset(words(head)), frozenset(words(re.split(r"[,;]", said[: o.start])[-1]))
                if len(head) >= len(re.split(r"[;]", said[: o.start])[-1].rstrip()):
                    column = frozenset()
            if inside:
                around = {word: 1.1 * weight for word, weight in around.items()}
            found.append(Slot(offset + at + o.start, offset + at + o.end, shape, around, row, column))
        for match in re.finditer(r"\b(?:is|are)\s+([a-z][\w-]*)", said):
            found.append(Slot(offset + at + match.start(1), offset + at + match.end(1), "word", {}))
        if keyed and not operands(keyed[2]):
            start = line.rindex(keyed[2])
            found.append(
                Slot(offset + start, offset + start + len(keyed[2]), "name", _around(said, len(said), len(said)))
            )
    return found
