"""Folders that are expensive to build: each is built once, by one process; a half-built one is built again."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def build_once(folder: Path) -> Iterator[Path | None]:
    """Yield the empty folder for building, under a lock between processes; None if it has been built.

    If the body raises, the folder counts as not built.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    marker = folder / "made"
    if marker.exists():
        yield None
        return
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if marker.exists():
            yield None
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
        marker.touch()
