"""Whether tasks name things that exist: told from their words and from the pages that a run has seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_environment import click, fill, observed, walk
from lbi.evaluation.named_things import SeenThings, checked, needed, things_in
from lbi.records import Impossible, Observation, Task
from lbi.rollouts.impossible import impossible, said_impossible
from lbi.storage.run_folder import RunFolder
from running import lbi_here

TEXT_FIELDS = {"summary", "keywords", "cc", "author", "note"}


@pytest.mark.parametrize(
    ("instruction", "needs"),
    [
        ('Create a ticket titled "Login fails" with priority "high" and assign it to "bob".', ("high", "bob")),
        ('Close the ticket "Boat list" with the comment "done".', ("Boat list",)),
        ('Open the page "Start" and rename it to "Home".', ("Start",)),
        ('Change the priority of ticket #12 to "blocker".', ("#12", "blocker")),
        ('Set the summary of the ticket "Test" to "Better test. Soon".', ("Test",)),
        ('Add the keyword "urgent" to ticket #3.', ("#3",)),
        ('Add "dmitri" to the Cc of ticket #5.', ("#5",)),
        ('Enter "foo bar" in the Summary field and choose the type “defect”.', ("defect",)),
        ('Add a comment to the ticket titled "Mast" saying "I can confirm it".', ("Mast",)),
        ("Add a component called 'billing' owned by 'amara'.", ("amara",)),
        ('Create the milestone "Estuary" and link it from the page "Plans".', ("Plans",)),
        ('Create a category "Hedges" below the category "Wildlife".', ("Wildlife",)),
        ('Create a ticket for component "billing".', ("billing",)),
        ('Add a comment to the ticket "Mast".', ("Mast",)),
        ('We need a component "statistics", owned by "greta".', ("greta",)),
        ('Add a wish for the mobile component: "Show the tide"', ()),
        ('"Someday" sounds lazy. Give this milestone the name "Parking lot".', ("Someday",)),
        ('Turn the component docs into "manuals". Then call it "prints".', ()),
        ('Answer "Lovely, thank you." in the topic "Timber".', ("Timber",)),
        ('My last name is now "Okafor".', ()),
        ('Find all tickets whose summary contains "sail".', ("sail",)),
        ('Which milestone is due after "Breakwater"?', ("Breakwater",)),
        ('Search for the note "old rope".', ("old rope",)),
        ("Show my user's page, don't change it", ()),
        ("See https://example.org/a#5 and the colour &#39;", ()),
    ],
)  # fmt: skip
def test_what_an_instruction_brings_itself_need_not_exist(instruction: str, needs: tuple[str, ...]) -> None:
    assert needed(instruction, TEXT_FIELDS) == needs


def test_a_thing_exists_where_a_page_says_its_name_as_whole_words_in_whichever_case() -> None:
    seen = SeenThings()
    seen.add(observed("/boats", "Boats", 'link "Red  Herring" -> /boats/12', 'combobox "Berth": "north" of "north"'))
    assert [name in seen for name in ("red herring", "Herring", "north", "#12")] == [True] * 4
    assert [name in seen for name in ("erring", "nort", "#1", "south", "Herring!")] == [False] * 5


async def test_what_an_agent_typed_or_made_does_not_show_that_it_was_there() -> None:
    searched = await walk("look", fill("Search", "Moon lamp"), click("button", "Find"), click("link", "Lamps"))
    made = await walk("make", fill("Name", "Sun"), fill("Colour", "gold"), click("button", "Create"),
                      click("link", "Lamps"), click("link", "Sun"), start_url="/new")  # fmt: skip
    seen = things_in([], [searched, made])
    assert "Moon lamp" not in seen
    assert "Sun" not in seen
    assert "Tall lamp" in seen
    assert seen.text_fields >= {"name", "colour", "search"}
    assert "Green lamp" not in things_in([], [made])
    assert "Green lamp" in things_in([], [made], restores=False), "what an episode leaves behind is there in the next"


async def test_what_an_error_says_is_no_thing_of_the_application() -> None:
    failed = Observation(text="URL: /lamps/99\ntext: no lamp Glow", url="/lamps/99", error="no such page", digest="a")
    trajectory = await walk("look", click("link", "Lamps"))
    trajectory = trajectory.model_copy(update={"last": failed})
    assert "Glow" not in things_in([], [trajectory], restores=False)


def test_of_each_task_it_is_said_what_is_missing() -> None:
    seen = SeenThings()
    seen.add(observed("/lamps", "Lamps", 'link "Tall lamp" -> /lamps/8', 'textbox "Colour"'))
    tasks = [
        Task(instruction='Delete the lamp "Tall lamp"', environment="x"),
        Task(instruction='Delete the lamp "Tiny lamp"', environment="x"),
        Task(instruction='Set the colour of "Tall lamp" to "mauve"', environment="x"),
        Task(instruction="Count the lamps", environment="x"),
    ]
    assert [(row.needs, row.missing) for row in checked(tasks, seen)] == [
        (("Tall lamp",), ()),
        (("Tiny lamp",), ("Tiny lamp",)),
        (("Tall lamp",), ()),
        ((), ()),
    ]


@pytest.mark.parametrize(
    ("answer", "given_up", "reason"),
    [
        ("N/A", True, "it was so"),
        ("n/a.", True, "it was so"),
        ('"N/A: there is no such lamp"', True, "there is no such lamp"),
        ("none", False, ""),
        ("", False, ""),
        ("NASA", False, ""),
        ("The value is N/A", False, ""),
    ],
)
async def test_an_agent_says_that_a_task_is_impossible_by_the_answer_na(
    answer: str, given_up: bool, reason: str
) -> None:
    trajectory = await walk("fly", f"finish({json.dumps(answer)})")
    step = trajectory.steps[0].model_copy(update={"reason": "it was so"})
    trajectory = trajectory.model_copy(update={"answer": answer, "steps": (step,)})
    assert said_impossible(trajectory) == given_up
    assert not said_impossible(trajectory.model_copy(update={"stop": "step_limit"}))
    if given_up:
        assert impossible(trajectory) == Impossible(task=trajectory.task.id, reason=reason)


@pytest.fixture
async def run(tmp_path: Path) -> Path:
    with RunFolder(tmp_path / "run") as folder:
        tasks = [
            Task(instruction='Delete the lamp "Tall lamp"', environment="lamps"),
            Task(instruction='Delete the lamp "Tiny lamp"', environment="lamps"),
            Task(instruction="Log out", environment="lamps", ending=True),
        ]
        folder.store.put_many("task", [(task.id, task) for task in tasks])
        paint = await walk("paint", fill("Colour", "red"), click("button", "Save"), start_url="/lamps/7")
        look = await walk("look", click("link", "Lamps"))
        folder.store.put_many("trajectory", [("0/a/0", paint), ("0/b/0", look)])
        folder.store.put_many("impossible", [("0/b/0", Impossible(task=tasks[1].id, reason="not there"))])
    return tmp_path / "run"


async def test_check_tasks_prints_what_is_possible_and_how_many_operations_were_found(run: Path) -> None:
    ran = lbi_here("check", "tasks", run, "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout) == {
        "proposed": 3,
        "rounds": 0,
        "naming": 2,
        "existing": 1,
        "ending": 1,
        "rollouts": 2,
        "impossible": 1,
        "operations": 1,
        "operations_with_fields": 1,
        "tasks": [{"instruction": 'Delete the lamp "Tiny lamp"', "missing": ["Tiny lamp"]}],
    }
    text = lbi_here("check", "tasks", run).stdout
    assert 'not seen: Tiny lamp  in  Delete the lamp "Tiny lamp"' in text
    assert "in 1 of them (50.0%) all of it was seen" in text


def test_check_tasks_wants_the_folder_of_a_run(tmp_path: Path) -> None:
    for arguments in (("tasks",), ("tasks", tmp_path / "nothing")):
        ran = lbi_here("check", *arguments)
        assert ran.returncode == 2
        assert ran.stderr.count("\n") <= 2
