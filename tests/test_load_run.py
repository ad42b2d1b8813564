"""A run loaded into a program: what is kept in its folder is read when it is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

import lbi
from lbi.errors import UserError
from lbi.records import Example, Trajectory
from lbi.retrieval import learnt
from lbi.retrieval.part import Part
from lbi.retrieval.stored import Stored
from lbi.storage.database import Store
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples
from served_run import ADD, LEARNT, TASK, make_lamp_run
from test_serve_open import refuses, with_index


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of examples and trajectories in indexes, one entry a body."""
    bodies: list[str] = []
    example, trajectory = Stored.example, Part.trajectory

    def of_example(self: Stored, row: int) -> Example:
        bodies.append("example")
        return example(self, row)

    def of_trajectory(self: Part, id_: str) -> Trajectory | None:
        bodies.append("trajectory")
        return trajectory(self, id_)

    monkeypatch.setattr(Stored, "example", of_example)
    monkeypatch.setattr(Part, "trajectory", of_trajectory)
    return bodies


async def test_opening_reads_no_record_and_no_body_of_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: list[str]
) -> None:
    run = await make_lamp_run(tmp_path)
    with_index(run)
    monkeypatch.setattr(learnt, "read_examples", refuses)
    monkeypatch.setattr(Store, "all", refuses)
    monkeypatch.setattr(Store, "under", refuses)
    monkeypatch.setattr(Store, "get", refuses)
    with lbi.load_run(run) as loaded:
        assert len(loaded.examples) == len(LEARNT)
        assert read == []
        assert loaded.examples[2][0].instruction in LEARNT
        assert read == ["example", "trajectory"]
        found = loaded.retrieve(TASK, lbi.Observation(text="", url="/"))
    assert found[0].example.instruction == ADD


async def test_examples_are_read_one_after_the_other(tmp_path: Path, read: list[str]) -> None:
    run = await make_lamp_run(tmp_path)
    with_index(run)
    with lbi.load_run(run) as loaded:
        first = next(iter(loaded.examples))
        assert read == ["example", "trajectory"]
        assert loaded.examples[0] == first


async def test_they_are_those_of_the_run_in_its_order(tmp_path: Path) -> None:
    run = await make_lamp_run(tmp_path)
    with RunFolder(run) as folder:
        example, walked = next(pair for pair in read_examples(folder, 0) if pair[0].instruction == ADD)
        part = Example(kind="summary", instruction="Name a lamp", trajectory=walked.id, start=1, end=2)
        folder.store.put("example", f"0/{walked.id}/summary/001-002", part)
        pairs = read_examples(folder, 0)
    with_index(run)
    assert len(pairs) == len(LEARNT) + 1
    assert example in [each for each, _ in pairs]
    with lbi.load_run(run) as loaded:
        assert list(loaded.examples) == pairs
        assert loaded.examples[1:3] == tuple(pairs[1:3])
        assert loaded.examples[-1] == pairs[-1]


async def test_without_an_index_that_fits_the_records_are_read(tmp_path: Path) -> None:
    run = await make_lamp_run(tmp_path)
    with RunFolder(run, writing=False) as folder:
        pairs = read_examples(folder, 0)
    with lbi.load_run(run) as loaded:
        assert list(loaded.examples) == pairs
        assert loaded.retrieve(TASK, lbi.Observation(text=""))[0].example.instruction == ADD
    assert not (run / "index").exists(), "the run folder is only read"


async def test_a_seed_without_examples_leaves_nothing_open(tmp_path: Path) -> None:
    run = await make_lamp_run(tmp_path)
    with pytest.raises(UserError, match="no examples of seed 7"):
        lbi.load_run(run, seed=7)
    with RunFolder(run):
        pass
