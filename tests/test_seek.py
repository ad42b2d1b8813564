"""How the offline policy finds what an instruction wants to see or to know: known pages, their views, the search."""

from __future__ import annotations

import pytest

from fake_environment import asked, observed
from lbi.offline.answers import answer
from lbi.offline.atlas import Atlas
from lbi.offline.goal import Goal, page_of
from lbi.offline.lexical import words
from lbi.offline.policy import act
from lbi.offline.seek import APPLIED, SOUGHT
from lbi.protocols import Shown
from lbi.records import Action, Example, Observation, Step, Task, Trajectory

HOME = observed("/", "Home", 'link "Rooms" -> /rooms', 'textbox "Search"', 'button "Find"')
ROTA = observed("/rooms/rota", "Rota of the boathouse", "text: Dalia keeps the keys in April.", 'link "Home" -> /')
OARS = observed("/rooms/oars", "Where the oars hang", "text: They hang behind the door.", 'link "Home" -> /')
GONE = observed("/rooms/oars", "Where the oars hang", "text: The oars were sold.", 'link "Home" -> /')


def walked(*seen: Observation, digests: str = "") -> Shown:
    """An example whose trajectory saw these pages; ``digests`` are states, one letter each, "a" all along if empty."""
    states = digests or "a" * len(seen)
    pages = [page.model_copy(update={"digest": state}) for page, state in zip(seen, states, strict=True)]
    action = Action(text="click(e1)", kind="click", role="link", name="Rooms")
    steps = tuple(Step(observation=page, action=action) for page in pages[:-1])
    task = Task(instruction="look around", environment="boats")
    trajectory = Trajectory(task=task, agent="explore", steps=steps, last=pages[-1], stop="done")
    example = Example(kind="abstract", instruction="Look around", trajectory=trajectory.id, start=0, end=1)
    return Shown(example=example, trajectory=trajectory, at=0, why="query")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Which boats are late? Show the list of them.", "visit"),
        ("Find the page on knots and open it.", "visit"),
        ("I would like to see the sold boats, too.", "visit"),
        ("Find the boat with the hole and give it the colour red.", "change"),
        ("Can you hand the boat over to Dalia?", "change"),
        ("Can you tell me who owns the boat?", "question"),
        ("Which boat has the fewest seats? The list tells you.", "question"),
        ("Open a complaint about the noise.", "change"),
    ],
)
def test_to_show_to_tell_and_to_change_are_told_apart(text, kind):
    goal = Goal(text)
    assert ("question" if goal.question else "visit" if goal.visits else "change") == kind


def test_the_pages_of_examples_are_known_as_they_were_before_anything_changed():
    atlas = Atlas.of([walked(HOME, OARS, GONE, digests="aab")])
    assert "behind" in words(" ".join(atlas.pages["/rooms/oars"].texts))
    assert atlas.names["/rooms"] == {"Rooms"}


def test_of_the_known_pages_the_one_that_says_most_of_what_is_asked_comes_first():
    atlas = Atlas.of([walked(HOME, ROTA, OARS)])
    assert atlas.places(frozenset(words("Who keeps the keys?")))[0][1] == "/rooms/rota"
    assert atlas.places(frozenset(words("where do the oars hang")))[0][1] == "/rooms/oars"
    assert atlas.places(frozenset(words("zebra"))) == []


def test_a_page_that_is_wanted_is_gone_to_and_then_it_is_done():
    examples = (walked(HOME, ROTA, OARS),)
    want = "Please show me where the oars hang."
    first, reason = act(asked(want, HOME, *examples))
    assert (first, reason) == ('goto("/rooms/oars")', SOUGHT)
    came = Step(observation=HOME, reason=reason, action=Action(text=first, kind="goto", value="/rooms/oars"))
    assert act(asked(want, OARS, *examples, history=(came,)))[0] == 'finish("")'
    # without examples nothing is known of that page
    assert "oars" not in act(asked(want, observed("/", "Home", 'link "Rooms" -> /rooms')))[0]


def test_what_a_question_wants_to_know_is_read_on_the_page_that_tells_it():
    examples = (walked(HOME, ROTA, OARS),)
    question = "Who keeps the keys of the boathouse in April?"
    first, reason = act(asked(question, HOME, *examples))
    assert first == 'goto("/rooms/rota")'
    came = Step(observation=HOME, reason=reason, action=Action(text=first, kind="goto", value="/rooms/rota"))
    assert act(asked(question, ROTA, *examples, history=(came,)))[0] == 'finish("Dalia")'


def test_a_name_that_no_known_page_says_is_searched_for():
    examples = (walked(HOME, ROTA, OARS),)
    first, _ = act(asked('Find the page of the rooms on which "Zielinska" is named and open it.', HOME, *examples))
    assert first == 'fill(e2, "Zielinska")'


def test_the_view_that_is_asked_for_is_set_and_applied():
    page = observed(
        "/rooms/rota",
        "Rota of the boathouse",
        'combobox "Sorted by": "Name" of "Name" | "Month"',
        'button "Update"',
    )
    want = "Show the rota of the boathouse sorted by month."
    came = Step(observation=HOME, reason=SOUGHT, action=Action(text='goto("/rooms/rota")', kind="goto"))
    first, reason = act(asked(want, page, walked(HOME, ROTA), history=(came,)))
    assert first == 'select(e1, "Month")'
    chosen = Action(text=first, kind="select", role="combobox", name="Sorted by", value="Month")
    history = (came, Step(observation=page, reason=reason, action=chosen))
    after = page.model_copy(update={"text": page.text.replace('"Name" of', '"Month" of')})
    second, reason = act(asked(want, after, walked(HOME, ROTA), history=history))
    assert (second, reason) == ("click(e2)", APPLIED)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Which boat has the fewest seats?", "Wren"),
        ("Which boat has the most seats?", "Heron"),
        ("What percentage of the boats is sold?", "40%"),
    ],
)
def test_extremes_and_shares_are_read_from_the_page(question, text):
    table = ("columns: Boat | Seats", "row: Wren | 2", "row: Heron | 8", "row: Gull | 4")
    page = page_of(observed("/boats", "Boats", "text: 40% sold", *table))
    told = answer(Goal(question), page)
    assert told is not None
    assert told.text == text


def test_a_question_for_a_page_is_answered_by_its_title():
    told = answer(Goal("Which page mentions the oars?"), page_of(GONE))
    assert told is not None
    assert told.text == "Where the oars hang"
