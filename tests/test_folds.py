"""What comes to light by a click is known from examples, and opened where the instruction has a value for it."""

from __future__ import annotations

import pytest

from fake_environment import shown
from lbi.offline.assign import Filling
from lbi.offline.folds import OPENS, folds, unfold, unfold_for
from lbi.offline.goal import Goal, page_of
from lbi.offline.lexical import Value
from lbi.offline.situation import Situation
from lbi.protocols import Shown
from lbi.records import Action, Observation, Step, Task, Trajectory

FOLDED = 'URL: /jobs/{0}\nTitle: Job {0}\nlink "Details" [e1] -> #\ntextbox "Note" [e2]\nbutton "Save" [e3]'
OPEN = FOLDED + '\ncombobox "Size" [e4]: "small" of "small" | "large"\ncheckbox "Late" [e5]'


def seen(text: str, number: int) -> Observation:
    return Observation(text=text.format(number), url=f"/jobs/{number}", title=f"Job {number}")


@pytest.fixture
def opened() -> Shown:
    click = Action(text="click(e1)", kind="click", role="link", name="Details")
    write = Action(text='fill(e2, "x")', kind="fill", role="textbox", name="Note", value="x")
    steps = (Step(observation=seen(FOLDED, 1), action=click), Step(observation=seen(OPEN, 1), action=write))
    task = Task(instruction="look", environment="jobs")
    return shown(
        Trajectory(task=task, agent="t", steps=steps, last=seen(OPEN, 1), stop="done"), 'Fill in with Note "x"'
    )


def at(instruction: str, text: str, *examples: Shown, history: tuple[Step, ...] = ()) -> Situation:
    here = seen(text, 7)
    return Situation(Goal(instruction), page_of(here), here, history, frozenset(), examples)


def test_a_fold_is_what_was_clicked_and_the_fields_behind_it(opened):
    [(fold, fields)] = folds([opened]).items()
    assert fold == ("/jobs/0", ("link", "Details"))
    assert [field.name for field in fields] == ["Size", "Late"]


@pytest.mark.parametrize(
    ("instruction", "text", "opens"),
    [
        ("Job 7 is a large one.", FOLDED, True),
        ("Job 7 is a large one.", OPEN, False),
        ('Write the note "hello" on job 7.', FOLDED, False),
        ("Is job 7 late?", FOLDED, False),
    ],
)
def test_it_is_opened_only_for_what_the_instruction_says(opened, instruction, text, opens):
    here = at(instruction, text, opened)
    assert unfold(here, here.examples) == (("click(e1)", OPENS) if opens else None)


def test_what_has_to_be_unlocked_counts_as_what_is_behind_a_fold():
    click = Action(text="click(e1)", kind="click", role="link", name="Details")
    unlocks = FOLDED + '\nradio "give to" [e4]\ncombobox "new owner" [e5] (disabled): "ann" of "ann" | "bert"'
    steps = (Step(observation=seen(FOLDED, 1), action=click),)
    task = Task(instruction="look", environment="jobs")
    lesson = shown(Trajectory(task=task, agent="t", steps=steps, last=seen(unlocks, 1), stop="done"), "Open job 1")
    here = at("Hand job 7 to bert.", FOLDED, lesson)
    assert unfold(here, here.examples) == ("click(e1)", OPENS)


def test_a_field_behind_a_fold_is_opened_if_it_suits_a_value_better_than_the_one_that_is_seen(opened):
    here = at("Job 7 is to be Large.", FOLDED, opened)
    note = next(element for element in here.page.elements if element.name == "Note")
    value = Value("Large", "name", 15, 20)
    assert unfold_for(here, Filling(note, "Large", value), [note], {}, ()) == ("click(e1)", OPENS)
    other = Value("Tuesday", "name", 15, 22)
    assert unfold_for(here, Filling(note, "Tuesday", other), [note], {}, ()) is None


def test_it_is_opened_once(opened):
    click = Action(text="click(e1)", kind="click", role="link", name="Details")
    here = at("Job 7 is large.", FOLDED, opened, history=(Step(observation=seen(FOLDED, 7), action=click),))
    assert unfold(here, here.examples) is None
