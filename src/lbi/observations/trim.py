"""The lines of an observation as a tree, cut to a limit: the longest lists lose their middle first."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass
class Block:
    """One line of the observation and the lines indented under it. Neighbours of one ``kind`` form a list."""

    line: str
    kind: str
    children: list[Block] = field(default_factory=list)
    wanted: bool = False  # it, or a line under it, was asked for


MAX_FOUND = 40  # lines with the text that was asked for


def shorten(blocks: list[Block], limit: int, wanted: str = "") -> None:
    """Cut, in place, the middle out of the longest lists until the whole fits; then out of the page itself.

    The first MAX_FOUND lines with the text ``wanted`` are not cut out, in whichever case it is written.
    """
    if wanted:
        _mark(blocks, " ".join(wanted.casefold().split()), MAX_FOUND)
    while (excess := _size(blocks, 0) - limit) > 0:
        size, siblings, start, end = max(_lists(blocks), default=(0, blocks, 0, 0), key=lambda run: run[0])
        if end - start < 8 or size < 400:
            break
        if not _cut(siblings, start, end, excess, head=4, tail=2):
            break
    while (excess := _size(blocks, 0) - limit) > 0 and len(blocks) > 3:
        if not _cut(blocks, 0, len(blocks), excess, head=max(1, len(blocks) // 3), tail=1):
            break


def _mark(blocks: list[Block], text: str, left: int) -> int:
    """Mark the lines with a text, and what they stand under; returns how many more may be marked."""
    for block in blocks:
        before = left
        if left and text in block.line.casefold():
            left -= 1
        left = _mark(block.children, text, left)
        block.wanted = left < before
    return left


def _cut(siblings: list[Block], start: int, end: int, excess: int, head: int, tail: int) -> bool:
    """Take ``excess`` characters out of the middle, but leave the first ``head`` and the last ``tail`` lines.

    False if there was nothing to take.
    """
    first, last = start + head, end - tail
    middle = first + (last - first) * 2 // 3
    low = high = middle
    taken = 0
    while excess > -60 and (low > first or high < last):
        if high < last and (high - middle <= middle - low or low == first):
            block = siblings[high]
            high += 1
        else:
            low -= 1
            block = siblings[low]
        if not block.wanted and block.kind != "cut":
            taken += 1
            excess -= _size([block], 0)
    left: list[Block] = []
    for block in siblings[low:high]:
        if block.wanted:
            left.append(block)
        elif left and left[-1].kind == "cut":
            left[-1] = _cut_out(_left_out(left[-1]) + _left_out(block))
        else:
            left.append(_cut_out(_left_out(block)))
    siblings[low:high] = left
    return taken > 0


def _cut_out(lines: int) -> Block:
    return Block(f"… {lines} more left out here", "cut")


def _left_out(block: Block) -> int:
    cut = re.match(r"… (\d+) more", block.line)
    return int(cut[1]) if cut else 1


def _lists(blocks: list[Block]) -> list[tuple[int, list[Block], int, int]]:
    """Every run of neighbours of one kind: (characters, siblings, start, end)."""
    runs = []
    start = 0
    for at in range(1, len(blocks) + 1):
        if at == len(blocks) or blocks[at].kind not in (blocks[start].kind, "cut"):
            runs.append((_size(blocks[start:at], 0), blocks, start, at))
            start = at
    for block in blocks:
        if block.children:
            runs.extend(_lists(block.children))
    return runs


def _size(blocks: list[Block], depth: int) -> int:
    return sum(len(block.line) + 2 * depth + 1 + _size(block.children, depth + 1) for block in blocks)


def lines_of(blocks: list[Block], depth: int = 0) -> list[str]:
    """The lines of the tree, each indented by its depth."""
    lines = []
    for block in blocks:
        lines.append("  " * depth + block.line)
        lines.extend(lines_of(block.children, depth + 1))
    return lines
