"""Writes an index of examples into a folder, which ``lbi.retrieval.index`` searches.

A version of an index (lbi.retrieval.versions) is a folder of its own, and nothing else is needed to read it:

    examples.db        examples, trajectories, and where each observation occurs; examples-1.db, ... what was added
    said/              BM25 over what was asked for: the instructions without their values
    done/              BM25 over what was done: the last action and the part of the page that it touches
    observations/      BM25 over the distinct observations
    said-*.npy, ...    with dense retrieval: vectors and their rows (lbi.retrieval.dense)
    known.json         what was counted over all pages, by which added examples are read like the others
    threshold.json     what an example must score to be shown (lbi.retrieval.threshold)

Examples are added without writing anew what is there, until there are twice as many as were written at once: what is
counted over all of them, such as the frame of the pages, is then counted again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lbi.observations.frame import Frame
from lbi.observations.normalise import observation_key
from lbi.observations.operations import Operations
from lbi.records import Example, Trajectory, digest_of
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.leakage import date_tag
from lbi.retrieval.part import Part, told_apart_by, written_examples
from lbi.retrieval.texts import Deeds, ExampleTexts, distinct_pages, texts_of
from lbi.retrieval.versions import FORMAT, Manifest, begin, current_build, finish, manifest_of
from lbi.storage.files import write_atomically

if TYPE_CHECKING:
    from lbi.models.embeddings import Vectors

ADD_FROM = 5_000  # examples; fewer are written anew in seconds, and counted over all of them
TWICE = 2  # times as many as were written at once
MOST_PARTS = 8  # databases of added examples, after which they become one
KNOWN = "known.json"
MOST_LENGTH = 1023  # steps of an example that rows tell apart


class ExampleVectors(NamedTuple):
    """The embedded texts of examples (lbi.retrieval.texts): one row of length 1 per example in each."""

    said: Vectors
    done: Vectors
    asked: Vectors
    by: str  # name of the embedder

    def ordered(self, rows: Sequence[int]) -> ExampleVectors:
        """The same in another order, or of fewer examples."""
        return ExampleVectors(self.said[rows], self.done[rows], self.asked[rows], self.by)


class Plan(NamedTuple):
    """What there is to write for an index to hold just these examples. ``examples`` are those that it has not yet."""

    name: str
    manifest: Manifest
    base: str  # the version that they are added to; "" = all is written
    examples: Sequence[Example]  # in the order of their rows
    at: Sequence[int]  # where each stood among those that were asked for
    rows: Sequence[int]
    dates: Mapping[str, str]
    last: Collection[str]
    trajectories: Mapping[str, Trajectory]
    texts: ExampleTexts
    operations: Operations
    frame: Frame


def write_index(
    path: Path,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    vectors: ExampleVectors | None = None,
    dates: Mapping[str, str] | None = None,
    last: Collection[str] = (),
) -> str:
    """Index the examples in the folder ``path``. Returns the name of the version, a folder in it.

    Readers see the previous version until this one is complete. If the current one has the same content, it is kept.
    ``vectors``: those of ``texts_of``, in the order of ``examples``, for dense retrieval.
    ``dates``: {example id: date}; a search can exclude dates by ``lbi.retrieval.leakage.date_tag``.
    ``last``: ids of examples that come after others that fit alike.
    """
    plan = plan_index(path, examples, trajectories, vectors.by if vectors else "", dates, last)
    if plan is None:
        return current_build(path)
    return write_plan(path, plan, None if vectors is None else vectors.ordered(plan.at))


def is_current(
    path: Path,
    examples: Sequence[Example],
    dense: str,
    dates: Mapping[str, str] | None = None,
    last: Collection[str] = (),
) -> bool:
    """Whether the current version holds just these examples, with vectors of the embedder ``dense`` ("" = without)."""
    return current_build(path) == _name(_content(examples, dates, last), len({each.id for each in examples}), dense)


def plan_index(
    path: Path,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    dense: str = "",
    dates: Mapping[str, str] | None = None,
    last: Collection[str] = (),
) -> Plan | None:
    """What is to be written, and of which texts vectors are needed; None if the current version has all of it."""
    if is_current(path, examples, dense, dates, last):
        return None
    places = {example.id: at for at, example in enumerate(examples)}
    base, known = _base(path, examples, len(places), dense, dates, last)
    added = [at for id_, at in places.items() if id_ not in known]
    taken, content = set(known.values()), _content(examples, dates, last)
    return _plan(path, base, taken, examples, added, trajectories, dense, dates, content, len(places), last)


def plan_addition(
    path: Path,
    examples: Sequence[Example],
    trajectories: Mapping[str, Trajectory],
    dense: str = "",
    dates: Mapping[str, str] | None = None,
) -> Plan | None:
    """The same for examples that are to be there besides what is there, of which nothing has to be read or known.

    Raises ValueError for an index whose vectors are of another embedder, and for one of an older format.
    """
    base = current_build(path)
    before = manifest_of(path, base)
    if before is None or not before.examples:
        return plan_index(path, examples, trajectories, dense, dates)
    if (before.format, before.dense) != (FORMAT, dense):
        raise ValueError(f"{path} has vectors of {before.dense!r}, not {dense!r}, or is of an older format")
    rows = _stored_rows(path / base, before)
    places = {example.id: at for at, example in enumerate(examples)}
    added = [at for id_, at in places.items() if id_ not in rows]
    if not added:
        return None
    content = _sum(int(before.content, 16), int(_content([examples[at] for at in added], dates), 16))
    count = before.examples + len(added)
    return _plan(path, base, set(rows.values()), examples, added, trajectories, dense, dates, content, count)


def _plan(
    path: Path,
    base: str,
    taken: set[int],
    examples: Sequence[Example],
    added: Sequence[int],
    trajectories: Mapping[str, Trajectory],
    dense: str,
    dates: Mapping[str, str] | None,
    content: str,
    count: int,
    last: Collection[str] = (),
) -> Plan:
    """``added``: which of the examples are to be written; ``taken``: the rows of ``base``."""
    numbers = _rows([examples[at] for at in added], taken, last)
    at = [place for _, place in sorted(zip(numbers, added, strict=True))]
    chosen = [examples[place] for place in at]
    walks = {example.trajectory: trajectories[example.trajectory] for example in chosen}
    frame, operations = _counted(path / base if base else None, walks)
    dated = {example.id: (dates or {}).get(example.id, "") for example in chosen}
    before = manifest_of(path, base)
    manifest = Manifest(
        format=FORMAT,
        examples=count,
        at_once=before.at_once if before else count,
        content=content,
        dense=dense,
        dates=tuple(sorted({*dated.values(), *(before.dates if before else ())})),
        parts=(*before.parts, f"examples-{_next(before.parts)}.db") if before else ("examples.db",),
    )
    texts = texts_of(chosen, walks, Deeds(walks.values(), frame))
    if base:  # what must be scored to be shown is found out of those that were written at once
        texts = texts._replace(asked=[""] * len(chosen))
    name = _name(content, count, dense)
    return Plan(name, manifest, base, chosen, at, sorted(numbers), dated, last, walks, texts, operations, frame)


def write_plan(path: Path, plan: Plan, vectors: ExampleVectors | None = None) -> str:
    """Write what was planned beside the current version, and make it the current one. Returns its name.

    ``vectors``: of ``plan.texts``, in their order.
    """
    folder = begin(path, plan.base)
    file = folder / plan.manifest.parts[-1]
    before = [Part(folder / name) for name in plan.manifest.parts[:-1]]
    keys = {id_: [observation_key(seen) for seen in walk.observations] for id_, walk in plan.trajectories.items()}
    pages = written_examples(file, plan, keys, before)
    for part in before:
        part.close()
    entries = list(_entries(plan, keys))
    for name, of_examples in (("said", plan.texts.said), ("done", plan.texts.done)):
        filled = (entry._replace(text=text) for entry, text in zip(entries, of_examples, strict=True))
        TextIndex.write(filled, folder / name)
    TextIndex.write((Entry(key % (1 << 64), text, keys=[key]) for key, text in pages), folder / "observations")
    if vectors is not None:
        from lbi.retrieval.dense import add_vectors

        for name, those in (("said", vectors.said), ("done", vectors.done)):
            add_vectors(folder, name, those, plan.rows)
        asked = [at for at, text in enumerate(plan.texts.asked) if text]
        add_vectors(folder, "asked", vectors.asked[asked], [plan.rows[at] for at in asked], searched=False)
    manifest = plan.manifest
    if len(manifest.parts) > MOST_PARTS + 1:
        manifest = manifest.model_copy(update={"parts": Part.joined(folder, manifest.parts)})
    if not plan.base:
        told = {"frame": plan.frame.as_data(), "operations": plan.operations.as_data()}
        write_atomically(folder / KNOWN, json.dumps(told, ensure_ascii=False).encode())
    finish(path, folder, plan.name, manifest)
    return plan.name


def _base(
    path: Path,
    examples: Sequence[Example],
    count: int,
    dense: str,
    dates: Mapping[str, str] | None,
    last: Collection[str],
) -> tuple[str, dict[str, int]]:
    """The version that only lacks some of these examples, if adding to it is worth it, and {example id: row} of it."""
    name = current_build(path)
    manifest = manifest_of(path, name)
    if manifest is None or manifest.format != FORMAT or manifest.dense != dense:
        return "", {}
    if manifest.examples < ADD_FROM or not manifest.examples < count <= TWICE * manifest.at_once:
        return "", {}
    content = {example.id: told_apart_by(example, dates, last) for example in examples}
    for each in manifest.parts:
        with closing(Part(path / name / each)) as part:
            if any(content.get(id_) != stored for id_, stored in part.each("SELECT id, content FROM example")):
                return "", {}  # it has one that is another now, or gone
    return name, _stored_rows(path / name, manifest)


def _counted(base: Path | None, walks: Mapping[str, Trajectory]) -> tuple[Frame, Operations]:
    """What pages have in common, and where links lead: as it was counted before, or over these trajectories."""
    if base is not None:
        told = json.loads((base / KNOWN).read_bytes())
        return Frame.of_data(told["frame"]), Operations.of_data(told["operations"])
    frame = Frame.of(distinct_pages(walks[id_] for id_ in sorted(walks)))
    return frame, Operations(seen for walk in walks.values() for seen in walk.observations)


def _next(parts: Sequence[str]) -> int:
    return max((int(name[len("examples-") : -len(".db")]) for name in parts[1:]), default=0) + 1


def _rows(examples: Sequence[Example], taken: set[int], last: Collection[str] = ()) -> list[int]:
    """A number for each example, which stays as it is whatever is added.

    Ties are ordered by row: of examples that fit equally well, one with fewer steps does less that was not asked for.
    Those that are to come last do.
    """
    rows: dict[str, int] = {}
    for example in sorted(examples, key=lambda each: (each.end - each.start, each.id)):
        length = min(example.end - example.start, MOST_LENGTH)
        row = ((length + (MOST_LENGTH + 1) * (example.id in last)) << 52) | int(example.id[:13], 16)
        while row in taken:
            row += 1
        taken.add(row)
        rows[example.id] = row
    return [rows[example.id] for example in examples]


def _content(examples: Sequence[Example], dates: Mapping[str, str] | None, last: Collection[str] = ()) -> str:
    by_id = {example.id: example for example in examples}
    return _sum(*(told_apart_by(example, dates, last) for example in by_id.values()))


def _sum(*hashes: int) -> str:
    return f"{sum(hashes) % (1 << 64):016x}"


def _stored_rows(version: Path, manifest: Manifest) -> dict[str, int]:
    """{example id: row} of a version."""
    rows: dict[str, int] = {}
    for name in manifest.parts:
        with closing(Part(version / name)) as part:
            rows.update(part.each("SELECT id, row FROM example"))
    return rows


def _name(content: str, count: int, dense: str) -> str:
    """The name of a version: a hash of its content."""
    return digest_of([FORMAT, content, count, dense])


def _entries(plan: Plan, keys: Mapping[str, Sequence[int]]) -> Iterator[Entry]:
    for row, example in zip(plan.rows, plan.examples, strict=True):
        trajectory = plan.trajectories[example.trajectory]
        pages = set(keys[trajectory.id][example.start : example.end])
        yield Entry(row, "", pages, _lineage(example, trajectory) | {date_tag(plan.dates[example.id])})


def _lineage(example: Example, trajectory: Trajectory) -> set[str]:
    """Ids of everything that an example comes from. One that joins two examples has two documents."""
    ids = {example.id, example.document, *example.parents}
    return (ids | {trajectory.id, trajectory.task.id, trajectory.task.document}) - {""}
