"""What a page shows, as a tree: the roles and names of the accessibility tree, with values, states and references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Node:
    """One element; plain text is a node of role "text" whose name is the text."""

    role: str
    name: str = ""
    ref: str = ""  # of an element that can be acted on: what the environment calls it
    url: str = ""
    states: tuple[str, ...] = ()  # of parse.STATES
    children: list[Node] = field(default_factory=list)
    value: str | None = None  # of a field, with its lines; None where the text in it is its value
    options: list[tuple[str, bool, str]] = field(default_factory=list)  # (label, chosen, group) of a native list
    level: int = 0  # of a heading
    expects: str = ""  # the form that a field takes, such as YYYY-MM-DD
    range: str = ""  # "0 to 10"
    accepts: str = ""  # kinds of files, as HTML's `accept`
    files: str = ""  # names of the files that were chosen
    hint: str = ""  # a name for a field that has none, from its attributes
    behind: bool = False  # could be acted on, but for what lies over the page
    block: bool = True  # stands on lines of its own

    def text(self) -> str:
        """All of its text, in reading order."""
        if self.role == "text" or (self.name and not self.children):
            return self.name
        return " ".join(filter(None, (child.text() for child in self.children))) or self.name

    def walk(self) -> Iterator[Node]:
        """Itself and all below it, in reading order, without recursion."""
        pending = [self]
        while pending:
            node = pending.pop()
            yield node
            pending.extend(reversed(node.children))


def fold(text: str) -> str:
    """The text with every run of white space as one blank, so that it is one line."""
    return " ".join(text.split())
