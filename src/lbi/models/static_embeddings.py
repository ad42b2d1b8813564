"""Texts -> unit vectors on this machine, in a tenth of a millisecond each: the mean of the vectors of a text's tokens.

The table of vectors and its tokenizer are those of WordLlama (https://github.com/dleemiller/WordLlama, MIT), which the
extra ``embed`` installs. Its own program is not run. No network, no torch; decision 0034 has what it was chosen from.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

from lbi.errors import UserError
from lbi.models.embeddings import Vectors, unit

PACKAGE = "wordllama"
_TABLE, _TOKENIZER = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"
_NAME = "embedding.weight"
MISSING = "examples are looked up by their words alone; the extra `embed` adds look-up by meaning"


def open_static() -> StaticEmbedder | None:
    """The embedder of this machine; None where the extra ``embed`` is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    folder = next((place for place in folders if (place / _TABLE).is_file() and (place / _TOKENIZER).is_file()), None)
    if folder is None or importlib.util.find_spec("tokenizers") is None:
        return None
    return StaticEmbedder(folder / _TABLE, folder / _TOKENIZER)


class StaticEmbedder:
    """Reads its files when it is first asked."""

    def __init__(self, table: Path, tokenizer: Path) -> None:
        self.name = f"static:{PACKAGE}/{table.stem}"
        self._table, self._tokenizer = table, tokenizer

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return self.encode(texts)

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1 for each text; zeros for one without any token."""
        width = self._vectors.shape[1]
        rows = numpy.zeros((len(texts), width), dtype=numpy.float32)
        for row, tokens in zip(rows, self._tokens.encode_batch(list(texts), add_special_tokens=False), strict=True):
            if tokens.ids:
                row[:] = self._vectors[tokens.ids].mean(axis=0, dtype=numpy.float32)
        return unit(rows)

    async def close(self) -> None:
        pass

    @cached_property
    def _vectors(self) -> Vectors:
        return read_table(self._table, _NAME)

    @cached_property
    def _tokens(self) -> Any:
        import tokenizers

        tokens = tokenizers.Tokenizer.from_file(str(self._tokenizer))
        tokens.no_padding()
        tokens.no_truncation()
        return tokens


def read_table(file: Path, name: str) -> Vectors:
    """One table of a file in the safetensors format: 8 bytes of length, that many of JSON, then the numbers.

    Raises UserError for a file that is none, or holds no such table of 16 or 32 bit floats.
    """
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    kinds: dict[str, Any] = {"F16": numpy.dtype("<f2"), "F32": numpy.dtype("<f4")}
    try:
        entry = json.loads(content[8 : 8 + size])[name]
        first, last = entry["data_offsets"]
        numbers = numpy.frombuffer(content[8 + size + first : 8 + size + last], dtype=kinds[entry["dtype"]])
        table: Vectors = numpy.ascontiguousarray(numbers.reshape(entry["shape"]))
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(f"{file} holds no table {name!r} of vectors: {error}; install the extra `embed` anew") from None
    return table
