"""Writes the changes of a folder as a patch that ``git apply`` takes. Needs no git.

diff --git a/greet.py b/greet.py
index 3b18e51...c5d95fa... 100644
--- a/greet.py
+++ b/greet.py
@@ -1 +1 @@
-hello
+good morning
"""

from __future__ import annotations

import asyncio
import base64
import difflib
import hashlib
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lbi.records import digest_of
from lbi.sandbox.supervisor.bounds import MOST_PATCH, TooLarge

CONTEXT = 3
#: where more lines than this differ, the patch replaces them all, as finding which ones are alike would take too long
MOST_LINES = 5000
MOST_PAIRS = 200_000_000  # a few seconds
LINK = 0o120000
MOST_BYTES = 16 * 1024 * 1024  # of a larger file, a patch says only that it differs
Opcode = tuple[str, int, int, int, int]  # difflib's: equal, replace, delete or insert; from and to, old and new
Wanted = tuple[str, bool, int]  # a path, whether its pristine content, and its size
ReadContents = Callable[[Sequence[Wanted]], Awaitable[Sequence[bytes]]]
BATCH_FILES, BATCH_BYTES = 512, 16 * 1024 * 1024  # contents that are asked for at once
SECONDS = 120.0  # of processor time for a patch


@dataclass(frozen=True)
class Side:
    """A file as it was or is."""

    mode: int  # as git knows them: 100644, 100755, 120000 (octal)
    size: int
    digest: str


@dataclass(frozen=True)
class Change:
    """A file that was added (no ``old``), removed (no ``new``) or changed."""

    path: str
    old: Side | None
    new: Side | None

    @classmethod
    def read(cls, path: str, old: Sequence[Any] | None, new: Sequence[Any] | None) -> Change:
        return cls(path, Side(*old) if old else None, Side(*new) if new else None)


def digest_of_changes(changes: Iterable[Change]) -> str:
    """A hash that is the same for the same files, however they came about."""
    rows = [[_sound(change.path), [change.new.mode, change.new.digest] if change.new else None] for change in changes]
    return digest_of(rows)


def _sound(path: str) -> str:
    """A path as text that can be hashed: of one that is no UTF-8, as git writes it."""
    return _quoted(path) if any("\udc80" <= char <= "\udcff" for char in path) else path


async def patch(changes: Sequence[Change], read_contents: ReadContents) -> str:
    """One patch of all changes, in the order of their paths. Raises TooLarge."""
    parts: list[str] = []
    left, seconds = MOST_PATCH, SECONDS
    for batch in _batches(changes):
        # one tree after the other, as files of one folder are read at once
        wanted = sorted((each for change in batch for each in _wanted(change)), key=lambda each: not each[1])
        contents = {each[:2]: content for each, content in zip(wanted, await read_contents(wanted), strict=True)}
        sides = [[contents.get((each.path, pristine), b"") for pristine in (True, False)] for each in batch]
        written, took = await asyncio.to_thread(_many, batch, sides, seconds)
        parts.append(written)
        left, seconds = left - len(written), seconds - took
        if left < 0:
            raise TooLarge(f"the patch of all changes has more than {MOST_PATCH:,} characters")
    return "".join(parts)


def _batches(changes: Sequence[Change]) -> Iterator[list[Change]]:
    batch: list[Change] = []
    room = BATCH_BYTES
    for change in changes:
        size = sum(wanted[2] for wanted in _wanted(change))
        if batch and (size > room or len(batch) >= BATCH_FILES):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(change)
        room -= size
    if batch:
        yield batch


def _wanted(change: Change) -> list[Wanted]:
    sides = ((change.old, True), (change.new, False))
    return [(change.path, pristine, side.size) for side, pristine in sides if side and _small(side)]


def _many(changes: Sequence[Change], sides: Sequence[Sequence[bytes]], seconds: float) -> tuple[str, float]:
    """(the patch of some changes, the processor time that it took). Raises TooLarge after ``seconds`` of it."""
    parts, began = [], time.thread_time()
    for change, (old, new) in zip(changes, sides, strict=True):
        if time.thread_time() - began > seconds:
            raise TooLarge(f"the patch of all changes takes more than {SECONDS:.0f} s to write")
        parts.append(_one(change, old, new))
    return "".join(parts), time.thread_time() - began


def _small(side: Side | None) -> bool:
    return side is not None and side.size <= MOST_BYTES


def _one(change: Change, old: bytes, new: bytes) -> str:
    before, after = change.old, change.new
    if before and after and (before.mode == LINK) != (after.mode == LINK):  # a link is no changed file
        return _one(Change(change.path, before, None), old, b"") + _one(Change(change.path, None, after), b"", new)
    old_name, new_name = _quoted("a/" + change.path), _quoted("b/" + change.path)
    lines = [f"diff --git {old_name} {new_name}", *_modes(before, after)]
    if old == new and before and after:
        return "\n".join(lines) + "\n"
    same = f" {after.mode:o}" if before and after and before.mode == after.mode else ""
    lines.append(f"index {_blob(old, before)}..{_blob(new, after)}{same}")
    if max(change.old.size if change.old else 0, change.new.size if change.new else 0) > MOST_BYTES:
        return "\n".join(lines) + f"\nBinary files {old_name} and {new_name} differ\n"
    old_text, new_text = _text(old), _text(new)
    if old_text is None or new_text is None:
        return "\n".join(lines) + "\n" + "".join(_binary(new)) + "".join(_binary(old, first=False))
    if not old and not new:  # an empty file came or went
        return "\n".join(lines) + "\n"
    lines.append(f"--- {_tabbed(old_name) if before else '/dev/null'}")
    lines.append(f"+++ {_tabbed(new_name) if after else '/dev/null'}")
    return "\n".join(lines) + "\n" + "".join(_hunks(_lines(old_text), _lines(new_text)))


def _modes(before: Side | None, after: Side | None) -> list[str]:
    if before is None and after is not None:
        return [f"new file mode {after.mode:o}"]
    if after is None and before is not None:
        return [f"deleted file mode {before.mode:o}"]
    if before and after and before.mode != after.mode:
        return [f"old mode {before.mode:o}", f"new mode {after.mode:o}"]
    return []


def _blob(content: bytes, side: Side | None) -> str:
    """Git's hash of a content, in full, as git needs it to apply a binary patch."""
    if side is None:
        return "0" * 40
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _text(content: bytes) -> str | None:
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _lines(text: str) -> list[str]:
    """Lines with their ends; only a line feed ends one."""
    return [line + "\n" for line in text.split("\n")[:-1]] + ([text.rpartition("\n")[2]] if text[-1:] != "\n" else [])


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    old, new = [line for line in old if line], [line for line in new if line]
    for group in _groups(old, new):
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
        for tag, old_start, old_end, new_start, new_end in group:
            if tag == "equal":
                yield from (_marked(" ", line) for line in old[old_start:old_end])
                continue
            yield from (_marked("-", line) for line in old[old_start:old_end])
            yield from (_marked("+", line) for line in new[new_start:new_end])


def _groups(old: list[str], new: list[str]) -> Iterator[list[Opcode]]:
    """The changes, each with the lines around it; those that are near each other are one group.

    A group has fewer lines around it only where the file begins or ends: git takes it for that place then.
    """
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    end_old, end_new = len(old) - tail, len(new) - tail
    # where they are alike at both ends, nothing needs to be found
    middle = _opcodes(old[head:end_old], new[head:end_new])
    opcodes = [(tag, i + head, j + head, k + head, m + head) for tag, i, j, k, m in middle]
    before, after = min(head, CONTEXT), min(tail, CONTEXT)
    group: list[Opcode] = [("equal", head - before, head, head - before, head)]
    for tag, i, j, k, m in opcodes:
        if tag == "equal" and j - i > 2 * CONTEXT:
            yield [*group, (tag, i, i + CONTEXT, k, k + CONTEXT)]
            group, i, k = [], j - CONTEXT, m - CONTEXT
        group.append((tag, i, j, k, m))
    yield [*group, ("equal", end_old, end_old + after, end_new, end_new + after)]


def _opcodes(old: list[str], new: list[str]) -> list[Opcode]:
    if max(len(old), len(new)) <= MOST_LINES and _pairs(old, new) <= MOST_PAIRS:
        return [(*opcode,) for opcode in difflib.SequenceMatcher(None, old, new).get_opcodes()]
    return [("replace", 0, len(old), 0, len(new))]


def _pairs(old: Sequence[str], new: Sequence[str]) -> int:
    """What finding the lines that are alike takes at worst: each pair of equal lines, as often as there are lines."""
    counts = Counter(new)
    popular = len(new) // 100 + 1 if len(new) >= 200 else len(new)  # difflib looks at no line that is more frequent
    pairs = sum(count for line in old if 0 < (count := counts[line]) <= popular)
    return pairs * min(len(old), len(new))


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines at the beginning are equal."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (before, after) in pairs if before != after), min(len(old), len(new)))


def _range(start: int, stop: int) -> str:
    count = stop - start
    if count == 1:
        return str(start + 1)
    return f"{start + 1 if count else start},{count}"


def _marked(mark: str, line: str) -> str:
    return mark + line if line.endswith("\n") else f"{mark}{line}\n\\ No newline at end of file\n"


def _binary(content: bytes, *, first: bool = True) -> Iterator[str]:
    """Git's form of a binary content: deflated, in lines of 52 bytes, each after its length."""
    if first:
        yield "GIT binary patch\n"
    yield f"literal {len(content)}\n"
    packed = zlib.compress(content)
    for at in range(0, len(packed), 52):
        chunk = packed[at : at + 52]
        length = chr(ord("A") + len(chunk) - 1) if len(chunk) <= 26 else chr(ord("a") + len(chunk) - 27)
        yield length + base64.b85encode(chunk, pad=True).decode() + "\n"
    yield "\n"


def _quoted(path: str) -> str:
    """A path as git writes it: in quotes where it has quotes, backslashes or control characters."""
    if not any(char in '"\\' or ord(char) < 32 or ord(char) == 127 or "\udc80" <= char <= "\udcff" for char in path):
        return path
    plain = {34: '\\"', 92: "\\\\", 9: "\\t", 10: "\\n", 13: "\\r"}
    raw = path.encode("utf-8", "surrogateescape")
    return '"' + "".join(plain.get(b) or (chr(b) if 32 <= b < 127 else f"\\{b:03o}") for b in raw) + '"'


def _tabbed(name: str) -> str:
    """A name with blanks ends with a tab, or git would look for a date after the blank."""
    return name + "\t" if " " in name and not name.startswith('"') else name
