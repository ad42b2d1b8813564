"""The files of an application's state folder, except its database: copied, compared, cleaned up."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from lbi.environments.web.database import copy_database

#: {path within the folder: (mtime in ns, size, mode)}; of a folder the mode alone
Stamps = dict[str, tuple[int, int, int]]
_DATABASE_ENDINGS = ("-wal", "-shm", "-journal")


def database_files(database: str) -> set[str]:
    """The paths of an SQLite file and of those that it keeps beside it; none without a name."""
    return {f"{database}{ending}" for ending in _DATABASE_ENDINGS} | {database} if database else set()


def copy_state(source: Path, target: Path, database: str) -> None:
    """Copy a state folder; its ``database`` by way of SQLite, as a server may be writing to it."""
    skipped = database_files(database)

    def skip(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if os.path.relpath(os.path.join(folder, name), source) in skipped}

    shutil.copytree(source, target, ignore=skip if database else None, symlinks=True)
    if database:
        copy_database(source / database, target / database)


def stamps_of(root: Path, database: str) -> Stamps:
    """Every file and link but the database by its path, and every folder by its path with a slash."""
    skipped = database_files(database)
    stamps: Stamps = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                    stamps[f"{path}/"] = (0, 0, entry.stat(follow_symlinks=False).st_mode)
                elif path not in skipped:
                    status = entry.stat(follow_symlinks=False)
                    stamps[path] = (status.st_mtime_ns, status.st_size, status.st_mode)
    return stamps


def same_content(first: Path, second: Path) -> bool:
    """Whether two paths are links to one target, folders, or files of one content; and of one mode."""
    try:
        if first.lstat().st_mode != second.lstat().st_mode:
            return False
        if first.is_symlink():
            return first.readlink() == second.readlink()
        return first.is_dir() or first.read_bytes() == second.read_bytes()
    except OSError:
        return False


def put_back(before: Path, live: Path) -> None:
    """Make a path what it was: a link, a folder or a file. A file is written into, as the server may hold it open."""
    if _kind(before) != _kind(live):
        remove(live)
    live.parent.mkdir(parents=True, exist_ok=True)
    if before.is_symlink():
        remove(live)
        live.symlink_to(before.readlink())
        return
    mode = stat.S_IMODE(before.stat().st_mode)
    if before.is_dir():
        live.mkdir(exist_ok=True)
    else:
        if live.exists() and not os.access(live, os.W_OK):
            live.chmod(mode | stat.S_IWUSR)
        live.write_bytes(before.read_bytes())
    live.chmod(mode)


def in_folders(path: Path, root: Path) -> bool:
    """Whether everything between ``root`` and a path is a folder, or is not there; never a link or a file."""
    between = [parent for parent in path.parents if parent != root and parent.is_relative_to(root)]
    return all(_kind(parent) in (0, stat.S_IFDIR) for parent in between)


def remove(path: Path) -> None:
    """A file, a link or a folder with all in it; harmless where there is nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _kind(path: Path) -> int:
    """File, folder or link; 0 where there is nothing."""
    try:
        return stat.S_IFMT(path.lstat().st_mode)
    except OSError:
        return 0


def remove_empty(folder: Path, root: Path, source: Path) -> None:
    """Remove a folder, and those above it up to ``root``, that are empty and not in ``source``."""
    while folder != root and not (source / folder.relative_to(root)).exists():
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
