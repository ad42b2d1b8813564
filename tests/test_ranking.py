"""What examples are looked up by, how several rankings become one, and from which score on an example is shown."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy
import pytest

from fake_notes import DELETE, HELP, HOME, MILK, NEW, NOTES, SAVE, title, walk
from lbi.records import Example, Observation, Task, Trajectory
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.build import ExampleVectors, is_current
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.ranking import Ranker, fused
from lbi.retrieval.texts import Deeds, embedded_requests, in_other_words, texts_of, without_values
from lbi.retrieval.threshold import LEAST, LeftOut, Thresholds, calibrated
from lbi.retrieval.versions import current_build

NOWHERE = Observation(text="zzz", url="/zzz", title="zzz")


def example(walked: Trajectory, instruction: str, start: int, end: int) -> Example:
    return Example(kind="abstract", instruction=instruction, trajectory=walked.id, start=start, end=end)


def asked(instruction: str) -> Task:
    return Task(instruction=instruction, environment="desk")


# texts


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('Rename the topic "Shed roof leaks" to "Felt"', "Rename the topic to"),
        ("Set the due date of #12 to 2027-10-24", "Set the due date of to"),
        ("Close Marta's ticket, it's done", "Close Marta's ticket, it's done"),
        ('Open "Milestones"', 'Open "Milestones"'),  # nothing else would be left
    ],
)
def test_a_request_is_looked_up_without_its_values(text, left):
    assert without_values(text) == left


async def test_an_example_is_looked_up_by_the_part_of_the_page_that_it_acts_on():
    eggs = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE)
    done = Deeds([eggs]).of(example(eggs, "x", 0, 4), eggs)
    assert "click Save" in done
    assert "Title" in done
    assert "notes new" in done
    assert "Eggs" not in done


def test_of_a_step_that_leads_somewhere_it_matters_where():
    def page(url: str, *lines: str) -> Observation:
        return Observation(text="\n".join(lines), url=url, digest="1")

    first = page("/start", 'heading "Welcome"', 'link "13 months" [e1] -> /timeline')
    after = page("/timeline", 'heading "Timeline of changes"')
    walked = Trajectory.model_validate(
        {
            "task": {"instruction": "x", "environment": "desk"},
            "agent": "test",
            "steps": [
                {
                    "observation": first.model_dump(),
                    "action": {"text": "click(e1)", "kind": "click", "role": "link", "name": "13 months"},
                }
            ],
            "last": after.model_dump(),
            "stop": "done",
        }
    )
    done = Deeds([walked]).of(example(walked, "x", 0, 1), walked)
    assert "Timeline of changes" in done
    assert "Welcome" not in done


# ranking


def test_words_that_say_nothing_find_nothing():
    texts = TextIndex.build([Entry(0, "What is the price of the lamp?"), Entry(1, "log me out"), Entry(2, "A person")])
    found = [row for row, _ in texts.best("Put me as a person on the list of it", 3)]
    assert found == [2]
    assert [row for row, _ in texts.best("what is it", 3)] == [0]  # where there are no others they count


def test_who_is_first_of_every_ranking_has_the_score_one():
    assert fused([[7, 8], [7], [7, 9]])[0] == (7, 1.0)
    assert fused([[1], [2]]) == [(1, 0.5), (2, 0.5)]
    assert fused([[], []]) == []


@pytest.fixture
async def shelf(tmp_path: Path):
    """An index in which a thing's name would mislead: three examples about milk, and one of making a note."""
    milk = await walk("milk", NOTES, MILK, DELETE, HOME, HELP)
    eggs = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE)
    examples = [
        example(milk, 'Look at "milk for the cake and more milk"', 0, 2),
        example(milk, 'Delete what "milk for the cake" says', 0, 3),
        example(milk, "Read the help", 3, 5),
        example(eggs, 'Make a note with the title "Eggs"', 0, 4),
    ]
    index = ExampleIndex.build(tmp_path / "index", examples, {milk.id: milk, eggs.id: eggs})
    yield index
    index.close()


def test_an_example_of_the_operation_comes_before_those_of_the_same_thing(shelf):
    task = asked('Make a note with the text "milk for the cake"')
    found = shelf.search(task, NOWHERE, task.instruction, m1=0, m2=4)
    assert found[0].example.instruction == 'Make a note with the title "Eggs"'


def test_what_was_done_finds_what_was_labelled_otherwise(tmp_path):
    pages = [
        Observation(text='heading "Watchers"\ntextbox "Cc" [e1]\nbutton "Submit" [e2]', url="/item/1", digest="1"),
        Observation(text="text: nothing", url="/item/1", digest="2"),
    ]
    walked = Trajectory.model_validate(
        {
            "task": {"instruction": "x", "environment": "desk"},
            "agent": "test",
            "steps": [
                {
                    "observation": pages[0].model_dump(),
                    "action": {"text": "click(e2)", "kind": "click", "role": "button", "name": "Submit"},
                }
            ],
            "last": pages[1].model_dump(),
            "stop": "done",
        }
    )
    wanted = example(walked, "Send the form", 0, 1)
    index = ExampleIndex.build(tmp_path / "index", [wanted], {walked.id: walked})
    task = asked("Put ines on the list of watchers")
    assert [each.example.id for each in index.search(task, NOWHERE, task.instruction, m1=0, m2=1)] == [wanted.id]
    index.close()


async def test_a_page_that_an_example_has_counts_as_one_more_ranking(tmp_path):
    milk = await walk("milk", NOTES, MILK, DELETE)
    eggs = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE)
    examples = [example(milk, "Handle a note", 1, 2), example(eggs, "Handle a note", 2, 4)]
    index = ExampleIndex.build(tmp_path / "index", examples, {milk.id: milk, eggs.id: eggs})
    for walked, at in ((milk, 1), (eggs, 2)):
        found = index.search(asked("handle it"), walked.observations[at], "handle it", m1=1, m2=1)
        assert found[0].trajectory.id == walked.id
        assert [each.why for each in found] == ["observation", "query"]
    index.close()


async def test_meaning_and_words_are_fused(tmp_path, shelf):
    milk = await walk("milk", NOTES, MILK, DELETE, HOME, HELP)
    examples = [example(milk, "Read the help", 3, 5), example(milk, "Delete the note", 0, 3)]
    rows = numpy.eye(2, dtype=numpy.float32)
    index = ExampleIndex.build(
        tmp_path / "dense", examples, {milk.id: milk}, ExampleVectors(rows, rows, rows, "made up")
    )
    for at, wanted in enumerate(examples):
        [found] = index.search(asked("zzz"), NOWHERE, "qqq", m1=0, m2=1, vector=rows[at])
        assert found.example.id == wanted.id
    assert index.search(asked("qqq"), NOWHERE, "qqq", m1=0, m2=1) == ()  # by words alone there is nothing
    index.close()


async def test_by_meaning_alone_words_do_not_count(tmp_path):
    milk = await walk("milk", NOTES, MILK, DELETE, HOME, HELP)
    examples = [example(milk, "Read the help", 3, 5), example(milk, "Remove the note", 0, 3)]
    rows = numpy.eye(2, dtype=numpy.float32)
    index = ExampleIndex.build(
        tmp_path / "dense", examples, {milk.id: milk}, ExampleVectors(rows, rows, rows, "made up")
    )

    def first(**how: object) -> str:
        """What is found for the words of one and the meaning of the other."""
        found = index.search(asked("zzz"), NOWHERE, "remove note", m1=0, m2=1, **how)
        return found[0].example.instruction if found else ""

    assert first() == "Remove the note"
    assert first(vector=rows[0], by_words=False) == "Read the help"
    assert first(vector=rows[1], by_words=False) == "Remove the note"
    assert first(by_words=False) == "", "neither words nor vectors"
    both = index.search(asked("zzz"), NOWHERE, "remove note", m1=0, m2=2, vector=rows[0])
    assert {each.example.instruction for each in both} == {"Remove the note", "Read the help"}
    page = milk.observations[0]
    assert index.search(asked("zzz"), page, "remove note", by_words=False) != (), "a page is known by its words"
    index.close()


async def test_requests_are_embedded_without_their_values():
    class Keeps:
        name = "keeps"
        seen: tuple[str, ...] = ()

        async def embed(self, texts):
            self.seen = tuple(texts)
            return numpy.ones((len(texts), 2), dtype=numpy.float32)

        async def close(self) -> None:
            pass

    keeps = Keeps()
    vectors = await embedded_requests(keeps, 'Rename the note "Eggs" to "Ham"', "")
    assert keeps.seen[0] == "Rename the note to"
    assert vectors[0] is not None
    assert vectors[1] is None
    assert await embedded_requests(None, "x", "y") == [None, None]


# threshold


async def many(folder: Path, *, dense: bool = False) -> tuple[ExampleIndex, list[Trajectory]]:
    """An index with enough roll-outs of two operations to tell what fits."""
    words = [f"{first}{second}" for first in "bdfgk" for second in ("alo", "emi", "iru", "ona", "uti")]
    made = [await walk(f"m {word}", NOTES, NEW, title(word), SAVE) for word in words]
    gone = [await walk(f"d {word}", NOTES, MILK, DELETE) for word in words]
    examples = [example(w, f'Make a new note titled "{n}"', 0, 4) for w, n in zip(made, words, strict=True)]
    examples += [example(w, f'Delete for good what "{n}" wrote', 0, 3) for w, n in zip(gone, words, strict=True)]
    walks = {each.id: each for each in (*made, *gone)}
    meanings = numpy.repeat(numpy.eye(2, dtype=numpy.float32), len(words), axis=0)
    vectors = ExampleVectors(meanings, meanings, meanings, "made up") if dense else None
    return ExampleIndex.build(folder, examples, walks, vectors), [*made, *gone]


async def test_what_fits_too_little_is_not_shown_at_all(tmp_path):
    index, walks = await many(tmp_path / "index")
    assert 0 < index.thresholds.lexical <= 1
    assert index.thresholds.hybrid == index.thresholds.dense == 0  # there are no vectors
    made = index.search(asked("write a new note"), NOWHERE, "write a new note")
    assert made
    assert made[0].example.instruction.startswith("Make a new note")
    assert index.search(asked("paint the fence"), walks[0].observations[0], "paint the fence") == ()
    index.close()


async def test_the_threshold_is_worked_out_once_and_kept_with_the_index(tmp_path):
    index, _ = await many(tmp_path / "index")
    index.close()
    folder = tmp_path / "index" / current_build(tmp_path / "index")
    again = calibrated(folder, Ranker(folder), lambda: pytest.fail("it is known already"), lambda _: {})
    assert again == index.thresholds


async def test_vectors_alone_have_a_threshold_too_which_an_older_index_gets_when_it_is_opened(tmp_path):
    index, _ = await many(tmp_path / "index", dense=True)
    index.close()
    assert 0 < index.thresholds.dense <= 1
    folder = tmp_path / "index" / current_build(tmp_path / "index")
    before = {name: value for name, value in index.thresholds._asdict().items() if name != "dense"}
    (folder / "threshold.json").write_text(json.dumps(before))
    with contextlib.closing(ExampleIndex.open(tmp_path / "index")) as again:
        assert again.thresholds == index.thresholds


def test_too_few_examples_tell_no_threshold(shelf):
    assert shelf.thresholds == Thresholds(0.0, 0.0, 0.0)
    assert shelf.search(asked("paint the fence"), Observation(text="x", url="/"), "paint", m1=0, m2=1) == ()


def test_an_instruction_in_other_words_has_half_of_them():
    said = in_other_words("Make a new note titled at once")
    words = ["Make", "a", "new", "note", "titled", "at", "once"]
    assert len(said.split()) == 4
    assert [word for word in words if word in said.split()] == said.split()


def test_who_left_no_right_one_behind_sets_no_threshold(tmp_path, shelf):
    """Every roll-out alone has its operation: nothing right is found, so nothing is known."""
    alone = [LeftOut(row, "Make note", f"t{row}", f"o{row}") for row in range(LEAST * 2)]
    folder = next(each for each in (tmp_path / "index").iterdir() if each.is_dir())
    (folder / "threshold.json").unlink()
    each_its_own = calibrated(folder, Ranker(folder), lambda: alone[:4], lambda rows: {row: f"o{row}" for row in rows})
    assert each_its_own == Thresholds(0.0, 0.0)


# builds


async def test_an_index_of_an_older_format_is_built_anew(tmp_path):
    milk = await walk("milk", NOTES, MILK, DELETE)
    examples, walks = [example(milk, "Delete the note", 0, 3)], {milk.id: milk}
    old = tmp_path / "index" / "0123456789abcdef"
    (old / "instructions").mkdir(parents=True)
    (tmp_path / "index" / "current").write_text(old.name)
    index = ExampleIndex.build(tmp_path / "index", examples, walks)
    assert len(index) == 1
    assert not old.exists()
    index.close()


async def test_examples_are_embedded_once_for_each_embedder(tmp_path):
    milk = await walk("milk", NOTES, MILK, DELETE)
    examples, walks = [example(milk, "Delete the note", 0, 3)], {milk.id: milk}
    texts = texts_of(examples, walks)
    assert [len(each) for each in texts] == [1, 1, 1]
    rows = numpy.ones((1, 1), dtype=numpy.float32)
    ExampleIndex.build(tmp_path, examples, walks, ExampleVectors(rows, rows, rows, "one")).close()
    assert is_current(tmp_path, examples, "one")
    assert not is_current(tmp_path, examples, "another")
    assert not is_current(tmp_path, examples, "")
