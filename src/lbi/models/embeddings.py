"""Texts -> unit vectors, by any OpenAI-compatible /v1/embeddings endpoint, if a config names one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy
from numpy.typing import NDArray

from lbi.errors import ModelError, UserError
from lbi.models.middleware.retry import Retry, call_with_retries
from lbi.models.providers._provider import api_key, count, table
from lbi.models.providers._wire import Wire
from lbi.models.registry import Settings
from lbi.records import Usage, digest_of
from lbi.storage.secrets import learn_address, mask

Vectors = NDArray[numpy.float32]

LOCAL = "local"  # in a config: the encoder of this machine (lbi.models.sentence_encoder)
BATCH = 128  # texts per request
_URL = "https://api.openai.com/v1"


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of length 1, one row each. Raises ModelBusy or ModelError, never invents a vector."""

    name: str

    async def embed(self, texts: Sequence[str]) -> Vectors: ...

    async def close(self) -> None: ...


def open_embedder(
    model: str,
    *,
    base_url: str = "",
    cache: Path | None = None,
    timeout: float = 60.0,
    spent: Callable[[Usage], None] = lambda usage: None,
    retry: Retry | None = None,
) -> Embedder:
    """An embedder for ``model`` at an OpenAI-compatible server; ``spent`` is called with the usage of every request.

    With ``cache``, a file, no text is paid for twice.
    """
    if not model:
        raise UserError("no model for embeddings: set models.embeddings, or leave models.embeddings_url out too")
    remote = Remote(model, Settings(base_url=base_url, timeout=timeout), spent, retry or Retry())
    return Cached(remote, cache) if cache is not None else remote


class Remote:
    """A model behind /v1/embeddings."""

    def __init__(self, model: str, settings: Settings, spent: Callable[[Usage], None], retry: Retry) -> None:
        learn_address(settings.base_url)
        key = api_key("openai", settings, "OPENAI_API_KEY")
        self.name = f"openai:{model}@{settings.base_url}"
        self._model, self._spent, self._retry = model, spent, retry
        self._wire = Wire(self.name, settings.base_url or _URL, {"authorization": f"Bearer {key}"}, settings)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return numpy.zeros((0, 0), dtype=numpy.float32)
        return numpy.concatenate([await self._batch(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)])

    async def _batch(self, texts: Sequence[str]) -> Vectors:
        filled = [mask(text) if text.strip() else "(empty)" for text in texts]  # servers refuse an empty text
        # floats, as some compatible servers do not know base64
        body = {"model": self._model, "input": filled, "encoding_format": "float"}
        answer, _ = await call_with_retries(lambda attempts: self._wire.post("/embeddings", body), self._retry)
        tokens = count(table(answer.body.get("usage")).get("prompt_tokens"))
        self._spent(Usage(calls=1, input_tokens=tokens, cost=None, seconds=answer.seconds))
        rows = answer.body.get("data")
        vectors = [table(row).get("embedding") for row in sorted(rows, key=_index)] if isinstance(rows, list) else []
        complete = len(vectors) == len(texts) and all(isinstance(vector, list) for vector in vectors)
        if not complete:
            raise ModelError(f"{self.name}: {len(vectors)} vectors came back for {len(texts)} texts", kind="malformed")
        return unit(numpy.asarray(vectors, dtype=numpy.float32))

    async def close(self) -> None:
        await self._wire.close()


def _index(row: object) -> int:
    return count(table(row).get("index"))


class Cached:
    """An embedder that remembers in a SQLite file."""

    def __init__(self, embedder: Embedder, file: Path) -> None:
        self.name = embedder.name
        self._embedder = embedder
        file.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("CREATE TABLE IF NOT EXISTS vector(id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        ids = [digest_of([self.name, text]) for text in texts]
        missing = {id_: text for id_, text in zip(ids, texts, strict=True) if self._known(id_) is None}
        if missing:
            vectors = await self._embedder.embed(list(missing.values()))
            rows = [(id_, vector.tobytes()) for id_, vector in zip(missing, vectors, strict=True)]
            self._db.executemany("INSERT OR IGNORE INTO vector VALUES(?, ?)", rows)
        bodies = [self._known(id_) for id_ in ids]
        known = [numpy.frombuffer(body, dtype=numpy.float32) for body in bodies if body is not None]
        return numpy.stack(known) if known else numpy.zeros((0, 0), dtype=numpy.float32)

    def _known(self, id_: str) -> bytes | None:
        row = self._db.execute("SELECT body FROM vector WHERE id = ?", (id_,)).fetchone()
        return row[0] if row else None

    async def close(self) -> None:
        self._db.close()
        await self._embedder.close()


def unit(vectors: Vectors) -> Vectors:
    """Scale each row to length 1, so that a product of two is their cosine."""
    lengths = numpy.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = vectors / numpy.maximum(lengths, 1e-12)
    return scaled
