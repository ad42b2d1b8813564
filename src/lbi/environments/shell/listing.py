"""The files of a repository in few lines: a line for each folder; where there is no room, how many there are."""

from __future__ import annotations

from collections.abc import Iterable

MAX_CHARS = 3_000  # of all lines together


def listing(paths: Iterable[str], max_chars: int = MAX_CHARS) -> list[str]:
    """``src/ a.py, b.py, (12 files in folders not listed)``: the files of each folder by name.

    Where that takes more than ``max_chars``, the deepest folders go first, of equals the one that takes most room:
    what is in them is counted at the folder above. The top folder is always told; of its names, as many as fit.
    """
    folders: dict[str, list[str]] = {}
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    below = dict.fromkeys(folders, 0)
    lines = {folder: _line(folder, names, 0) for folder, names in folders.items()}
    total = sum(len(line) + 1 for line in lines.values())
    deepest = sorted((folder for folder in lines if folder), key=lambda each: (_depth(each), len(lines[each])))
    while total > max_chars and deepest:
        folder = deepest.pop()
        above = next((each for each in _ancestors(folder) if each in lines), "")
        for changed in {folder, above} & lines.keys():
            total -= len(lines[changed]) + 1
        below[above] = below.get(above, 0) + below.pop(folder) + len(folders[folder])
        del lines[folder]
        lines[above] = _line(above, folders.get(above, []), below[above])
        total += len(lines[above]) + 1
    if total > max_chars:  # of one folder that holds thousands
        names = folders.get("", [])
        kept = [name for name, end in zip(names, _ends(names), strict=True) if end < max_chars]
        lines[""] = _line("", kept, below[""], len(names) - len(kept))
    return [lines[folder] for folder in sorted(lines)]


def _line(folder: str, names: list[str], below: int, more: int = 0) -> str:
    counts = [f"({more:,} more)"] * bool(more) + [f"({below:,} files in folders not listed)"] * bool(below)
    return f"{folder or '.'}/ {', '.join([*names, *counts])}"


def _depth(folder: str) -> int:
    return folder.count("/")


def _ancestors(folder: str) -> Iterable[str]:
    """The folders above, the nearest first."""
    while "/" in folder:
        folder = folder.rpartition("/")[0]
        yield folder


def _ends(names: list[str]) -> Iterable[int]:
    end = 0
    for name in names:
        end += len(name) + 2
        yield end
