"""Operations of an example, and the way to their counterparts on other things."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fake_environment import asked, click, fill, observed, shown, walk
from lbi.offline.goal import Goal, page_of
from lbi.offline.lesson import Lesson
from lbi.offline.places import Thing
from lbi.offline.policy import act
from lbi.offline.procedure import operations
from lbi.offline.rank import rank
from lbi.protocols import Shown
from lbi.records import Action, Observation, Step, Task, Trajectory


def trail(*seen: Observation, actions: Sequence[Action]) -> Trajectory:
    steps = tuple(Step(observation=page, action=action) for page, action in zip(seen, actions, strict=False))
    return Trajectory(task=Task(instruction="", environment="x"), agent="a", steps=steps, last=seen[-1], stop="done")


def pressed(role: str, name: str, kind: str = "click", value: str = "") -> Action:
    return Action(text=f"{kind}(e1)", kind=kind, role=role, name=name, value=value)


async def test_an_operation_is_a_press_with_what_was_entered_for_it():
    trajectory = await walk(
        "new", click("link", "New lamp"), fill("Name", "Desk"), fill("Colour", "red"), click("button", "Create")
    )
    (operation,) = operations(trajectory, 0, 4)
    assert operation.commit.name == "Create"
    assert [action.name for action in operation.run] == ["Name", "Colour"]
    assert operation.changes
    assert operation.url == "/new"
    assert operation.opened == ()


async def test_each_press_that_changes_something_is_one_and_a_walk_leads_somewhere():
    twice = (fill("Colour", "red"), click("button", "Save"), fill("Colour", "blue"), click("button", "Save"))
    found = operations(await walk("paint", *twice, start_url="/lamps/7"), 0, 4)
    assert [[action.value for action in operation.run] for operation in found] == [["red"], ["blue"]]
    (visit,) = operations(await walk("go", click("link", "Lamps"), click("link", "Old lamp")), 0, 2)
    assert visit.visit
    assert visit.url == "/lamps/9"


def test_what_was_opened_on_the_page_before_the_form_is_part_of_the_way():
    closed = observed("/lamp", "Lamp", 'link "More" -> #', digest="1")
    opened = observed("/lamp", "Lamp", 'link "More" -> #', 'textbox "Colour"', 'button "Save"', digest="1")
    after = observed("/lamp", "Lamp", "text: Saved", digest="2")
    actions = (pressed("link", "More"), pressed("textbox", "Colour", "fill", "red"), pressed("button", "Save"))
    trajectory = trail(closed, opened, opened, after, actions=actions)
    (operation,) = operations(trajectory, 1, 3)
    assert [action.name for action in operation.opened] == ["More"]
    lesson = shown(trajectory, 'Save with Colour "red" in lamp', 1, 3)
    move, _ = act(asked('Save the colour "blue" for the lamp', closed, lesson))
    assert move == "click(e1)"


COMMENTS = (
    'link "jane" -> /user/jane',
    "text: I like red best.",
    'link "edit" -> /comment/4/edit',
    'link "bob" -> /user/bob',
    "text: Green for me, please.",
    'link "edit" -> /comment/5/edit',
)


def edited() -> Shown:
    topic = observed("/topic/1", "Colours", *COMMENTS, digest="1")
    form = observed("/comment/4/edit", "Edit", 'textbox "Comment"', 'button "Send"', digest="1")
    after = observed("/topic/1", "Colours", digest="2")
    actions = (pressed("link", "edit"), pressed("textbox", "Comment", "fill", "x"), pressed("button", "Send"))
    return shown(
        trail(topic, form, form, after, actions=actions), 'Send (edit) with Comment "x" on comment edit "4"', 1, 3
    )


def test_a_thing_without_a_name_is_found_beside_what_the_goal_names():
    """Comments have numbers that nobody says: to the page that links to their forms, then by the link there."""
    text = 'In the topic "Colours" edit the comment of bob: it should read "Blue!"'
    start = observed("/", "Start", 'link "Colours" -> /topic/1')
    first, reason = act(asked(text, start, edited()))
    assert first == "click(e1)"
    went = Step(observation=start, action=pressed("link", "Colours"), reason=reason)
    topic = observed("/topic/1", "Colours", *COMMENTS, digest="1")
    second, reason = act(asked(text, topic, edited(), history=(went,)))
    assert second == "click(e6)"
    assert "beside" in reason


ROWS = (
    'columns: checkbox "All" [e21] | Name',
    'row: checkbox [e22] | link "hall" [e23] -> /rooms/hall',
    'row: checkbox [e24] | link "attic" [e25] -> /rooms/attic',
)


def removed() -> Shown:
    page = observed("/rooms", "Rooms", *ROWS, 'button "Remove" (disabled)', digest="1")
    ticked = observed("/rooms", "Rooms", *ROWS, 'button "Remove"', digest="1")
    after = observed("/rooms", "Rooms", digest="2")
    actions = (pressed("checkbox", ""), pressed("button", "Remove"))
    return shown(trail(page, ticked, after, actions=actions), 'Remove with "hall" chosen in rooms (Rooms)')


def test_the_row_that_the_goal_names_is_ticked_and_no_other():
    page = observed("/rooms", "Rooms", *ROWS, 'button "Remove"', digest="1")
    assert act(asked("Remove attic from the rooms", page, removed()))[0] == "click(e24)"
    assert act(asked("Remove the cellar from the rooms", page, removed()))[0] not in ("click(e22)", "click(e24)")


def test_what_was_refused_just_now_is_not_done_again():
    page = observed("/rooms", "Rooms", *ROWS, 'button "Remove"', digest="1")
    first, reason = act(asked("Remove attic from the rooms", page, removed()))
    tick = Action(text=first, kind="click", role="checkbox", name="", nth=1)
    history = (Step(observation=page, action=tick, reason=reason),)
    refused = page.model_copy(update={"error": "e4 is covered by something else"})
    assert act(asked("Remove attic from the rooms", refused, removed(), history=history))[0] != first


async def test_a_site_wide_form_is_used_where_one_is():
    searched = await walk("find", click("link", "Rooms"), fill("Search", "zebra"), click("button", "Find"))
    lesson = Lesson(shown(searched, 'Find with Search "zebra" in rooms (Rooms)', 1, 3), Goal('Search for "gnu"'))
    assert lesson.everywhere
    assert lesson.about is None


async def test_a_lesson_that_explains_more_of_the_goal_comes_first():
    painted = await walk("paint", fill("Colour", "red"), click("button", "Save"), start_url="/lamps/7")
    dropped = await walk("drop", click("button", "Delete"), start_url="/lamps/8")
    page = page_of(observed("/lamps", "Lamps", 'link "Old lamp" -> /lamps/9'))
    for text, first in (('Give the old lamp the colour "blue"', "Save"), ("Delete the old lamp", "Delete")):
        goal = Goal(text)
        lessons = [
            Lesson(shown(painted, 'Save with Colour "red" on lamps "7" ("Green lamp")'), goal, [page]),
            Lesson(shown(dropped, 'Delete on lamps "8" ("Tall lamp")'), goal, [page]),
        ]
        best = rank(lessons, goal)[0][1]
        assert best.operations[0].commit.name == first
        assert best.instead is not None
        assert best.instead.id == "9"


# where it is carried out

BOX = ('textbox "Comment"', 'button "Send"')


@pytest.fixture
def replied() -> Shown:
    """A comment written on lamp 7 while an answer was begun, and the page of lamp 8 without one."""
    start = observed("/lamps", "Lamps", 'link "Lamp 8" -> /lamps/8', digest="1")
    plain = observed("/lamps/8", "Lamp 8", 'link "Lamp 7" -> /lamps/7', *BOX, digest="1")
    begun = observed("/lamps/7?replyto=description", "Lamp 7", *BOX, digest="1")
    after = observed("/lamps/7", "Lamp 7", *BOX, digest="2")
    ways = (pressed("link", "Lamp 8"), pressed("link", "Lamp 7"))
    actions = (*ways, pressed("textbox", "Comment", "fill", "dusty"), pressed("button", "Send"))
    trajectory = trail(start, plain, begun, begun, after, actions=actions)
    return shown(trajectory, 'Send with Comment "dusty" on lamps "7"', 2, 4)


@pytest.mark.parametrize(
    ("instruction", "url"),
    [
        ('Add the comment "bright" to lamp 9.', "/lamps/9"),
        ('Answer the description of lamp 9 with the comment "bright".', "/lamps/9?replyto=description"),
    ],
)
def test_what_an_address_says_beside_its_page_is_left_out_unless_the_goal_speaks_of_it(replied, instruction, url):
    lesson = Lesson(replied, Goal(instruction))
    assert lesson.place_of(lesson.operations[0]) == url


def test_an_address_whose_form_was_never_seen_without_its_parameters_is_kept(replied):
    first, second, *rest = replied.trajectory.steps
    bare = second.observation.model_copy(update={"text": "URL: /lamps/8\nTitle: Lamp 8"})
    last = replied.trajectory.last.model_copy(update={"text": "URL: /lamps/7\nTitle: Lamp 7"})
    steps = (first, second.model_copy(update={"observation": bare}), *rest)
    trajectory = replied.trajectory.model_copy(update={"steps": steps, "last": last})
    lesson = Lesson(shown(trajectory, replied.example.instruction, 2, 4), Goal('Add the comment "bright" to lamp 9.'))
    assert lesson.place_of(lesson.operations[0]) == "/lamps/9?replyto=description"


def test_the_name_of_the_examples_own_thing_is_no_word_of_what_is_done():
    page = observed("/plans/Anchor", "Plan Anchor", 'textbox "Note"', 'button "Save"', digest="1")
    plans = observed("/plans", "Plans", 'link "Anchor" -> /plans/Anchor', 'link "Driftwood" -> /plans/Driftwood')
    actions = (pressed("link", "Anchor"), pressed("textbox", "Note", "fill", "x"), pressed("button", "Save"))
    trajectory = trail(plans, page, page, page.model_copy(update={"digest": "2"}), actions=actions)
    lesson = shown(trajectory, 'Save (Anchor) with Note "x" on plans "Anchor"', 1, 3)
    goal = Goal('Anchor is done, note "late" on it; the rest goes to Driftwood.')
    assert Lesson(lesson, goal).instead == Thing(("plans",), "Anchor")
