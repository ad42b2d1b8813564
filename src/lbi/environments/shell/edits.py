"""The actions on files of a sandbox: view, create, replace and insert. Each returns what the agent sees afterwards."""

from __future__ import annotations

from lbi.sandbox.protocol import Sandbox

DEFAULT_LINES = 100  # shown of a file where the action does not say how many
CONTEXT_LINES = 4  # shown before and after a change
MAX_LINE = 500  # characters shown of a line
MAX_BYTES = 4 << 20  # of a file that is viewed or changed


class EditRefused(ValueError):
    """The message says why, in words for the model."""


async def view(sandbox: Sandbox, path: str, first: int = 1, last: int = 0, *, max_chars: int = 10_000) -> str:
    """Lines ``first`` to ``last`` with their numbers. Raises EditRefused, OSError."""
    lines = (await _text(sandbox, path)).splitlines()
    first = max(first, 1)
    if first > max(len(lines), 1):
        raise EditRefused(f"{path} has {len(lines)} lines; line {first} is beyond its end")
    if last and last < first:
        raise EditRefused(f"the lines end before they begin: {first} to {last}")
    end = min(last or first + DEFAULT_LINES - 1, len(lines))
    shown: list[str] = []
    room = max_chars
    for number in range(first, end + 1):
        line = _numbered(number, lines[number - 1])
        room -= len(line) + 1
        if room < 0 and shown:
            end = number - 1
            break
        shown.append(line)
    return "\n".join([f"File: {path}, lines {first} to {end} of {len(lines)}", *shown])


async def create(sandbox: Sandbox, path: str, text: str) -> str:
    """Write a whole file; a missing line end at its end is added. Raises OSError."""
    content = text if not text or text.endswith("\n") else text + "\n"
    await sandbox.upload(path, content.encode("utf-8", "replace"))
    return f"File: {path}, written, {len(content.splitlines())} lines"


async def replace(sandbox: Sandbox, path: str, old: str, new: str) -> str:
    """Replace the only occurrence of a text. Raises EditRefused where there is none or more than one, OSError."""
    text = await _text(sandbox, path)
    count = text.count(old) if old else 0
    if not old:
        raise EditRefused("the text to replace is empty; use insert to add lines")
    if not count:
        raise EditRefused(
            f"{path} does not contain that text; it must be copied exactly, blanks included: view the file"
        )
    if count > 1:
        raise EditRefused(f"{path} contains that text {count} times; take more of the lines around it")
    at = text.index(old)
    changed = text[:at] + new + text[at + len(old) :]
    await sandbox.upload(path, changed.encode("utf-8", "surrogateescape"))
    first = text.count("\n", 0, at) + 1
    return _around(path, changed, first, first + new.count("\n"))


async def insert(sandbox: Sandbox, path: str, after: int, text: str) -> str:
    """Insert lines after a line; 0 = at the beginning. Raises EditRefused, OSError."""
    lines = (await _text(sandbox, path)).splitlines(keepends=True)
    if after > len(lines):
        raise EditRefused(f"{path} has {len(lines)} lines; nothing can be inserted after line {after}")
    added = text if text.endswith("\n") else text + "\n"
    if after and not lines[after - 1].endswith("\n"):
        lines[after - 1] += "\n"
    changed = "".join([*lines[:after], added, *lines[after:]])
    await sandbox.upload(path, changed.encode("utf-8", "surrogateescape"))
    return _around(path, changed, after + 1, after + added.count("\n"))


async def _text(sandbox: Sandbox, path: str) -> str:
    content = await sandbox.download(path)
    if len(content) > MAX_BYTES:
        raise EditRefused(f"{path} has {len(content):,} bytes, too much to look at; use run with head, sed or grep")
    if b"\0" in content[:8192]:
        raise EditRefused(f"{path} is no text")
    return content.decode("utf-8", "surrogateescape")


def _around(path: str, text: str, first: int, last: int) -> str:
    lines = text.splitlines()
    begin, end = max(first - CONTEXT_LINES, 1), min(last + CONTEXT_LINES, len(lines))
    shown = [_numbered(number, lines[number - 1]) for number in range(begin, end + 1)]
    return "\n".join([f"File: {path}, changed, lines {begin} to {end} of {len(lines)}", *shown])


def _numbered(number: int, line: str) -> str:
    return f"{number:6}\t{line if len(line) <= MAX_LINE else line[:MAX_LINE] + ' [...]'}"
