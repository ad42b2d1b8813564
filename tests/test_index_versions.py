"""An index grows by versions: what is added, what readers see meanwhile, and the graph for many vectors."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import threading
from pathlib import Path

import numpy
import pytest

from fake_notes import DELETE, HOME, MILK, NEW, NOTES, SAVE, title, walk
from lbi.records import Example, Observation, Task, Trajectory
from lbi.retrieval import build, dense, part
from lbi.retrieval.build import ExampleVectors, is_current, plan_addition, plan_index, write_index, write_plan
from lbi.retrieval.dense import Nearest, add_vectors
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.versions import current_build, holds, manifest_of, note_source
from lbi.storage.run_folder import RunFolder

WORDS = [f"{first}{second}" for first in "bdfgk" for second in ("alo", "emi", "iru", "ona", "uti")]
needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="faiss is not installed")


@pytest.fixture
async def walks() -> dict[str, Trajectory]:
    made = [await walk(f"make {word}", HOME, NOTES, NEW, title(word), SAVE) for word in WORDS[:12]]
    gone = [await walk(f"delete {word}", NOTES, MILK, DELETE) for word in WORDS[:12]]
    return {each.id: each for each in (*made, *gone)}


@pytest.fixture
def examples(walks: dict[str, Trajectory]) -> list[Example]:
    texts = {5: "Make a note named {}", 3: "Delete the note of {}"}
    return [
        Example(
            kind="abstract",
            instruction=texts[len(each.steps)].format(WORDS[at % 12]),
            trajectory=each.id,
            start=0,
            end=len(each.steps),
        )
        for at, each in enumerate(walks.values())
    ]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few examples are added to, too."""
    monkeypatch.setattr(build, "ADD_FROM", 1)
    monkeypatch.setattr(build, "TWICE", 100)


def found(index: ExampleIndex, request: str, page: Observation | None = None) -> list[str]:
    task = Task(instruction=request, environment="notes")
    return [each.example.id for each in index.search(task, page or Observation(text="nothing"), request)]


def vectors_of(examples: list[Example]) -> ExampleVectors:
    rng = numpy.random.default_rng(0)
    table = {}
    for example in examples:
        vector = rng.standard_normal(8).astype(numpy.float32)
        table[example.id] = vector / numpy.linalg.norm(vector)
    rows = numpy.stack([table[example.id] for example in examples])
    return ExampleVectors(rows, rows[::-1].copy(), rows, "made up")


# adding


def test_added_examples_are_found_and_what_was_there_is_not_written_anew(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    first = write_index(tmp_path, examples[:10], walks)
    before = {file.name: file.stat().st_ino for file in (tmp_path / first).rglob("*") if file.is_file()}
    second = write_index(tmp_path, examples, walks)
    after = {file.name: file.stat().st_ino for file in (tmp_path / second).rglob("*") if file.is_file()}
    assert before["examples.db"] == after["examples.db"]
    manifest = manifest_of(tmp_path, second)
    assert manifest is not None
    assert (manifest.parts, manifest.examples, manifest.at_once) == (("examples.db", "examples-1.db"), 24, 10)
    index = ExampleIndex.open(tmp_path)
    assert len(index) == 24
    for example in examples:
        assert index.example(example.id) == (example, walks[example.trajectory])
    assert index.example("nobody") is None
    index.close()


def test_an_index_that_grew_finds_what_one_that_was_written_at_once_finds(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    at_once = ExampleIndex.build(tmp_path / "once", examples, walks)
    for count in range(4, 25, 4):
        write_index(tmp_path / "grown", examples[:count], walks)
    grown = ExampleIndex.open(tmp_path / "grown")
    grown.thresholds = at_once.thresholds  # which are of those that were written first
    pages = [page for each in walks.values() for page in each.observations]
    for example, page in zip(examples, pages, strict=False):
        assert found(grown, example.instruction, page) == found(at_once, example.instruction, page)
    assert {each.id for each in grown.first(100)} == {each.id for each in examples}
    assert grown.counts() == at_once.counts()
    at_once.close()
    grown.close()


def test_one_that_is_gone_or_another_now_makes_it_written_anew(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    write_index(tmp_path, examples[:10], walks)
    changed = [examples[0].model_copy(update={"tier": "replayed"}), *examples[1:]]
    for now in (changed, changed[1:]):
        manifest = manifest_of(tmp_path, write_index(tmp_path, now, walks))
        assert manifest is not None
        assert (manifest.parts, manifest.examples) == (("examples.db",), len(now))


def test_an_index_twice_as_large_is_counted_anew(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "TWICE", 2)
    sizes = []
    for count in (4, 8, 9):
        manifest = manifest_of(tmp_path, write_index(tmp_path, examples[:count], walks))
        assert manifest is not None
        sizes.append(manifest.at_once)
    assert sizes == [4, 4, 9]


def test_databases_of_what_was_added_become_one(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_PARTS", 2)
    for count in range(4, 9):
        write_index(tmp_path, examples[:count], walks)
    manifest = manifest_of(tmp_path, current_build(tmp_path))
    assert manifest is not None
    assert len(manifest.parts) <= 3
    index = ExampleIndex.open(tmp_path)
    assert all(index.example(each.id) == (each, walks[each.trajectory]) for each in examples[:8])
    index.close()


def test_examples_can_be_added_without_those_that_are_there(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    write_index(tmp_path, examples[:10], walks)
    plan = plan_addition(tmp_path, examples[8:14], walks)
    assert plan is not None
    assert len(plan.examples) == 4
    write_plan(tmp_path, plan)
    assert is_current(tmp_path, examples[:14], "")
    assert plan_addition(tmp_path, examples[:3], walks) is None
    with pytest.raises(ValueError, match="vectors of ''"):
        plan_addition(tmp_path, examples, walks, "another")


# readers and writers


def test_a_reader_is_not_disturbed_by_a_writer(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    reader = ExampleIndex.build(tmp_path, examples[:10], walks, vectors_of(examples).ordered(range(10)))
    pages = [page for each in walks.values() for page in each.observations][:20]
    before = [found(reader, examples[0].instruction, page) for page in pages]
    for count in (15, 20, 24):
        write_index(tmp_path, examples[:count], walks, vectors_of(examples).ordered(range(count)))
        reader._ranker._known.clear()
        reader._fits.clear()
        assert [found(reader, examples[0].instruction, page) for page in pages] == before
    assert len(reader) == 10
    reader.close()


def test_a_writer_that_was_killed_leaves_nothing_changed(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write_index(tmp_path, examples[:10], walks)
    content = {file: file.read_bytes() for file in (tmp_path / first).rglob("*") if file.is_file()}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        write_index(tmp_path, examples, walks)
    monkeypatch.undo()
    monkeypatch.setattr(build, "ADD_FROM", 1)
    assert {file: file.read_bytes() for file in content} == content
    index = ExampleIndex.build(tmp_path, examples, walks)
    assert len(index) == 24
    index.close()


def test_without_hard_links_the_files_are_copied(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refused)
    write_index(tmp_path, examples[:10], walks)
    write_index(tmp_path, examples, walks)
    index = ExampleIndex.open(tmp_path)
    assert len(index) == 24
    index.close()


# what it was built from


async def test_the_state_of_the_records_tells_whether_an_index_is_of_them(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    with RunFolder(tmp_path / "run", {}) as folder:
        store = folder.store
        await store.put("example", "0/a", examples[0])
        mark = store.mark("example", "trajectory")
        await store.put("result", "x", examples[0])
        assert store.mark("example", "trajectory") == mark, "other records count for nothing"
        write_index(tmp_path / "i", examples, walks)
        assert holds(tmp_path / "i", mark) is None
        note_source(tmp_path / "i", mark)
        assert holds(tmp_path / "i", mark, "") is not None
        assert holds(tmp_path / "i", mark, "another embedder") is None
        await store.put("example", "0/a", examples[0])  # written anew, under the same number
        assert store.mark("example", "trajectory") != mark
        write_index(tmp_path / "i", examples[:5], walks)
        assert holds(tmp_path / "i", mark) is None, "another version was written"


# vectors


def near(vectors: numpy.ndarray, vector: numpy.ndarray, depth: int) -> list[int]:
    return [int(row) for row in (-(vectors @ vector)).argsort(kind="stable")[:depth]]


def clouds(count: int, seed: int = 0) -> numpy.ndarray:
    rng = numpy.random.default_rng(seed)
    centres = rng.standard_normal((40, 16))
    vectors = centres[rng.integers(0, 40, count)] + 0.5 * rng.standard_normal((count, 16))
    return (vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)).astype(numpy.float32)


def test_vectors_in_several_files_are_searched_as_if_they_were_in_one(tmp_path: Path) -> None:
    vectors = clouds(300)
    for start in range(0, 300, 30):  # more files than may lie beside each other
        add_vectors(tmp_path, "said", vectors[start : start + 30], range(start, start + 30))
    nearest = Nearest(tmp_path, "said")
    assert len(nearest) == 300
    assert len(list(tmp_path.glob("said-*.rows.npy"))) <= dense.MOST_FILES
    for vector in clouds(20, seed=1):
        assert nearest.best(vector, 10) == near(vectors, vector, 10)
        excluded = set(near(vectors, vector, 3))
        assert nearest.best(vector, 7, excluded) == near(vectors, vector, 10)[3:]
    assert numpy.array_equal(nearest.of_row(7), vectors[7])
    assert nearest.of_row(1000) is None


@needs_faiss
def test_a_graph_finds_nearly_all_and_each_row_of_a_vector_that_several_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "GRAPH_FROM", 1000)
    monkeypatch.setattr(dense, "BESIDE_GRAPH", 300)
    vectors = numpy.concatenate([clouds(1200), clouds(1200)[:100]])  # the last hundred are of the first hundred
    add_vectors(tmp_path, "said", vectors[:1200], range(1200))
    inode = (tmp_path / "said.faiss").stat().st_ino
    add_vectors(tmp_path, "said", vectors[1200:1250], range(1200, 1250))
    assert (tmp_path / "said.faiss").stat().st_ino == inode, "few wait beside the graph"
    kept = tmp_path / "kept"
    os.link(tmp_path / "said.faiss", kept)
    content = kept.read_bytes()
    more = clouds(400, seed=5)
    add_vectors(tmp_path, "said", numpy.concatenate([vectors[1250:], more]), range(1250, 1700))
    assert kept.read_bytes() == content, "a reader's file is not written to"
    assert not list(tmp_path.glob("said-*.npy"))
    every = numpy.concatenate([vectors, more])
    nearest = Nearest(tmp_path, "said")
    assert len(nearest) == 1700
    hits = 0
    for vector in clouds(50, seed=2):
        hits += len({*nearest.best(vector, 10)} & {*near(every, vector, 10)})
        exact = nearest.best(vector, 10, exact=True)
        assert len({*exact} & {*near(every, vector, 12)}) >= 9, "a byte per dimension tells nearly all apart"
    assert hits >= 475
    assert set(nearest.best(vectors[3], 2)) == {3, 1203}
    excluded = set(range(1600))  # most of them, so all are compared
    assert set(nearest.best(vectors[3], 50, excluded)) <= set(range(1600, 1700))
    assert len(nearest.best(vectors[3], 50, excluded)) == 50


@needs_faiss
def test_an_index_with_a_graph_shows_what_one_without_shows(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set(threading.enumerate())
    vectors = vectors_of(examples)
    plain = ExampleIndex.build(tmp_path / "plain", examples, walks, vectors)
    monkeypatch.setattr(dense, "GRAPH_FROM", 10)
    graph = ExampleIndex.build(tmp_path / "graph", examples, walks, vectors)
    assert list((tmp_path / "graph").rglob("said.faiss"))
    for at, example in enumerate(examples):
        task = Task(instruction=example.instruction, environment="notes")
        seen = walks[example.trajectory].observations[0]
        vector = vectors.said[at]
        one, other = (
            index.search(task, seen, example.instruction, vector=vector, task_vector=vector) for index in (plain, graph)
        )
        assert {each.example.id for each in one} == {each.example.id for each in other}
    assert set(threading.enumerate()) - threads, "vectors are looked up beside the words"
    plain.close()
    graph.close()
    assert set(threading.enumerate()) <= threads


def test_only_what_is_added_has_to_be_embedded(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    vectors = vectors_of(examples)
    write_index(tmp_path, examples[:20], walks, vectors.ordered(range(20)))
    plan = plan_index(tmp_path, examples, walks, "made up")
    assert plan is not None
    assert sorted(plan.at) == [20, 21, 22, 23]
    assert len(plan.texts.said) == 4
    assert not any(plan.texts.asked), "what must be scored is found out of the first ones"
    assert is_current(tmp_path, examples[:20], "made up")


def test_a_part_is_a_file_that_sqlite_reads(
    tmp_path: Path, examples: list[Example], walks: dict[str, Trajectory]
) -> None:
    name = write_index(tmp_path, examples, walks)
    opened = part.Part(tmp_path / name / "examples.db")
    assert opened.one("SELECT count(*) FROM example") == 24
    with pytest.raises(sqlite3.OperationalError):
        opened.all("DELETE FROM example")
    opened.close()
