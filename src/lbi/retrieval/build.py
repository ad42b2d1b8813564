"""Examples -> an index of them in a folder, which ``lbi.retrieval.index`` searches.

An index is a folder of its own and needs nothing else to be read:

    current                 the name of the build that counts
    4be1.../examples.db     examples, their trajectories, and where each observation occurs
    4be1.../instructions/   BM25 over the instructions
    4be1.../observations/   BM25 over the distinct observations
    4be1.../vectors.npy     with dense retrieval: one row of length 1 per example
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

from lbi.observations.normalise import normalise, observation_key
from lbi.records import Example, Observation, Trajectory, digest_of
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.leakage import date_tag
from lbi.storage.files import write_atomically

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors

FORMAT = 6
_MARKS = re.compile(r"^(?:URL|Title):|<time>|<id>|<temporary>", re.MULTILINE)

SCHEMA = """
CREATE TABLE example(
    row INTEGER PRIMARY KEY, trajectory TEXT, said TEXT, done TEXT, asked TEXT, ends TEXT, body TEXT
);
CREATE TABLE trajectory(id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID;
CREATE TABLE place(row INTEGER, at INTEGER, key INTEGER, PRIMARY KEY(row, at)) WITHOUT ROWID;
CREATE INDEX place_key ON place(key, row, at);
"""


def write_index(
    path: Path,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    vectors: Vectors | None = None,
    dates: Mapping[str, str] | None = None,
) -> str:
    """Index the examples in the folder ``path``; returns the name of the build, which is a folder there.

    Readers see the former build until this one is complete; one that holds exactly this already is kept.
    ``vectors``: one row of length 1 per example, in the order of ``examples``, for dense retrieval as well.
    ``dates``: of examples by their ids, for searches that exclude some by ``lbi.retrieval.leakage.date_tag``.
    """
    once = {example.id: at for at, example in enumerate(examples)}
    # of examples that fit as well, the one with fewer steps comes first: it has less in it that was not asked for
    order = sorted(once.values(), key=lambda at: (examples[at].end - examples[at].start, examples[at].id))
    ordered = [examples[at] for at in order]
    chosen = None if vectors is None else vectors[order]
    dated = {example.id: (dates or {}).get(example.id, "") for example in ordered}
    name = _name(ordered, chosen, dated)
    if current(path) != name:
        _write(path, name, ordered, trajectories, chosen, dated)
    return name


def current(path: Path) -> str:
    """The name of the build that counts, or nothing."""
    file = path / "current"
    return file.read_text().strip() if file.is_file() else ""


def searchable(observation: Observation) -> str:
    """What of an observation is compared word by word: all but the marks that every one has."""
    return _MARKS.sub(" ", normalise(observation))


def _name(examples: Sequence[Example], vectors: Vectors | None, dates: Mapping[str, str]) -> str:
    """The name of a build: a hash of all that is in it."""
    bodies = [[example.id, example.tier, example.model_dump(mode="json")["verdicts"]] for example in examples]
    dense = None if vectors is None else hashlib.blake2b(vectors.tobytes()).hexdigest()
    return digest_of([FORMAT, bodies, dense, dates])


def _write(
    path: Path,
    name: str,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    vectors: Vectors | None,
    dates: Mapping[str, str],
) -> None:
    """Write a build beside the one that counts, then let it count and remove what does not any more."""
    part = path / f".{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    for folder in ("instructions", "observations"):
        (part / folder).mkdir(parents=True)
    texts = _write_database(part / "examples.db", examples, trajectories)
    TextIndex.build(_instructions(examples, trajectories, dates), part / "instructions")
    TextIndex.build((Entry(key % (1 << 64), text, keys=[key]) for key, text in texts), part / "observations")
    if vectors is not None:
        import numpy

        numpy.save(part / "vectors.npy", vectors)
    shutil.rmtree(path / name, ignore_errors=True)
    part.rename(path / name)
    write_atomically(path / "current", name.encode())
    for other in path.iterdir():
        if other.is_dir() and other.name != name:
            shutil.rmtree(other, ignore_errors=True)


def _instructions(
    examples: Sequence[Example], trajectories: Mapping[str, Trajectory], dates: Mapping[str, str]
) -> Iterator[Entry]:
    for row, example in enumerate(examples):
        trajectory = trajectories[example.trajectory]
        keys = {observation_key(seen) for seen in trajectory.observations[example.start : example.end]}
        tags = _lineage(example, trajectory) | {date_tag(dates[example.id])}
        yield Entry(row, example.instruction, keys, tags)


def _lineage(example: Example, trajectory: Trajectory) -> set[str]:
    """Ids of everything an example comes from; a join of two examples has two documents."""
    ids = {example.id, example.document, *example.parents}
    return (ids | {trajectory.id, trajectory.task.id, trajectory.task.document}) - {""}


def _write_database(
    file: Path, examples: Sequence[Example], trajectories: Mapping[str, Trajectory]
) -> list[tuple[int, str]]:
    """Write the examples; return (key, text) of each distinct observation that an action follows."""
    pack = zstandard.ZstdCompressor(level=3)
    texts: dict[int, Observation] = {}
    with closing(sqlite3.connect(file)) as db:
        db.executescript(SCHEMA)
        for row, example in enumerate(examples):
            trajectory = trajectories[example.trajectory]
            said, done = _marks(example, trajectory)
            kinds = (_asked(example.instruction), _end(example, trajectory))
            values = (row, trajectory.id, said, done, *kinds, example.model_dump_json())
            db.execute("INSERT INTO example VALUES(?, ?, ?, ?, ?, ?, ?)", values)
            for at in range(example.start, example.end):
                seen = trajectory.observations[at]
                key = observation_key(seen)
                texts.setdefault(key, seen)
                db.execute("INSERT INTO place VALUES(?, ?, ?)", (row, at, key))
        for id_ in sorted({example.trajectory for example in examples}):
            body = pack.compress(trajectories[id_].model_dump_json().encode())
            db.execute("INSERT INTO trajectory VALUES(?, ?)", (id_, body))
        db.commit()
    return [(key, searchable(texts[key])) for key in sorted(texts)]


def _marks(example: Example, trajectory: Trajectory) -> tuple[str, str]:
    """Two examples say the same if their instruction is the same, and their trajectory or what was done."""
    instruction = " ".join(example.instruction.casefold().split())
    actions = [action.grounded for action in trajectory.actions[example.start : example.end]]
    return digest_of([instruction, trajectory.id]), digest_of([instruction, actions])


def _asked(instruction: str) -> str:
    """What an instruction asks for whatever its values: 'Open lamp "3"' and 'Open lamp "4"' ask for the same."""
    return digest_of(re.sub(r"\"[^\"]*\"|'[^']*'|\d+", "", instruction).split())


def _end(example: Example, trajectory: Trajectory) -> str:
    """The kind of its last step: the action, and the page without what says which one of its kind it is."""
    step = trajectory.steps[example.end - 1]
    page = re.sub(r"\d+", "0", step.observation.url.split("?")[0].split("#")[0])
    return digest_of([step.action.grounded, page])
