"""Writes an index of examples into a folder, which ``lbi.retrieval.index`` searches.

An index is a folder of its own, and nothing else is needed to read it:

    current                 the name of the current build
    4be1.../examples.db     examples, their trajectories, and where each observation occurs
    4be1.../said/           BM25 over what was asked for: the instructions without their values
    4be1.../done/           BM25 over what was done: the last action and the part of the page that it touches
    4be1.../observations/   BM25 over the distinct observations
    4be1.../said.npy        with dense retrieval: one row of length 1 per example; done.npy, asked.npy
    4be1.../threshold.json  what an example must score to be shown (lbi.retrieval.threshold)
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import zstandard

from lbi.observations.normalise import normalise, observation_key
from lbi.observations.operations import Operations
from lbi.records import Example, Observation, Record, Trajectory, digest_of
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.leakage import date_tag
from lbi.retrieval.texts import ExampleTexts, texts_of
from lbi.storage.files import write_atomically
from lbi.storage.secrets import mask, masked

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors

FORMAT = 9
_MARKS = re.compile(r"^(?:URL|Title):|<time>|<id>|<temporary>", re.MULTILINE)

SCHEMA = """
CREATE TABLE example(
    row INTEGER PRIMARY KEY, trajectory TEXT, said TEXT, done TEXT, asked TEXT, ends TEXT, operation TEXT,
    asked_for TEXT, words TEXT, body TEXT
);
CREATE TABLE trajectory(id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE place(row INTEGER, at INTEGER, key INTEGER, PRIMARY KEY(row, at)) WITHOUT ROWID;
CREATE INDEX place_key ON place(key, row, at);
"""


class ExampleVectors(NamedTuple):
    """The embedded texts of examples (lbi.retrieval.texts): one row of length 1 per example in each."""

    said: Vectors
    done: Vectors
    asked: Vectors
    by: str  # name of the embedder

    def ordered(self, rows: Sequence[int]) -> ExampleVectors:
        """The same in another order."""
        return ExampleVectors(self.said[rows], self.done[rows], self.asked[rows], self.by)


def write_index(
    path: Path,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    vectors: ExampleVectors | None = None,
    dates: Mapping[str, str] | None = None,
    last: Collection[str] = (),
) -> str:
    """Index the examples in the folder ``path``. Returns the name of the build, a folder in it.

    Readers see the previous build until this one is complete. If the current build has the same content, it is kept.
    ``vectors``: those of ``texts_of``, in the order of ``examples``, for dense retrieval.
    ``last``: ids of examples that come after others that fit alike.
    ``dates``: {example id: date}; a search can exclude dates by ``lbi.retrieval.leakage.date_tag``.
    """
    order = _order(examples, last)
    ordered = [examples[row] for row in order]
    ordered_vectors = None if vectors is None else vectors.ordered(order)
    dated = _dated(ordered, dates)
    name = _name(ordered, vectors.by if vectors else "", dated)
    if current_build(path) != name:
        _write(path, name, ordered, trajectories, ordered_vectors, dated)
    return name


def is_current(
    path: Path,
    examples: Sequence[Example],
    dense: str,
    dates: Mapping[str, str] | None = None,
    last: Collection[str] = (),
) -> bool:
    """Whether the current build holds just these examples, with vectors of the embedder ``dense`` ("" = without)."""
    ordered = [examples[row] for row in _order(examples, last)]
    return current_build(path) == _name(ordered, dense, _dated(ordered, dates))


def _order(examples: Sequence[Example], last: Collection[str] = ()) -> list[int]:
    def place(row: int) -> tuple[bool, int, str]:
        return examples[row].id in last, examples[row].end - examples[row].start, examples[row].id

    row_of = {example.id: row for row, example in enumerate(examples)}
    # ties are ordered by row: of examples that fit equally well, one with fewer steps does less that was not asked for
    return sorted(row_of.values(), key=place)


def _dated(examples: Sequence[Example], dates: Mapping[str, str] | None) -> dict[str, str]:
    return {example.id: (dates or {}).get(example.id, "") for example in examples}


def current_build(path: Path) -> str:
    """The name of the current build; "" if there is none."""
    file = path / "current"
    return file.read_text().strip() if file.is_file() else ""


def searchable_text(observation: Observation) -> str:
    """The text by which observations are searched: normalised, without the labels that all of them have."""
    return _MARKS.sub(" ", mask(normalise(observation)))


def _name(examples: Sequence[Example], dense: str, dates: Mapping[str, str]) -> str:
    """The name of a build: a hash of its content."""
    bodies = [[example.id, example.tier, example.model_dump(mode="json")["verdicts"]] for example in examples]
    return digest_of([FORMAT, bodies, dense, dates])


def _write(
    path: Path,
    name: str,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    vectors: ExampleVectors | None,
    dates: Mapping[str, str],
) -> None:
    """Write a build beside the current one, make it the current one, and remove the others."""
    part = path / f".{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    for folder in ("said", "done", "observations"):
        (part / folder).mkdir(parents=True)
    searched = texts_of(examples, trajectories)
    texts = _write_database(part / "examples.db", examples, trajectories, searched)
    entries = list(_entries(examples, trajectories, dates))
    for folder, of_examples in (("said", searched.said), ("done", searched.done)):
        filled = (entry._replace(text=text) for entry, text in zip(entries, of_examples, strict=True))
        TextIndex.build(filled, part / folder)
    TextIndex.build((Entry(key % (1 << 64), text, keys=[key]) for key, text in texts), part / "observations")
    if vectors is not None:
        import numpy

        numpy.save(part / "said.npy", vectors.said)
        numpy.save(part / "done.npy", vectors.done)
        numpy.save(part / "asked.npy", vectors.asked)
    shutil.rmtree(path / name, ignore_errors=True)
    part.rename(path / name)
    write_atomically(path / "current", name.encode())
    for other in path.iterdir():
        if other.is_dir() and other.name != name:
            shutil.rmtree(other, ignore_errors=True)


def _entries(
    examples: Sequence[Example], trajectories: Mapping[str, Trajectory], dates: Mapping[str, str]
) -> Iterator[Entry]:
    for row, example in enumerate(examples):
        trajectory = trajectories[example.trajectory]
        keys = {observation_key(observation) for observation in trajectory.observations[example.start : example.end]}
        tags = _lineage(example, trajectory) | {date_tag(dates[example.id])}
        yield Entry(row, "", keys, tags)


def _lineage(example: Example, trajectory: Trajectory) -> set[str]:
    """Ids of everything that an example comes from. One that joins two examples has two documents."""
    ids = {example.id, example.document, *example.parents}
    return (ids | {trajectory.id, trajectory.task.id, trajectory.task.document}) - {""}


def _write_database(
    file: Path, examples: Sequence[Example], trajectories: Mapping[str, Trajectory], searched: ExampleTexts
) -> list[tuple[int, str]]:
    """Write examples.db. Returns (key, text) of each distinct observation that is followed by an action."""
    pack = zstandard.ZstdCompressor(level=3)
    texts: dict[int, Observation] = {}
    walks = list({example.trajectory: trajectories[example.trajectory] for example in examples}.values())
    operations = Operations(seen for walk in walks for seen in walk.observations)
    with closing(sqlite3.connect(file)) as db:
        db.executescript(SCHEMA)
        for row, example in enumerate(examples):
            trajectory = trajectories[example.trajectory]
            instruction_mark, actions_mark = _marks(example, trajectory)
            groups = (_request_hash(example.instruction), _ending_hash(example, trajectory))
            operation = operations.of_span(trajectory, example.start, example.end)
            alike = digest_of(operation.alike) if operation else ""
            values = (row, trajectory.id, instruction_mark, actions_mark, *groups, alike, searched.asked[row])
            words = f"{searched.said[row]} {searched.done[row]}"
            db.execute("INSERT INTO example VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, words, _as_json(example)))
            for at in range(example.start, example.end):
                observation = trajectory.observations[at]
                key = observation_key(observation)
                texts.setdefault(key, observation)
                db.execute("INSERT INTO place VALUES(?, ?, ?)", (row, at, key))
        for id_ in sorted({example.trajectory for example in examples}):
            body = pack.compress(_as_json(trajectories[id_]).encode())
            db.execute("INSERT INTO trajectory VALUES(?, ?)", (id_, body))
        db.commit()
    return [(key, searchable_text(texts[key])) for key in sorted(texts)]


def _as_json(record: Record) -> str:
    return json.dumps(masked(record.model_dump(mode="json")), ensure_ascii=False)


def _marks(example: Example, trajectory: Trajectory) -> tuple[str, str]:
    """Two hashes. Examples that share one teach the same: same instruction, and same trajectory or same actions."""
    instruction = " ".join(example.instruction.casefold().split())
    actions = [action.grounded for action in trajectory.actions[example.start : example.end]]
    return digest_of([instruction, trajectory.id]), digest_of([instruction, actions])


def _request_hash(instruction: str) -> str:
    """A hash of the instruction without its values: the same for 'Open lamp "3"' and 'Open lamp "4"'."""
    return digest_of(re.sub(r"\"[^\"]*\"|'[^']*'|\d+", "", instruction).split())


def _ending_hash(example: Example, trajectory: Trajectory) -> str:
    """A hash of the last step: its action, and the address of its page without numbers and query."""
    step = trajectory.steps[example.end - 1]
    page = re.sub(r"\d+", "0", step.observation.url.split("?")[0].split("#")[0])
    return digest_of([step.action.grounded, page])
