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


def shorten(blocks: list[Block], limit: int) -> None:
    """Cut, in place, the middle out of the longest lists until the whole fits; then out of the page itself."""
    while (excess := _size(blocks, 0) - limit) > 0:
        size, siblings, start, end = max(_lists(blocks), default=(0, blocks, 0, 0), key=lambda run: run[0])
        if end - start < 8 or size < 400:
            break
        _cut(siblings, start, end, excess, head=4, tail=2)
    while (excess := _size(blocks, 0) - limit) > 0 and len(blocks) > 3:
        _cut(blocks, 0, len(blocks), excess, head=max(1, len(blocks) // 3), tail=1)


def _cut(siblings: list[Block], start: int, end: int, excess: int, head: int, tail: int) -> None:
    """Take ``excess`` characters out of the middle, but leave the first ``head`` and the last ``tail`` lines."""
    first, last = start + head, end - tail
    middle = first + (last - first) * 2 // 3
    low = high = middle
    while excess > -60 and (low > first or high < last):
        if high < last and (high - middle <= middle - low or low == first):
            excess -= _size([siblings[high]], 0)
            high += 1
        else:
            low -= 1
            excess -= _size([siblings[low]], 0)
    left_out = sum(_left_out(block) for block in siblings[low:high])
    siblings[low:high] = [Block(f"… {left_out} more left out here", "cut")]


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
