"""Where the images of a run are kept, each under the hash of its bytes: in its folder, or at an address beside it.

An address is any that fsspec opens, such as s3://BUCKET/PREFIX (extra: objects). As an image's name is its content,
several machines may keep the same one at once, and none can spoil another's.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from lbi.errors import EnvironmentFailure, UserError
from lbi.storage.files import write_atomically
from lbi.storage.objects import Objects

#: the file of a run folder that says where its images are, if not there
ELSEWHERE = "images.url"
MOST_RECENT = 32  # images of an address that are remembered


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
        self._objects = Objects(url)
        self._kept: set[str] = set()
        self._recent: dict[str, bytes] = {}  # the last ones: what was just seen is shown to a model next

    def require(self) -> None:
        """Raises UserError where nothing can be written, and EnvironmentFailure where that may be so for now only."""
        self._objects.require()

    def save(self, png: bytes) -> str:
        """Raises EnvironmentFailure where it cannot be kept: what was seen is lost then, and is done again."""
        name = image_name(png)
        if name not in self._kept:
            self._objects.write(self._path(name), png)
            self._kept.add(name)
            self._remember(name, png)
        return name

    def load(self, name: str) -> bytes:
        """Raises EnvironmentFailure where it may be there, but cannot be read."""
        png = self._recent.get(name)
        if png is None:
            self._remember(name, png := self._objects.read(self._path(name)))
        return png

    def _remember(self, name: str, png: bytes) -> None:
        self._recent = dict([*self._recent.items(), (name, png)][-MOST_RECENT:])

    def _path(self, name: str) -> str:
        return f"{name[:2]}/{name}.png"


def images_of(folder: Path, url: str = "") -> Images:
    """Where the images of the run in a folder are, or are to be kept.

    Raises UserError for another address than the run began with, and for a given one where nothing can be written.
    """
    file = folder / ELSEWHERE
    began = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if url and began != url and (began or (folder / "blobs").is_dir()):
        raise UserError(
            f"the images of the run in {folder} are kept {f'at {began}' if began else 'in its folder'}, not at {url}; "
            "leave storage.images as it was, or choose another --out"
        )
    if url:
        images = ImageObjects(url)
        try:
            images.require()  # before anything is done that would be lost
        except EnvironmentFailure as error:
            raise UserError(str(error)) from None
        write_atomically(file, f"{url}\n".encode())
        return images
    return ImageObjects(began) if began else ImageFiles(folder)
