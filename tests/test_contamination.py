"""A held-out task that was synthesised too is found, and what only looks alike is not called a duplicate."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.evaluation.contamination import nearest
from lbi.records import Task

texts = st.text(alphabet="abc DE.,!", max_size=40)


def task_of(instruction: str, name: str = "") -> Task:
    return Task(instruction=instruction, environment="web", name=name)


def test_the_same_words_in_other_case_and_punctuation_are_an_exact_duplicate() -> None:
    found = nearest(
        [task_of('Create a ticket "Door is stuck".', "create")],
        [("a", "Delete the wiki page"), ("b", "create a ticket: door is stuck")],
    )
    assert [(hit.task, hit.example, hit.similarity, hit.flag) for hit in found] == [("create", "b", 1.0, True)]


def test_a_small_change_is_a_near_duplicate_and_reordered_words_are_too() -> None:
    instructions = [("a", "Create the ticket called Door is stuck in component docs")]
    near = nearest([task_of("Create a ticket called Door is stuck in component docs")], instructions)
    moved = nearest([task_of("In component docs create the ticket called Door is stuck")], instructions)
    assert near[0].flag
    assert not near[0].exact
    assert moved[0].flag


def test_another_task_of_the_same_kind_is_near_but_no_duplicate() -> None:
    found = nearest([task_of("Close ticket 3 as fixed")], [("a", "Assign ticket 12 to eszter"), ("b", "Rename a page")])
    assert found[0].example == "a"
    assert not found[0].flag
    assert 0 < found[0].similarity < 0.9


def test_without_instructions_nothing_is_near() -> None:
    assert [(hit.example, hit.similarity, hit.flag) for hit in nearest([task_of("Close ticket 3")], [])] == [
        ("", 0.0, False)
    ]
    assert nearest([], [("a", "Close ticket 3")]) == []


def test_of_equally_near_ones_the_first_is_named_also_across_chunks() -> None:
    instructions = [(str(n), "Close the other ticket") for n in range(4_500)]
    assert nearest([task_of("Close ticket 3")], instructions)[0].example == "0"
    instructions[4_200] = ("here", "Close ticket 3")
    assert nearest([task_of("Close ticket 3")], instructions)[0].example == "here"


@given(st.lists(texts, min_size=1, max_size=5), st.lists(texts, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_scores_lie_between_0_and_1_and_a_task_among_the_instructions_is_exact(
    ours: list[str], theirs: list[str]
) -> None:
    offered = [(str(n), text) for n, text in enumerate([*theirs, *ours])]
    found = nearest([task_of(text) for text in ours], offered)
    assert all(hit.exact and hit.similarity == 1.0 for hit in found if any(c.isalnum() for c in hit.instruction))
    assert all(
        0 <= hit.similarity <= 1 for hit in nearest([task_of(text) for text in ours], list(enumerate_ids(theirs)))
    )


def enumerate_ids(found: list[str]) -> list[tuple[str, str]]:
    return [(str(n), text) for n, text in enumerate(found)]
