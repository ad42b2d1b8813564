"""Trees of files: what differs between two of them, and copies that keep the marks of an overlay.

Runs in a child whose root is the sandbox's own folder, so that a link planted there cannot lead out of it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import hashlib
    import shutil

CHUNK = 1 << 20
LINK = 0o120000


def prepare() -> None:
    """Import the modules that are slow to load; after a change of root they could no longer be found."""
    global hashlib, shutil
    import hashlib
    import shutil


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
    touched = _touched(lower, merged, upper, "") if upper else _all(lower, merged, "")
    differing = []
    for path in sorted(set(touched)):
        old, new = entry(lower, path), entry(merged, path)
        if old != new:
            differing.append(Change(path, old, new))
    return differing


def entry(root: str, path: str) -> Entry | None:
    """A file or link of a tree; None for what is absent, behind a link, a folder, or nothing that git keeps."""
    located = _locate(root, path)
    if located is None:
        return None
    mode, full = located
    hashed, size = hashlib.blake2b(digest_size=16), 0
    with contextlib.suppress(OSError):
        if mode == LINK:
            hashed.update(os.fsencode(os.readlink(full)))
        else:
            with _opened(full) as file:
                while chunk := file.read(CHUNK):
                    hashed.update(chunk)
                    size += len(chunk)
        return Entry(mode, size, hashed.hexdigest())
    return None


def read(root: str, path: str) -> tuple[int, bytes] | None:
    """(git's mode, content) of a file or link that lies behind no link."""
    located = _locate(root, path)
    if located is None:
        return None
    mode, full = located
    with contextlib.suppress(OSError):
        return mode, os.fsencode(os.readlink(full)) if mode == LINK else read_file(full)
    return None


def read_file(path: str) -> bytes:
    """A regular file's content. Raises OSError at once for anything else, such as a pipe."""
    with _opened(path) as file:
        return file.read()


def _opened(path: str) -> BinaryIO:
    # reading a pipe without a writer would wait for ever, and reading a device could do anything
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    kind = os.fstat(handle).st_mode
    if stat.S_ISREG(kind):
        return open(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(21, os.strerror(21), path)
    raise OSError(22, "not a regular file", path)


def _locate(root: str, path: str) -> tuple[int, str] | None:
    """(git's mode, path from here) of a file or link that is reached without following any link."""
    full = os.path.join(root, path)
    try:
        kind = os.lstat(full).st_mode
    except OSError:
        return None
    if not _reached(root, path):
        return None
    if stat.S_ISLNK(kind):
        return LINK, full
    return (0o100755 if kind & stat.S_IXUSR else 0o100644, full) if stat.S_ISREG(kind) else None


def write_file(path: str, content: bytes) -> None:
    """Write a regular file, making its folders. Raises OSError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o644)
    with open(handle, "wb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(22, "not a regular file", path)
        file.truncate(0)
        file.write(content)


def copy_tree(source: str, target: str) -> None:
    """Copy files, links, times and the marks of an overlay; sockets and pipes are left out."""
    os.makedirs(target, exist_ok=True)
    with os.scandir(source) as entries:
        for item in entries:
            _copy(item, os.path.join(target, item.name))
    _copy_marks(source, target)
    shutil.copystat(source, target, follow_symlinks=False)


def _copy(item: os.DirEntry[str], target: str) -> None:
    kind = item.stat(follow_symlinks=False)
    if stat.S_ISDIR(kind.st_mode):
        copy_tree(item.path, target)
    elif stat.S_ISLNK(kind.st_mode):
        os.symlink(os.readlink(item.path), target)
    elif stat.S_ISREG(kind.st_mode):
        shutil.copyfile(item.path, target, follow_symlinks=False)
        shutil.copystat(item.path, target, follow_symlinks=False)
    elif stat.S_ISCHR(kind.st_mode) and kind.st_rdev == 0:
        os.mknod(target, stat.S_IFCHR, 0)  # an overlay's mark for "deleted"


def _copy_marks(source: str, target: str) -> None:
    for name in ("trusted.overlay.opaque", "user.overlay.opaque"):
        with contextlib.suppress(OSError):
            os.setxattr(target, name, os.getxattr(source, name))


def _touched(lower: str, merged: str, upper: str, folder: str) -> Iterator[str]:
    """Files in an overlay's upper folder, and those that are gone from folders in it."""
    for name in _names(upper, folder):
        path = os.path.join(folder, name)
        if _is_folder(upper, path):
            yield from _touched(lower, merged, upper, path)
        else:
            yield from _below(lower, path)
        yield path
    for name in set(_names(lower, folder)) - set(_names(merged, folder)):
        yield from _below(lower, os.path.join(folder, name))


def _below(root: str, path: str) -> Iterator[str]:
    """All files at or below a path of a tree."""
    if not _is_folder(root, path):
        yield path
        return
    for name in _names(root, path):
        yield from _below(root, os.path.join(path, name))


def _all(lower: str, merged: str, folder: str) -> Iterator[str]:
    """Files that may differ, judged by size and time first."""
    for name in {*_names(lower, folder), *_names(merged, folder)}:
        path = os.path.join(folder, name)
        if _is_folder(lower, path) or _is_folder(merged, path):
            yield from _all(lower, merged, path)
        if not _alike(os.path.join(lower, path), os.path.join(merged, path)):
            yield path


def _alike(one: str, other: str) -> bool:
    try:
        first, second = os.lstat(one), os.lstat(other)
    except OSError:
        return False
    return (first.st_mode, first.st_size, first.st_mtime_ns) == (second.st_mode, second.st_size, second.st_mtime_ns)


def _names(root: str, folder: str) -> list[str]:
    """The names that git would look at in a folder; none where there is no folder."""
    if folder and not (_reached(root, folder) and _is_folder(root, folder)):
        return []
    try:
        return [name for name in os.listdir(os.path.join(root, folder)) if name != ".git"]
    except OSError:
        return []


def _is_folder(root: str, path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(os.path.join(root, path)).st_mode)
    except OSError:
        return False


def _reached(root: str, path: str) -> bool:
    """Whether every parent is a folder: what lies behind a link is no part of the tree."""
    parts = path.split("/")[:-1]
    return all(_is_folder(root, "/".join(parts[: at + 1])) for at in range(len(parts)))
