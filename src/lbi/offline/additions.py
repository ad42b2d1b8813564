"""New lines, entries, sentences and rows of a text, written as those beside them are."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from lbi.offline.contrast import Operand, operands, stands_in
from lbi.offline.layout import MARK, SENTENCE, Table, is_heading, renumbered, section, tables, written_like
from lbi.offline.lexical import contains_phrase, labels, words
from lbi.offline.passages import passage, scope

CELLS = 6  # columns of a table that is added to
_REST = re.compile(r":\s+(\S[^:]*(?::[^:]*)*?)\s*$")
_BEHIND = re.compile(r"\b(?:(?:right |directly |just )?(?:after|behind|below|under|beneath|following))\b", re.I)
_AHEAD = re.compile(r"\b(?:(?:right |directly |just )?(?:before|above|ahead of|in front of))\b", re.I)
_FIRST = re.compile(
    r"\b(?:top|(?:at|to) the (?:very )?(?:beginning|start|head)"
    r"|(?:as |be |the )+(?:very )?first|first (?:line|item|entry|on|in|of))\b",
    re.I,
)
_LAST = re.compile(r"\b(?:end|bottom|last (?:line|sentence)|append)\b", re.I)
_PRONOUN = re.compile(r"\b(?:them|there|it|those|these)\b", re.I)
_CALENDAR = {
    "weekday": frozenset(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]),
    "month": frozenset(
        [
            "january",
            "february",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
        ]
    ),
}
_COMMENT = frozenset(("comment", "reason"))
_PROSE = re.compile(r"\b(?:sentence)\b", re.I)
_APART = re.compile(r"\b(?:paragraph|section)\b", re.I)
_LISTED = re.compile(r"\b(?:list|bullet|item|point|step|entry|entries|rule)s?\b", re.I)


def put_in(said: str, text: str, whole: str) -> str | None:
    """The text with what is to be added to it; None if nothing is, or the place is not clear."""
    if (row := _row_added(said, text)) is not None:
        return row
    added = _added(said, text)
    if not added or _about_row(said, text):
        return None
    lines = text.rstrip().split("\n")
    if len(scope(said, lines)) == len(lines) and _PRONOUN.search(said):
        said = f"{said} {whole}"  # "... and add it to them": what they are stands elsewhere
    tail = "\n" * text.endswith("\n")
    beside = _beside(said, lines, added)
    if beside is not None:
        at, after, sentence = beside
        if sentence is not None:
            parts = SENTENCE.split(lines[at])
            parts[sentence + after : sentence + after] = added
            lines[at] = " ".join(parts)
            return "\n".join(lines) + tail
        lines[at + after : at + after] = _in_kind(said, lines[at], added)
        renumbered(lines, at + after + 1 if after else at)
        if not after:
            renumbered(lines, at + 1)
        return "\n".join(lines) + tail
    within = _entries(said, lines)
    if _FIRST.search(said):
        if not within:
            return "\n".join([*added, *lines]) + tail
        lines[within[0] : within[0]] = _in_kind(said, lines[within[0]], added)
        renumbered(lines, within[0])
        return "\n".join(lines) + tail
    at = within[-1] + 1 if within else _end(said, lines)
    last = lines[at - 1] if at else ""
    if (
        _PROSE.search(said)
        and last.strip()
        and not MARK.match(last)
        and not is_heading(last)
        and last.strip()[0] != "|"
    ):
        lines[at - 1] = " ".join([last.rstrip(), *added])
    else:
        plain = re.search(r"\bline\b", said, re.I) is not None and not within and not MARK.match(added[0])
        lines[at:at] = added if plain and not _named(said, lines) else _in_kind(said, last, added)
    return "\n".join(lines) + tail


def _named(said: str, lines: Sequence[str]) -> bool:
    return section(lines, set(words(said))) is not None


def _added(said: str, text: str) -> list[str]:
    """What is quoted or stands after a colon, and is not there yet; what is said of a comment is none of it."""
    rest = _REST.search(said)
    if rest and not re.search(r"[\"“]", said):
        return [rest[1]]
    found = []
    for o in operands(said):
        near = {*labels(said[: o.start])[-3:], *labels(said[o.end :])[:2]}
        if o.shape == "quoted" and not stands_in(o.text, text) and not near & _COMMENT:
            found.append(o.text)
    return found


def _beside(said: str, lines: Sequence[str], added: Sequence[str]) -> tuple[int, int, int | None] | None:
    """The line that is to be before (1) or behind (0) what is added, and which sentence of it."""
    for pattern, after in ((_BEHIND, 1), (_AHEAD, 0)):
        for match in reversed(list(pattern.finditer(said))):
            rest = re.split(r"[,:;](?:\s|$)", _masked(said[match.end() :], added))[0]
            if not operands(rest) and not words(rest):
                continue
            if re.match(r"\s*(?:the )?(?:other|rest|existing)\b", rest):
                continue
            at = passage(rest, lines) if operands(rest) or _speaks_of(rest) else None
            if at is None:
                continue
            parts = SENTENCE.split(lines[at])
            if len(parts) > 1 and not MARK.match(lines[at]):
                sentence = passage(rest, parts)
                return (at, after, sentence) if sentence is not None else None
            return at, after, None
    return None


def _masked(said: str, added: Sequence[str]) -> str:
    for text in added:
        said = re.sub(rf"[\"“]{re.escape(text)}[\"”]", ": ", said)
    return said


def _speaks_of(rest: str) -> bool:
    return (
        re.match(
            r"\s*(?:the |that |this )?(?:\w+ )?(?:sentence|line|bullet|item|entry|point|row|step|rule|one)\b",
            rest,
            re.I,
        )
        is not None
    )


def _entries(said: str, lines: Sequence[str]) -> list[int]:
    """The entries of the list that is meant: of the section that is named, or else of the last list of all."""
    within = scope(said, lines)
    marks = [(at, match) for at in within if (match := MARK.match(lines[at]))]
    if len(within) == len(lines) and not _LISTED.search(said):
        return []
    bullets = [at for at, match in marks if not match[3]] if re.search(r"\bbullet", said, re.I) else []
    return bullets or [at for at, _ in marks]


def _end(said: str, lines: Sequence[str]) -> int:
    """After the last line of the section that is named; of all, otherwise."""
    within = scope(said, lines)
    end = within.stop
    while end > within.start + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def _in_kind(said: str, last: str, added: Sequence[str]) -> list[str]:
    """New lines like the one beside: after a bullet bullets."""
    mark = MARK.match(last)
    if _APART.search(said) or (_PROSE.search(said) and mark):
        return ["", *added]
    if mark is None:
        wants = re.search(r"\bbullets?\b", said, re.I)
        return [f" * {line}" for line in added] if wants else list(added)
    added = [MARK.sub("", line, count=1) if MARK.match(line) else line for line in added]
    if mark[3]:
        return [f"{mark[1]}{int(mark[3]) + n}{mark[4]} {line}" for n, line in enumerate(added, start=1)]
    return [f"{mark[1]}{mark[2]} {line}" for line in added]


# rows


def _row_added(said: str, text: str) -> str | None:
    lines = text.split("\n")
    for table in tables(lines):
        if len(table.head.cells) > CELLS or not table.rows or not _of_table(said, table, lines):
            continue
        cells = _new_cells(said, table)
        if cells is None or any(contains_phrase(cells[0], row.cells[0]) for row in table.rows):
            continue
        last = table.rows[-1]
        if len(last.cells) != len(cells):
            continue
        new = written_like(last, lines[last.line], cells)
        at = last.line + 1
        lines[at:at] = ["|-", new] if table.fenced else [new]
        return "\n".join(lines)
    return None


def _about_row(said: str, text: str) -> bool:
    """Whether it speaks of a table and of something that has a row there: then that row is to change."""
    rows = [row for table in tables(text.split("\n")) for row in table.rows]
    spoken = re.search(r"\b(?:table|row|column|cell)\b", said, re.I) is not None
    return spoken and any(contains_phrase(said, row.cells[0]) for row in rows)


def _of_table(said: str, table: Table, lines: Sequence[str]) -> bool:
    """Whether it speaks of a row or table, or says what at least two of its columns are called."""
    spoken = set(words(said))
    heads = sum(bool(words(head)) and set(words(head)) <= spoken for head in table.head.cells)
    within = scope(said, lines)
    if len(within) < len(lines) and table.head.line not in within:
        return False
    return heads > 1 or (re.search(r"\b(?:row|table)\b", said, re.I) is not None and heads > 0)


def _new_cells(said: str, table: Table) -> list[str] | None:
    """One value for each column, the assignment that fits best; the rest stays empty, but what it is about does not."""
    values = _candidates(said, table)
    heads = table.head.cells
    best: tuple[float, tuple[Operand | None, ...]] = (0.0, ())
    pool: list[Operand | None] = [*values[:7], *[None] * (len(heads) - 1)]
    for chosen in set(itertools.permutations(pool, len(heads))) if len(heads) <= 4 else ():
        if chosen[0] is None:
            continue
        worth = sum(_suits(said, value, table, column) for column, value in enumerate(chosen) if value is not None)
        order = [value.start for value in chosen if value is not None]
        worth += 0.05 * (order == sorted(order))
        if worth > best[0]:
            best = worth, chosen
    if not best[1] or sum(value is not None for value in best[1]) < 2:
        return None
    return [_as_others(value.text, table, column) if value else "" for column, value in enumerate(best[1])]


def _as_others(cell: str, table: Table, column: int) -> str:
    """In small letters if all others are: accounts."""
    others = [row.cells[column] for row in table.rows if len(row.cells) > column]
    return cell.lower() if all(other.islower() for other in others) else cell


def _candidates(said: str, table: Table) -> list[Operand]:
    found = []
    heads = {word for head in table.head.cells for word in words(head)}
    for o in operands(said):
        begins = o.shape == "name" and (not said[: o.start].strip() or said[: o.start].rstrip()[-1:] in ".!?")
        if (begins and not re.match(r" (?:is|has|was|will)\b", said[o.end :])) or (
            set(words(o.text)) <= heads and o.shape == "name"
        ):
            continue
        found.append(o)
    # an account at the beginning: "amara is on call"
    if first := re.match(r"([a-z][\w.-]*) (?=is|has|was|will)", said):
        found.insert(0, Operand(first[1], "name", 0, first.end(1)))
    return found


def _suits(said: str, value: Operand, table: Table, column: int) -> float:
    head = set(words(table.head.cells[column]))
    before, after = words(said[: value.start])[-2:], words(said[value.end :])[:2]
    near = max([1.0 - 0.4 * n for n, word in enumerate(reversed(before)) if word in head], default=0.0)
    near = max([near, *(0.9 - 0.4 * n for n, word in enumerate(after) if word in head)])
    shapes = [_shape(row.cells[column]) for row in table.rows if len(row.cells) > column]
    own = "name" if value.shape == "quoted" and _shape(value.text) == "name" else _shape(value.text)
    return near + (0.8 if own in shapes else -1.5)


def _shape(cell: str) -> str:
    for shape, names in _CALENDAR.items():
        if cell.lower() in names:
            return shape
    marked = operands(cell)
    return marked[0].shape if marked and marked[0].text == cell and marked[0].shape != "quoted" else "name"
