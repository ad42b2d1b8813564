"""A page written as its difference to an earlier page, such as "@12\\n- row: old\\n+ row: new".

"@12" is the line of the earlier page at which a change begins; the line before it is repeated to show where that is.
``restored`` gives the page back, so nothing is lost.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache

#: a difference is used only if it is shorter than this part of the page
MAX_SHARE = 0.8
#: where more lines than this are gone in a row, only the first and the last are repeated
MAX_GONE = 4
_REFERENCE = re.compile(r"\s?\[(?:f\d+)?e\d+\]")


def without_references(text: str) -> str:
    """A page without its references, which change with every element that comes or goes before them."""
    return _REFERENCE.sub("", text)


@lru_cache(maxsize=4096)
def difference(before: str, after: str) -> str:
    """How to change ``before`` into ``after``; empty if both are the same."""
    return _changes(before.split("\n"), after.split("\n"), before.split("\n"), after.split("\n"))


def changes(before: str, after: str) -> str:
    """The same for people: references that changed are no change, and lines are shown with those they have now."""
    old, new = before.split("\n"), after.split("\n")
    return _changes(old, new, [without_references(line) for line in old], [without_references(line) for line in new])


def _changes(old: list[str], new: list[str], old_keys: list[str], new_keys: list[str]) -> str:
    """Lines are compared by their keys."""
    lines = []
    for change, first, last, start, end in SequenceMatcher(None, old_keys, new_keys, autojunk=False).get_opcodes():
        if change == "equal":
            continue
        lines.append(f"@{first + 1}")
        lines += [f"  {old[first - 1]}"] if first else []
        lines += _gone(old[first:last])
        lines += [f"+ {line}" for line in new[start:end]]
    return "\n".join(lines)


def _gone(lines: list[str]) -> list[str]:
    if len(lines) <= MAX_GONE:
        return [f"- {line}" for line in lines]
    return [f"- {lines[0]}", f"-- {len(lines) - 2} more lines", f"- {lines[-1]}"]


def restored(before: str, changes: str) -> str:
    """The page that a difference describes. Raises ValueError for a difference to another page than ``before``."""
    if not changes:
        return before
    old, new, at = before.split("\n"), [], 0
    for line in changes.split("\n"):
        mark, text = line[:2], line[2:]
        if line.startswith("@"):
            first = int(line[1:]) - 1
            new += old[at:first]
            at = first
        elif mark == "+ ":
            new.append(text)
        elif mark == "--":
            at += int(text.split()[0])
        elif mark == "- " and old[at : at + 1] == [text]:
            at += 1
        elif mark != "  " or old[at - 1 : at] != [text]:
            raise ValueError(f"the difference is to another page: line {at + 1} is not {text!r}")
    return "\n".join([*new, *old[at:]])


def shortest(earlier: list[tuple[int, str]], page: str) -> tuple[int, str] | None:
    """(number, difference) for the earlier page with the shortest difference, or None if all are too long."""
    differences = [(len(changes), number, changes) for number, text in earlier if (changes := difference(text, page))]
    if not differences:
        return None
    size, number, changes = min(differences)
    return (number, changes) if size < MAX_SHARE * len(page) else None
