"""The offline policy: follows the example whose instruction fits, with the goal's own thing and values."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_environment import LampEnvironment, asked, click, fill, observed, select, shown, walk
from lbi.environments.web.actions import parse_action
from lbi.models import parsing
from lbi.models.providers.offline import OfflineModel
from lbi.observations.parse import parse_observation
from lbi.offline.goal import Goal
from lbi.offline.labels import abstract, summary
from lbi.offline.lesson import Lesson
from lbi.offline.policy import act
from lbi.offline.rank import rank, score, weights
from lbi.protocols import Decision, Request, Shown
from lbi.records import Action, Document, Observation, Step, Task, Trajectory
from lbi.rollouts.loop import rollout

COLOUR = 'Save with Colour "red" on lamps "7" ("Green lamp")'
SAVE = Action(text="click(e2)", kind="click", role="button", name="Save")
CREATE = 'Create with Name "Desk light", Colour "black" in new (New lamp)'


class Taught:
    """The offline model with the same examples at every step."""

    name = "taught"

    def __init__(self, *examples: Shown) -> None:
        self.examples = examples

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        fields = asked(task.instruction, observation, *self.examples, history=history)
        reply = await OfflineModel().complete(Request(role="act", fields=fields))
        reason, action = parsing.act(reply.text)
        return Decision(action=action, reason=reason)


async def carried_out(instruction: str, *examples: Shown, start_url: str = "") -> tuple[LampEnvironment, Trajectory]:
    lamps = LampEnvironment()
    task = Task(instruction=instruction, environment="lamps", start_url=start_url)
    return lamps, await rollout(lamps, Taught(*examples), task, 12)


async def untouched() -> str:
    lamps = LampEnvironment()
    await lamps.reset(Task(instruction="", environment="lamps"))
    return lamps.state


@pytest.fixture
async def painted() -> Shown:
    return shown(await walk("paint", fill("Colour", "red"), click("button", "Save"), start_url="/lamps/7"), COLOUR)


@pytest.fixture
async def created() -> Shown:
    actions = (fill("Name", "Desk light"), fill("Colour", "black"), click("button", "Create"))
    return shown(await walk("create", *actions, start_url="/new"), CREATE)


@pytest.fixture
async def noted() -> Shown:
    trajectory = await walk("note", fill("Note", "dusty"), click("button", "Keep"), start_url="/rooms/hall")
    return shown(trajectory, 'Keep with Note "dusty" on rooms "hall"')


# whose thing


@pytest.mark.parametrize(
    ("instruction", "number"),
    [
        ('Set the colour of lamp 9 to "blue" and save it', 9),
        ('Save the colour "blue" for the lamp "Tall lamp"', 8),
        ('On lamps 7, save with colour "blue"', 7),
    ],
)
async def test_an_example_is_carried_out_on_the_goals_thing_and_no_other(painted, instruction, number):
    lamps, trajectory = await carried_out(instruction, painted, start_url="/lamps")
    colours = {at: lamp.colour for at, lamp in lamps.lamps.items()}
    assert colours == {7: "green", 8: "white", 9: "brown"} | {number: "blue"}
    assert trajectory.stop == "done"


@pytest.mark.parametrize(
    "instruction",
    [
        'Save the colour "blue" for the lamp "Purple lamp"',
        'Save with Colour "blue" on lamps "Purple lamp"',
        "Save with another colour on the lamps",
    ],
)
@pytest.mark.parametrize("start_url", ["/", "/lamps", "/new"])
async def test_where_the_goals_thing_is_not_to_be_found_the_examples_own_thing_is_left_alone(
    painted, instruction, start_url
):
    lamps, _ = await carried_out(instruction, painted, start_url=start_url)
    assert lamps.lamps[7].colour == "green"
    assert (lamps.lamps[8].colour, lamps.lamps[9].colour) == ("white", "brown")


async def test_where_the_goals_number_leads_nowhere_the_examples_own_thing_is_left_alone(painted):
    for start_url in ("/", "/lamps", "/new"):
        lamps, _ = await carried_out('Set the colour of lamp 99 to "blue" and save it', painted, start_url=start_url)
        assert lamps.lamps[7].colour == "green"


async def test_a_thing_with_a_name_is_replaced_too():
    actions = (click("link", "hall"), fill("Note", "dusty"), click("button", "Keep"))
    lesson = shown(await walk("note", *actions, start_url="/rooms"), 'Keep with Note "dusty" on rooms "hall"')
    lamps, _ = await carried_out('Keep the note "bright" for the room attic', lesson, start_url="/rooms")
    assert lamps.notes == {"hall": "", "attic": "bright"}


@pytest.mark.xfail(reason="a lesson learns only from its own pages that hall is one of several rooms")
async def test_a_thing_with_a_name_is_replaced_though_the_example_begins_on_its_page(noted):
    lamps, _ = await carried_out('Keep the note "bright" for the room attic', noted, start_url="/rooms")
    assert lamps.notes["hall"] == ""


async def test_what_is_pointed_at_by_its_number_counts_more_than_words(painted, noted):
    goal = Goal('Keep the note on lamp 9 as "dusty" as it is on rooms.')
    lessons = [Lesson(noted, goal), Lesson(painted, goal)]
    assert [lesson.pointed for lesson in lessons] == [False, True]
    scores = {lesson.id: worth for worth, lesson in rank(lessons, goal)}
    bare = {lesson.id: score(lesson, goal, weights(lessons, goal), ()) for lesson in lessons}
    assert scores[painted.example.id] - bare[painted.example.id] > 0 > scores[noted.example.id] - bare[noted.example.id]


# values and fields


@pytest.mark.parametrize(
    "instruction",
    [
        'Create a new lamp with the name "Kitchen light" and the colour "silver"',
        'Create a new lamp with the colour "silver" and the name "Kitchen light"',
    ],
)
async def test_values_go_to_the_fields_that_the_instruction_names(created, instruction):
    lamps, _ = await carried_out(instruction, created)
    assert "10 Kitchen light silver hall" in lamps.state


async def test_an_option_that_the_instruction_names_is_chosen_though_the_example_chose_none(created):
    instruction = 'Create a new lamp with the name "Kitchen light", the colour "silver" and the room "attic"'
    lamps, _ = await carried_out(instruction, created)
    assert "10 Kitchen light silver attic" in lamps.state


async def test_what_an_example_chose_is_not_chosen_where_the_goal_says_nothing_of_it():
    actions = (fill("Name", "Desk light"), fill("Colour", "black"), select("Room", "attic"), click("button", "Create"))
    lesson = shown(await walk("create", *actions, start_url="/new"), CREATE.replace(" in", ', Room "attic" in'))
    lamps, _ = await carried_out('Create with name "Kitchen light" and colour "silver" in new', lesson)
    assert "10 Kitchen light silver hall" in lamps.state


async def test_a_field_that_stands_on_every_page_is_not_taken_for_the_tasks(painted):
    _, trajectory = await carried_out('Set the colour of lamp 9 to "blue" and save it', painted, start_url="/lamps")
    assert not [action for action in trajectory.actions if action.name == "Search"]


# which example


async def test_the_instruction_alone_decides_which_example_is_followed(painted, created):
    """With the labels exchanged the other steps are followed: the control with shuffled labels rests on this."""
    goal = asked('Create a new lamp with the name "Kitchen light" and the colour "silver"', (await start()))
    right = act(goal.model_copy(update={"examples": (painted, created)}))
    assert right[1].startswith(f"following {created.example.id}")
    swapped = (shown(painted.trajectory, CREATE), shown(created.trajectory, COLOUR))
    wrong = act(goal.model_copy(update={"examples": swapped}))
    assert not wrong[1].startswith(f"following {swapped[1].example.id}")


async def test_the_order_of_the_examples_changes_nothing(painted, created, noted):
    goal = asked('Set the colour of lamp 9 to "blue" and save it', await start())
    moves = {
        act(goal.model_copy(update={"examples": order}))
        for order in [(painted, created, noted), (noted, created, painted), (created, painted, noted)]
    }
    assert len(moves) == 1


async def test_an_example_about_something_else_teaches_nothing(noted):
    alone, taught = [
        await carried_out("How many matches are there?", *examples, start_url="/lamps") for examples in ((), (noted,))
    ]
    assert alone[1].actions == taught[1].actions


async def start() -> Observation:
    return await LampEnvironment().reset(Task(instruction="", environment="lamps"))


# without examples


async def test_without_examples_words_are_found_on_the_page():
    _, trajectory = await carried_out("Show the rooms")
    assert (trajectory.actions[0].name, trajectory.stop) == ("Rooms", "done")


async def test_without_examples_a_form_in_sight_is_filled_and_sent():
    lamps, _ = await carried_out(
        'Create a lamp with the name "Kitchen light" and the colour "silver"', start_url="/new"
    )
    assert "10 Kitchen light silver hall" in lamps.state


async def test_documents_lend_their_words():
    page = observed("/", "Start", 'link "Lamp archive" -> /archive', 'link "Lamp depot" -> /depot')
    goal = asked("Get rid of a broken lamp", page)
    told = Document(source="d", text="Take broken lamps to the depot to get rid of them.")
    assert act(goal)[0] == "click(e1)"
    assert act(goal.model_copy(update={"documents": (told,)}))[0] == "click(e2)"


async def test_a_question_is_answered_with_what_the_page_tells():
    page = observed("/lamps/7", "Green lamp", 'rowheader "Owner:": jane', 'rowheader "Colour:": green')
    task = asked("Who is the owner of the lamp?", page)
    assert parse_action(act(task)[0]).value in ("", "jane")
    step = Step(observation=page, action=Action(text="click(e1)", kind="click", role="link", name="Green lamp"))
    assert act(task.model_copy(update={"history": (step,)}))[0] == 'finish("jane")'


# whatever the page


LINE = st.one_of(
    st.text(max_size=30),
    st.builds(
        '{}{} "{}" [e{}]{}{}'.format,
        st.sampled_from(["", "  "]),
        st.sampled_from(["link", "button", "textbox", "combobox", "checkbox", "radio", "heading", "searchbox", "tab"]),
        st.one_of(
            st.sampled_from(["Search", "Name", "Save", "lamp 7", "edit", "Delete", "Due date"]), st.text(max_size=9)
        ),
        st.integers(0, 99),
        st.sampled_from(["", " (checked)", " (disabled)"]),
        st.one_of(
            st.sampled_from(
                ["", ": a", ': "x" of "x" | "y"', ': "" of "', " -> /lamps/7", " -> /lamps/8?x=1#y", " -> #", " -> //x"]
            ),
            st.text(max_size=12).map(": {}".format),
            st.text(max_size=12).map(" -> /a{}".format),
        ),
    ),
    st.builds(
        '{} "{}"{}'.format, st.sampled_from(["rowheader", "term", "group"]), st.text(max_size=9), st.text(max_size=9)
    ),
    st.builds("{}: {}".format, st.sampled_from(["text", "row", "columns", "item", "note"]), st.text(max_size=20)),
)
ADDRESS = st.one_of(
    st.sampled_from(["/", "/lamps/7", "/lamps/8/tall-lamp?a=b", "/rooms/hall", "/%", "//x"]),
    st.text(max_size=12).map("/a{}".format),
)


def readable(page: Observation) -> bool:
    """Whether urlsplit takes all addresses; there is a test of its own for those that it refuses."""
    try:
        for address in (page.url, *(element.url for element in parse_observation(page.text).elements)):
            urlsplit(address)
    except ValueError:
        return False
    return True


PAGE = (
    st.builds(
        lambda lines, url, title, error: Observation(
            text="\n".join([f"URL: {url}", f"Title: {title}", *lines]), url=url, title=title, error=error
        ),
        st.lists(LINE, max_size=8),
        ADDRESS,
        st.text(max_size=10),
        st.sampled_from(["", "it failed"]),
    )
    | st.builds(Observation, text=st.text(max_size=80), url=ADDRESS)
).filter(readable)
WORDS = [
    "Save",
    "Create",
    "lamp",
    "7",
    "8",
    '"red"',
    '"Tall',
    'lamp"',
    "How",
    "many",
    "name",
    "to",
    "2026-01-02",
    "?",
    "'",
    '"',
    "owner",
]
INSTRUCTION = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join),
    st.text(max_size=40),
)
#: as an environment grounds what it did; goto and press are never empty, as parse_action refuses those
ACTION = st.one_of(
    st.builds(
        Action,
        text=st.just("it"),
        kind=st.sampled_from(["click", "fill", "select"]),
        role=st.sampled_from(["button", "textbox", "link", "radio", "combobox"]),
        name=st.sampled_from(["Save", "Name", "Search", "lamp 7", ""]),
        value=st.text(max_size=5),
    ),
    st.builds(Action, text=st.just("it"), kind=st.just("goto"), value=st.sampled_from(["/lamps/7", "/x y", '/"'])),
    st.builds(Action, text=st.just("it"), kind=st.just("press"), value=st.sampled_from(["Enter", "ArrowDown"])),
    st.builds(Action, text=st.just("it"), kind=st.just("scroll"), value=st.sampled_from(["up", "down"])),
    st.builds(Action, text=st.just("back()"), kind=st.just("back")),
    st.builds(Action, text=st.text(max_size=5), kind=st.just("")),
)
REASON = st.one_of(
    st.sampled_from(["", "following a1:", "as in the example, and that is the last step"]), st.text(max_size=9)
)
STEP = st.builds(Step, observation=PAGE, reason=REASON, action=ACTION)
TASK = st.builds(Task, instruction=INSTRUCTION, environment=st.just("x"))
TRAJECTORY = st.builds(
    Trajectory,
    task=TASK,
    agent=st.just("a"),
    steps=st.lists(STEP, min_size=1, max_size=4).map(tuple),
    last=PAGE,
    stop=st.just("done"),
)


@st.composite
def lessons(draw: st.DrawFn) -> Shown:
    trajectory = draw(TRAJECTORY)
    end = draw(st.integers(1, len(trajectory.steps)))
    return shown(trajectory, draw(INSTRUCTION), draw(st.integers(0, end - 1)), end)


@settings(max_examples=100)
@given(INSTRUCTION, PAGE, st.lists(lessons(), max_size=2), st.lists(STEP, max_size=3), st.booleans())
def test_whatever_the_page_says_the_next_action_can_be_read(instruction, page, examples, history, copying):
    labels = [shown(e.trajectory, instruction, e.example.start, e.example.end) if copying else e for e in examples]
    fields = asked(instruction, page, *labels, history=tuple(history))
    action, reason = act(fields)
    assert parse_action(action).kind in ("click", "fill", "select", "press", "goto", "back", "scroll", "finish")
    assert parse_action(parsing.act(f"REASON: {reason}\nACTION: {action}")[1]) == parse_action(action)
    assert act(fields) == (action, reason)


@settings(max_examples=50)
@given(TRAJECTORY, st.data())
def test_whatever_was_done_gets_a_label_and_a_vote(trajectory, data):
    end = data.draw(st.integers(1, len(trajectory.steps)))
    begin = data.draw(st.integers(0, end - 1))
    assert parsing.instruction(abstract(trajectory, begin, end))
    assert parsing.summary(summary(trajectory, begin, end)).startswith("Replicate the following: on ")


def test_a_link_that_is_no_address_stops_nothing():
    address = "//["
    lesson = Trajectory(
        task=Task(instruction="", environment="x"),
        agent="a",
        steps=(Step(observation=observed("/lamps/7", "Lamp", f'link "Bad" -> {address}'), action=SAVE),),
        last=observed("/lamps/7", "Lamp"),
        stop="done",
    )
    act(asked("Save lamp 8", observed("/", "Start", f'link "Bad" -> {address}'), shown(lesson, "Save lamp 7")))
