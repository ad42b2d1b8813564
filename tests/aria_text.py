"""Trees of pages for tests, in the words of Playwright: ``- link "Wiki" [ref=e23]:`` -> Node("link", "Wiki").

The text is a small dialect of YAML: one node per line, two blanks per level, keys in quotes when they contain a colon
or a hash.
"""

from __future__ import annotations

import json
import re

from lbi.observations.parse import INTERACTIVE, STATES
from lbi.observations.tree import Node, fold

_KEY = re.compile(r'([^\s"\[:]+)(?: ("(?:[^"\\]|\\.)*"))?((?: \[[^\]]*\])*)')
_ATTRIBUTE = re.compile(r"\[([^\]=]*)(?:=([^\]]*))?\]")


def parse_aria(snapshot: str) -> Node:
    """The whole page under a root of role "document". Lines that cannot be read as nodes become text."""
    root = Node("document")
    stack: list[tuple[int, Node]] = [(-1, root)]
    for line in snapshot.split("\n"):
        body = line.lstrip(" ")
        if not body.startswith("- "):
            continue
        indent = len(line) - len(body)
        while stack[-1][0] >= indent:
            stack.pop()
        parent = stack[-1][1]
        node = _node(body[2:], parent)
        if node is not None:
            parent.children.append(node)
            stack.append((indent, node))
    return root


def _node(item: str, parent: Node) -> Node | None:
    """A node, or None for a property such as ``/url`` that was set on the parent."""
    key, rest = _split_key(item)
    if key.startswith("/"):
        if key == "/url":
            parent.url = rest
        return None
    if key == "text":
        return Node("text", rest)
    head = _KEY.match(key)
    if head is None:
        return Node("text", fold(item))
    node = Node(head[1], fold(_unquote(head[2] or "")))
    attributes = {name: value or "true" for name, value in _ATTRIBUTE.findall(head[3])}
    node.states = tuple(state for state in STATES if attributes.get(state) == "true")
    node.states += ("mixed",) if "mixed" in attributes.values() else ()
    if (node.role in INTERACTIVE and node.role != "option") or "cursor" in attributes:
        node.ref = attributes.get("ref", "")
    if node.role == "option" and not node.ref:
        parent.options.append((node.name, "selected" in attributes, ""))
        return None
    if rest:
        node.children.append(Node("text", rest))
    return node


def _split_key(item: str) -> tuple[str, str]:
    """``'link "a: b" [ref=e1]': text`` -> (key, text), both without YAML's quotes."""
    if item.startswith("'"):
        end = 1
        while end < len(item):
            if item[end] == "'":
                if item[end + 1 : end + 2] != "'":
                    break
                end += 1
            end += 1
        return item[1:end].replace("''", "'"), _value(item[end + 1 :].removeprefix(":").strip())
    if item.startswith(("/", "text:")):
        key, _, rest = item.partition(":")
        return key, _value(rest.strip())
    head = _KEY.match(item)
    if head is None:
        return item, ""
    return head[0], _value(item[head.end() :].removeprefix(":").strip())


def _value(text: str) -> str:
    if text.startswith('"'):
        return _unquote(text)
    if text.startswith("'") and text.endswith("'") and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return text


def _unquote(text: str) -> str:
    if not text:
        return ""
    try:
        return str(json.loads(re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", text), strict=False))
    except json.JSONDecodeError:
        return text.strip('"')
