"""The offline policy follows examples: on the goal's thing, with the goal's values, and leaves none of them out."""

from __future__ import annotations

import json

import pytest
from forms_site import FormSite, sent
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_environment import LampEnvironment, asked, click, fill, shown, walk
from lbi.agents import AgentParts, open_agent
from lbi.observations.parse import parse_observation
from lbi.protocols import Decision, Fields, Shown
from lbi.records import Step, Task, Trajectory
from lbi.rollouts.loop import rollout
from lbi_offline import policy
from lbi_offline.assign import assign, field_names
from lbi_offline.examples import procedure_of
from lbi_offline.forms import forms
from lbi_offline.goal import Goal, Situation
from lbi_offline.ground import answer_of, reading
from lbi_offline.labels import abstract
from lbi_offline.lexical import labels as words_of
from lbi_offline.lexical import values
from lbi_offline.model import OfflineModel

NAMES = ("Title", "Text", "Place", "Remark", "Colour")
VALUES = ("Eggs", "a dozen", "the blue shelf", "ask first", "Tall and thin")


class Follower:
    """Acts with the same examples at every step."""

    name = "follower"

    def __init__(self, *examples: Shown) -> None:
        self.examples = examples
        self.asked: list[Fields] = []

    async def act(self, task, history, observation, actions):
        fields = Fields(task=task, history=history, observation=observation, examples=self.examples)
        self.asked.append(fields)
        action, reason = policy.act(fields)
        return Decision(action=action, reason=reason)


async def carried_out(instruction: str, *examples: Shown, steps: int = 12) -> Trajectory:
    return await rollout(
        LampEnvironment(), Follower(*examples), Task(instruction=instruction, environment="lamps"), steps
    )


def labelled(trajectory: Trajectory, start: int = 0) -> Shown:
    return shown(trajectory, abstract(trajectory, start, len(trajectory.steps)), start)


# values


@settings(max_examples=60)
@given(
    st.permutations(NAMES), st.integers(2, 4), st.integers(1, 3), st.sampled_from(["titled", "with", "called", "of"])
)
async def test_no_form_is_sent_while_a_value_is_unplaced_and_a_field_is_free(names, count, filled, word):
    """However few of the fields an example filled, and whatever the instruction calls them."""
    fields = names[:count]
    site = FormSite(fields)
    example = labelled(await sent(site, "", dict.fromkeys(fields[: min(filled, count)], "Copper fern")))
    instruction = f"Save an entry {word} " + " and ".join(json.dumps(value) for value in VALUES[:count]) + "."
    await rollout(site, Follower(example), Task(instruction=instruction, environment="forms"), 10)
    assert len(site.saved) == 1
    assert sorted(site.saved[0].values()) == sorted(VALUES[:count])


async def test_what_the_names_of_fields_say_decides_where_a_value_goes():
    site = FormSite(("Title", "Text"))
    example = labelled(await sent(site, "", {"Title": "Copper fern"}))
    task = Task(instruction='Write an entry that says "a dozen", titled "Eggs".', environment="forms")
    await rollout(site, Follower(example), task, 10)
    assert site.saved == [{"Title": "Eggs", "Text": "a dozen"}]


async def test_an_example_that_was_never_sent_is_no_reason_to_stop():
    site = FormSite(("Title", "Text"))
    whole = await sent(site, "", {"Title": "Copper fern"})
    part = whole.model_copy(update={"steps": whole.steps[:1], "last": whole.steps[1].observation})
    task = Task(instruction='Save an entry with the title "Eggs" and the text "a dozen".', environment="forms")
    await rollout(site, Follower(labelled(part)), task, 10)
    assert site.saved == [{"Title": "Eggs", "Text": "a dozen"}]


async def test_a_value_that_can_be_chosen_is_not_typed():
    example = labelled(
        await walk("", click("link", "New lamp"), fill("Name", "A"), fill("Colour", "b"), click("button", "Create"))
    )
    done = await carried_out(
        'Create a lamp with the name "Desk light", the colour "black" and the room "attic".', example
    )
    assert '"attic"' in done.actions[3].text or any(action.kind == "select" for action in done.actions)
    assert {action.value for action in done.actions} >= {"Desk light", "black", "attic"}
    assert done.last.url == "/lamps/10"


# things


@pytest.mark.parametrize(
    ("named", "url"), [("lamp 8", "/lamps/8"), ('the lamp "Old lamp"', "/lamps/9"), ("lamp #7", "/lamps/7")]
)
async def test_an_example_is_followed_on_the_thing_of_the_goal(named, url):
    way = (click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), click("button", "Save"))
    done = await carried_out(f'Change the colour of {named} to "blue" and save it.', labelled(await walk("", *way)))
    assert [action.name for action in done.actions[-3:-1]] == ["Colour", "Save"]
    assert (done.last.url, done.actions[-3].value, done.stop) == (url, "blue", "done")


async def test_a_thing_that_nothing_names_is_not_replaced_by_another():
    way = (click("link", "Lamps"), click("link", "Green lamp"), click("button", "Delete"))
    done = await carried_out('Delete the lamp "Chandelier".', labelled(await walk("", *way)))
    assert "Delete" not in [action.name for action in done.actions]


async def test_operations_of_an_example_are_carried_out_in_their_order_and_once():
    made = (click("link", "New lamp"), fill("Name", "A"), fill("Colour", "b"), click("button", "Create"))
    example = labelled(await walk("", *made, click("button", "Delete")))
    assert len(procedure_of(example).operations) == 2
    done = await carried_out('Create a lamp with the name "X" and the colour "y" and then delete it.', example)
    assert [action.name for action in done.actions if action.role == "button"] == ["Create", "Delete"]
    assert done.stop == "done"


async def test_an_example_that_deletes_is_none_for_a_change():
    deleted = await walk("", click("link", "Lamps"), click("link", "Tall lamp"), click("button", "Delete"))
    done = await carried_out('Set the colour of lamp 8 to "blue".', labelled(deleted))
    assert "Delete" not in [action.name for action in done.actions]


# what a decision rests on


def without_reasons(fields: Fields, reason: str) -> Fields:
    steps = tuple(step.model_copy(update={"reason": reason}) for step in fields.history)
    return fields.model_copy(update={"history": steps})


@pytest.mark.parametrize("reason", ["", "as in the example", "the form was sent with every value of the instruction"])
async def test_no_decision_rests_on_the_reasons_of_steps(reason):
    ways = [
        await walk(
            "", click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), click("button", "Save")
        ),
        await walk("", click("link", "New lamp"), fill("Name", "A"), fill("Colour", "b"), click("button", "Create")),
        await walk("", click("link", "Rooms"), click("link", "attic"), fill("Note", "dark"), click("button", "Keep")),
    ]
    examples = [labelled(way) for way in ways]
    for instruction in (
        'Set the colour of lamp 8 to "blue".',
        'Create a lamp with the name "X" and the colour "y".',
        'Keep the note "cold" in the room "hall".',
        "What is the room of lamp 9?",
        "Open the rooms.",
    ):
        for some in ((), examples):
            follower = Follower(*some)
            await rollout(LampEnvironment(), follower, Task(instruction=instruction, environment="lamps"), 8)
            for fields in follower.asked:
                assert policy.act(without_reasons(fields, reason)) == policy.act(fields)


async def test_the_model_answers_in_the_form_that_the_prompt_asks_for():
    start = (await walk("")).last
    [agent] = [open_agent("react", AgentParts(model=OfflineModel()))]
    decision = await agent.act(
        Task(instruction="Open the rooms.", environment="lamps"), (), start, LampEnvironment.actions
    )
    assert decision.action.startswith("click(e")
    assert decision.reason


def test_the_end_is_said_where_nothing_is_named():
    start = asked("Juggle.", LampEnvironment().look())
    assert policy.act(start)[0] == 'finish("")'


async def test_a_question_is_answered_by_the_value_beside_the_label_that_it_names():
    page = (
        LampEnvironment()
        .look()
        .model_copy(
            update={"text": 'URL: /lamps/7\nTitle: Green lamp - Lamps\nrowheader "Owner": jane\nrowheader "Room": hall'}
        )
    )
    step = Step(observation=LampEnvironment().look(), action=(await walk("", click("link", "Lamps"))).actions[0])
    assert policy.act(asked("Who is the owner of the green lamp?", page, history=(step,)))[0] == 'finish("jane")'


# where an example does not help


def test_what_stands_before_of_is_the_name_of_the_value_after_the_thing():
    change, thing = values('Replace the colour of the lamp "Old lamp" with "blue".')[::-1]
    assert (thing.before, change.before[0]) == (words_of("lamp"), *words_of("colour"))
    number = values('The width of "Old lamp" has grown to 42. Please change it.')[-1]
    assert number.before == words_of("width")


@pytest.mark.parametrize(
    "instruction",
    ['Keep the note "cold" in the room "hall".', 'Put the note "cold" on the room "hall".'],
)
async def test_a_value_is_not_entered_where_there_is_no_field_of_its_name(instruction):
    """The example is of another form, and the instruction itself says what the value is."""
    way = (click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), click("button", "Save"))
    done = await carried_out(instruction, labelled(await walk("", *way)))
    assert [(action.name, action.value) for action in done.actions if action.kind == "fill"] == [("Note", "cold")]
    assert done.last.url == "/rooms/hall"


def test_a_value_called_like_a_field_elsewhere_goes_into_no_other():
    page = parse_observation('URL: /a\ntextbox "Place" [e1]\ntextbox "Remark" [e2]\nbutton "Save" [e3]')
    text = 'Save the tag "cold".'
    entered = {("textbox", "Place"): "x"}
    known = field_names(parse_observation('URL: /b\ntextbox "Tag" [e1]\ntextbox "Place" [e2]').elements)
    assert [f.value for f in assign(text, values(text), page.elements[:2], entered)] == ["cold"]
    assert assign(text, values(text), page.elements[:2], entered, known=known) == []


async def test_a_button_that_says_all_that_is_asked_needs_no_text():
    """The text box beside it is another form's, which the accessibility tree does not tell."""
    way = (click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), click("button", "Delete"))
    done = await carried_out('Delete the lamp "Old lamp".', labelled(await walk("", *way)))
    assert [action.kind for action in done.actions[-2:]] == ["click", "finish"]
    assert "fill" not in [action.kind for action in done.actions]
    assert (done.last.url, done.stop, "Old lamp" in done.last.text) == ("/lamps", "done", False)


async def test_more_that_is_asked_for_is_done_as_without_examples():
    way = (click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), click("button", "Save"))
    rooms = await walk("", click("link", "Rooms"), click("link", "attic"))
    asks = 'Set the colour of lamp 8 to "blue", then keep the note "cold" in the room "hall".'
    done = await carried_out(asks, labelled(await walk("", *way)), labelled(rooms))
    assert {(a.name, a.value) for a in done.actions if a.kind == "fill"} == {("Colour", "blue"), ("Note", "cold")}
    assert {action.name for action in done.actions if action.role == "button"} == {"Save", "Keep"}


def test_what_follows_a_search_is_another_form():
    page = parse_observation('URL: /a\nsearchbox "Search" [e1]\nbutton "Search" [e2]\nbutton "Yes, delete it" [e3]')
    assert [[button.name for button in form.buttons] for form in forms(page)] == [["Search"], ["Yes, delete it"]]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("In which year was the lamp bought?", "1987"),
        ("What does it burn?", "It burns oil."),
        ("Which of the lamps are there? Give me their names.", "Green lamp, Tall lamp"),
        ("How many bulbs does it take?", "3"),
    ],
)
def test_a_question_is_answered_by_what_the_page_says_nearest_to_it(question, answer):
    text = 'URL: /lamps\nTitle: Lamps\ntext: The lamp was bought in 1987. It burns oil.\nrowheader "Quantity": 3\n'
    text += 'link "Green lamp" [e1] -> /lamps/7\nlink "Tall lamp" [e2] -> /lamps/8'
    page = LampEnvironment().look().model_copy(update={"text": text, "url": "/lamps"})
    goal = Goal(question)
    assert (answer_of(now := Situation(goal, page, ())) or reading(now)) == answer
