"""The files of an application's state folder, except its database: copied, compared, cleaned up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lbi.environments.web.database import copy_database

#: {path within the folder: (mtime in ns, size)}
Stamps = dict[str, tuple[int, int]]
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
    """Every file but the database: {relative path: (mtime in ns, size)}."""
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
                elif path not in skipped:
                    status = entry.stat(follow_symlinks=False)
                    stamps[path] = (status.st_mtime_ns, status.st_size)
    return stamps


def same_content(first: Path, second: Path) -> bool:
    try:
        return first.read_bytes() == second.read_bytes()
    except OSError:
        return False


def remove_empty(folder: Path, root: Path, source: Path) -> None:
    """Remove a folder, and those above it up to ``root``, that are empty and not in ``source``."""
    while folder != root and not (source / folder.relative_to(root)).exists():
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
