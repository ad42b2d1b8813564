"""Where the weights of the catalogue's models lie: a folder for each in the user's cache folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lbi.models.local.failures import LocalFailure

_SPARE = 50_000_000  # bytes that are left free


def store_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lbi" / "models"


def folder_of(name: str) -> Path:
    """Where a model of the catalogue lies, or will."""
    return store_folder() / name


def bytes_of(name: str) -> int:
    """What it takes of the disk, with what was made of it and what is there of an unfinished fetch."""
    return sum(file.stat().st_size for file in folder_of(name).rglob("*") if file.is_file())


def remove(name: str) -> Path:
    """Delete a model's files, and return the folder that they lay in. Processes that run it keep what they opened."""
    with locked(folder_of(name)) as folder:
        shutil.rmtree(folder)
    Path(f"{folder}.lock").unlink(missing_ok=True)
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """The folder, made if it is not there; one process at a time works in it. Raises LocalFailure ("no room")."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with open(f"{folder}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A full or read-only disk is told by its name."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LocalFailure(
                "no room", f"the disk of {folder} is full; make room, what was fetched is kept"
            ) from None
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise LocalFailure("no room", f"{folder} cannot be written to ({error.strerror})") from None
        raise


def check_room(folder: Path, size: int) -> None:
    """Raises LocalFailure ("no room") where the disk has less than ``size`` bytes free."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if free < size + _SPARE:
        raise LocalFailure(
            "no room",
            f"{(size + _SPARE) / 1e9:.1f} GB are needed at {folder} and {free / 1e9:.1f} GB are free; make room, or "
            "set XDG_CACHE_HOME to a folder on a larger disk",
        )
