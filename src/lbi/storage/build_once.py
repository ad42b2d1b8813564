"""A folder that is expensive to make -> made once, under a lock between processes; half-made ones are made again."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def made(folder: Path) -> Iterator[Path | None]:
    """Yields the empty folder if it has to be made, under a lock between processes; None if it is there."""
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
