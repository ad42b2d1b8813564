"""What an action changed on a page: the lines that are new, and those that are gone and not replaced.

Times, tokens and references are no change; nor are lines of the frame, such as a highlighted entry of the navigation.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from functools import lru_cache

from lbi.observations.brief import brief_line
from lbi.observations.diff import without_references
from lbi.observations.frame import Frame
from lbi.observations.normalise import mask

_HEADER = ("URL: ", "Title: ")
_BARE = frozenset({"item", "row", "group", "columns"})
_CONTROLS = ("link ", "button ", "generic ", "img ")  # told after what a page says


def changed_lines(before: str, after: str, frame: Frame) -> tuple[str, ...]:
    """Lines "+ ..." and then "- ...", without references; what the page says comes before what can be pressed on it.

    Of a line that only reads otherwise, how it reads now.
    """
    return _changed(_own(before, frame), _own(after, frame))


def _own(text: str, frame: Frame) -> tuple[str, ...]:
    lines = (line.strip() for line in frame.own(without_references(text)).split("\n"))
    return tuple(line for line in lines if line and not line.startswith(_HEADER))


@lru_cache(maxsize=2048)
def _changed(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    matcher = SequenceMatcher(None, [mask(line) for line in old], [mask(line) for line in new], autojunk=False)
    lines: list[str] = []
    for change, first, last, start, end in matcher.get_opcodes():
        if change == "equal":
            continue
        now = [brief_line(line) for line in new[start:end]]
        heads = {_head(line) for line in now}
        lines += [f"+ {line}" for line in now]
        lines += [f"- {brief_line(line)}" for line in old[first:last] if _head(line) not in heads]
    told = [line for line in dict.fromkeys(lines) if line[2:] not in _BARE]
    return tuple(sorted(told, key=lambda line: (line[0], line[2:].startswith(_CONTROLS))))  # "+" is before "-"


def _head(line: str) -> str:
    """Role and name, which stay when a value or a state changes."""
    return line.split('" ')[0].split('":')[0]
