"""Trac wiki markup -> sections as text: words and code, without emphasis, link targets and macros."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbi.documents.sections import Block, DocumentPage, assemble, fenced

ENDINGS: tuple[str, ...] = (".trac", ".tracwiki")
CONTENT_TYPES: tuple[str, ...] = ("text/x-trac-wiki",)

_HEADING = re.compile(r"^[ \t]*(={1,6})[ \t]+(.*?)(?:[ \t]+=+)?(?:[ \t]+#[^\s]+)?[ \t]*$")
_CODE = re.compile(r"(`+)(.+?)\1|\{\{\{(.+?)\}\}\}")
_MACRO = re.compile(r"!?\[\[(?!br\b)([A-Z][A-Za-z]*\??|=[^\]|]*)(?:\([^\n]*?\))?\]\]")
_ANCHOR = re.compile(r"\[=#[^\s\]]+(?:[ \t]+([^\[\]\n]*))?\]")
_LABELLED = re.compile(r"\[\[(?:wiki:)?([^\[\]|\n]+)(?:\|([^\n]*?))?\]\]")
_LINK = re.compile(
    r"""(?<!!)\[(?:wiki:|attachment:|source:|search:)?"([^"\n]+)"(?:[ \t]+([^\[\]\n]+))?\]"""
    r"""|(?<!!)\[([A-Za-z][\w+.-]*:[^\s\[\]]+|[/#.][^\s\[\]]*|[A-Z][a-z]+[A-Z][^\s\[\]]*)(?:[ \t]+([^\[\]\n]+))?\]"""
)
_EMPHASIS = re.compile(
    r"'''''|'''|''|\*\*|~~|,,(?=\S)|(?<=\S),,|(?<![_\w])__(?=\S)|(?<=\S)__(?![_\w])|(?<![\w:/])//(?=[^\s/])|(?<=[^\s/:])//(?![\w/])"
)
_ESCAPED = re.compile(r"!(?=[A-Z][a-z]+[A-Z]|[\[#{@]|r\d|wiki:|\w+://)")
_ITEM = re.compile(r"^([ \t]+)(?:[*-]|(\d+|[a-zA-Z])[.)])[ \t]+(.*)$")
_TERM = re.compile(r"^[ \t]+(\S.*?)::(?:[ \t]+(.*))?$")
#: processors whose content is wiki text
_TRANSPARENT = ("div", "span", "td", "th", "tr", "table", "box", "rbox", "wiki")


def likelihood(text: str) -> float:
    sample = text[:20_000]
    headings = len(re.findall(r"^={1,6} \S.*? =+[ \t]*$", sample, re.MULTILINE))
    marks = len(re.findall(r"^\{\{\{|^\|\||\[\[[A-Z]\w+[(\]]|\[wiki:|'''", sample, re.MULTILINE))
    return min(0.95, 0.3 * min(headings, 2) + 0.2 * min(marks, 3))


def read(text: str) -> DocumentPage:
    sections = assemble(_blocks(text.split("\n")))
    title = next((section.headings[0] for section in sections if section.headings), "")
    return DocumentPage(sections, title)


def _blocks(lines: list[str], *, headed: bool = True) -> Iterator[Block]:
    """Blocks of wiki text. Without ``headed``, as in a cell or a box, headings do not structure the page."""
    paragraph: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        block = _block_of(line, headed)
        code = line.strip().startswith("{{{") and "}}}" not in line
        if block or code or not line.strip() or _ITEM.match(line) or _TERM.match(line):
            yield from _paragraph(paragraph)
            paragraph = []
        if code:
            end = _end_of_code(lines, at)
            yield from _processed(line.strip()[3:], lines[at:end])
            at = end + 1
        elif block:
            yield from (part for part in (block,) if part.text)
        elif line.strip():
            paragraph.append(line)
    yield from _paragraph(paragraph)


def _block_of(line: str, headed: bool) -> Block | None:
    """The block of a line that is one by itself, else None; an empty block is to be left out."""
    if heading := _HEADING.match(line):
        text = _plain(heading[2])
        return Block(text, level=len(heading[1]) if headed and text else 0)
    if re.match(r"\s*(?:-{4,}|\|-+)\s*$", line):
        return Block("")
    if line.lstrip().startswith("||"):
        cells = line.strip().removesuffix("\\").strip().strip("|").split("||")
        return Block(" | ".join(_plain(cell.strip().strip("=").strip()) for cell in cells), tight=True)
    return None


def _paragraph(lines: list[str]) -> Iterator[Block]:
    """A paragraph, a list item or a definition, with the lines that continue it."""
    if not lines:
        return
    words = [_plain(line) for line in lines]
    if item := _ITEM.match(lines[0]):
        indent = " " * 2 * max(0, (len(item[1].expandtabs()) - 1) // 2)
        text = " ".join(filter(None, [_plain(item[3]), *words[1:]]))
        yield Block(f"{indent}{f'{item[2]}.' if item[2] else '-'} {text}", tight=True)
    elif term := _TERM.match(lines[0]):
        yield Block(" ".join(filter(None, [f"{_plain(term[1])}:", _plain(term[2] or ""), *words[1:]])), tight=True)
    elif any(words):
        yield Block("\n".join(filter(None, words)))


def _end_of_code(lines: list[str], start: int) -> int:
    """Index of the line that closes the block opened before ``start``; blocks nest."""
    depth = 1
    for index in range(start, len(lines)):
        bare = lines[index].strip()
        depth += (bare.startswith("{{{") and "}}}" not in bare) - (bare == "}}}")
        if depth == 0:
            return index
    return len(lines)


def _processed(processor: str, lines: list[str]) -> Iterator[Block]:
    """The content of a ``{{{`` block: code, or wiki text; comments are left out."""
    if not processor and lines and lines[0].strip().startswith("#!"):
        processor, lines = lines[0].strip(), lines[1:]
    name = re.sub(r"\W.*", "", processor.removeprefix("#!"), flags=re.DOTALL).lower()
    if name in _TRANSPARENT:
        yield from _blocks(lines, headed=False)
    elif name not in ("comment", "htmlcomment") and any(line.strip() for line in lines):
        yield Block(fenced("\n".join(lines).strip("\n")))


def _plain(text: str) -> str:
    """A line without its markup. Code is set aside first, as what looks like markup in code is none."""
    codes: list[str] = []

    def aside(match: re.Match[str]) -> str:
        codes.append(f"`{match[2] or match[3]}`")
        return f"\0{len(codes) - 1}\0"

    text = _CODE.sub(aside, text)
    text = re.sub(r"\[\[br\]\]", " ", text, flags=re.IGNORECASE)
    text = _ANCHOR.sub(r"\1", text.replace("\\\\", " "))
    text = _LABELLED.sub(_label, _MACRO.sub("", text))
    text = _LINK.sub(lambda match: match[2] or match[1] or match[4] or re.sub(r"^wiki:", "", match[3]), text)
    text = _ESCAPED.sub("", _EMPHASIS.sub("", text))
    text = re.sub(r"\0(\d+)\0", lambda match: codes[int(match[1])], text)
    return " ".join(text.split())


def _label(match: re.Match[str]) -> str:
    return (match[2] or match[1]).strip()
