"""What a roll-out carried out: an action that changed something, and the fields that were filled for it."""

from __future__ import annotations

from fake_environment import click, fill, observed, select, walk
from lbi.observations.operations import Operation
from lbi.records import Action, Observation, Step, Task, Trajectory
from lbi.rollouts.operations import operations_in, operations_of


def steps(*seen: tuple[Observation, Action], last: Observation) -> Trajectory:
    return Trajectory(
        task=Task(instruction="", environment="x"),
        agent="a",
        steps=tuple(Step(observation=observation, action=action) for observation, action in seen),
        last=last,
        stop="done",
    )


async def test_an_operation_is_what_changed_the_state_after_which_fields() -> None:
    trajectory = await walk(
        "paint", fill("Colour", "red"), select("Room", "attic"), click("button", "Save"), start_url="/lamps/7"
    )
    [operation] = operations_of(trajectory)
    assert operation == Operation("click", "button", "Save", frozenset({'combobox "Room"', 'textbox "Colour"'}))
    assert str(operation) == 'click button "Save" after combobox "Room", textbox "Colour"'


async def test_moving_about_and_what_changes_nothing_is_no_operation() -> None:
    trajectory = await walk("look", click("link", "Rooms"), click("button", "Print"), click("link", "hall"))
    assert operations_of(trajectory) == []
    refused = await walk("new", fill("Name", "A"), click("button", "Create"), start_url="/new")
    assert operations_of(refused) == []


async def test_fields_of_a_page_that_was_left_are_not_told() -> None:
    trajectory = await walk(
        "x",
        fill("Colour", "red"),
        click("link", "Lamps"),
        click("link", "Tall lamp"),
        click("button", "Delete"),
        start_url="/lamps/7",
    )
    assert [str(operation) for operation in operations_of(trajectory)] == ['click button "Delete"']


async def test_the_same_with_other_things_is_one_operation_and_is_counted() -> None:
    trajectories = [
        await walk("paint", fill("Colour", colour), click("button", "Save"), start_url=f"/lamps/{number}")
        for colour, number in (("red", 7), ("blue", 8), ("pink", 9))
    ]
    assert dict(operations_in(trajectories)) == {
        Operation("click", "button", "Save", frozenset({'textbox "Colour"'})): 3
    }
    before, after = (observed("/", "Notes", digest=digest) for digest in "ab")
    deleted = [Action(text="", kind="click", role="button", name=f"Delete note {n}") for n in (3, 14)]
    [operation] = operations_in(steps((before, action), last=after) for action in deleted)
    assert operation.alike == ("click", "button", "delete note 0")


def test_where_no_state_is_known_a_page_that_says_something_else_at_its_address_was_changed() -> None:
    empty, full = observed("/notes", "Notes"), observed("/notes", "Notes", "text: Milk")
    press = Action(text="", kind="click", role="button", name="Add")
    assert [str(operation) for operation in operations_of(steps((empty, press), last=full))] == ['click button "Add"']
    away = observed("/other", "Other", "text: Milk")
    assert operations_of(steps((empty, press), last=away)) == []
    typed = Action(text="", kind="fill", role="textbox", name="Note", value="Milk")
    assert operations_of(steps((empty, typed), last=full)) == []


def test_of_a_command_the_program_is_the_operation() -> None:
    before, after = (Observation(text="Folder: /w", url="/w", digest=digest) for digest in "ab")
    run = Action(text="run('DEBUG=1 sed -i s/a/b/ x.py')", kind="run", value="DEBUG=1 sed -i s/a/b/ x.py")
    assert [str(operation) for operation in operations_of(steps((before, run), last=after))] == ['run "sed"']


def test_what_is_clicked_between_the_fields_of_a_page_does_not_part_them() -> None:
    page, other = (observed("/notes", "Notes", digest=digest) for digest in "ab")
    typed = Action(text="", kind="fill", role="textbox", name="Title", value="Milk")
    tab, save = (Action(text="", kind="click", role=role, name="Save") for role in ("tab", "button"))
    [operation] = operations_of(steps((page, typed), (page, tab), (page, save), last=other))
    assert str(operation) == 'click button "Save" after textbox "Title"'


def test_a_field_that_changes_the_state_by_itself_is_not_said_to_come_after_itself() -> None:
    page, other = (observed("/notes", "Notes", digest=digest) for digest in "ab")
    typed = Action(text="", kind="fill", role="textbox", name="Title:", value="Milk")
    assert [str(each) for each in operations_of(steps((page, typed), last=other))] == ['fill textbox "Title"']


def test_links_that_change_something_of_many_things_are_one_operation() -> None:
    """Names of things alone would make as many operations as there are things."""
    links = [f'link "Note {word}" -> /notes/{at}/pin' for at, word in enumerate(("a", "b", "c", "d"))]
    before, after = (observed("/notes", "Notes", *links, digest=digest) for digest in "ab")
    away = [observed(f"/{at}", f"Page {at}", digest="b") for at in range(9)]  # so that no link is on many pages
    pinned = [Action(text="", kind="click", role="link", name=f"Note {word}") for word in "ad"]
    walks = [steps((before, action), *((page, Action(text="wait()", kind="wait")) for page in away), last=after)
             for action in pinned]  # fmt: skip
    counts = operations_in([steps((before, action), last=after) for action in pinned] + walks)
    assert {str(operation): count for operation, count in counts.items()} == {"click link to /notes/0/pin": 4}


def test_long_names_are_shown_short_and_quotes_in_a_name_as_they_are() -> None:
    before, after = (observed("/", "Notes", digest=digest) for digest in "ab")
    for name, shown in (("x" * 90, "x" * 60), ("Tom's", "Tom's"), ('the "new" one', 'the "new" one')):
        action = Action(text="", kind="click", role="button", name=name)
        [operation] = operations_of(steps((before, action), last=after))
        assert str(operation) == f'click button "{shown}"'
