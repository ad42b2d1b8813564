"""The home folder that every episode begins with: a desktop's own files, and what its programs make at a first start.

Some programs take seconds to make their settings when they are started first. That is done once for each desktop and
version of its programs, on a desktop of its own, and kept in the cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from lbi.environments.desktop.application import Desktop
from lbi.environments.desktop.session import (
    HOME,
    DesktopEnded,
    DesktopRefused,
    DesktopSession,
    start_desktop,
)
from lbi.errors import UserError
from lbi.records import digest_of
from lbi.sandbox.host import program as program_on_host

DATED = 1767225600  # 1 January 2026
VERSION = 1  # of what is done here
STARTING = 120.0  # seconds for a first start
LOOKS = 10  # at most, until a program has ended
QUIT = "Control+q"
PACK = (
    "tar --exclude='.~lock*' --exclude=.lock --exclude=lock --exclude=.gitignore -czf /tmp/home.tar.gz -C \"$HOME\" ."
)


async def pristine_home(desktop: Desktop, cache: Path | None = None) -> Path:
    """The folder, made where it is not in the cache. It must not be changed. Raises UserError."""
    folder = (cache or default_cache()) / f"{desktop.name}-{_key(desktop)}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make {folder.parent}: {error.strerror}; set XDG_CACHE_HOME to a folder of yours"
        ) from None
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as made:
        home = Path(made) / "home"
        make_home(desktop, home)
        if any(program.warm for program in desktop.program):
            await _warm_up(desktop, home)
        with contextlib.suppress(OSError):  # another process was quicker
            home.rename(folder)
    return folder


def default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lbi" / "desktops"


def make_home(desktop: Desktop, folder: Path) -> None:
    """Fill a folder with a desktop's own files."""
    folder.mkdir(parents=True, exist_ok=True)
    if desktop.home:
        shutil.copytree(desktop.folder / desktop.home, folder, dirs_exist_ok=True)
    for path, text in desktop.settings.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("{home}", HOME), encoding="utf-8")
    (folder / ".gitignore").write_text("\n".join([*desktop.ignore, ".cache/", ".gitignore", ""]), encoding="utf-8")
    _date(folder)


async def _warm_up(desktop: Desktop, home: Path) -> None:
    """Start each program once, end it, and add what it left; one that does not start is told by the first task."""
    session = await start_desktop(desktop, home)
    try:
        for program in desktop.program:
            if program.warm:
                with contextlib.suppress(DesktopRefused, DesktopEnded):
                    await session.ask("open", name=program.name, command=[*program.command], seconds=STARTING)
                    await _quit(session)
        await session.ask("run", command=["sh", "-c", PACK], seconds=STARTING)
        packed = await session.sandbox.download("/tmp/home.tar.gz")
    finally:
        await session.close()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(home, filter="data")
    _date(home)


async def _quit(session: DesktopSession) -> None:
    await session.ask("act", strokes=[["press", QUIT]])
    for _ in range(LOOKS):
        if not (await session.ask("look"))["order"]:
            return
        await session.ask("wait")


def _date(folder: Path) -> None:
    """Give all files one date, as lists of files show it."""
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            os.utime(file, (DATED, DATED), follow_symlinks=False)


def _key(desktop: Desktop) -> str:
    """Another one where the desktop, its files or the programs of this machine are other ones."""
    files = {}
    if desktop.home:
        root = desktop.folder / desktop.home
        files = {str(f.relative_to(root)): _hash(f) for f in sorted(root.rglob("*")) if f.is_file()}
    programs = []
    for program in desktop.program:
        path = program_on_host(program.command[0])
        programs.append([path, os.stat(os.path.realpath(path)).st_mtime_ns] if path else None)
    return digest_of([VERSION, desktop.model_dump(mode="json"), files, programs])


def _hash(file: Path) -> str:
    return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()
