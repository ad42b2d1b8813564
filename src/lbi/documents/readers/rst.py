"""reStructuredText -> sections as text, by docutils with file insertion and raw markup off.

Directives and roles that docutils does not know (Sphinx has hundreds) keep their content.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from lbi.documents.sections import Block, DocumentPage, assemble, fenced

if TYPE_CHECKING:
    from docutils import nodes

ENDINGS: tuple[str, ...] = (".rst", ".rest")
CONTENT_TYPES: tuple[str, ...] = ("text/x-rst", "text/prs.fallenstein.rst")

#: for untrusted texts: no files are included, no raw markup and no configuration is used, and errors do not stop it
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "halt_level": 5,
    "report_level": 5,
    "traceback": True,
    "warning_stream": False,
    "smart_quotes": False,
    "syntax_highlight": "none",
    "line_length_limit": 1_000_000,
}
_SILENT = ("toctree", "index", "currentmodule", "module", "highlight", "contents", "include", "literalinclude", "raw")
#: directives of Sphinx and its extensions whose content is code
# fmt: off
_CODE_DIRECTIVES = (
    "code", "code-block", "sourcecode", "prompt", "parsed-literal", "testcode", "testoutput", "testsetup", "doctest",
    "ipython", "jupyter-execute", "code-cell", "console", "productionlist", "highlight-code",
)
# fmt: on
#: options, each with the lines that go on with it, which are indented more
_OPTIONS = re.compile(r"\A(?:([ \t]+):[\w -]+:[^\n]*(?:\n|\Z)(?:\1[ \t]+\S[^\n]*(?:\n|\Z))*)+")
_INNER = re.compile(r"^([ \t]*)\.\. [\w:.+-]+::", re.MULTILINE)
DEEPEST = 8  # unknown directives within each other; deeper ones keep their markup
_CAPTION = re.compile(r"^[ \t]+:caption:[ \t]*(\S[^\n]*)", re.MULTILINE)
_ROLE = re.compile(r":[A-Za-z][\w:+.-]*:`([^`<]+?)\s*(?:<[^`>]*>)?`")
_UNDERLINED = re.compile(r"^\S[^\n]*\n([=\-~^\"'*+#`:.])\1{3,}[ \t]*$", re.MULTILINE)
_OWN = re.compile(r"^\.\. [\w:-]+::|^\.\. _[^:\n]+:|:[a-z:]+:`[^`\n]+`|`[^`\n]+ <[^>\n]+>`_|::$", re.MULTILINE)


def likelihood(text: str) -> float:
    sample = text[:20_000]
    own = len(_OWN.findall(sample))
    return min(0.95, 0.35 * min(own, 3) + (0.2 if own and _UNDERLINED.search(sample) else 0.0))


def read(text: str) -> DocumentPage:
    from docutils.core import publish_doctree

    try:
        tree = publish_doctree(text, settings_overrides=dict(_SETTINGS))
    except _stumbles() as error:
        raise ValueError(f"not readable as reStructuredText: {type(error).__name__}: {error}") from None
    # docutils lifts a lone top heading out of its section and makes it the document's title
    sections = assemble(_blocks(tree, 1 if tree.get("title") else 0))
    first = next((section.headings[0] for section in sections if section.headings), "")
    return DocumentPage(sections, first, _date(tree))


def _stumbles() -> tuple[type[Exception], ...]:
    """What docutils raises for texts that it cannot read."""
    from docutils import ApplicationError

    return ApplicationError, AttributeError, LookupError, TypeError, AssertionError


def _date(tree: nodes.document) -> str:
    from docutils import nodes

    return next((node.astext() for node in tree.findall(nodes.date)), "")


def _blocks(node: nodes.Element, level: int, prefix: str = "") -> Iterator[Block]:
    """The children of a node as blocks; ``prefix`` marks the first of them."""
    for child in node.children:
        for block in _of(child, level):
            yield Block(prefix + block.text, block.level, block.tight or bool(prefix)) if prefix else block
            prefix = ""


def _of(node: Any, level: int) -> Iterator[Block]:
    """The blocks of one node: by the first of its base classes that is in _KNOWN, else those of its children."""
    for kind in type(node).__mro__:
        if kind.__name__ in _KNOWN:
            yield from _KNOWN[kind.__name__](node, level)
            return
    yield from _blocks(node, level)


def _nothing(node: Any, level: int) -> Iterator[Block]:
    yield from ()


def _words(node: Any, level: int) -> Iterator[Block]:
    text = _inline(node)
    if text:
        yield Block(text)


def _title(node: Any, level: int) -> Iterator[Block]:
    """The title of a section, or of an admonition that brings its own."""
    own = type(node.parent).__name__ in ("section", "document")
    text = " ".join(_inline(node).split())
    if text:
        yield Block(text, level=max(1, level)) if own else Block(f"{text}:")


def _section(node: Any, level: int) -> Iterator[Block]:
    yield from _blocks(node, level + 1)


def _code(node: Any, level: int) -> Iterator[Block]:
    yield Block(fenced(node.astext()))


def _item(node: Any, level: int) -> Iterator[Block]:
    numbered = type(node.parent).__name__ == "enumerated_list"
    number = int(node.parent.get("start", 1)) + node.parent.index(node) if numbered else 0
    yield from _blocks(node, level, f"{number}. " if numbered else "- ")


def _pair(node: Any, level: int) -> Iterator[Block]:
    """A term or field name before its body."""
    name, body = node.children[0], node.children[-1]
    yield from _blocks(body, level, f"{_inline(name)}: ")


def _row(node: Any, level: int) -> Iterator[Block]:
    cells = (" ".join(block.text for block in _blocks(entry, level)) for entry in node.children)
    yield Block(" | ".join(" ".join(cell.split()) for cell in cells), tight=True)


def _admonition(node: Any, level: int) -> Iterator[Block]:
    yield from _blocks(node, level, f"{type(node).__name__.capitalize()}: ")


def _image(node: Any, level: int) -> Iterator[Block]:
    if node.get("alt"):
        yield Block(str(node["alt"]))


def _message(node: Any, level: int) -> Iterator[Block]:
    """The content of a directive that docutils does not know or may not run, without its name and options."""
    for source in node.children:
        directive = re.match(r"\.\. ([\w:.+-]+)::[ \t]*(.*)\n?((?:.*\n?)*)", source.astext())
        if type(source).__name__ != "literal_block" or not directive or directive[1] in _SILENT:
            continue
        options = _OPTIONS.match(directive[3])
        body = directive[3][options.end() :] if options else directive[3]
        if directive[1] in _CODE_DIRECTIVES:
            yield from _code_directive(directive[2], options[0] if options else "", body)
            continue
        inner = {match[1] for match in _INNER.finditer(body)}
        if 0 < len(inner) <= DEEPEST and (blocks := _parsed(textwrap.dedent(body), level)) is not None:
            if name := _ROLE.sub(r"\1", directive[2]).strip():
                yield Block(name)
            yield from blocks
            continue
        text = _ROLE.sub(r"\1", "\n".join(part for part in (directive[2], textwrap.dedent(body).strip("\n")) if part))
        if text.strip():
            yield Block(text)


def _parsed(text: str, level: int) -> list[Block] | None:
    """The blocks of a directive's content that has directives itself; None where docutils stumbles over it."""
    from docutils.core import publish_doctree

    settings = {**_SETTINGS, "doctitle_xform": False, "docinfo_xform": False}
    try:
        return list(_blocks(publish_doctree(text, settings_overrides=settings), level))
    except _stumbles():
        return None


def _code_directive(argument: str, options: str, body: str) -> Iterator[Block]:
    """The code in its fence, below its caption. Code that begins in the directive's own line is its argument."""
    if caption := _CAPTION.search(options):
        yield Block(f"{caption[1].strip()}:")
    code = textwrap.dedent(body).strip("\n") or argument
    if code.strip():
        yield Block(fenced(code))


def _inline(node: Any) -> str:
    return _ROLE.sub(r"\1", node.astext()).strip()


_KNOWN: dict[str, Callable[[Any, int], Iterator[Block]]] = {
    "section": _section,
    "title": _title,
    "subtitle": _title,
    "rubric": _words,
    "paragraph": _words,
    "line": _words,
    "attribution": _words,
    "caption": _words,
    "term": _words,
    "Text": _words,
    "literal_block": _code,
    "doctest_block": _code,
    "math_block": _code,
    "list_item": _item,
    "definition_list_item": _pair,
    "field": _pair,
    "option_list_item": _pair,
    "row": _row,
    "Admonition": _admonition,
    "image": _image,
    "system_message": _message,
    "TextElement": _words,
    "Invisible": _nothing,
    "Bibliographic": _nothing,
    "docinfo": _nothing,
    "topic": _nothing,
    "raw": _nothing,
    "colspec": _nothing,
    "generated": _nothing,
}
