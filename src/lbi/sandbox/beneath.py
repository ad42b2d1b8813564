"""Files below a folder that somebody else may have filled: reached by path, and never through a link.

The kernel itself refuses links on the way (openat2 of Linux 5.6 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS); where it
cannot, each part of a path is opened by its own name from the one before. Nothing is looked at first and opened by the
same path later, so what changes in between cannot lead elsewhere. Loads the standard library only, as the supervisor of
a sandbox uses it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from lbi.sandbox.supervisor.bounds import Budget

LINK = 0o120000  # git's mode of a link
_BENEATH, _NO_SYMLINKS = 0x08, 0x04
_OPENAT2 = 437  # one number on all machines but Alpha
_ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | _ALWAYS
_WAY = getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # openat2 takes no other with O_PATH
_CHUNK = 1 << 20
_kernel_refuses_links = sys.platform == "linux"


class Refused(OSError):
    """A path passes through a link or leads out of its folder: the fault of whoever named it, or put the link there."""

    def __init__(self, number: int, reason: str, path: str) -> None:
        super().__init__(number, reason, path)

    def __str__(self) -> str:
        return f"{self.filename} {self.strerror}"


def parts(path: str) -> list[str]:
    """The parts of a relative path. Raises Refused for one that is absolute, leads upwards, or names nothing."""
    found = [part for part in path.split("/") if part not in ("", ".")]
    if not found or path.startswith("/") or ".." in found or "\0" in path:
        raise Refused(errno.EXDEV, "leads out of the folder", path)
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise Refused(errno.EILSEQ, "is no name that a file can have", path) from None
    return found


def git_mode(kind: int) -> int:
    """The mode that git knows a file or link by; 0 for anything else."""
    if stat.S_ISLNK(kind):
        return LINK
    return (0o100755 if kind & stat.S_IXUSR else 0o100644) if stat.S_ISREG(kind) else 0


class Beneath:
    """A folder whose files are reached by relative paths. Whoever makes one closes it.

    Every method raises Refused where a path passes through a link or leads out of the folder, and OSError as the file
    system does. Only the folder's own path may contain links.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.handle = os.open(folder or "/", getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Beneath:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.handle)

    # looking and reading

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A handle of an existing file or folder, which the caller closes."""
        return _open(self.handle, parts(path), flags | _ALWAYS, path)

    def look(self, path: str) -> os.stat_result:
        """What a file, folder or link itself is."""
        with self._parent(path) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder that is reached through no link."""
        try:
            return not path or stat.S_ISDIR(self.look(path).st_mode)
        except OSError:
            return False

    def reading(self, path: str) -> BinaryIO:
        """A regular file, open. Raises OSError at once for anything else, such as a pipe, which could make it wait."""
        handle = self.open(path, os.O_RDONLY | os.O_NONBLOCK)
        kind = os.fstat(handle).st_mode
        if stat.S_ISREG(kind):
            return os.fdopen(handle, "rb")
        os.close(handle)
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        raise OSError(errno.EINVAL, "is not a regular file", path)

    def read(self, path: str) -> bytes:
        """The content of a regular file."""
        with self.reading(path) as file:
            return file.read()

    def read_at_most(self, path: str, most: int) -> tuple[bytes, int]:
        """(the beginning of a regular file, how large it is); a file that grows meanwhile is read no further."""
        with self.reading(path) as file:
            size = os.fstat(file.fileno()).st_size
            return file.read(min(size, most)), size

    def link(self, path: str) -> bytes:
        """Where a link leads."""
        with self._parent(path) as (folder, name):
            return os.fsencode(os.readlink(name, dir_fd=folder))

    def item(self, path: str) -> tuple[int, bytes] | None:
        """(git's mode, content) of a file or link; None where there is neither."""
        try:
            mode = git_mode(self.look(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (mode, self.link(path) if mode == LINK else self.read(path)) if mode else None

    def names(self, folder: str = "") -> list[tuple[str, int]]:
        """(name, kind of file as in stat.S_IFMT) of what is in a folder, by name."""
        with self._scanned(folder) as entries:
            return sorted((entry.name, kind_of(entry)) for entry in entries)

    def listing(self, folder: str = "") -> dict[str, os.stat_result]:
        """What each file, folder and link in a folder is, by name."""
        found = {}
        with self._scanned(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # it went just now
                    found[entry.name] = entry.stat(follow_symlinks=False)
        return found

    def walk(self, skip: Collection[str] = (), folder: str = "") -> Iterator[tuple[str, int]]:
        """(path, kind) of all that is no folder, below a folder; folders called as in ``skip`` are left out."""
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            inner = []
            for name, kind in self.names(here):
                path = f"{here}/{name}" if here else name
                if kind != stat.S_IFDIR:
                    yield path, kind
                elif name not in skip:
                    inner.append(path)
            waiting += reversed(inner)

    # writing

    def write(self, path: str, content: bytes, mode: int | None = None) -> None:
        """Make or replace a regular file, with its folders. Its mode is ``mode``, else that of the old one.

        The old one is not written into: under another name, wherever that is, it stays as it was.
        """
        with self._parent(path, make=True) as (folder, name):
            with contextlib.suppress(FileNotFoundError):
                old = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISLNK(old):
                    raise Refused(errno.ELOOP, f"passes through a link ({path})", path)
                if stat.S_ISDIR(old):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
                if not stat.S_ISREG(old):
                    raise OSError(errno.EINVAL, "is not a regular file", path)
                mode = stat.S_IMODE(old) if mode is None else mode
                os.unlink(name, dir_fd=folder)
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ALWAYS, 0o644, dir_fd=folder)
            with os.fdopen(handle, "wb") as file:
                if mode is not None:
                    os.fchmod(handle, mode)
                file.write(content)

    def set_time(self, path: str, seconds: float) -> None:
        """Set when a file was changed."""
        with self._parent(path) as (folder, name):
            os.utime(name, (seconds, seconds), dir_fd=folder, follow_symlinks=False)

    def make_link(self, path: str, target: bytes) -> None:
        """Make a link, with the folders on its way. Where it leads is not looked at."""
        with self._parent(path, make=True) as (folder, name):
            os.symlink(target, os.fsencode(name), dir_fd=folder)

    def make_folder(self, path: str) -> None:
        """Make a folder and those on its way; harmless where it is one already."""
        with self._parent(f"{path}/inside", make=True):
            pass

    def remove(self, path: str) -> None:
        """Remove a file or link."""
        with self._parent(path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def clear(self, path: str) -> None:
        """Remove whatever is there: file, link, or folder with all that is in it. Harmless where there is nothing."""
        try:
            kind = self.look(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        with self._parent(path) as (above, name):
            if stat.S_ISDIR(kind):
                _remove_folder(above, name)
            else:
                os.unlink(name, dir_fd=above)

    def prune(self, path: str) -> None:
        """Remove the folders on the way to a path that are empty, as git does."""
        folders = parts(path)[:-1]
        with contextlib.suppress(OSError):
            while folders:
                with self._parent("/".join(folders)) as (above, name):
                    os.rmdir(name, dir_fd=above)
                folders.pop()

    # inside

    @contextlib.contextmanager
    def _scanned(self, folder: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        handle = self.open(folder, _FOLDER) if folder else os.open(".", _FOLDER, dir_fd=self.handle)
        try:
            with os.scandir(handle) as entries:
                yield entries
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """(handle of the folder that a path lies in, its last part)."""
        *folders, name = parts(path)
        handle = _made(self.handle, folders, path) if make else self._folder(folders, path)
        try:
            yield handle, name
        finally:
            os.close(handle)

    def _folder(self, folders: list[str], path: str) -> int:
        return _open(self.handle, folders, _WAY, path) if folders else os.dup(self.handle)


def remove_tree(folder: str | os.PathLike[str]) -> None:
    """Remove a folder with all that is in it, however deep, whatever its modes. Raises OSError."""
    path = os.fspath(folder).rstrip("/")
    above = os.open(os.path.dirname(path) or ".", _FOLDER & ~os.O_NOFOLLOW)
    try:
        _remove_folder(above, os.path.basename(path))
    finally:
        os.close(above)


def _remove_folder(above: int, name: str) -> None:
    """Folders in folders are moved up before they are emptied, so that no path gets long and no stack deep."""
    top = _opened(above, name)
    try:
        moved = 0
        while folders := _without_files(top):
            for inner in folders:
                handle = _opened(top, inner)
                try:
                    for deeper in _without_files(handle):
                        moved = _moved(handle, deeper, top, moved)
                finally:
                    os.close(handle)
                os.rmdir(inner, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=above)


def _opened(above: int, name: str) -> int:
    """A handle of a folder whose owner may now do everything with it."""
    try:
        handle = os.open(name, _FOLDER, dir_fd=above)  # of a link, another error
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=above)
        handle = os.open(name, _FOLDER, dir_fd=above)
    with contextlib.suppress(PermissionError):  # somebody else's; it may yet be empty
        if os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(handle, stat.S_IRWXU)
    return handle


def _without_files(folder: int) -> list[str]:
    """Remove all from a folder that is no folder; the names of those that are left."""
    folders = []
    with os.scandir(folder) as entries:
        for name, kind in [(entry.name, kind_of(entry)) for entry in entries]:
            if kind == stat.S_IFDIR:
                folders.append(name)
            else:
                os.unlink(name, dir_fd=folder)
    return folders


def _moved(source: int, name: str, target: int, number: int) -> int:
    """Move a folder under a number that is free; returns the next one."""
    os.close(_opened(source, name))  # what is moved needs to be writable
    while True:
        number += 1
        try:
            os.mkdir(f".{number}", dir_fd=target)
        except FileExistsError:
            continue
        os.rename(name, f".{number}", src_dir_fd=source, dst_dir_fd=target)
        return number


def copy(
    source: Beneath,
    target: Beneath,
    *,
    skip: Collection[str] = (),
    marks: Collection[str] = (),
    budget: Budget | None = None,
) -> None:
    """Copy files, folders, links, modes and times; holes and hard links stay what they are.

    Sockets, pipes and devices are left out, as are names in ``skip``; ``marks`` are attributes of folders that are
    copied, with an overlay's marks for "deleted". Raises TooLarge where a ``budget`` is exceeded.
    """
    folders = [""]
    hard: dict[tuple[int, int], str] = {}  # where a file with more than one name was copied to
    for folder in folders:  # grows while it is gone through
        if budget:
            budget.enter(folder)
        with _both(source, target, folder) as (old, new):
            items = []
            with os.scandir(old) as entries:
                for entry in entries:
                    if budget:
                        budget.take_files()
                    if entry.name not in skip:
                        items.append((entry.name, entry.stat(follow_symlinks=False)))
            for name, status in items:
                if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                    twin = hard.setdefault((status.st_dev, status.st_ino), f"{folder}/{name}" if folder else name)
                    with target._parent(twin) as (place, first):
                        if first != name or twin.rpartition("/")[0] != folder:
                            os.link(first, name, src_dir_fd=place, dst_dir_fd=new, follow_symlinks=False)
                            continue
                if budget and stat.S_ISREG(status.st_mode):
                    budget.take_bytes(status.st_size)
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(name, 0o700, dir_fd=new)
                    folders.append(f"{folder}/{name}" if folder else name)
                elif stat.S_ISLNK(status.st_mode):
                    os.symlink(os.readlink(name, dir_fd=old), name, dir_fd=new)
                elif stat.S_ISREG(status.st_mode):
                    _copy_file(old, new, name)
                elif marks and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                    os.mknod(name, stat.S_IFCHR, 0, dir_fd=new)
    for folder in reversed(folders):  # from within, as what is made in a folder changes its time
        with _both(source, target, folder) as (old, new):
            for mark in marks:
                with contextlib.suppress(OSError):
                    os.setxattr(new, mark, os.getxattr(old, mark))
            _copy_status(old, new)


@contextlib.contextmanager
def _both(source: Beneath, target: Beneath, folder: str) -> Iterator[tuple[int, int]]:
    with contextlib.ExitStack() as stack:
        handles = []
        for side in (source, target):
            handle = side.open(folder, _FOLDER) if folder else os.open(".", _FOLDER, dir_fd=side.handle)
            stack.callback(os.close, handle)
            handles.append(handle)
        yield handles[0], handles[1]


def _copy_file(old: int, new: int, name: str) -> None:
    with contextlib.ExitStack() as stack:
        reading = os.open(name, os.O_RDONLY | os.O_NONBLOCK | _ALWAYS, dir_fd=old)
        stack.callback(os.close, reading)
        writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ALWAYS, 0o600, dir_fd=new)
        stack.callback(os.close, writing)
        status = os.fstat(reading)
        if stat.S_ISREG(status.st_mode):
            for start, end in _data(reading, status.st_size):
                at = start
                while at < end and (chunk := os.pread(reading, min(_CHUNK, end - at), at)):
                    at += os.pwrite(writing, chunk, at)
            os.ftruncate(writing, status.st_size)
            _copy_status(reading, writing)


def _data(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts (start, end) of a file that are no holes; nothing of what is appended meanwhile."""
    at = 0
    while at < size:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA)
            end = os.lseek(handle, at, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no data after this; elsewhere, holes cannot be asked for
                yield at, size
            return
        yield at, min(end, size)
        at = end


def _copy_status(old: int, new: int) -> None:
    status = os.fstat(old)
    os.fchmod(new, stat.S_IMODE(status.st_mode))
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))


def kind_of(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    if entry.is_dir(follow_symlinks=False):
        return stat.S_IFDIR
    return stat.S_IFREG if entry.is_file(follow_symlinks=False) else 0


def _open(root: int, names: list[str], flags: int, path: str) -> int:
    """Open what ``names`` lead to from a folder."""
    if _kernel_refuses_links:
        handle, number = _by_kernel(root, "/".join(names), flags)
        if handle >= 0:
            return handle
        if number == errno.ENOENT:
            raise FileNotFoundError(number, os.strerror(number), path)
    return _by_parts(root, names, flags, path)  # also to learn which part is in the way


class _How(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


def _by_kernel(root: int, path: str, flags: int) -> tuple[int, int]:
    """(handle or -1, number of the error) of openat2."""
    how = _How(flags, 0, _BENEATH | _NO_SYMLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    handle = _libc().syscall(_OPENAT2, root, ctypes.c_char_p(os.fsencode(path)), ctypes.byref(how), size)
    return int(handle), ctypes.get_errno()


def _by_parts(root: int, names: list[str], flags: int, path: str) -> int:
    """Part by part: each is opened from the folder before it, and none may be a link."""
    handle = os.dup(root)
    try:
        for at, name in enumerate(names):
            inner = _step(handle, name, flags if at == len(names) - 1 else _WAY, "/".join(names[: at + 1]), path)
            os.close(handle)
            handle = inner
    except OSError:
        os.close(handle)
        raise
    return handle


def _step(folder: int, name: str, flags: int, way: str, path: str) -> int:
    kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISLNK(kind):
        raise Refused(errno.ELOOP, f"passes through a link ({way})", path)
    if flags & os.O_DIRECTORY and not stat.S_ISDIR(kind):
        raise NotADirectoryError(errno.ENOTDIR, f"{way} is not a folder", path)
    return os.open(name, flags, dir_fd=folder)  # of a link that came just now, this is an error


def _made(root: int, folders: list[str], path: str) -> int:
    """A handle of a folder, which is made where it is missing, as are those on the way."""
    handle = os.dup(root)
    try:
        for at, name in enumerate(folders):
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=handle)
            inner = _step(handle, name, _WAY, "/".join(folders[: at + 1]), path)
            os.close(handle)
            handle = inner
    except OSError:
        os.close(handle)
        raise
    return handle


_loaded: list[ctypes.CDLL] = []


def _libc() -> ctypes.CDLL:
    if not _loaded:
        _loaded.append(ctypes.CDLL(None, use_errno=True))
    return _loaded[0]
