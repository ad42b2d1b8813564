"""Which passage of a text an instruction speaks of: a section, a line, a sentence, a row; by its words or quoted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

from lbi.offline.contrast import operands, stands_in
from lbi.offline.layout import HEADING, MARK, SENTENCE, is_heading, renumbered, section, tables
from lbi.offline.lexical import contains_phrase, words

AHEAD = 1.05  # how much better than any other line
_ABOUT = re.compile(
    r"\b(?:about|on|with|mention(?:s|ing)?|concerning|regarding|for|where|of) (?:the |a |an )?(\w+)", re.I
)
#: words for passages say what a passage is, not which
PIECES = r"sentence|line|bullet|item|entry|paragraph|point|row|section|heading|step|remark|word|passage|note|rule"
_GENERIC = frozenset(words(re.sub(r"\|", " ", PIECES) + " page text list table end bottom top beginning whole"))


def title_words(lines: Sequence[str]) -> frozenset[str]:
    """Words of the title above everything, which tell nothing of any part."""
    heading = HEADING.fullmatch(lines[0]) if lines else None
    return frozenset(words(heading[2])) if heading else frozenset()


def passage(said: str, lines: Sequence[str], within: Collection[int] = ()) -> int | None:
    """The line that is meant: with a quoted text, or with most of the rare words that are said; of two alike none."""
    heads = {table.head.line for table in tables(lines)}
    body = [at for at in (within or range(len(lines))) if lines[at].strip() and not is_heading(lines[at])]
    body = [at for at in body if at not in heads]
    body = [at for at in body if _is_piece(said, lines[at])] or body
    for o in operands(said):
        if o.shape == "quoted":
            having = [at for at in body if stands_in(o.text, lines[at])]
            if len(having) == 1:
                return having[0]
    own = {at: set(words(lines[at])) for at in body}
    times = Counter(word for said_ in own.values() for word in said_)
    names = {word for o in operands(said) if o.shape != "quoted" for word in words(o.text)}
    names |= {word for match in _ABOUT.finditer(said) for word in words(match[1])}
    wanted = (set(words(said)) | names) - _GENERIC - title_words(lines)
    wanted |= {word for o in operands(said) if o.shape == "quoted" for word in words(o.text)}
    scored = []
    rows = {row.line: row.cells[0] for table in tables(lines) for row in table.rows}
    called = [at for at in body if _is_called(rows.get(at) or _entry(lines[at]), said)]
    if len(called) == 1:
        return called[0]
    for at in called or body:
        shared = own[at] & wanted
        if shared and (len(shared) > 1 or shared & names):
            scored.append((sum((1.5 if word in names else 1.0) / times[word] for word in shared), at))
    scored.sort(key=lambda item: -item[0])
    if not scored or (len(scored) > 1 and scored[0][0] < AHEAD * scored[1][0]):
        return None
    return scored[0][1]


def _is_piece(said: str, line: str) -> bool:
    """Whether a line is of the kind that is spoken of: a sentence is no entry of a list or table, a bullet is one."""
    marked, row = MARK.match(line) is not None, line.lstrip()[:1] in ("|", "!")
    if re.search(r"\bsentence\b", said, re.I):
        return not marked and not row
    if re.search(r"\brow\b", said, re.I):
        return row
    return marked or re.search(r"\b(?:bullet|list item)\b", said, re.I) is None


def _entry(line: str) -> str:
    """What an entry of a list is called: "Irma Blum, phone 4411" -> "Irma Blum"; what stands in no list is no entry."""
    mark = MARK.match(line)
    return re.split(r"[,:;(–]|\s-\s", line[mark.end() :])[0].strip() if mark else ""


def _is_called(name: str, said: str) -> bool:
    return bool(name) and contains_phrase(said, name) and not set(words(name)) <= _GENERIC


def scope(said: str, lines: Sequence[str]) -> range:
    """The lines of the section that is named; all, if none is."""
    bounds = section(lines, set(words(said)))
    return range(bounds[0] + 1, bounds[1]) if bounds else range(len(lines))


def taken_out(said: str, text: str) -> str | None:
    """The text without what the instruction says is to go."""
    lines = text.split("\n")
    if re.search(r"\b(?:section|chapter|part)\b", said, re.I) and (bounds := section(lines, set(words(said)))):
        return "\n".join([*lines[: bounds[0]], *lines[bounds[1] :]])
    quoted = [o.text for o in operands(said) if o.shape == "quoted" and stands_in(o.text, text)]
    whole = re.search(rf"\b(?:{PIECES})s?\b(?<!word)", said, re.I) is not None
    for value in quoted:
        where = [at for at, line in enumerate(lines) if stands_in(value, line)]
        if len(where) == 1 and not whole and not _leads(value, lines[where[0]]):
            return _without_words(text, value)
    within = scope(said, lines)
    at = passage(said, lines, [at for at in within if lines[at].strip()])
    if at is None and len(within) < len(lines):
        at = passage(said, lines)
    if at is None:
        return None
    parts = SENTENCE.split(lines[at])
    rows = {row.line: table for table in tables(lines) for row in table.rows}
    if len(parts) > 1 and not MARK.match(lines[at]) and at not in rows:
        gone = passage(said, parts)
        if gone is None:
            return None
        lines[at] = " ".join(part for n, part in enumerate(parts) if n != gone)
        return "\n".join(lines)
    if at in rows and rows[at].fenced and at and lines[at - 1].strip() == "|-":
        del lines[at - 1 : at + 1]
        return "\n".join(lines)
    del lines[at]
    if at < len(lines):
        renumbered(lines, at)
    return "\n".join(lines)


def _leads(value: str, line: str) -> bool:
    """Whether an entry of a list or table begins with it: then the entry is meant."""
    bare = line.lstrip(" |!*-+0123456789.)")
    entry = MARK.match(line) is not None or line.lstrip()[:1] in "|!"
    return (entry and bare.startswith(value)) or bare.strip() == value


def _without_words(text: str, value: str) -> str:
    gone = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "\0", text, count=1)
    if "\0\n" in gone or gone.endswith("\0"):
        return re.sub(r" ?\0", "", gone)
    return (
        re.sub(r"\0 ?", "", gone)
        if re.search(r"(?:^|\s)\0", gone) and "\0," not in gone and "\0." not in gone
        else re.sub(r" ?\0", "", gone)
    )
