"""Source archives of packages, unpacked in the cache and checked against their hashes.

uv finds the archives, so the indexes and mirrors that it is configured with are used.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import posixpath
import sys
import tarfile
import tomllib
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lbi.errors import UserError
from lbi.sandbox.beneath import Beneath, Refused
from lbi.sandbox.host import inherited, program, run_on_host
from lbi.storage.build_once import build_once

TIMEOUT = 120.0  # seconds for one archive
LARGEST = 50_000_000  # bytes of one archive
LARGEST_UNPACKED, MOST_MEMBERS = 1_000_000_000, 100_000
_OURS = ("PYTHON", "VIRTUAL_ENV", "LBI_")  # variables for our own process, which would confuse an installer


class Located(NamedTuple):
    """Where a source archive lies. The address may hold a mirror's password, so it is never shown."""

    url: str
    sha256: str
    date: str  # ISO moment of the upload; "" where the index does not say


def cache_folder() -> Path:
    """The folder for archives, trees and interpreters between runs; ``XDG_CACHE_HOME`` moves it."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "lbi" / "repositories"


def uv(*arguments: str, action: str, stdin: str = "", timeout: float = 600.0) -> str:
    """Run uv and return what it printed. Raises UserError with its last lines."""
    try:
        command, env = [_uv(), *arguments], inherited(without=_OURS)
        done = run_on_host(command, env=env, timeout=timeout, stdin=stdin.encode())
    except OSError as error:
        raise UserError(f"{action} failed: {error}") from None
    if done.exit_code:
        raise UserError(f"{action} failed (exit {done.exit_code}): {done.last_errors(8)}")
    return done.text


def _uv() -> str:
    beside_python = Path(sys.executable).with_name("uv")
    path = str(beside_python) if beside_python.is_file() else program("uv")
    if not path:
        raise UserError("this needs uv: pip install 'learn-by-interact[swe]'")
    return path


def locate(package: str, version: str) -> Located:
    """Ask the package index. Raises UserError where it has no source archive of that version, or no wheel.

    Where there is a wheel, its metadata are read; to know those of a source archive, its code would have to be run.
    """
    options = ("-q", "--no-deps", "--no-header", "--generate-hashes", "--format", "pylock.toml", "-")
    for build in (("--no-build",), ()):  # source archives are listed only where building is not excluded
        arguments = ("pip", "compile", *build, *options)
        printed = uv(*arguments, action=f"looking for {package} {version}", stdin=f"{package}=={version}\n")
    sdist: dict[str, Any] = tomllib.loads(printed)["packages"][0].get("sdist") or {}
    url, sha256 = sdist.get("url", ""), sdist.get("hashes", {}).get("sha256", "")
    if not url.endswith(".tar.gz") or not sha256:
        raise UserError(f"the package index has no .tar.gz of the source of {package} {version}")
    uploaded = sdist.get("upload-time")
    date = uploaded.astimezone(UTC).isoformat(timespec="seconds") if isinstance(uploaded, datetime) else ""
    return Located(url, sha256, date)


def unpacked(package: str, version: str, sha256: str = "", cache: Path | None = None) -> Path:
    """The root folder of the unpacked archive, which must not be changed. Blocking. Raises UserError."""
    cache = cache or cache_folder()
    if not sha256:
        sha256 = locate(package, version).sha256
    folder = cache / "sdists" / f"{package}-{version}-{sha256[:16]}"
    with build_once(folder) as empty:
        if empty is not None:
            _unpack(_download(package, version, sha256), empty, f"{package} {version}")
    roots = [entry for entry in folder.iterdir() if entry.is_dir()]
    if len(roots) != 1:
        raise UserError(f"the source archive of {package} {version} has {len(roots)} root folders, not one")
    return roots[0]


def _download(package: str, version: str, sha256: str) -> bytes:
    url = locate(package, version).url
    what = f"the source archive of {package} {version}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
            content: bytes = response.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise UserError(f"cannot download {what}: {reason}; try again later") from None
    if len(content) > LARGEST:
        raise UserError(f"{what} is larger than {LARGEST:,} bytes")
    if (actual := hashlib.sha256(content).hexdigest()) != sha256:
        raise UserError(f"{what} is not the one that is meant: its sha256 is {actual}, not {sha256}")
    return content


def _unpack(content: bytes, folder: Path, name: str) -> None:
    """Files, folders and links of an archive; no path of it may pass through a link or lead out of the folder."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive, Beneath(folder) as tree:
            left = LARGEST_UNPACKED
            for number, member in enumerate(archive):
                left -= member.size
                if left < 0 or number >= MOST_MEMBERS:
                    raise UserError(f"the source archive of {name} unpacks to more than is taken from one")
                _unpack_member(archive, member, tree)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"cannot unpack the source archive of {name}: {error}") from None


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, tree: Beneath) -> None:
    path = member.name.rstrip("/")
    if member.isdir():
        if path.strip("./"):
            tree.make_folder(path)
    elif member.issym():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
        if member.linkname.startswith("/") or target.split("/")[0] == "..":
            raise Refused(errno.EXDEV, f"is a link to {member.linkname}, out of the archive", path)
        tree.clear(path)
        tree.make_link(path, os.fsencode(member.linkname))
    elif member.isfile() or member.islnk():
        # a link to another member of the archive is a copy of it, so that no two names share a file
        content = tree.read(member.linkname) if member.islnk() else archive.extractfile(member).read()  # type: ignore[union-attr]
        tree.clear(path)
        tree.write(path, content, 0o755 if member.mode & 0o100 else 0o644)
        tree.set_time(path, member.mtime)
    else:
        raise Refused(errno.EINVAL, "is neither a file nor a folder nor a link", path)
