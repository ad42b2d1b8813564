"""Trees of files: what differs between two of them, and copies that keep the marks of an overlay.

Nothing is reached through a link. Runs in a child whose root is the sandbox's own folder, as a second lock.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from lbi.sandbox import beneath
from lbi.sandbox.beneath import LINK, Beneath

if TYPE_CHECKING:
    import hashlib

CHUNK = 1 << 20
MARKS = ("trusted.overlay.opaque", "user.overlay.opaque")


def prepare() -> None:
    """Import the module that is slow to load; after a change of root it could no longer be found."""
    global hashlib
    import hashlib


class Entry(NamedTuple):
    """One side of a change: git's mode, and the hash of what the file says."""

    mode: int
    size: int
    digest: str


class Change(NamedTuple):
    """A file that was added (no ``old``), removed (no ``new``) or changed."""

    path: str  # relative, without a leading slash
    old: Entry | None
    new: Entry | None


def changes(lower: str, merged: str, upper: str = "") -> list[Change]:
    """The files of ``merged`` that differ from ``lower``, by path; with ``upper``, only files in it are compared."""
    differing = []
    with contextlib.ExitStack() as stack:
        old, new = stack.enter_context(Beneath(lower)), stack.enter_context(Beneath(merged))
        touched = _touched(old, new, stack.enter_context(Beneath(upper)), "") if upper else _all(old, new, "")
        for path in sorted(set(touched)):
            before, after = entry(old, path), entry(new, path)
            if before != after:
                differing.append(Change(path, before, after))
    return differing


def entry(tree: Beneath, path: str) -> Entry | None:
    """A file or link of a tree; None for what is absent, behind a link, a folder, or nothing that git keeps."""
    with contextlib.suppress(OSError):
        mode = beneath.git_mode(tree.look(path).st_mode)
        hashed, size = hashlib.blake2b(digest_size=16), 0
        if mode == LINK:
            hashed.update(tree.link(path))
        elif mode:
            with tree.reading(path) as file:
                while chunk := file.read(CHUNK):
                    hashed.update(chunk)
                    size += len(chunk)
        return Entry(mode, size, hashed.hexdigest()) if mode else None
    return None


def read(root: str, path: str) -> tuple[int, bytes] | None:
    """(git's mode, content) of a file or link that lies behind no link."""
    with contextlib.suppress(OSError), Beneath(root) as tree:
        return tree.item(path)
    return None


def read_file(root: str, path: str) -> bytes:
    """A regular file's content. Raises OSError at once for anything else, and for what lies behind a link."""
    with Beneath(root) as tree:
        return tree.read(path)


def write_file(root: str, path: str, content: bytes) -> None:
    """Write a regular file, making its folders. Raises OSError."""
    with Beneath(root) as tree:
        tree.write(path, content)


def copy_tree(source: str, target: str) -> None:
    """Copy files, links, times and the marks of an overlay; sockets and pipes are left out."""
    os.makedirs(target, exist_ok=True)
    with Beneath(source) as old, Beneath(target) as new:
        beneath.copy(old, new, marks=MARKS)


def _touched(lower: Beneath, merged: Beneath, upper: Beneath, folder: str) -> Iterator[str]:
    """Files in an overlay's upper folder, and those that are gone from folders in it."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        for name, kind in _names(upper, here).items():
            path = os.path.join(here, name)
            if kind == stat.S_IFDIR:
                waiting.append(path)
            else:
                yield from _below(lower, path)
            yield path
        gone = _names(lower, here)
        for name in gone.keys() - _names(merged, here).keys() if gone else ():
            yield from _below(lower, os.path.join(here, name))


def _below(tree: Beneath, path: str) -> Iterator[str]:
    """All files at or below a path of a tree."""
    if not tree.is_folder(path):
        yield path
        return
    with contextlib.suppress(OSError):
        yield from (inner for inner, _ in tree.walk(skip=(".git",), folder=path))


def _all(lower: Beneath, merged: Beneath, folder: str) -> Iterator[str]:
    """Files that may differ, judged by size and time first."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        old, new = _listing(lower, here), _listing(merged, here)
        for name in old.keys() | new.keys():
            path = os.path.join(here, name)
            sides = [side[name] for side in (old, new) if name in side]
            if any(stat.S_ISDIR(status.st_mode) for status in sides):
                waiting.append(path)
            if len(sides) < 2 or _seen(sides[0]) != _seen(sides[1]):
                yield path


def _seen(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_mode, status.st_size, status.st_mtime_ns)


def _listing(tree: Beneath, folder: str) -> dict[str, os.stat_result]:
    """What git would look at in a folder; nothing where there is no folder."""
    try:
        return {name: status for name, status in tree.listing(folder).items() if name != ".git"}
    except OSError:
        return {}


def _names(tree: Beneath, folder: str) -> dict[str, int]:
    """The same by kind."""
    try:
        return {name: kind for name, kind in tree.names(folder) if name != ".git"}
    except OSError:
        return {}
