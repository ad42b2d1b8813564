"""What an application's state is, as a text of a few characters: of JSON, of files, of what a command prints."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from lbi.environments.web.database import timeless

_PART = re.compile(r"[^.\[\]]+|\[(?:\*|\d+)\]")


def hash_of(*texts: str) -> str:
    whole = hashlib.blake2b(digest_size=8)
    for text in texts:
        whole.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return whole.hexdigest()


def digest_of_text(text: str, ignore: Iterable[str] = ()) -> str:
    """Hash of a state written as JSON, without the paths that do not count, or of any other text.

    Moments of today never count, nor does the order of a JSON object's keys.
    """
    return _digest_of_text(text, tuple(ignore))


@lru_cache(maxsize=16)  # most actions change nothing, and a state may be long
def _digest_of_text(text: str, ignore: tuple[str, ...]) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return hash_of(timeless(text))
    for path in ignore:
        value = _without(value, _parts(path))
    return hash_of(timeless(json.dumps(value, sort_keys=True, ensure_ascii=False)))


def digest_of_files(root: Path, patterns: Iterable[str], skipped: Iterable[str] = ()) -> str:
    """Hash of names and contents of the files below ``root`` that any of the patterns matches."""
    leave = set(skipped)
    files = {file for pattern in patterns for file in root.glob(pattern) if file.is_file()}
    named = sorted((file.relative_to(root).as_posix(), file) for file in files)
    whole = [f"{name}\0{hashlib.sha256(_bytes(file)).hexdigest()}" for name, file in named if name not in leave]
    return hash_of("\n".join(whole))


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # the server has just removed it
        return b""


def _parts(path: str) -> list[str]:
    """``$.items[*].id`` -> ["items", "*", "id"]."""
    return [part.strip("[]") for part in _PART.findall(path.removeprefix("$"))]


def _without(value: Any, parts: Sequence[str]) -> Any:
    """A JSON value without what a path leads to. ``*`` is any key or index, ``**`` any number of them."""
    if not parts:
        return value
    first, rest = parts[0], parts[1:]
    if first == "**":
        value = _without(value, rest) if rest else value
        return _each(value, lambda inner: _without(inner, parts))
    if isinstance(value, dict):
        if rest:
            return {key: _without(inner, rest) if first in ("*", key) else inner for key, inner in value.items()}
        return {key: inner for key, inner in value.items() if first not in ("*", key)}
    if isinstance(value, list):
        if rest:
            return [_without(inner, rest) if first in ("*", str(index)) else inner for index, inner in enumerate(value)]
        return [inner for index, inner in enumerate(value) if first not in ("*", str(index))]
    return value


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: change(inner) for key, inner in value.items()}
    return [change(inner) for inner in value] if isinstance(value, list) else value
