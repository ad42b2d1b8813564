"""A GGUF file -> what its header says: {"general.architecture": "qwen2", "qwen2.block_count": 24, ...}.

Not read by the package `gguf`, which not every engine needs and which takes seconds for the vocabulary.
The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.models.local.failures import LocalFailure

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
#: type number -> struct code; 8 is a string, 9 a list
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _LIST = 8, 9
_MOST_KEYS, _LONGEST_LIST = 10_000, 50_000_000


@dataclass(frozen=True)
class Header:
    """What is needed to run a model."""

    architecture: str
    context: int  # tokens that it was trained on
    layers: int
    cache_bytes_per_token: int  # keys and values of all layers, two bytes each
    chat_template: str  # empty = the file has none
    kind: str  # "model" or "adapter"


def header_of(file: Path) -> Header:
    """Raises LocalFailure ("not a GGUF file") for a file that is none or breaks off in its header."""
    values = metadata_of(file)
    architecture = str(values.get("general.architecture", ""))
    if not architecture:
        raise LocalFailure("not a GGUF file", f"{file} does not say its architecture; it may be damaged")

    def number(key: str, otherwise: int = 0) -> int:
        value = values.get(f"{architecture}.{key}", otherwise)
        return int(value) if isinstance(value, int) else otherwise

    layers, heads = number("block_count"), number("attention.head_count", 1)
    width = number("embedding_length") // max(1, heads)
    key, value = number("attention.key_length", width), number("attention.value_length", width)
    return Header(
        architecture=architecture,
        context=number("context_length", 4096),
        layers=layers,
        cache_bytes_per_token=2 * layers * number("attention.head_count_kv", heads) * (key + value),
        chat_template=str(values.get("tokenizer.chat_template", "")),
        kind=str(values.get("general.type", "model")),
    )


def metadata_of(file: Path) -> dict[str, Any]:
    """The key-value pairs, lists left out. Raises LocalFailure."""
    try:
        with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _Reader(mapped).pairs()
    except (struct.error, ValueError, IndexError) as error:
        raise LocalFailure("not a GGUF file", f"{file} cannot be read as one ({error})") from None
    except OSError as error:
        raise LocalFailure("not a GGUF file", f"cannot read {file}: {error.strerror or error}") from None


class _Reader:
    """Walks through a header that lies in memory."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def pairs(self) -> dict[str, Any]:
        if self._data[:4] != MAGIC:
            raise ValueError("it does not begin with GGUF")
        self._at = 4
        version, _, keys = self._number("I"), self._number("Q"), self._number("Q")
        if version not in _VERSIONS:
            raise ValueError(f"version {version}; versions 2 and 3 are known")
        if keys > _MOST_KEYS:
            raise ValueError(f"{keys} keys")
        pairs = {}
        for _ in range(keys):
            key = self._string()
            value = self._value(self._number("I"))
            if value is not None:
                pairs[key] = value
        return pairs

    def _value(self, kind: int) -> Any:
        """A number or a text; None for a list, which is skipped."""
        if kind == _STRING:
            return self._string()
        if kind == _LIST:
            return self._skip_list(self._number("I"), self._number("Q"))
        if kind not in _NUMBERS:
            raise ValueError(f"a value of type {kind}")
        return self._number(_NUMBERS[kind])

    def _skip_list(self, kind: int, length: int) -> None:
        if length > _LONGEST_LIST:
            raise ValueError(f"a list of {length}")
        if kind in _NUMBERS:
            self._skip(length * struct.calcsize(f"<{_NUMBERS[kind]}"))
            return
        skip: Callable[[], Any] = self._skip_string if kind == _STRING else lambda: self._value(kind)
        for _ in range(length):
            skip()

    def _number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return value

    def _string(self) -> str:
        length = self._number("Q")
        start = self._at
        self._skip(length)
        return self._data[start : self._at].decode("utf-8", "replace")

    def _skip_string(self) -> None:
        self._skip(self._number("Q"))

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._data):
            raise ValueError("it breaks off in its header")
