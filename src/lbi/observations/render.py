"""Renders an accessibility tree as the text that models read, a third of its size (format: docs/web.md).

Only elements that can be acted on have references. These are numbered in reading order, so that the same page reads the
same on every visit. Wrappers without a name are left out, a row of a table is one line, and long lists lose their
middle.
"""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit, urlunsplit

from lbi.observations.field_labels import label_fields
from lbi.observations.parse import FIELDS, STATES, TICKS
from lbi.observations.tree import Node, fold
from lbi.observations.trim import Block, lines_of, shorten

MAX_NAME = 160
MAX_TEXT = 1000
MAX_VALUE = 2000
MAX_OPTIONS = 60
MAX_ROW = 500
SHORT_NAME = 80  # of an element whose text stands under it
#: whose whole text is the name, as the text is what it is for
NAMED_BY_CONTENT = frozenset({"link", "button", "tab", "menuitem", "option", "treeitem"})
_PHRASES = frozenset(
    {"strong", "emphasis", "code", "time", "mark", "insertion", "deletion", "subscript", "superscript"}
)
_WRAPPERS = _PHRASES | {"generic", "paragraph", "img", "list", "listitem", "rowgroup", "none", "presentation"}
_CELLS = frozenset({"cell", "gridcell", "rowheader", "columnheader"})
_IN_ROW, _IN_LINE = _WRAPPERS | _CELLS | {"definition"}, _PHRASES | {"img"}
_SHOWN_UNNAMED = frozenset({"dialog", "alertdialog", "alert", "iframe", "menu", "listbox"})


class Renderer:
    """Turns one tree into blocks of lines; ``refs`` maps the new references to Playwright's."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.refs: dict[str, str] = {}

    def blocks(self, nodes: list[Node]) -> list[Block]:
        blocks: list[Block] = []
        run: list[Node] = []
        for node in nodes:
            if _is_phrase(node) and self._inlines(node, in_row=False):
                run.append(node)
                continue
            if run:
                blocks.extend(self._run(run))
                run = []
            blocks.extend(self._block(node))
        if run:
            blocks.extend(self._run(run))
        return blocks

    def _run(self, run: list[Node]) -> list[Block]:
        """Neighbouring text and links: one line of text if there is text, else a line for each link."""
        if any(not _is_element(node) for node in run):
            content = self._inline(run)
            return [Block(f"text: {content}", "text")] if content else []
        return [block for node in run for block in self._block(node)]

    def _block(self, node: Node) -> list[Block]:
        if node.role == "row":
            return self._row(node)
        if node.role == "listitem":
            return self._item(node)
        if _is_element(node):
            return self._acted_on(node)
        if node.role == "heading":
            name = node.name or node.text()
            return (
                [Block(_head("heading", name), "heading", self._elements_in(node))]
                if name
                else self.blocks(node.children)
            )
        if node.role == "term" and node.text():
            return [Block(_head("term", fold(node.text())), "term", self._elements_in(node))]
        if node.role == "img":
            areas = self._elements_in(node)
            return [Block(_head("img", node.name), "img", areas)] if node.name or areas else []
        if node.value is not None and not node.children:
            return [Block(f"{_head(node.role, node.name)}{_range(node)}{self._value(node)}", node.role)]
        children = self._terms(node.children)
        if node.behind and fold(node.text()) in node.name and not any(map(_holds_element, node.children)):
            children = []
        if node.role in _SHOWN_UNNAMED or (node.name and node.role not in _WRAPPERS | _CELLS):
            return [Block(_head(node.role, node.name), node.role, children)] if children or node.name else []
        return children

    def _terms(self, nodes: list[Node]) -> list[Block]:
        """Blocks, with each term and the definition after it on one line."""
        blocks: list[Block] = []
        rest: list[Node] = []
        for node in nodes:
            if node.role == "definition" and rest and _is_term(rest[-1]) and self._inlines(node, in_row=True):
                term = rest.pop()
                blocks.extend(self.blocks(rest))
                rest = []
                blocks.append(
                    Block(_labelled("term", fold(term.text()), self._inline([node])), "term", self._elements_in(term))
                )
            else:
                rest.append(node)
        return [*blocks, *self.blocks(rest)]

    def _acted_on(self, node: Node) -> list[Block]:
        """An element with a reference. Whatever its name does not say stands under it."""
        inner = any(map(_holds_element, node.children))
        if node.role in FIELDS or (node.role in NAMED_BY_CONTENT and len(node.name) <= MAX_NAME):
            return [Block(self._element(node), node.role, self._elements_in(node) if inner else [])]
        parts = _own_parts(node)
        main = _main_part(node)
        given = node.name and fold(" ".join(parts)) not in node.name  # by an attribute, not by what is in it
        name = _cut_name(node.name if given or not main else main)
        rest = " | ".join(_inline_text(part) for part in parts if part != name)
        line = self._element(node, name)
        if len(rest) > MAX_ROW or any(inner_node.role in FIELDS for inner_node in node.walk()):
            return [Block(line, node.role, self._terms(node.children))]
        if rest and not node.url and not node.files:
            line += f": {rest}"
        return [Block(line, node.role, self._elements_in(node) if inner else [])]

    def _elements_in(self, node: Node) -> list[Block]:
        """Those that can be acted on, without the text around them, which stands elsewhere."""
        return [block for inner in _outermost(node) for block in self._block(inner)]

    # -- tables and lists ------------------------------------------------------------------------------------------

    def _row(self, row: Node) -> list[Block]:
        cells = [child for child in row.children if child.role in _CELLS]
        if _is_element(row):
            return self._row_acted_on(row, cells)
        if len(cells) < len(row.children) or not cells:
            return self._children_of_row(row, keep=False)
        if not all(self._inlines(cell, in_row=True) for cell in cells):
            headed = cells[0].role == "rowheader" or sum(bool(cell.children or cell.name) for cell in cells) < 2
            return self._children_of_row(row, keep=not headed)
        if _is_header_value_row(cells):
            return self._pairs(cells)
        header = all(cell.role == "columnheader" for cell in cells)
        numbered = dict(self.refs)
        line = " | ".join(self._inline([cell]).replace(" | ", " ¦ ") for cell in cells)
        if len(line) > MAX_ROW and not header:
            self.refs = numbered
            return self._children_of_row(row, keep=True)
        if not line.strip(" |"):
            return []
        return [Block(f"{'columns' if header else 'row'}: {line}", "row")]

    def _row_acted_on(self, row: Node, cells: list[Node]) -> list[Block]:
        """A row that can be clicked is named by its first words: ``row "INV-7" [e4]: INV-7 | Acme | draft``."""
        head = self._element(row, _cut_name(row.name or _main_part(row) or fold(row.text())))
        if cells and len(cells) == len(row.children) and all(self._inlines(cell, in_row=True) for cell in cells):
            numbered = dict(self.refs)
            line = " | ".join(self._inline([cell]).replace(" | ", " ¦ ") for cell in cells)
            if len(line) <= MAX_ROW:
                return [Block(f"{head}: {line}", "row")]
            self.refs = numbered
        return [Block(head, "row", self._children_of_row(row, keep=False))]

    def _pairs(self, cells: list[Node]) -> list[Block]:
        blocks: list[Block] = []
        for header, cell in zip(cells[::2], cells[1::2], strict=True):
            name = fold(header.name or header.text())
            content = self._inline([cell])
            if name:
                blocks.append(Block(_labelled("rowheader", name, content), "rowheader"))
            elif content:
                blocks.append(Block(f"text: {content}", "text"))
        return blocks

    def _children_of_row(self, row: Node, keep: bool) -> list[Block]:
        blocks: list[Block] = []
        for cell in row.children:
            inside = self._terms(cell.children or ([Node("text", cell.name)] if cell.name else []))
            if cell.role in ("rowheader", "columnheader") and not _holds_element(cell):
                name = fold(cell.name or cell.text())
                inside = [Block(_head(cell.role, name), cell.role)] if name else []
            blocks.extend(inside)
        blocks = _without_repeated_labels(blocks)
        return [Block("row", "row", blocks)] if keep and len(blocks) > 1 else blocks

    def _item(self, item: Node) -> list[Block]:
        if _is_element(item):
            return self._acted_on(item)
        if _is_single_element(item):
            return self.blocks(item.children)
        flat = [child for child in item.children if child.role != "list"]
        nested = [child for child in item.children if child.role == "list"]
        if flat and all(self._inlines(child, in_row=True) for child in flat):
            content = self._inline(flat)
            if content:
                return [Block(f"item: {content}", "item", self.blocks(nested))]
        children = self.blocks(item.children)
        return children if len(children) < 2 else [Block("item", "item", children)]

    # -- within one line -------------------------------------------------------------------------------------------

    def _inlines(self, node: Node, in_row: bool) -> bool:
        """Whether a node can stand within a line. Fields cannot, as their values may contain anything."""
        if node.role == "text":
            return True
        if _is_element(node):
            fits = node.role not in FIELDS and len(node.text()) <= MAX_NAME if in_row else _is_link(node)
            return fits and not any(_holds_element(child) for child in node.children)
        if node.role not in (_IN_ROW if in_row else _IN_LINE):
            return False
        if in_row and sum(child.role in ("paragraph", "listitem") for child in node.children) > 3:
            return False
        return all(self._inlines(child, in_row) for child in node.children)

    def _inline(self, nodes: list[Node]) -> str:
        parts: list[str] = []
        for at, node in enumerate(nodes):
            if node.role == "text":
                if not _repeats(node, nodes[max(0, at - 1) : at + 2]):
                    parts.append(_inline_text(node.name))
            elif _is_element(node):
                parts.append(self._element(node))
            elif node.children:
                parts.append(self._inline(node.children))
            elif node.name:
                parts.append(_inline_text(node.name))
        return " ".join(filter(None, parts))

    def _element(self, node: Node, name: str | None = None) -> str:
        ref = f"e{len(self.refs) + 1}"
        self.refs[ref] = node.ref
        flags = [state for state in STATES if state in node.states]
        flags += [f"as {node.expects}"] if node.expects else []
        flags += [f"takes {''.join(node.accepts.split())}"] if node.accepts else []
        if name is None:  # a field without a name must not be named after its value, which changes
            name = node.name or ("" if node.role in FIELDS else fold(node.text()))
        if not name and node.role not in FIELDS | TICKS:
            name = node.hint
        line = f"{_head(node.role, name)} [{ref}]"
        line += f" ({', '.join(flags)})" if flags else ""
        if node.role in FIELDS:
            return line + _range(node) + self._value(node)
        if node.files:
            return f"{line}: {_field_value(node.files)}"
        return line + (f" -> {_address(node.url, self.origin)}" if node.url else "")

    def _value(self, node: Node) -> str:
        if node.options:
            return _choice(node.options)
        value = node.text() if node.value is None and node.children else node.value or ""
        return f": {_field_value(value)}" if value.strip() else ""


def render(tree: Node, origin: str = "", limit: int = 12_000, wanted: str = "") -> tuple[str, dict[str, str]]:
    """The text of a page, and a map from its references to those of the tree.

    ``origin`` is scheme and host of the site. ``limit`` is in characters. Lines that contain ``wanted`` are not left
    out where the page is longer than that.
    """
    label_fields(tree)
    writer = Renderer(origin)
    blocks = _without_repeats(writer._terms(tree.children))
    shorten(blocks, limit, wanted)
    return "\n".join(lines_of(blocks)), writer.refs


def _without_repeated_labels(blocks: list[Block]) -> list[Block]:
    """Drop a row's header before the field that has its name."""
    blocks_left = []
    for at, block in enumerate(blocks):
        after = blocks[at + 1].line if at + 1 < len(blocks) else ""
        name = block.line.partition(" ")[2]
        if not (block.kind == "rowheader" and name and after.partition(" ")[2].startswith(name + " [")):
            blocks_left.append(block)
    return blocks_left


def _without_repeats(blocks: list[Block]) -> list[Block]:
    """Drop text beside a check box or field that only repeats its name."""
    blocks_left: list[Block] = []
    for at, block in enumerate(blocks):
        block.children = _without_repeats(block.children)
        beside = [blocks[i] for i in (at - 1, at + 1) if 0 <= i < len(blocks)]
        if block.kind == "text" and any(_names(other, block.line[6:]) for other in beside):
            continue
        blocks_left.append(block)
    return blocks_left


def _repeats(text: Node, beside: list[Node]) -> bool:
    return any(node.role in TICKS and node.name == fold(text.name) for node in beside)


def _names(block: Block, text: str) -> bool:
    return block.kind in FIELDS | TICKS and block.line.startswith(f"{_head(block.kind, text)} [")


def _is_element(node: Node) -> bool:
    return bool(node.ref)


def _own_parts(node: Node) -> list[str]:
    """The texts in an element, but for those of elements in it."""
    parts: list[str] = []
    pending = list(reversed(node.children))
    while pending:
        inner = pending.pop()
        if inner.ref:
            continue
        if inner.children:
            pending.extend(reversed(inner.children))
        elif text := fold(inner.name):
            parts.append(text)
    return parts


def _main_part(node: Node) -> str:
    """What an element with several texts in it is called: the first of some length, as initials may come before it."""
    texts: list[str] = []
    pending = list(reversed(node.children))
    while pending:
        inner = pending.pop()
        if inner.ref and inner.role not in ("link", "generic"):
            continue
        text = fold(inner.name)
        if text and (inner.ref or not inner.children):
            texts.append(text)
        elif not inner.ref:
            pending.extend(reversed(inner.children))
    words = [text for text in texts if sum(map(str.isalpha, text)) > 1]
    return next((text for text in words if len(text) > 3), words[0] if words else "")


def _outermost(node: Node) -> list[Node]:
    """The elements under a node that do not lie within one another."""
    found: list[Node] = []
    pending = list(reversed(node.children))
    while pending:
        inner = pending.pop()
        if inner.ref:
            found.append(inner)
        else:
            pending.extend(reversed(inner.children))
    return found


def _cut_name(name: str) -> str:
    return name if len(name) <= SHORT_NAME else name[: SHORT_NAME - 1].rstrip() + "…"


def _holds_element(node: Node) -> bool:
    return _is_element(node) or any(_holds_element(child) for child in node.children)


def _is_link(node: Node) -> bool:
    return node.role == "link" and _is_element(node)


def _is_term(node: Node) -> bool:
    return node.role == "term" and bool(fold(node.text())) and not _holds_element(node)


def _is_phrase(node: Node) -> bool:
    return node.role == "text" or node.role in _PHRASES or _is_link(node)


def _is_single_element(item: Node) -> bool:
    return len(item.children) == 1 and _is_element(item.children[0])


def _is_header_value_row(cells: list[Node]) -> bool:
    """Whether the cells are rowheader, cell, rowheader, cell ...: fields with their values, not a row of a list."""
    headers, values = cells[::2], cells[1::2]
    return (
        len(headers) == len(values)
        and all(cell.role == "rowheader" and not _holds_element(cell) for cell in headers)
        and all(cell.role != "rowheader" for cell in values)
    )


def _choice(options: list[tuple[str, bool, str]]) -> str:
    """``"b" of "b" | "a" | Fruit: "c"``: what is chosen, then all, each group named before its first option."""
    names = [fold(name) for name, _, _ in options]
    chosen = [name for name, (_, is_chosen, _) in zip(names, options, strict=True) if is_chosen]
    groups = {name: group for name, (_, _, group) in zip(names, options, strict=True)}
    ordered = [*chosen, *(name for name in names if name not in chosen)]
    more = len(ordered) - MAX_OPTIONS
    listed, group = [], ""
    for name in ordered[:MAX_OPTIONS]:
        begins = groups[name] != group and bool(groups[name])
        group = groups[name]
        label = fold(group).replace('"', "")
        listed.append(f"{label}: {_quote(name)}" if begins else _quote(name))
    return f": {', '.join(map(_quote, chosen)) or 'none'} of {' | '.join(listed)}" + (
        f" | … {more} more" if more > 0 else ""
    )


def _range(node: Node) -> str:
    return f" ({node.range})" if node.range else ""


def _field_value(value: str) -> str:
    """The value of a field; quoted where it would not read as one plain line."""
    if len(value) > MAX_VALUE:
        value = f"{value[:MAX_VALUE]}… ({len(value) - MAX_VALUE} more characters)"
    plain = value == value.strip() and not value.startswith('"') and value.isprintable()
    return value if plain else _quote(value)


def _inline_text(text: str) -> str:
    """Text within a line, changed so that it cannot be mistaken for an element."""
    text = re.sub(r"\[(e\d+)\]", r"[ \1]", fold(text)).replace("-> ", "→ ")
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text) - MAX_TEXT} more characters)"


def _labelled(role: str, name: str, content: str) -> str:
    return f"{_head(role, name)}: {content}" if content else _head(role, name)


def _head(role: str, name: str) -> str:
    name = fold(name)
    name = name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"
    return f"{role} {_quote(name)}" if name else role


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _address(url: str, origin: str) -> str:
    url = "%20".join(url.split())
    if not origin or not url.startswith(origin):
        return url or "#"
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))
