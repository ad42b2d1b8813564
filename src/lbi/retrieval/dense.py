"""Vectors of examples in a folder, and the rows of those that are most like one.

    said-0.npy, said-0.rows.npy     vectors that are compared one by one, and their rows; said-1.npy, ... were added
    said.faiss                      a graph of many (HNSW), each distinct vector once, in a byte per dimension
    said.labels.npy, .members.npy   which vector of the graph a row has, and the rows, by the vectors' numbers
    said.hashes.npy                 of each vector of the graph, to know it again

All of them are read where they lie on the disk. The graph needs faiss (extra ``faiss``); without it vectors are
compared one by one, however many they are. What is found there is not always all there is: see docs/serving.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors

Rows = NDArray[numpy.int64]
GRAPH_FROM = 50_000  # vectors, up to which comparing all of them is fast enough, and finds all
BESIDE_GRAPH = 10_000  # vectors that may wait beside a graph until they are put into it
MOST_FILES = 8  # of vectors beside each other
LINKS, WIDTH_ADDING, WIDTH_SEARCHING = 16, 64, 400  # of the graph: M, efConstruction, efSearch
TRAINED_ON = 50_000  # vectors, by which the range of each dimension is found
OVER = 4  # times as many as wanted are looked at in the graph, if some are excluded; more are compared one by one


def add_vectors(folder: Path, name: str, vectors: Vectors, rows: Sequence[int], *, searched: bool = True) -> None:
    """Write vectors, each of length 1, beside those that ``folder`` has under this name. Files there are not changed.

    ``searched``: they are many, and looked up by what they are like.
    """
    order = numpy.argsort(numpy.asarray(rows, dtype=numpy.int64), kind="stable")
    flat = _flat(folder, name)
    new = numpy.asarray(vectors, dtype=numpy.float32)[order], numpy.asarray(rows, dtype=numpy.int64)[order]
    waiting = sum(len(part.rows) for part in flat) + len(rows)
    graph = folder / f"{name}.faiss"
    if searched and waiting >= (BESIDE_GRAPH if graph.is_file() else GRAPH_FROM) and _has_faiss():
        _into_graph(folder, name, [*((part.vectors, part.rows) for part in flat), new])
        flat_files = [part.file for part in flat]
    elif len(flat) >= MOST_FILES:
        together = numpy.concatenate([*(part.rows for part in flat), new[1]])
        order = together.argsort(kind="stable")
        every = numpy.concatenate([*(part.vectors for part in flat), new[0]])
        flat_files = [part.file for part in flat]
        _save(folder / f"{name}-{_next(flat)}.npy", every[order], together[order])
    else:
        flat_files = []
        _save(folder / f"{name}-{_next(flat)}.npy", *new)
    for file in flat_files:
        file.unlink()
        _rows_file(file).unlink()


class Nearest:
    """The vectors of one name, open for reading."""

    def __init__(self, folder: Path, name: str) -> None:
        self._flat = _flat(folder, name)
        self._graph = _Graph(folder, name) if (folder / f"{name}.faiss").is_file() else None

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self._flat) + (len(self._graph.members) if self._graph else 0)

    def of_row(self, row: int) -> Vectors | None:
        """The vector that a row was written with, of those that are compared one by one."""
        for part in self._flat:
            at = int(numpy.searchsorted(part.rows, row))
            if at < len(part.rows) and part.rows[at] == row:
                return numpy.array(part.vectors[at])
        return None

    def best(self, vector: Vectors, depth: int, without: Collection[int] = (), *, exact: bool = False) -> list[int]:
        """The rows whose vectors are most like this one, those that are alike in the order of the rows.

        ``exact``: compare all of them, also those of a graph, which keeps them in a byte per dimension.
        """
        found = [part.best(vector, depth + len(without)) for part in self._flat]
        if self._graph is not None:
            found.append(self._graph.best(vector, depth, without, exact=exact))
        if len(found) == 1:
            ordered: Iterable[int] = found[0][0].tolist()
        elif found:
            rows, likeness = (numpy.concatenate(each) for each in zip(*found, strict=True))
            ordered = rows[numpy.lexsort((rows, -likeness))].tolist()
        else:
            ordered = ()
        return [row for row in ordered if row not in without][:depth]


class _Flat:
    """One file of vectors, which are compared one by one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.vectors: Vectors = _mapped(file)
        self.rows: Rows = _mapped(_rows_file(file))

    def best(self, vector: Vectors, wanted: int) -> tuple[Rows, Vectors]:
        likeness = self.vectors @ vector
        if wanted < len(likeness):  # a whole sort of many is slow
            least = numpy.partition(likeness, len(likeness) - wanted)[len(likeness) - wanted]
            chosen = (likeness >= least).nonzero()[0]
            order = chosen[(-likeness[chosen]).argsort(kind="stable")]
        else:
            order = (-likeness).argsort(kind="stable")
        return numpy.asarray(self.rows[order]), likeness[order]


class _Graph:
    """Many vectors, of which a search looks at a few thousand."""

    def __init__(self, folder: Path, name: str) -> None:
        import faiss

        self._faiss = faiss
        self._index = faiss.read_index(str(folder / f"{name}.faiss"), faiss.IO_FLAG_MMAP_IFC)
        labels = _mapped(folder / f"{name}.labels.npy")
        # where the rows of each vector begin among the members: looking each up in a million labels took a millisecond
        self._starts: Rows = numpy.concatenate(([0], numpy.bincount(labels, minlength=self._index.ntotal).cumsum()))
        self.members: Rows = _mapped(folder / f"{name}.members.npy")

    def best(self, vector: Vectors, depth: int, without: Collection[int], *, exact: bool) -> tuple[Rows, Vectors]:
        count = int(self._index.ntotal)
        if len(without) > OVER * depth or exact:
            wanted, searched = min(depth + len(without), count), self._faiss.downcast_index(self._index.storage)
            likeness, labels = searched.search(vector[None], wanted)
        else:
            wanted = min(depth + len(without), count)
            width = self._faiss.SearchParametersHNSW(efSearch=max(WIDTH_SEARCHING, wanted))
            likeness, labels = self._index.search(vector[None], wanted, params=width)
        likeness, labels = likeness[0][labels[0] >= 0], labels[0][labels[0] >= 0]
        first = self._starts[labels]
        sizes = self._starts[labels + 1] - first
        before = numpy.cumsum(sizes) - sizes
        enough = int(numpy.searchsorted(before, wanted))  # some vectors are of many rows
        first, sizes, before = first[:enough], sizes[:enough], before[:enough]
        at = numpy.repeat(first - before, sizes) + numpy.arange(sizes.sum())
        return self.members[at], numpy.repeat(likeness[:enough], sizes)


def _mapped(file: Path) -> NDArray[Any]:
    """An array that is read where it lies; as a plain one, since taking parts of numpy's own kind for that is slow."""
    mapped: NDArray[Any] = numpy.load(file, mmap_mode="r").view(numpy.ndarray)
    return mapped


def _into_graph(folder: Path, name: str, parts: Sequence[tuple[Vectors, Rows]]) -> None:
    """Put vectors into the graph, each distinct one once; files that are replaced are new files."""
    import faiss

    file = folder / f"{name}.faiss"
    hashes: list[int] = numpy.load(folder / f"{name}.hashes.npy").tolist() if file.is_file() else []
    known = {digest: label for label, digest in enumerate(hashes)}
    labels = [numpy.load(folder / f"{name}.labels.npy")] if file.is_file() else []
    members = [numpy.load(folder / f"{name}.members.npy")] if file.is_file() else []
    index = faiss.read_index(str(file)) if file.is_file() else None
    for vectors, rows in parts:
        fresh, of_rows = [], numpy.empty(len(rows), dtype=numpy.int64)
        for at, vector in enumerate(vectors):
            digest = int.from_bytes(hashlib.blake2b(vector.tobytes(), digest_size=8).digest(), "big", signed=True)
            label = known.setdefault(digest, len(known))
            if label == len(hashes):
                hashes.append(digest)
                fresh.append(at)
            of_rows[at] = label
        index = index if index is not None else _new_graph(vectors[fresh])
        if fresh:
            index.add(numpy.ascontiguousarray(vectors[fresh]))
        labels.append(of_rows)
        members.append(numpy.asarray(rows))
    every, rows = numpy.concatenate(labels), numpy.concatenate(members)
    order = numpy.lexsort((rows, every))
    _replace(file, lambda target: faiss.write_index(index, str(target)))
    for ending, numbers in (("labels", every[order]), ("members", rows[order]), ("hashes", numpy.array(hashes))):
        _replace(folder / f"{name}.{ending}.npy", lambda target, numbers=numbers: numpy.save(target, numbers))


def _new_graph(vectors: Vectors) -> Any:
    import faiss

    byte = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexHNSWSQ(vectors.shape[1], byte, LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = WIDTH_ADDING
    index.train(numpy.ascontiguousarray(vectors[:: max(1, len(vectors) // TRAINED_ON)]))
    return index


def _replace(file: Path, write: Any) -> None:
    part = file.with_name(f"part.{file.name}")  # what stands there may be of an older version, too, by a hard link
    write(part)
    part.replace(file)


def _flat(folder: Path, name: str) -> list[_Flat]:
    files = [file for file in folder.glob(f"{name}-*.npy") if not file.name.endswith(".rows.npy")]
    return [_Flat(file) for file in sorted(files, key=_number)]


def _number(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])


def _next(flat: Sequence[_Flat]) -> int:
    return max((_number(part.file) for part in flat), default=-1) + 1


def _rows_file(file: Path) -> Path:
    return file.with_suffix(".rows.npy")


def _save(file: Path, vectors: Vectors, rows: Rows) -> None:
    numpy.save(file, numpy.ascontiguousarray(vectors))
    numpy.save(_rows_file(file), rows)


def _has_faiss() -> bool:
    return importlib.util.find_spec("faiss") is not None
