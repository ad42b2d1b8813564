"""The lines of an observation as a tree, cut to a limit: the longest lists lose their middle first.

Where no long list is left, the middle of what stands under one line is cut, beginning where most of the page is. The
first and the last line of each such group stay, so a page whose lines all hold three lines or fewer is not cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush


@dataclass(slots=True)
class Block:
    """One line of the observation and the lines indented under it. Neighbours of one ``kind`` form a list."""

    line: str
    kind: str
    children: list[Block] = field(default_factory=list)
    wanted: bool = False  # it, or a line under it, was asked for or is a dialog
    size: int = 0  # characters of it and of what is under it, once it is measured
    lines: int = 0


@dataclass(slots=True)
class _List:
    """Neighbours of one kind, which are cut together."""

    blocks: list[Block]
    siblings: list[Block]  # they and those of other kinds beside them
    holder: Block | None  # the line that they stand under
    around: _List | None  # the list that this line is in
    order: int = 0  # in which they are read
    size: int = 0  # characters
    changed: bool = False
    gone: bool = False  # cut out, with what they stand under


MAX_FOUND = 40  # lines with the text that was asked for
_DIALOGS = frozenset({"dialog", "alertdialog"})  # what has to be answered first is not cut out


def shorten(blocks: list[Block], limit: int, wanted: str = "") -> None:
    """Cut, in place, the middle out of the longest lists until the whole fits; then out of whatever else is long.

    The first MAX_FOUND lines with the text ``wanted`` are not cut out, in whichever case it is written, and
    no dialogs.
    """
    if wanted:
        _mark(blocks, " ".join(wanted.casefold().split()), MAX_FOUND)
    _mark_dialogs(blocks)
    for block in blocks:
        _measure(block)
    if (excess := _size(blocks) - limit) > 0:
        _shorten_lists(_lists(blocks), excess)
    _cut_lines(blocks, _size(blocks) - limit)


def _shorten_lists(lists: list[_List], excess: int) -> None:
    """Cut the longest list, then the one that is the longest now, and so on. Sizes are kept, as pages may be long."""
    under: dict[int, list[_List]] = {}
    for one in lists:
        under.setdefault(id(one.holder), []).append(one)
    queue = [(-one.size, one.order) for one in lists]
    heapify(queue)
    while queue and excess > 0:
        size, order = heappop(queue)
        longest = lists[order]
        if longest.gone or longest.size != -size:
            continue  # it is another one since
        before = list(longest.blocks)
        if longest.size < 400:
            break
        if len(before) < 8 or not _cut(longest.blocks, 0, len(before), excess, head=4, tail=2):
            continue  # a few long entries: there may be lists in them
        longest.changed = True
        kept = set(map(id, longest.blocks))
        _forget([block for block in before if id(block) not in kept], under)
        fewer = sum(block.lines for block in before) - sum(block.lines for block in longest.blocks)
        less = longest.size - _size(longest.blocks)
        changed: _List | None = longest
        while changed is not None:
            changed.size -= less
            heappush(queue, (-changed.size, changed.order))
            if changed.holder is not None:
                less += 2 * fewer  # as what stands under a line is indented
                changed.holder.size -= less
                changed.holder.lines -= fewer
            changed = changed.around
        excess -= less
    for one in lists:
        if one.changed and not one.gone:
            one.siblings[:] = [block for part in under[id(one.holder)] for block in part.blocks]


def _lists(blocks: list[Block]) -> list[_List]:
    """All lists of a page, in the order in which they are read."""
    found: list[_List] = []
    pending: list[tuple[list[Block], Block | None, _List | None]] = [(blocks, None, None)]
    while pending:
        siblings, holder, around = pending.pop()
        inner: list[tuple[list[Block], Block | None, _List | None]] = []
        start = 0
        for at in range(1, len(siblings) + 1):
            if at == len(siblings) or siblings[at].kind not in (siblings[start].kind, "cut"):
                run = siblings[start:at]
                found.append(_List(run, siblings, holder, around, len(found), _size(run)))
                inner += [(block.children, block, found[-1]) for block in run if block.children]
                start = at
        pending.extend(reversed(inner))
    return found


def _forget(blocks: list[Block], under: dict[int, list[_List]]) -> None:
    """What stands under lines that were cut out is gone with them."""
    pending = blocks
    while pending:
        block = pending.pop()
        if block.children:
            for one in under[id(block)]:
                one.gone = True
            pending.extend(block.children)


def _cut_lines(blocks: list[Block], excess: int) -> None:
    """Cut lines of all kinds in one pass: in the line that holds most, then beside it, then in the others."""
    limit = _size(blocks) - excess
    if excess <= 0 or not blocks:
        return
    longest = max(blocks, key=lambda block: block.size)
    seen = longest if 2 * longest.size > _size(blocks) else None
    if seen:
        _cut_under(seen, excess)
    while (excess := _size(blocks) - limit) > 0 and len(blocks) > 3:
        if not _cut(blocks, 0, len(blocks), excess, head=max(1, len(blocks) // 3), tail=1):
            break
    for block in sorted(blocks, key=lambda block: -block.size):
        if excess <= 0:
            return
        if block is not seen:
            excess -= block.size - _cut_under(block, excess)


def _cut_under(block: Block, excess: int) -> int:
    """Returns its size afterwards."""
    _cut_lines(block.children, excess)
    _add_up(block)
    return block.size


def _measure(block: Block) -> None:
    for child in block.children:
        _measure(child)
    _add_up(block)


def _add_up(block: Block) -> None:
    """Its size, from the sizes of what is under it; each line has a line break, and two blanks for each level."""
    block.size, block.lines = len(block.line) + 1, 1
    for child in block.children:
        block.size += child.size + 2 * child.lines
        block.lines += child.lines


def _size(blocks: list[Block]) -> int:
    return sum(block.size for block in blocks)


def _mark(blocks: list[Block], text: str, left: int) -> int:
    """Mark the lines with a text, and what they stand under; returns how many more may be marked."""
    for block in blocks:
        before = left
        if left and text in block.line.casefold():
            left -= 1
        left = _mark(block.children, text, left)
        block.wanted = left < before
    return left


def _mark_dialogs(blocks: list[Block]) -> bool:
    """Mark dialogs, and what they stand under; returns whether there are any."""
    found = False
    for block in blocks:
        if _mark_dialogs(block.children) or block.kind in _DIALOGS:
            block.wanted = found = True
    return found


def _cut(siblings: list[Block], start: int, end: int, excess: int, head: int, tail: int) -> bool:
    """Take ``excess`` characters out of the middle, but leave the first ``head`` and the last ``tail`` lines.

    False, and nothing is changed, if nothing is gained by it.
    """
    before, size = list(siblings), _size(siblings)
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
            excess -= block.size
    left: list[Block] = []
    for block in siblings[low:high]:
        if block.wanted:
            left.append(block)
        elif left and left[-1].kind == "cut":
            left[-1] = _cut_out(_left_out(left[-1]) + _left_out(block))
        else:
            left.append(_cut_out(_left_out(block)))
    siblings[low:high] = left
    if not taken or _size(siblings) >= size:  # what says how much is left out may be longer than that
        siblings[:] = before
        return False
    return True


def _cut_out(lines: int) -> Block:
    block = Block(f"… {lines} more left out here", "cut")
    _add_up(block)
    return block


def _left_out(block: Block) -> int:
    cut = re.match(r"… (\d+) more", block.line)
    return int(cut[1]) if cut else 1


def lines_of(blocks: list[Block], depth: int = 0) -> list[str]:
    """The lines of the tree, each indented by its depth."""
    lines = []
    for block in blocks:
        lines.append("  " * depth + block.line)
        lines.extend(lines_of(block.children, depth + 1))
    return lines
