"""HTML -> sections of the main content as text, without navigation, scripts and hidden elements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lbi.documents.sections import Block, DocumentPage, assemble, fenced

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

ENDINGS: tuple[str, ...] = (".html", ".htm", ".xhtml")
CONTENT_TYPES: tuple[str, ...] = ("text/html", "application/xhtml+xml")

# fmt: off
_DROPPED = (
    "script", "style", "noscript", "template", "nav", "iframe", "object", "embed", "svg", "canvas", "audio", "video",
    "select", "textarea", "input",
)
# fmt: on
_AROUND = ("aside", "footer")  # belong to the site, except within the content, where an aside is a note
_DROPPED_ROLES = ("navigation", "banner", "contentinfo", "search", "complementary")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# fmt: off
_LINES = frozenset((
    "address", "article", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "form", "header", "hr", "html", "legend", "li", "main", "ol", "p", "pre",
    "section", "summary", "table", "tbody", "tfoot", "thead", "tr", "ul",
))
# fmt: on
_CELLS = ("td", "th")
#: classes of elements that number the lines of code, of anchors beside headings, and of a line of code
_NUMBERS = re.compile(r"\b(?:linenos?|line-?numbers?(?:-rows)?|hljs-ln-numbers?|gutter|lineno\w*|ln-num)\b", re.I)
_ANCHORS = re.compile(
    r"\b(?:headerlink|header-anchor|hash-link|anchor-link|heading-anchor|anchorjs-link|direct-link)\b"
)
_CODE_LINE = re.compile(r"\b(?:token-line|code-line|view-line|cl|line)\b")
_COPY = re.compile(r"\s*(?:copy\b.{0,40}|copied!?|toggle (?:word|line) wrap.{0,20})\s*", re.I | re.S)
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad]")
_DATES = (
    "article:modified_time",
    "last-modified",
    "dcterms.modified",
    "dc.date.modified",
    "article:published_time",
    "date",
)


def likelihood(text: str) -> float:
    opening = text[:2_000].lower()
    if re.match(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype html|html)\b", opening, re.DOTALL):
        return 1.0
    return 0.6 if re.search(r"<(?:body|head|div|p|h1|table)\b[^>]*>", opening) and opening.lstrip()[:1] == "<" else 0.0


def read(text: str) -> DocumentPage:
    from bs4 import BeautifulSoup
    from bs4.exceptions import ParserRejectedMarkup

    try:
        soup = BeautifulSoup(text, "html.parser")
    except ParserRejectedMarkup as error:
        raise ValueError(f"not readable as HTML: {error}") from None
    _drop(soup)
    main = _main(soup)
    return DocumentPage(assemble(_Walk().blocks(main)), _title(soup, main), _date(soup))


def _title(soup: BeautifulSoup, main: Tag) -> str:
    """The first heading, which has no site's name in it as titles often have; else the title."""
    heading = main.find("h1") or soup.find("title")
    return " ".join(_INVISIBLE.sub("", heading.get_text()).split()) if heading else ""


def _date(soup: BeautifulSoup) -> str:
    named = {str(tag.get("property") or tag.get("name")).lower(): str(tag.get("content") or "") for tag in soup("meta")}
    return next((named[name] for name in _DATES if named.get(name)), "")


def _drop(soup: BeautifulSoup) -> None:
    doomed = [tag for tag in soup.find_all(True) if _is_dropped(tag)]
    for tag in doomed:
        if not tag.decomposed:
            tag.decompose()


def _is_dropped(tag: Tag) -> bool:
    if tag.name in _AROUND and tag.find_parent(["main", "article"]) is None:
        return True
    if tag.name in _DROPPED or tag.get("role") in _DROPPED_ROLES:
        return True
    if _is_decoration(tag):
        return True
    hidden = tag.has_attr("hidden") or tag.get("aria-hidden") == "true"
    return hidden or bool(re.search(r"display\s*:\s*none|visibility\s*:\s*hidden", str(tag.get("style") or "")))


def _is_decoration(tag: Tag) -> bool:
    """What a site puts beside headings and code: anchors, numbers of lines, buttons that copy."""
    classes = _classes(tag)
    if _ANCHORS.search(classes) and len(_INVISIBLE.sub("", tag.get_text()).strip()) <= 2:
        return True
    if tag.name in ("span", "div", "td", "pre", "a", "th") and _NUMBERS.search(classes) and _only_numbers(tag):
        return True
    label = str(tag.get("aria-label") or tag.get("title") or "")
    return tag.name == "button" and bool(_COPY.fullmatch(tag.get_text()) or _COPY.fullmatch(label))


def _only_numbers(tag: Tag) -> bool:
    return not re.search(r"[^\d\s.:|]", tag.get_text())


def _classes(tag: Tag) -> str:
    given = tag.get("class") or ""
    return given if isinstance(given, str) else " ".join(given)


def _main(soup: BeautifulSoup) -> Tag:
    """The element that the page marks as its main content, else the body."""
    articles = soup.find_all("article")
    marked = [soup.find("main"), soup.find(True, attrs={"role": "main"}), articles[0] if len(articles) == 1 else None]
    filled = [tag for tag in marked if tag is not None and tag.get_text(strip=True)]
    return filled[0] if filled else soup.body or soup


class _Walk:
    """One pass over the elements. Without recursion, as pages may be nested to any depth."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._prefix = ""
        self._rows: list[bool] = []  # for each table around this element: whether it holds data, to be read by rows

    def blocks(self, root: Tag) -> Iterator[Block]:
        from bs4 import Tag
        from bs4.element import PreformattedString

        waiting: list[tuple[object, bool]] = [(root, False)]
        while waiting:
            node, leaving = waiting.pop()
            if not isinstance(node, Tag):
                if not isinstance(node, PreformattedString):  # comments, CDATA, doctypes
                    self._words.append(re.sub(r"\s+", " ", _INVISIBLE.sub("", str(node))))
            elif leaving:
                yield from self._leave(node)
            elif node.name in _HEADINGS or node.name == "pre" or _is_block_of_code(node):
                yield from self._flush()
                yield from _whole(node)
            else:
                yield from self._enter(node)
                waiting.append((node, True))
                waiting.extend((child, False) for child in reversed(node.contents))
        yield from self._flush()

    def _enter(self, tag: Tag) -> Iterator[Block]:
        if tag.name == "br":
            self._words.append("\n")
        elif tag.name == "img":
            self._words.append(f" {tag.get('alt') or ''} ")
        elif tag.name in _CELLS and self._in_row:
            self._words.append(" | " if "".join(self._words).strip() else "")
        elif tag.name in _LINES or tag.name in _CELLS:
            yield from self._break(tag)
        if tag.name == "table":
            self._rows.append(tag.find([*_HEADINGS, "table", "p", "ul", "ol", "pre"]) is None)
        if tag.name == "li":
            self._prefix = "- "

    def _leave(self, tag: Tag) -> Iterator[Block]:
        if tag.name in _LINES or (tag.name in _CELLS and not self._in_row):
            yield from self._break(tag)
        if tag.name == "table":
            self._rows.pop()
        if tag.name == "li":
            self._prefix = ""

    @property
    def _in_row(self) -> bool:
        return bool(self._rows) and self._rows[-1]

    def _break(self, tag: Tag) -> Iterator[Block]:
        if self._in_row and tag.name not in ("tr", "table", "caption"):
            self._words.append(" ")
        else:
            yield from self._flush()

    def _flush(self) -> Iterator[Block]:
        lines = (" ".join(line.split()) for line in "".join(self._words).split("\n"))
        text = "\n".join(line for line in lines if line)
        self._words = []
        if text:
            yield Block(self._prefix + text, tight=bool(self._prefix) or self._in_row)
            self._prefix = ""


def _whole(tag: Tag) -> Iterator[Block]:
    """A heading, or preformatted text as a fenced block."""
    if tag.name in _HEADINGS:
        heading = " ".join(_INVISIBLE.sub("", tag.get_text()).split())
        if heading:
            yield Block(heading, level=_HEADINGS[tag.name])
        return
    code = _code(tag).strip("\n")
    if code.strip():
        yield Block(fenced(code))


def _is_block_of_code(tag: Tag) -> bool:
    """Code of several lines that is not preformatted."""
    return tag.name == "code" and tag.find(["br", "div", "p", "li"]) is not None


def _code(root: Tag) -> str:
    """The text of code, of which a ``br`` and an element for each line end lines as line ends do."""
    from bs4 import Tag
    from bs4.element import PreformattedString

    lines = _CodeLines()
    waiting: list[tuple[object, bool]] = [(child, False) for child in reversed(root.contents)]
    while waiting:
        node, leaving = waiting.pop()
        if not isinstance(node, Tag):
            if not isinstance(node, PreformattedString):
                lines.write(_INVISIBLE.sub("", str(node)).replace("\xa0", " "))
        elif node.name == "br":
            lines.write("\n")
        elif leaving:
            lines.end_block(blank=not node.contents)
        else:
            if node.name in _LINES or _CODE_LINE.search(_classes(node)):
                lines.begin_block()
                waiting.append((node, True))
            waiting.extend((child, False) for child in reversed(node.contents))
    return "".join(lines.parts)


class _CodeLines:
    """Lines of code as they are written. The end of a block is a line end, unless one is written there anyway."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._owed = False

    def write(self, text: str) -> None:
        if text:
            self._pay(unless=text.startswith("\n"))
            self.parts.append(text)

    def begin_block(self) -> None:
        self._pay()
        if self.parts and not self.parts[-1].endswith("\n"):
            self.parts.append("\n")

    def end_block(self, *, blank: bool) -> None:
        self._owed = blank or bool(self.parts and not self.parts[-1].endswith("\n"))

    def _pay(self, *, unless: bool = False) -> None:
        if self._owed and not unless:
            self.parts.append("\n")
        self._owed = False
