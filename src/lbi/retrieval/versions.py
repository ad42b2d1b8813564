"""The folder of an index: one version after the other, each whole, none ever changed.

    current                   the name of the version that is read
    source.json               which state of the run's records it was built from
    4be1.../manifest.json     what is in it
    4be1.../...               its files (lbi.retrieval.build)

A version that adds to the one before begins as hard links to all files of it, so nothing is copied. A reader goes on
with the files that it has open, also when their version is gone.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from lbi.storage.files import write_atomically

MANIFEST = "manifest.json"
FORMAT = 10


class Manifest(BaseModel):
    """What is in a version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    examples: int
    at_once: int
    """Of them, those that were written together, before others were added."""
    content: str
    """Sum of what the examples are told apart by, in hexadecimal digits, whatever their order."""
    dense: str = ""
    """Name of the embedder; "" = without vectors."""
    dates: tuple[str, ...] = ()
    """All dates of examples."""
    parts: tuple[str, ...] = ("examples.db",)
    """The databases: that of the examples written together, and one for each time that others were added."""


class Source(NamedTuple):
    """The version that a state of a run's records is in."""

    build: str
    mark: str  # of the records (lbi.storage.database.Store.mark)


def current_build(path: Path) -> str:
    """The name of the current version; "" if there is none."""
    file = path / "current"
    return file.read_text().strip() if file.is_file() else ""


def manifest_of(path: Path, name: str) -> Manifest | None:
    """None for a version that is not there, is half a version, or is of an older format."""
    try:
        return Manifest.model_validate_json((path / name / MANIFEST).read_bytes()) if name else None
    except (OSError, ValueError):
        return None


def begin(path: Path, base: str) -> Path:
    """A folder to write the next version in, with what ``base`` has, if it is not ""."""
    part = path / f".{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    if base:
        shutil.copytree(path / base, part, copy_function=_link, ignore=shutil.ignore_patterns(".tantivy-*.lock"))
    part.mkdir(parents=True, exist_ok=True)
    return part


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def finish(path: Path, part: Path, name: str, manifest: Manifest) -> None:
    """Make what was written the current version, and remove the others."""
    write_atomically(part / MANIFEST, manifest.model_dump_json(indent=2).encode())
    shutil.rmtree(path / name, ignore_errors=True)
    part.rename(path / name)
    write_atomically(path / "current", name.encode())
    for other in path.iterdir():
        if other.is_dir() and other.name != name:
            shutil.rmtree(other, ignore_errors=True)


def source_of(path: Path) -> Source | None:
    """What the current version was built from; None where nobody said."""
    try:
        source = Source(**json.loads((path / "source.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return source if source.build == current_build(path) else None


def holds(path: Path, mark: str, dense: str | None = None) -> Manifest | None:
    """What is in the current version, if it was built from records in this state, with vectors of this embedder.

    ``dense``: its name; None = whoever it is.
    """
    source = source_of(path)
    if source is None or source.mark != mark:
        return None
    manifest = manifest_of(path, source.build)
    if manifest is None or manifest.format != FORMAT:
        return None
    return manifest if dense in (None, manifest.dense) else None


def note_source(path: Path, mark: str) -> None:
    """Note that the current version holds the records in the state that ``mark`` tells."""
    source = Source(current_build(path), mark)
    if source_of(path) != source:
        write_atomically(path / "source.json", json.dumps(source._asdict()).encode())
