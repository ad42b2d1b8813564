"""Runs a Python command as a user without any privilege: ``python as_user.py -m pytest ...``. For root, on Linux.

What only root may reach (an interpreter below /root, say) is made reachable in a mount namespace of its own, where it
changes nothing for anybody else.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lbi.sandbox.supervisor import mounts

NOBODY = 54321  # no user of any system


def needed() -> list[Path]:
    """What the interpreter, its packages and the tests lie in."""
    places = [sys.base_prefix, sys.prefix, *(path for path in sys.path if path), str(Path(__file__).parent.parent)]
    found: list[Path] = []
    for place in sorted({Path(place).resolve() for place in places}):
        if place.is_dir() and not any(place.is_relative_to(other) for other in found):
            found.append(place)
    return found


def closed(place: Path) -> Path | None:
    """The first folder on the way that others may not pass."""
    way = [*reversed(place.parents), place]
    return next((folder for folder in way if folder.stat().st_mode & 0o005 != 0o005), None)


def open_up() -> None:
    """Cover closed folders by empty ones that hold what is needed."""
    shut: dict[Path, list[Path]] = {}
    for place in needed():
        if (folder := closed(place)) is not None:
            shut.setdefault(folder, []).append(place)
    for folder, places in shut.items():
        handles = [(place, os.open(place, os.O_PATH)) for place in places]
        mounts.mount("tests", str(folder), "tmpfs", 0, "mode=0755")
        for place, handle in handles:
            place.mkdir(parents=True)
            mounts.mount(f"/proc/self/fd/{handle}", str(place), "", mounts.BIND | mounts.REC)
            os.close(handle)


def main(arguments: list[str]) -> None:
    if mounts.own_namespace() != "root":
        raise SystemExit("as_user.py is for root")
    open_up()
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    os.execve(sys.executable, [sys.executable, *arguments], environment)


if __name__ == "__main__":
    main(sys.argv[1:])
