"""Trees of files: what differs between two of them, and copies that keep the marks of an overlay.

Nothing is reached through a link, and nothing is read beyond a budget. Runs in a child whose root is the sandbox's own
folder, as a second lock.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lbi.sandbox import beneath
from lbi.sandbox.beneath import LINK, Beneath
from lbi.sandbox.supervisor.bounds import Budget, TooLarge, refuse_large

if TYPE_CHECKING:
    import hashlib

CHUNK = 1 << 20
MARKS = ("trusted.overlay.opaque", "user.overlay.opaque")
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
#: it went just now, or became something else, or is not to be read
_ANOTHER = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ENOTDIR})


def prepare() -> None:
    """Import the module that is slow to load; after a change of root it could no longer be found."""
    global hashlib
    import hashlib


# plain tuples, as a hundred thousand of them are handed from process to process
#: one side of a change: git's mode, the size, and the hash of what the file says
Entry = tuple[int, int, str]
#: a path without a leading slash, and what was and is there: a file that was added, removed or changed
Change = tuple[str, Entry | None, Entry | None]
#: what a file was when it was hashed: (inode, mode, size, time of the content, time of the status); () = none
Stamp = tuple[int, ...]
#: both sides of the files that were looked at, by path
Known = dict[str, tuple[Stamp, Entry | None, Entry | None]]
Watch = Callable[[str], None]


class Comparison:
    """Compares a pristine folder (``lower``) with what became of it (``merged``), folder by folder.

    ``upper`` is the layer of an overlay: only what is in it is looked at. ``known`` holds what was hashed before, and
    ``watch`` is called for every folder before it is looked at. Raises TooLarge.
    """

    def __init__(
        self,
        lower: Beneath,
        merged: Beneath,
        upper: Beneath | None,
        budget: Budget,
        known: Known | None = None,
        watch: Watch = lambda folder: None,
    ) -> None:
        self._lower, self._merged, self._upper = lower, merged, upper
        self._budget, self._before, self._watch = budget, known or {}, watch
        self.known: Known = {}
        self._waiting = [("", upper is not None)]

    def run(self) -> None:
        while self._waiting:
            folder, is_layered = self._waiting.pop()
            self._budget.enter(folder)
            self._watch(folder)
            with contextlib.ExitStack() as stack:
                old, new = (_opened(stack, tree, folder) for tree in (self._lower, self._merged))
                if is_layered:
                    self._layered(folder, old, new, _opened(stack, self._upper, folder) if self._upper else None)
                else:
                    self._plain(folder, old, new)

    def _layered(self, folder: str, old: int | None, new: int | None, upper: int | None) -> None:
        """What an overlay's layer has, and what is gone of the folder below it."""
        written = self._names(upper, self._budget.files)
        below = self._names(old)
        gone = below.keys() - self._names(new, self._budget.files + len(below)).keys() if below else set()
        self._look(folder, old, new, [(name, written.get(name) == stat.S_IFDIR) for name in written.keys() | gone])

    def _plain(self, folder: str, old: int | None, new: int | None) -> None:
        """All files, judged by size and time first."""
        before = self._statuses(old)
        after = self._statuses(new, self._budget.files + len(before))
        differing = []
        for name in before.keys() | after.keys():
            sides = [side[name] for side in (before, after) if name in side]
            if len(sides) == 2 and _seen(sides[0]) == _seen(sides[1]):
                continue
            if len(sides) == 2 and all(stat.S_ISDIR(status.st_mode) for status in sides):
                self._waiting.append((_joined(folder, name), False))
                continue
            differing.append((name, False))
        self._look(folder, old, new, differing)

    def _look(self, folder: str, old: int | None, new: int | None, names: list[tuple[str, bool]]) -> None:
        """Compare what has these names; folders, of either side, are looked into later."""
        self._budget.take_files(len(names))
        to_read = []
        for name, is_layered in names:
            path = _joined(folder, name)
            sides = _status(old, name), _status(new, name)
            if any(status and stat.S_ISDIR(status.st_mode) for status in sides):
                self._waiting.append((path, is_layered))
            stamp = _stamp(sides[1])
            known = self._before.get(path)
            if known and known[0] == stamp:
                self.known[path] = known
                continue
            to_read.append((path, name, stamp, *sides))
            # before any of them is read: what is too large costs no time
            self._budget.take_bytes(sum(_size(status) for status in sides))
        for path, name, stamp, old_status, new_status in to_read:
            before, after = self._entry(old, name, old_status), self._entry(new, name, new_status)
            if before is not None or after is not None:
                self.known[path] = (stamp, before, after)

    def _entry(self, folder: int | None, name: str, status: os.stat_result | None) -> Entry | None:
        """A file or link; None for what is absent, a folder, or nothing that git keeps."""
        if folder is None or status is None:
            return None
        mode = beneath.git_mode(status.st_mode)
        try:
            if mode == LINK:
                target = os.fsencode(os.readlink(name, dir_fd=folder))
                return (mode, 0, hashlib.blake2b(target, digest_size=16).hexdigest())
            return self._hashed(folder, name) if mode else None
        except OSError as error:
            if error.errno in _ANOTHER:
                return None
            raise

    def _hashed(self, folder: int, name: str) -> Entry | None:
        hashed, size = hashlib.blake2b(digest_size=16), 0
        handle = os.open(name, _FILE, dir_fd=folder)
        try:
            status = os.fstat(handle)
            if not (mode := beneath.git_mode(status.st_mode)):
                return None
            # what is appended meanwhile is of the next time
            while size < status.st_size and (chunk := os.read(handle, min(CHUNK, status.st_size - size))):
                hashed.update(chunk)
                size += len(chunk)
        finally:
            os.close(handle)
        return (mode, size, hashed.hexdigest())

    def _names(self, folder: int | None, most: int | None = None) -> dict[str, int]:
        return {name: beneath.kind_of(entry) for name, entry in self._entries(folder, most)}

    def _statuses(self, folder: int | None, most: int | None = None) -> dict[str, os.stat_result]:
        found = {}
        for name, entry in self._entries(folder, most):
            with contextlib.suppress(FileNotFoundError):  # it went just now
                found[name] = entry.stat(follow_symlinks=False)
        return found

    def _entries(self, folder: int | None, most: int | None) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What git would look at in a folder; nothing where there is no folder."""
        if folder is None:
            return
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if most is not None and count > most:
                    self._budget.take_files(count)
                if entry.name != ".git":
                    yield entry.name, entry


def changes_of(known: Known) -> list[Change]:
    """The files whose sides differ, by path."""
    return sorted((path, old, new) for path, (_, old, new) in known.items() if old != new)


def read_all(lower: Beneath, merged: Beneath, wanted: list[tuple[str, bool, int]]) -> list[bytes]:
    """The contents of files and links: (path, whether the pristine one, its size as it was when it was hashed).

    b"" for what is gone. Raises TooLarge for what has grown.
    """
    contents = []
    for (folder, pristine), files in itertools.groupby(wanted, key=lambda each: (_split(each[0])[0], each[1])):
        with contextlib.ExitStack() as stack:
            handle = _opened(stack, lower if pristine else merged, folder)
            contents += [b"" if handle is None else _content(handle, path, size) for path, _, size in files]
    return contents


def _content(folder: int, path: str, size: int) -> bytes:
    name = _split(path)[1]
    try:
        handle = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return os.fsencode(os.readlink(name, dir_fd=folder))
        if error.errno in _ANOTHER:
            return b""
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):  # another by now, a folder perhaps
        os.close(handle)
        return b""
    with os.fdopen(handle, "rb", buffering=0) as file:
        if status.st_size > size:
            raise TooLarge(f"{path} grows while it is read")
        content: bytes = file.read(status.st_size)
        return content


def read_file(root: str, path: str) -> bytes:
    """A regular file's content. Raises OSError at once for anything else, what lies behind a link, or is too large."""
    with Beneath(root) as tree:
        refuse_large(tree.look(path).st_size, path)
        content, size = tree.read_at_most(path, 1 << 62)
        refuse_large(size, path)
        return content


def write_file(root: str, path: str, content: bytes) -> None:
    """Write a regular file, making its folders. Raises OSError."""
    with Beneath(root) as tree:
        tree.write(path, content)


def copy_tree(source: str, target: str, budget: Budget | None = None) -> None:
    """Copy files, links, times and the marks of an overlay; sockets and pipes are left out. Raises TooLarge."""
    os.makedirs(target, exist_ok=True)
    with Beneath(source) as old, Beneath(target) as new:
        beneath.copy(old, new, marks=MARKS, budget=budget)


def _opened(stack: contextlib.ExitStack, tree: Beneath, folder: str) -> int | None:
    """A handle of a folder that is reached through no link; None where there is none."""
    try:
        handle = tree.open(folder, _FOLDER) if folder else os.open(".", _FOLDER | os.O_CLOEXEC, dir_fd=tree.handle)
    except OSError:
        return None
    stack.callback(os.close, handle)
    return handle


def _status(folder: int | None, name: str) -> os.stat_result | None:
    with contextlib.suppress(FileNotFoundError):
        return None if folder is None else os.stat(name, dir_fd=folder, follow_symlinks=False)
    return None


def _size(status: os.stat_result | None) -> int:
    return status.st_size if status and stat.S_ISREG(status.st_mode) else 0


def _stamp(status: os.stat_result | None) -> Stamp:
    if status is None:
        return ()
    return (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _seen(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_mode, status.st_size, status.st_mtime_ns)


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
