"""Markdown -> sections, which are verbatim parts of the file; front matter (YAML or TOML) gives title and date."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lbi.documents.sections import DocumentPage, outline
from lbi.storage.toml import TomlError, parse_toml

if TYPE_CHECKING:
    from markdown_it.token import Token

ENDINGS: tuple[str, ...] = (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd")
CONTENT_TYPES: tuple[str, ...] = ("text/markdown", "text/x-markdown")

_YAML = re.compile(r"\A---[ \t]*\n((?:[^\n]*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)")
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(.*?)^\+\+\+[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KEY = re.compile(r"^([A-Za-z_][\w-]*)[ \t]*:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_DATES = ("last_updated", "last_modified", "lastmod", "updated", "modified", "date", "published")


def likelihood(text: str) -> float:
    marks = len(re.findall(r"^(?:#{1,6} \S|```|~~~)|\]\((?:https?:|\.|/|#)[^)\s]*\)", text[:20_000], re.MULTILINE))
    return min(0.9, 0.3 * marks)


def read(text: str) -> DocumentPage:
    metadata, body = _front_matter(text)
    lines = re.findall(r"[^\n]*\n|[^\n]+", body)
    headings = _headings(body)
    starts = [0, *(line for line, _, _ in headings), len(lines)]
    parts = [(0, "")] + [(level, heading) for _, level, heading in headings]
    sections = outline(
        (level, heading, "".join(lines[start:end]))
        for (level, heading), start, end in zip(parts, starts[:-1], starts[1:], strict=True)
        if end > start
    )
    first = next((heading for _, level, heading in headings if level == 1), "")
    date = next((metadata[key] for key in _DATES if metadata.get(key)), "")
    return DocumentPage(sections, metadata.get("title", "") or first, date)


def _headings(body: str) -> list[tuple[int, int, str]]:
    """(line, level, heading) of the headings that structure the page, without those in quotes and lists."""
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").parse(body)
    return [
        (token.map[0], int(token.tag[1:]), _plain(tokens[index + 1]))
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def _plain(inline: Token) -> str:
    """The words of a heading without its emphasis, links and images."""
    breaks = ("softbreak", "hardbreak")
    words = (" " if child.type in breaks else child.content for child in inline.children or ())
    return " ".join("".join(words).split())


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """(values of the front matter, the text after it). Of YAML only plain ``key: value`` lines are understood."""
    if match := _TOML.match(text):
        try:
            metadata = {key: str(value) for key, value in parse_toml(match[1]).items()}
        except TomlError:
            return {}, text
        return metadata, text[match.end() :]
    match = _YAML.match(text)
    pairs = _KEY.findall(match[1]) if match else []
    if not match or not pairs:
        return {}, text
    return {key.lower().replace("-", "_"): value.strip("\"'") for key, value in pairs}, text[match.end() :]
