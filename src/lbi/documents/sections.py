"""A page of a document -> sections of a useful size: Section(headings=("Guide", "Install"), text="## Install\\n...").

Sections are contiguous: joined together they are the page again, so nothing is lost or repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LONGEST = 6_000  # characters of a section
SHORTEST = 80

_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Section:
    """Text from one heading to the next, and the path of headings down to it."""

    headings: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """One file or web page as its reader understood it; title and date are "" if it has none."""

    sections: tuple[Section, ...]
    title: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or a heading if ``level`` > 0. Two tight ones (list items, rows) have no blank line between them."""

    text: str
    level: int = 0
    tight: bool = False


def assemble(blocks: Iterable[Block]) -> tuple[Section, ...]:
    """The blocks of a page as sections; headings are written as in Markdown."""
    parts: list[tuple[int, str, list[str]]] = []
    tight = False
    for block in blocks:
        if block.level or not parts:
            parts.append((block.level, block.text if block.level else "", []))
        texts = parts[-1][2]
        if texts and tight and block.tight:
            texts[-1] = texts[-1].removesuffix("\n")
        texts.append(f"{'#' * block.level} {block.text}\n\n" if block.level else f"{block.text}\n\n")
        tight = block.tight
    return outline((level, heading, "".join(texts)) for level, heading, texts in parts)


def fenced(code: str) -> str:
    """Code as a fenced block, with a fence longer than any in the code, so that nothing in it can end the block."""
    inside = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (inside + 1)
    return f"{fence}\n{code}\n{fence}"


def outline(parts: Iterable[tuple[int, str, str]]) -> tuple[Section, ...]:
    """Give each (level, heading, text) the path of the headings above it; level 0 is text before any heading."""
    path: list[tuple[int, str]] = []
    sections = []
    for level, heading, text in parts:
        path = [heading_above for heading_above in path if heading_above[0] < level]
        if level:
            path.append((level, heading))
        sections.append(Section(tuple(name for _, name in path), text))
    return tuple(sections)


def fit(sections: Sequence[Section], longest: int = LONGEST, shortest: int = SHORTEST) -> tuple[Section, ...]:
    """Join sections that are too short to a neighbour, and split those that are too long, if possible at paragraphs."""
    return tuple(
        Section(section.headings, piece)
        for section in _joined(sections, longest, shortest)
        for piece in split(section.text, longest, shortest)
    )


def trimmed(text: str) -> str:
    """The text without blank lines around it; the indentation of its first line has a meaning and stays."""
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", text).rstrip()


def split(text: str, longest: int = LONGEST, shortest: int = SHORTEST) -> list[str]:
    """Pieces of at most ``longest`` characters, cut between paragraphs if possible.

    A last piece of fewer than ``shortest`` characters stays with the piece before it.
    """
    pieces: list[str] = []
    current = ""
    for part in _cuttable(text, longest):
        if current.strip() and len(current) + len(part.rstrip()) > longest:
            pieces.append(current)
            current = ""
        current += part
    if pieces and len(current.strip()) < shortest and len((pieces[-1] + current).strip()) <= longest + shortest:
        pieces[-1] += current
        return pieces
    return [*pieces, current]


def _cuttable(text: str, longest: int) -> Iterator[str]:
    for paragraph in _paragraphs(text):
        start, end = 0, len(paragraph.rstrip())
        while end - start > longest:
            at = _cut(paragraph, start, longest)
            yield paragraph[start:at]
            start = at
        yield paragraph[start:]


def _cut(text: str, start: int, longest: int) -> int:
    """Where to cut a paragraph that is too long: after a line, else after a sentence, else after a word."""
    for mark in ("\n", ". ", " "):
        at = text.rfind(mark, start + 1, start + longest)
        if at > 0:
            return at + len(mark)
    return start + longest


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs with the blank lines after them; a fenced code block is never taken apart."""
    current, blank, fence = "", False, ""
    for line in _lines(text):
        if blank and line.strip() and not fence and current.strip():
            yield current
            current = ""
        fence = _fence_after(line, fence)
        current += line
        blank = not line.strip()
    yield current


def _lines(text: str) -> list[str]:
    """Lines with their newline; only ``\\n`` ends a line (str.splitlines knows ten more characters)."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open after this line; "" if none is."""
    match = _FENCE.match(line)
    if not match:
        return fence
    if not fence:
        return match[1]
    return "" if match[1].startswith(fence) else fence


def _joined(sections: Sequence[Section], longest: int, shortest: int) -> list[Section]:
    joined: list[Section] = []
    carried: Section | None = None
    for index, section in enumerate(sections):
        current = section if carried is None else _join(carried, section)
        carried = None
        following = sections[index + 1] if index + 1 < len(sections) else None
        if len(current.text.strip()) >= shortest:
            joined.append(current)
        elif following and _goes_forward(section, joined[-1] if joined else None, following):
            carried = current
        elif joined and len(joined[-1].text) < longest:
            joined[-1] = _join(joined[-1], current)
        else:
            joined.append(current)
    return joined


def _goes_forward(short: Section, before: Section | None, after: Section) -> bool:
    """Whether to join a short section to the one after it: a chapter's bare heading goes to its first section.

    The last words of a chapter stay with that chapter.
    """
    if after.headings[: len(short.headings)] == short.headings or before is None:
        return True
    parent = short.headings[:-1]
    return before.headings[: len(parent)] != parent


def _join(first: Section, second: Section) -> Section:
    """Both as one section, with the headings of the longer one."""
    named = first if len(first.text.strip()) > len(second.text.strip()) else second
    return Section(named.headings, first.text + second.text)
