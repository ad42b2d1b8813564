"""Where the images of a run are kept, each under the hash of its bytes: in its folder, or at an address beside it.

An address is any that fsspec opens, such as s3://BUCKET/PREFIX (extra: objects). As an image's name is its content,
several machines may keep the same one at once, and none can spoil another's.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any, Protocol

from lbi.errors import EnvironmentFailure, UserError
from lbi.storage.files import write_atomically

#: the file of a run folder that says where its images are, if not there
ELSEWHERE = "images.url"


def image_name(png: bytes) -> str:
    """The hash by which an image is known."""
    return hashlib.blake2b(png, digest_size=16).hexdigest()


class Images(Protocol):
    """PNGs by their name."""

    def save(self, png: bytes) -> str: ...

    def load(self, name: str) -> bytes:
        """Raises FileNotFoundError for an image that is not there."""
        ...


class ImageFiles:
    """In the run folder, ``blobs/ab/ab12....png``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "blobs"

    def save(self, png: bytes) -> str:
        file = self._file(name := image_name(png))
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, png)
        return name

    def load(self, name: str) -> bytes:
        return self._file(name).read_bytes()

    def _file(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}.png"


class ImageObjects:
    """At an address that fsspec opens. A write blocks whoever waits for it, and is there when it returns."""

    def __init__(self, url: str) -> None:
        """Raises UserError for an address of which nothing is known, or whose library is not installed."""
        self.url = url
        self._system, self._root = _opened(url)
        self._kept: set[str] = set()

    def save(self, png: bytes) -> str:
        """Raises EnvironmentFailure where it cannot be kept: what was seen is lost then, and is done again."""
        name = image_name(png)
        if name not in self._kept:
            try:
                self._system.pipe_file(self._object(name), png)
            except OSError as error:
                raise EnvironmentFailure(
                    f"an image cannot be kept at {self.url}: {error}", kind="unreachable"
                ) from None
            self._kept.add(name)
        return name

    def load(self, name: str) -> bytes:
        png: bytes = self._system.cat_file(self._object(name))
        return png

    def _object(self, name: str) -> str:
        return f"{self._root}/{name[:2]}/{name}.png"


def _opened(url: str) -> tuple[Any, str]:
    """(file system, path in it)."""
    try:
        core = importlib.import_module("fsspec.core")
        own = {"auto_mkdir": True} if url.startswith("file://") else {}
        system, root = core.url_to_fs(url, **own)
    except ImportError as error:
        raise UserError(
            f"storage.images = {url!r} needs more than is installed ({error}); "
            "`pip install 'learn-by-interact[objects]'`"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"storage.images = {url!r} cannot be opened: {error}") from None
    return system, str(root).rstrip("/")


def images_of(folder: Path, url: str = "") -> Images:
    """Where the images of the run in a folder are, or are to be kept.

    Raises UserError for another address than the run began with.
    """
    file = folder / ELSEWHERE
    began = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if url and began != url and (began or (folder / "blobs").is_dir()):
        raise UserError(
            f"the images of the run in {folder} are kept {f'at {began}' if began else 'in its folder'}, not at {url}; "
            "leave storage.images as it was, or choose another --out"
        )
    if url and not began:
        images = ImageObjects(url)
        write_atomically(file, f"{url}\n".encode())
        return images
    return ImageObjects(began) if began else ImageFiles(folder)
