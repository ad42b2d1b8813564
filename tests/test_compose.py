"""Composition: the shortest known way to where an example begins, joins, and what a replay must confirm."""

from __future__ import annotations

import pytest

from fake_notes import ARCHIVE, DELETE, HELP, HOME, MILK, MORE, NEW, NOTES, SAVE, NotesEnvironment, title, walk
from lbi.errors import EnvironmentFailure
from lbi.records import Example, Trajectory, Verdict
from lbi.synthesis.candidates import Composed, Move, Ways, candidates, carry_out, example_of, start_of
from lbi.synthesis.filters.replay import replay


def example(trajectory: Trajectory, instruction: str, start: int, end: int, **more: object) -> Example:
    fields = {"kind": "abstract", "tier": "replayed", "document": trajectory.task.document, **more}
    return Example(instruction=instruction, trajectory=trajectory.id, start=start, end=end, **fields)


def by_id(*trajectories: Trajectory) -> dict[str, Trajectory]:
    return {each.id: each for each in trajectories}


@pytest.fixture
async def eggs() -> Trajectory:
    return await walk("eggs", HELP, NOTES, NEW, title("Eggs"), SAVE, document="d1")


@pytest.fixture
async def milk() -> Trajectory:
    return await walk("milk", NOTES, MILK, MORE, ARCHIVE, document="d2")


def actions(candidate: Composed) -> list[str]:
    return [move.action for move in candidate.moves]


async def test_an_example_is_extended_by_the_shortest_way_from_the_start_page(eggs, milk):
    filling = example(eggs, "Save a note with the title Eggs.", 3, 5)
    [found] = candidates([filling], by_id(eggs, milk), limit=10)
    assert actions(found) == [NOTES, NEW, title("Eggs"), SAVE]
    assert [move.changes for move in found.moves] == [False, False, False, True]
    assert (found.instruction, found.parents, found.goal) == (filling.instruction, (filling.id,), "/notes")
    assert found.moves[-1].reason == "to eggs"


async def test_what_was_verified_is_a_real_trajectory_that_can_be_replayed(eggs, milk):
    filling = example(eggs, "Save a note with the title Eggs.", 3, 5)
    [candidate] = candidates([filling], by_id(eggs, milk), limit=10)
    trajectory = await carry_out(NotesEnvironment(), candidate)
    assert trajectory is not None
    assert (trajectory.agent, trajectory.stop, len(trajectory.steps)) == ("composed", "done", 4)
    assert trajectory.observations[0].url == "/"
    assert trajectory.task.document == "d1"
    assert (await replay(NotesEnvironment(), trajectory)).whole
    composed = example_of(candidate, trajectory)
    assert (composed.kind, composed.start, composed.end, composed.tier) == ("composed", 0, 4, "replayed")
    assert (composed.parents, composed.document, composed.trajectory) == ((filling.id,), "d1", trajectory.id)


async def test_clicks_that_opened_what_an_example_uses_are_part_of_it(milk):
    archiving = example(milk, "Archive the note about milk", 3, 4)
    [candidate] = candidates([archiving], by_id(milk), limit=10)
    assert actions(candidate) == [NOTES, MILK, MORE, ARCHIVE]
    assert await carry_out(NotesEnvironment(), candidate) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "summary"},
        {"tier": "committee"},
        {"verdicts": (Verdict(filter="loop", keep=False, reason="x"),)},
        {"start": 0},  # begins where a user begins: nothing to add
        {"start": 3, "end": 4},  # a filled field is neither a change nor a destination
    ],
)
async def test_some_examples_are_not_composed(eggs, milk, change):
    plain = {"start": 3, "end": 5, **change}
    span = (plain.pop("start"), plain.pop("end"))
    assert candidates([example(eggs, "Save a note", *span, **plain)], by_id(eggs, milk), limit=10) == ()


async def test_a_lower_tier_is_taken_when_asked_for(eggs, milk):
    unverified = example(eggs, "Save a note", 3, 5, tier="unverified")
    assert len(candidates([unverified], by_id(eggs, milk), limit=10, tier="unverified")) == 1


async def test_clicks_are_preferred_to_an_address_and_an_address_to_a_long_way():
    direct = await walk("type it", """goto("/notes/new")""", HOME)
    clicked = await walk("click it", NOTES, NEW)
    ways = Ways([direct, clicked], "/")
    assert [move.action for move in ways.to("/notes/new") or ()] == [NOTES, NEW]
    assert [move.action for move in Ways([direct], "/").to("/notes/new") or ()] == ["""goto("/notes/new")"""]


async def test_an_address_leads_to_its_place_from_the_start_page_too():
    elsewhere = await walk("from the notes", NOTES, """goto("/help")""")
    assert [move.action for move in Ways([elsewhere], "/").to("/help") or ()] == ["""goto("/help")"""]


async def test_a_way_changes_nothing():
    deleting = await walk("delete", NOTES, MILK, DELETE)
    assert Ways([deleting], "/notes/0").to("/notes") is None


async def test_the_start_page_is_where_most_episodes_begin(eggs, milk):
    elsewhere = [await walk(f"e{at}", HOME, start_url="/notes") for at in range(3)]
    assert start_of([eggs, milk, *elsewhere]) == "/"
    assert start_of(elsewhere) == "/notes"
    assert start_of([]) == ""


# joins


async def test_two_changes_are_joined_where_one_ends_and_the_other_begins(eggs, milk):
    saving = example(eggs, "Save a note with the title Eggs.", 2, 5)
    archiving = example(milk, "Archive the note about milk.", 1, 4)
    found = candidates([saving, archiving], by_id(eggs, milk), limit=8)
    [joined] = [each for each in found if len(each.parents) == 2]
    assert joined.instruction == "Save a note with the title Eggs. Then archive the note about milk."
    assert joined.documents == ("d1", "d2")
    assert actions(joined) == [NOTES, NEW, title("Eggs"), SAVE, MILK, MORE, ARCHIVE]
    trajectory = await carry_out(NotesEnvironment(), joined)
    assert trajectory is not None
    composed = example_of(joined, trajectory)
    assert {trajectory.task.document, composed.document} == {"d1", "d2"}


async def test_the_budget_holds_and_the_seed_decides():
    walks = [await walk(f"make {at}", NOTES, NEW, title(f"Note {at}"), SAVE) for at in range(6)]
    examples = [example(each, f"Make note {at}", 1, 4) for at, each in enumerate(walks)]
    found = candidates(examples, by_id(*walks), limit=8, seed=1)
    assert len(found) == 8
    assert sum(len(each.parents) == 2 for each in found) == 2
    assert found == candidates(examples[::-1], by_id(*walks[::-1]), limit=8, seed=1)
    assert found != candidates(examples, by_id(*walks), limit=8, seed=2)
    assert candidates(examples, by_id(*walks), limit=0) == ()


# verification


def candidate(*moves: Move, goal: str = "/notes") -> Composed:
    return Composed(instruction="x", environment="desk", documents=("", ""), parents=("p",), moves=moves, goal=goal)


@pytest.mark.parametrize(
    ("moves", "goal"),
    [
        ((Move(action=NOTES), Move(action=SAVE)), "/notes"),  # there is no such button
        ((Move(action=NOTES, changes=True),), "/notes"),  # changed something once, and does not now
        ((Move(action=NOTES),), "/help"),  # ends elsewhere
        (  # the changes cancel each other
            (
                *(Move(action=action) for action in (NOTES, NEW, title("A"))),
                Move(action=SAVE, changes=True),
                Move(action="""click('link "A"')"""),
                Move(action=DELETE, changes=True),
            ),
            "/notes",
        ),
    ],
)
async def test_what_does_not_go_as_it_should_is_no_example(moves, goal):
    assert await carry_out(NotesEnvironment(), candidate(*moves, goal=goal)) is None


async def test_a_page_of_the_same_kind_is_good_enough():
    moves = (Move(action=NOTES), Move(action=MILK))
    assert await carry_out(NotesEnvironment(), candidate(*moves, goal="/notes/0")) is not None


async def test_a_broken_environment_is_no_verdict():
    with pytest.raises(EnvironmentFailure):
        await carry_out(NotesEnvironment(broken=True), candidate(Move(action=NOTES)))
