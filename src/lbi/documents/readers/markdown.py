"""Markdown -> sections that are verbatim parts of the file; front matter (YAML or TOML) gives title and date."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from lbi.documents.sections import Page, outline

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


def read(text: str) -> Page:
    facts, body = _front_matter(text)
    lines = re.findall(r"[^\n]*\n|[^\n]+", body)
    marks = _headings(body)
    starts = [0, *(line for line, _, _ in marks), len(lines)]
    parts = [(0, "")] + [(level, heading) for _, level, heading in marks]
    sections = outline(
        (level, heading, "".join(lines[start:end]))
        for (level, heading), start, end in zip(parts, starts[:-1], starts[1:], strict=True)
        if end > start
    )
    first = next((heading for _, level, heading in marks if level == 1), "")
    return Page(sections, facts.get("title", "") or first, next((facts[k] for k in _DATES if facts.get(k)), ""))


def _headings(body: str) -> list[tuple[int, int, str]]:
    """(line, level, heading) of the headings that structure the page; those in quotes and lists do not."""
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
    """Facts between the fences at the very top, and the rest. Only plain ``key: value`` lines are understood."""
    if found := _TOML.match(text):
        try:
            facts = {key: str(value) for key, value in tomllib.loads(found[1]).items()}
        except tomllib.TOMLDecodeError:
            return {}, text
        return facts, text[found.end() :]
    found = _YAML.match(text)
    pairs = _KEY.findall(found[1]) if found else []
    if not found or not pairs:
        return {}, text
    return {key.lower().replace("-", "_"): value.strip("\"'") for key, value in pairs}, text[found.end() :]
