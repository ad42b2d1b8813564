"""What an index of examples finds, in which order, and what it never shows."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_notes import DELETE, HELP, HOME, MILK, NEW, NOTES, SAVE, title, walk
from lbi.errors import UserError
from lbi.observations.normalise import observation_key
from lbi.protocols import Shown
from lbi.records import Example, Observation, Task, Trajectory
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.build import ExampleVectors
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.ranking import ADDS, OTHER, SAME, Taught, fused, uses_of

TASK = Task(instruction="make a note about eggs", environment="desk")
NOTES_INDEX = TextIndex.build([Entry(0, 'a "quoted" note AND more', [1], ["mine"])])
NOWHERE = Observation(text="zzz", url="/zzz", title="zzz")


def example(trajectory: Trajectory, instruction: str, start: int, end: int) -> Example:
    return Example(
        kind="abstract",
        instruction=instruction,
        trajectory=trajectory.id,
        start=start,
        end=end,
        document=trajectory.task.document,
    )


@pytest.fixture
async def eggs() -> Trajectory:
    return await walk("eggs", NOTES, NEW, title("Eggs"), SAVE, document="d1")


@pytest.fixture
async def milk() -> Trajectory:
    return await walk("milk", NOTES, MILK, DELETE, HOME, HELP, document="d2")


@pytest.fixture
def examples(eggs: Trajectory, milk: Trajectory) -> list[Example]:
    return [
        example(eggs, "Make a note with the title Eggs", 0, 4),
        example(eggs, "Open the form for new notes", 1, 2),
        example(milk, "Delete the note about milk", 0, 3),
        example(milk, "Read the help", 3, 5),
    ]


@pytest.fixture
def index(tmp_path: Path, eggs: Trajectory, milk: Trajectory, examples: list[Example]):
    opened = ExampleIndex.build(tmp_path / "index", examples, {eggs.id: eggs, milk.id: milk})
    yield opened
    opened.close()


def told(shown: tuple[Shown, ...]) -> list[tuple[str, int, str]]:
    return [(each.example.instruction, each.at, each.why) for each in shown]


def test_by_content_come_examples_from_the_pages_that_say_what_the_task_says(index):
    """Though their instructions say nothing of it."""
    task = Task(instruction="bring a new title and body to the form", environment="desk")
    assert index.search(task, NOWHERE, "", m1=0, m2=0) == ()
    found = index.search(task, NOWHERE, "", m1=0, m2=0, m3=1)
    assert [each.why for each in found] == ["content"]
    page = found[0].trajectory.observations[found[0].at]
    assert "Title" in page.text
    # what was found before is not found again, and there are never more than asked for
    both = index.search(task, NOWHERE, "note", m1=0, m2=4, m3=3)
    assert len({each.example.id for each in both}) == len(both)
    assert sum(each.why == "content" for each in both) <= 3


def test_exact_matches_come_first_and_the_instruction_orders_them(index, eggs):
    start = eggs.observations[0]
    found = told(index.search(TASK, start, "", m1=2, m2=0))
    assert found == [
        ("Make a note with the title Eggs", 0, "observation"),
        ("Delete the note about milk", 0, "observation"),
    ]
    deleting = Task(instruction="delete what is about milk", environment="desk")
    assert [name for name, _, _ in told(index.search(deleting, start, "", m1=2, m2=0))] == [
        "Delete the note about milk",
        "Read the help",  # as good as the note about eggs, and shorter
    ]


def test_nothing_is_found_by_a_page_that_says_nothing(
    tmp_path: Path, eggs: Trajectory, examples: list[Example]
) -> None:
    first = eggs.steps[0].model_copy(update={"observation": Observation(text="")})
    silent = Trajectory.model_validate({**eggs.model_dump(), "steps": (first, *eggs.steps[1:])})
    begun = [each.model_copy(update={"trajectory": silent.id}) for each in examples[:2]]
    with closing(ExampleIndex.build(tmp_path / "silent", begun, {silent.id: silent})) as index:
        assert index.search(TASK, Observation(text=""), "", m1=5, m2=0) == ()
        assert {why for _, _, why in told(index.search(TASK, Observation(text=""), TASK.instruction))} == {"query"}


def test_an_example_adds_if_it_is_of_another_operation_and_has_a_further_word_of_the_request() -> None:
    ranked = [
        Taught("save", frozenset({"make", "note", "egg"})),
        Taught("save", frozenset({"make", "note", "archiv"})),  # the same once more, whatever words it has
        Taught("open", frozenset({"open", "note"})),  # nothing that was asked for and not told
        Taught("archive", frozenset({"archiv", "note"})),
        Taught("move", frozenset({"archiv"})),  # of which the one before told
    ]
    asked = {"make", "note", "archiv"}
    assert uses_of(ranked, asked) == [ADDS, SAME, OTHER, ADDS, OTHER]
    assert uses_of(ranked[2:], {"zebra"}) == [ADDS, OTHER, OTHER], "the best one, where no word tells"
    assert uses_of([], asked) == []


def test_what_adds_to_the_examples_before_it_comes_before_the_others_and_is_told_apart(index, eggs, milk):
    task = Task(instruction="Make a note with a title and delete the other", environment="desk")
    found = index.search(task, eggs.observations[0], task.instruction)
    assert [(each.example.instruction, each.adds) for each in found] == [
        ("Delete the note about milk", True),
        ("Make a note with the title Eggs", True),
        ("Open the form for new notes", False),
        ("Read the help", False),
    ]
    one = index.search(TASK, eggs.observations[0], TASK.instruction)
    assert [each.example.instruction for each in one if each.adds] == ["Make a note with the title Eggs"]
    assert len(one) > 1, "what a prompt does not tell is found all the same"


def test_an_exact_match_does_not_care_for_references_and_times(index, eggs):
    seen = eggs.observations[2]
    later = seen.model_copy(update={"text": seen.text.replace("[e", "[e9").replace("shown 3", "shown 512")})
    assert later.text != seen.text
    assert told(index.search(TASK, later, "", m1=1, m2=0)) == [("Make a note with the title Eggs", 2, "observation")]


def test_the_matched_observation_is_always_followed_by_an_action_of_the_span(index, eggs, milk):
    for seen in (*eggs.observations, *milk.observations, NOWHERE):
        for shown in index.search(TASK, seen, "open the help about notes"):
            assert shown.example.start <= shown.at < shown.example.end
            keys = [observation_key(o) for o in shown.trajectory.observations[: shown.example.end]]
            if observation_key(seen) in keys[shown.example.start :]:
                assert keys[shown.at] == observation_key(seen)


def test_a_similar_page_is_found_where_none_is_the_same(index, milk):
    seen = milk.observations[2]
    other = Observation(text=seen.text.replace("Home", "Start"), url="/notes/7", title="Desk /notes/7")
    assert told(index.search(TASK, other, "", m1=1, m2=0)) == [("Delete the note about milk", 2, "observation")]


def test_the_query_adds_what_the_observation_did_not_find_and_nothing_twice(index, eggs):
    found = told(index.search(TASK, eggs.observations[0], "how to read the help, and the form for notes", m1=1, m2=5))
    assert found[0][0] == "Read the help"  # fits best
    assert [name for name, _, why in found if why == "observation"] == ["Make a note with the title Eggs"]
    assert len(found) > 2
    names = [
        name for name, _, _ in index.search(TASK, eggs.observations[0], "note help form delete", m1=4, m2=5) and found
    ]
    assert len(names) == len(set(names))


def test_an_example_found_by_the_query_is_matched_where_it_resembles_the_page(index, eggs):
    form = eggs.observations[2]
    [found] = index.search(TASK, form, "title eggs", m1=0, m2=1)
    assert (found.at, found.why) == (2, "query")
    [elsewhere] = index.search(TASK, NOWHERE, "title eggs", m1=0, m2=1)
    assert elsewhere.at == 0


def test_the_budgets_hold(index, eggs):
    for m1, m2 in ((0, 0), (1, 0), (0, 2), (2, 1), (5, 5)):
        found = index.search(TASK, eggs.observations[0], "note help form", m1=m1, m2=m2)
        assert sum(each.why == "observation" for each in found) <= m1
        assert sum(each.why == "query" for each in found) <= m2


# lineage


def test_examples_of_the_task_and_of_its_document_are_never_shown(index, eggs, milk):
    from_document = Task(instruction="make a note", environment="desk", document="d1")
    for task in (eggs.task, from_document):
        found = index.search(task, eggs.observations[0], "make a note with the title eggs")
        assert {each.trajectory.id for each in found} == {milk.id}
    held_out = index.search(TASK, eggs.observations[0], "make a note with the title eggs")
    assert {each.trajectory.id for each in held_out} == {eggs.id, milk.id}


def test_an_empty_document_excludes_nothing(tmp_path, eggs):
    bare = Trajectory.model_validate({**eggs.model_dump(), "task": {"instruction": "eggs", "environment": "desk"}})
    with_index = ExampleIndex.build(tmp_path / "i", [example(bare, "Make a note", 0, 4)], {bare.id: bare})
    assert len(with_index.search(TASK, eggs.observations[0], "note")) == 1
    with_index.close()


def test_what_is_excluded_by_id_is_not_shown(index, eggs, milk, examples):
    for id_, left in ((eggs.id, {milk.id}), ("d2", {eggs.id}), (milk.task.id, {eggs.id})):
        found = index.search(TASK, eggs.observations[0], "note help", exclude=[id_])
        assert {each.trajectory.id for each in found} == left
    found = index.search(TASK, eggs.observations[0], "note help", exclude=[examples[0].id])
    assert examples[0].id not in {each.example.id for each in found}


def test_a_composed_example_goes_with_its_parts(tmp_path, eggs, examples):
    composed = Example(
        kind="composed", instruction="Make a note", trajectory=eggs.id, start=0, end=4, parents=("part",), document="d9"
    )
    with_index = ExampleIndex.build(tmp_path / "i", [composed], {eggs.id: eggs})
    for id_ in ("part", "d9", "d1"):
        assert not with_index.search(TASK, eggs.observations[0], "note", exclude=[id_])
    with_index.close()


# duplicates


def test_one_instruction_of_one_trajectory_is_shown_once(tmp_path, eggs, milk):
    same = [example(eggs, text, start, 4) for text in ("Make a note", "make  a NOTE") for start in range(4)]
    others = [example(milk, "Make a note", 0, 2)]
    with_index = ExampleIndex.build(tmp_path / "i", same + others, {eggs.id: eggs, milk.id: milk})
    found = with_index.search(TASK, eggs.observations[0], "make a note", m1=1, m2=5)
    assert sorted(each.trajectory.id for each in found) == sorted([eggs.id, milk.id])
    with_index.close()


async def test_one_instruction_carried_out_in_one_way_is_shown_once(tmp_path, eggs):
    again = await walk("eggs, later", NOTES, NEW, title("Eggs"), SAVE)
    otherwise = await walk("eggs, otherwise", NOTES, HOME, NOTES, NEW, title("Eggs"), SAVE)
    walks = {each.id: each for each in (eggs, again, otherwise)}
    examples = [example(each, "Make a note", 0, len(each.steps)) for each in walks.values()]
    with_index = ExampleIndex.build(tmp_path / "i", examples, walks)
    found = with_index.search(TASK, eggs.observations[0], "make a note")
    assert sorted(len(each.trajectory.steps) for each in found) == [4, 6]
    with_index.close()


def test_duplicates_do_not_crowd_out_what_comes_after_them(tmp_path, eggs, milk):
    many = [example(eggs, "Make a note", a, b) for a in range(4) for b in range(a + 1, 5)]
    copies = [each.model_copy(update={"kind": kind}) for each in many for kind in ("abstract", "forward", "summary")]
    last = example(milk, "note", 0, 2)
    with_index = ExampleIndex.build(tmp_path / "i", [*copies, last], {eggs.id: eggs, milk.id: milk})
    found = with_index.search(TASK, NOWHERE, "make a note", m1=0, m2=2)
    assert [each.trajectory.id for each in found] == [eggs.id, milk.id]
    with_index.close()


# untrusted text


@given(st.text(max_size=80), st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_no_text_is_query_syntax(query, tag):
    NOTES_INDEX.best(query, 5)
    found = NOTES_INDEX.best(f'"{query}" AND (note:', 5, keys=[1], without=[tag])
    assert [row for row, _ in found] == ([] if tag == "mine" else [0])


def test_words_common_to_many_entries_are_dropped_unless_there_are_no_others():
    texts = TextIndex.build(Entry(at, f"note number{at}") for at in range(1500))
    assert texts.words("the note number7") == ("number7",)
    assert texts.words("note") == ("note",)
    assert texts.best("note number7", 3)[0][0] == 7


def test_ties_are_in_the_order_of_the_rows():
    texts = TextIndex.build(Entry(at, "the same words") for at in range(50))
    assert [row for row, _ in texts.best("same words", 5)] == [0, 1, 2, 3, 4]


# on disk


def test_the_order_of_the_examples_makes_no_difference(tmp_path, eggs, milk, examples, index):
    turned = ExampleIndex.build(tmp_path / "turned", examples[::-1], {milk.id: milk, eggs.id: eggs})
    for seen in eggs.observations:
        assert index.search(TASK, seen, "note help") == turned.search(TASK, seen, "note help")
    turned.close()


def test_an_opened_index_needs_nothing_but_its_folder(tmp_path, index, eggs):
    moved = tmp_path / "else where?#"
    shutil.copytree(tmp_path / "index", moved)
    opened = ExampleIndex.open(moved)
    assert opened.search(TASK, eggs.observations[0], "note") == index.search(TASK, eggs.observations[0], "note")
    opened.close()


def test_no_index_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no index of examples"):
        ExampleIndex.open(tmp_path / "nothing")


def test_building_the_same_again_keeps_what_is_there(tmp_path, eggs, milk, examples):
    for _ in range(2):
        ExampleIndex.build(tmp_path / "i", examples, {eggs.id: eggs, milk.id: milk}).close()
        [build] = [each for each in (tmp_path / "i").iterdir() if each.is_dir()]
        stamp = (build / "examples.db").stat().st_mtime_ns
    assert stamp == (build / "examples.db").stat().st_mtime_ns


def test_a_new_build_replaces_the_old_one_and_those_who_read_it_go_on(tmp_path, index, eggs, milk, examples):
    before = index.search(TASK, eggs.observations[0], "note")
    replaced = ExampleIndex.build(tmp_path / "index", examples[:1], {eggs.id: eggs, milk.id: milk})
    assert (len(index), len(replaced)) == (4, 1)
    assert index.search(TASK, eggs.observations[0], "note") == before
    assert len([each for each in (tmp_path / "index").iterdir() if each.is_dir()]) == 1
    replaced.close()


def test_a_build_that_was_killed_leaves_the_old_one_readable(tmp_path, index, eggs):
    left = tmp_path / "index" / ".99999.part"
    left.mkdir()
    (left / "examples.db").write_bytes(b"half")
    opened = ExampleIndex.open(tmp_path / "index")
    assert len(opened) == 4
    opened.close()


def test_an_index_of_nothing_finds_nothing(tmp_path, eggs):
    empty = ExampleIndex.build(tmp_path / "i", [], {})
    assert len(empty) == 0
    assert empty.search(TASK, eggs.observations[0], "note") == ()
    empty.close()


# dense


def test_fusion_prefers_what_both_rankings_have():
    assert [row for row, _ in fused([[1, 2, 3], [3, 4]])] == [3, 1, 2, 4]


def test_vectors_find_what_shares_no_word(tmp_path, eggs, milk, examples):
    vectors = numpy.eye(4, dtype=numpy.float32)
    both = ExampleVectors(vectors, vectors, vectors, "made up")
    dense = ExampleIndex.build(tmp_path / "i", examples, {eggs.id: eggs, milk.id: milk}, both)
    for at, wanted in enumerate(examples):
        found = dense.search(TASK, NOWHERE, "qqq", m1=0, m2=1, vector=vectors[at])
        assert [each.example.id for each in found] == [wanted.id]
    excluded = dense.search(TASK, NOWHERE, "qqq", m1=0, m2=4, vector=vectors[0], exclude=["d1"])
    assert {each.trajectory.id for each in excluded} == {milk.id}
    dense.close()


async def test_of_examples_that_end_in_the_same_way_the_best_is_shown(tmp_path, milk):
    runs = [await walk(f"note {n}", NOTES, NEW, title(word), SAVE) for n, word in enumerate(("Eggs", "Ham", "Rice"))]
    said = ("Make a note of rice", "Make a note of ham, please", "Write down that eggs are wanted")
    made = [example(run, text, 0, 4) for run, text in zip(runs, said, strict=True)]
    other = example(milk, "Delete the note", 0, 3)
    index = ExampleIndex.build(tmp_path, [*made, other], {run.id: run for run in (*runs, milk)})
    found = [shown.example.instruction for shown in index.search(TASK, NOWHERE, "make a note", m1=0, m2=5)]
    assert found == ["Make a note of rice", "Delete the note"]
