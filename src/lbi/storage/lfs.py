"""Pointers of Git LFS: what a clone without it holds in place of a large file, three lines of text."""

from __future__ import annotations

from pathlib import Path

_BEGINS = b"version https://git-lfs.github.com/spec/"
_LARGEST = 1024  # bytes of a pointer, by the specification


def is_lfs_pointer(file: Path) -> bool:
    """Whether a file is a pointer and not what it points to; False where there is no such file."""
    try:
        if file.stat().st_size >= _LARGEST:
            return False
        with file.open("rb") as opened:
            return opened.read(len(_BEGINS)) == _BEGINS
    except OSError:
        return False
