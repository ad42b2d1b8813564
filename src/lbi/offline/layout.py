"""How a text is laid out: its sections, lists, sentences and tables, in the markups that people write by hand."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lbi.offline.lexical import words

MARK = re.compile(r"(\s*)([*+-]|(\d+)([.)])) +")
HEADING = re.compile(r"\s*(=+|#+) *(.*?) *=*\s*")
#: a stop ends a sentence, but not after a title or an initial
SENTENCE = re.compile(r"(?<=[.!?])(?<!\bMr\.)(?<!\bMs\.)(?<!\bDr\.)(?<!\bMrs\.)(?<!\bNo\.)(?<!\bSt\.)\s+(?=\S)")
_RULE = re.compile(r"[\s|:+=-]+")  # the line between the head of a table and its body
_OPEN, _BETWEEN, _CLOSE = "{|", "|-", "|}"


@dataclass(frozen=True)
class Row:
    line: int
    spans: tuple[tuple[int, int], ...]  # where its cells stand in the line, without blanks and marks
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    head: Row
    rows: tuple[Row, ...]  # without the head
    fenced: bool  # whether a line stands between two rows


def is_heading(line: str) -> bool:
    match = HEADING.fullmatch(line)
    return match is not None and bool(match[2])


def section(lines: Sequence[str], said: Collection[str]) -> tuple[int, int] | None:
    """First line and end of the section whose heading is said word by word; the title of all is none."""
    found = []
    for at, line in enumerate(lines):
        heading = HEADING.fullmatch(line)
        own = set(words(heading[2])) if heading and heading[2] else set()
        if at and own and own <= set(said):
            deep = len(heading[1]) if heading else 0
            found.append((len(own), at, deep))
    if not found:
        return None
    _, start, deep = max(found, key=lambda item: (item[0], item[1]))
    for at in range(start + 1, len(lines)):
        heading = HEADING.fullmatch(lines[at])
        if heading and heading[2] and len(heading[1]) <= deep:
            return start, at
    return start, len(lines)


def tables(lines: Sequence[str]) -> list[Table]:
    found: list[Table] = []
    block: list[Row] = []
    fenced = False
    for at, line in enumerate([*lines, ""]):
        bare = line.strip()
        if bare.startswith((_OPEN, _BETWEEN)) and not _RULE.fullmatch(bare[2:] + " |" if "||" in bare else bare):
            fenced = True
            continue
        if bare == _BETWEEN:
            fenced = True
            continue
        if len(bare) > 1 and bare[0] in "|!" and not bare.startswith(_CLOSE):
            if not _RULE.fullmatch(bare) and (row := _row(at, line)):
                block.append(row)
            continue
        if len(block) > 1:
            found.append(Table(block[0], tuple(block[1:]), fenced))
        block, fenced = [], False
    return found


def _row(at: int, line: str) -> Row | None:
    spans = []
    for match in re.finditer(r"[^|!]+", line):
        # the marks of a cell that is a head: "= Name =", "'''Name'''", "**Name**"
        bare = match[0].strip(" =*'")
        if bare:
            start = match.start() + match[0].index(bare)
            spans.append((start, start + len(bare)))
    cells = tuple(line[start:end] for start, end in spans)
    return Row(at, tuple(spans), cells) if cells else None


def written_like(row: Row, line: str, cells: Sequence[str]) -> str:
    """A line of a table with other cells."""
    for (start, end), cell in reversed(list(zip(row.spans, cells, strict=True))):
        line = line[:start] + cell + line[end:]
    return line


def renumbered(lines: list[str], at: int) -> None:
    """Numbers of a list from the line on as they follow one another."""
    before = MARK.match(lines[at - 1]) if at else None
    first = MARK.match(lines[at]) if at < len(lines) else None
    number = int(before[3]) + 1 if before and before[3] else 1 if first and first[3] else 0
    while number and at < len(lines) and (mark := MARK.match(lines[at])) and mark[3]:
        lines[at] = f"{mark[1]}{number}{mark[4]} {lines[at][mark.end() :]}"
        number, at = number + 1, at + 1
