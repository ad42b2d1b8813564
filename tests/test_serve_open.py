"""Opening a run to serve it: its own index is taken where it is, if it is of the records as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_environment import click, walk
from lbi.evaluation.indexes import index_name, records_mark
from lbi.interop.server.finder import Finder, Situation
from lbi.records import Example, Observation
from lbi.retrieval.build import write_index
from lbi.retrieval.versions import note_source
from lbi.rollouts import learnt
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples
from served_run import LEARNT, TASK, make_lamp_run, opened


def with_index(run: Path) -> Path:
    """The run with the index that its last stage leaves."""
    with RunFolder(run, writing=False) as folder:
        mark, pairs = records_mark(folder.store), read_examples(folder, 0)
    path = run / "index" / index_name("backward", 0)
    write_index(path, [example for example, _ in pairs], {walked.id: walked for _, walked in pairs})
    note_source(path, mark)
    return path


def refuses(*_: object) -> None:
    raise AssertionError("nothing is to be read")


async def found(finder: Finder) -> tuple[str, list[str]]:
    result = await finder.find(Situation(TASK, Observation(text="", url="/")))
    return result.text, [each.shown.example.id for each in result.examples]


async def test_an_index_that_fits_is_opened_and_no_example_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await make_lamp_run(tmp_path)
    with opened(run) as finder:
        read = await found(finder)
        listed, coverage = finder.first_examples(100), finder.coverage()
        texts = {example.id: finder.whole_text(example.id) for example in listed}
    assert read[1]
    with_index(run)
    monkeypatch.setattr(learnt, "read_examples", refuses)
    with opened(run) as finder:
        assert await found(finder) == read
        assert finder.learnt.count == len(LEARNT)
        assert (finder.first_examples(100), finder.coverage()) == (listed, coverage)
        assert {id_: finder.whole_text(id_) for id_ in texts} == texts
        assert finder.example("nobody") is None
        with pytest.raises(KeyError):
            finder.whole_text("nobody")


async def test_what_was_learnt_since_is_read(tmp_path: Path) -> None:
    run = await make_lamp_run(tmp_path)
    with_index(run)
    walked = await walk("Look at the lamps", click("link", "Lamps"))
    more = Example(kind="abstract", instruction="Look at the lamps", trajectory=walked.id, start=0, end=1)
    with RunFolder(run) as folder:
        folder.store.put("trajectory", f"0/{walked.task.id}/0", walked)
        folder.store.put("example", f"0/{walked.id}/abstract/000-001", more)
    with opened(run) as finder:
        assert finder.learnt.count == len(LEARNT) + 1
        assert finder.example(more.id) == (more, walked)


async def test_who_serves_goes_on_while_the_run_writes_its_index_anew(tmp_path: Path) -> None:
    run = await make_lamp_run(tmp_path)
    path = with_index(run)
    with opened(run) as finder:
        before = await found(finder)
        with RunFolder(run, writing=False) as folder:
            pairs = read_examples(folder, 0)[:1]
        write_index(path, [example for example, _ in pairs], {walked.id: walked for _, walked in pairs})
        other = await finder.find(Situation("Look at the rooms", Observation(text="", url="/lamps")))
        assert other.examples
        assert await found(finder) == before
        assert all(finder.example(id_) for id_ in before[1])


async def test_an_index_that_cannot_be_opened_there_is_built_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await make_lamp_run(tmp_path)
    path = with_index(run)
    (version,) = (each for each in path.iterdir() if each.is_dir())
    (version / "said" / "meta.json").write_text("{")
    with opened(run) as finder:
        assert (await found(finder))[1]
    assert (version / "said" / "meta.json").read_text() == "{", "the run folder is only read"
