"""The offline model answers every role, labels what steps did, and knows no application."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import lbi
import lbi_offline
from fake_environment import click, fill, select, walk
from lbi.models import parsing
from lbi.protocols import Fields, Request, Role
from lbi.records import Action, Document, Observation, Step, Task, Trajectory
from lbi_offline import commands
from lbi_offline.labels import abstract, summary
from lbi_offline.lexical import is_question, labels, mask, stem, values, words
from lbi_offline.model import OfflineModel, create
from lbi_offline.places import Thing, pattern, place, swap

PACKAGE = Path(lbi_offline.__file__).parent
APPLICATIONS = Path(lbi.__file__).parent / "applications"


async def said(role: Role, fields: Fields) -> str:
    return (await create("offline").complete(Request(role=role, fields=fields))).text


# labels


async def test_a_label_says_what_was_done_with_which_values_to_what():
    way = (click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), select("Room", "attic"))
    done = await walk("", *way, click("button", "Save"))
    label = abstract(done, 0, 5)
    assert label == 'Save with Colour "red", Room "attic" on lamps "7" ("Green lamp")'
    assert summary(done, 2, 5).startswith('Replicate the following: on /lamps/7, fill textbox Colour with "red"; ')


async def test_what_was_left_unsent_is_no_part_of_a_label():
    way = (click("link", "New lamp"), fill("Name", "Lost"), click("link", "Lamps"), click("link", "Old lamp"))
    assert abstract(await walk("", *way, click("button", "Delete")), 0, 5) == 'Delete on lamps "9" ("Old lamp")'


async def test_a_walk_is_labelled_by_where_it_ends():
    assert abstract(await walk("", click("link", "Rooms")), 0, 1) == "Open rooms (Rooms) via Rooms"


async def test_spans_are_labelled_by_their_names():
    done = await walk("", click("link", "Lamps"), click("link", "Green lamp"), click("button", "Delete"))
    fields = Fields(trajectory=done, start=1, end=3, spans=((1, 2), (1, 3)))
    assert (
        list(json.loads(await said("abstract", fields)))
        == list(json.loads(await said("summarise", fields)))
        == ["0-1", "0-2"]
    )


async def test_a_judge_accepts_what_was_done_and_names_what_was_not():
    done = await walk(
        "", click("link", "Lamps"), click("link", "Green lamp"), fill("Colour", "red"), click("button", "Save")
    )
    fields = Fields(trajectory=done, start=0, end=4, instruction='Save with Colour "red" on lamps "7"')
    assert parsing.vote("offline")(await said("judge", fields)).accepts
    other = fields.model_copy(update={"instruction": 'Save with Colour "mauve" on lamps "7"'})
    assert not parsing.vote("offline")(await said("judge", other)).aligned


async def test_a_query_names_what_interfaces_call_what_the_instruction_asks_for():
    text = await said("query", Fields(task=Task(instruction='Add a lamp called "Moon".', environment="lamps")))
    assert "create" in text
    assert "Moon" not in text


async def test_it_is_free_and_proposes_from_any_document():
    assert OfflineModel.info.free
    document = Document(text='Lamps shine. Press "Save" to keep a lamp. They do.', source="s", title="Lamps")
    [task] = json.loads(await said("propose", Fields(document=document, count=1)))
    assert task["quote"] == 'Press "Save" to keep a lamp.'


# words and places


def test_values_are_found_with_the_words_around_them():
    kinds = [
        (value.text, value.kind) for value in values('Set the owner of lamp #7 to jane@x.org by 2027-01-31: "Now"')
    ]
    assert kinds == [("7", "number"), ("jane@x.org", "name"), ("2027-01-31", "date"), ("Now", "quoted")]
    summary_, keyword = values("with the summary 'a' and the keyword 'b'")
    assert (summary_.before[0], keyword.before[0]) == ("name", "keyword")


def test_words_are_stemmed_and_synonyms_are_one_word():
    assert stem("Lamps") == stem("lamp")
    assert stem("adding") == stem("create") == stem("registered")
    assert words("the new tickets") == ("create", "ticket")
    assert "new" not in mask('Say "new" in 3').split()
    assert labels("the page") == ("pag",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who owns lamp 7?", True),
        ("Could you delete lamp 7?", False),
        ('Add a note "why?"', False),
        ("Tell me the room.", True),
    ],
)
def test_what_wants_to_be_told_is_a_question(text, expected):
    assert is_question(text) is expected


def test_an_address_is_that_of_another_thing_with_this_in_its_place():
    seven, eight = Thing(("lamp",), "7", "green-lamp"), Thing(("lamp",), "8", "tall-lamp")
    assert swap("/lamp/7/green-lamp/edit?a=1#c", seven, eight) == "/lamp/8/tall-lamp/edit?a=1#c"
    assert place("/lamp/7/green-lamp?action=edit", seven) == "lamp edit"
    assert pattern("/lamp/7/green-lamp/edit") == pattern("/lamp/12/edit") == ("lamp", "*", "edit")


# commands


def seen(text: str, url: str = ".") -> Observation:
    return Observation(text=text, url=url)


REPOSITORY = seen("A repository of 3 files:\n./ README.md, pyproject.toml\nsrc/ a.py")


def test_commands_files_and_tests_that_an_instruction_names_are_tried_in_turn():
    task = Task(instruction="Run `make docs`, look into a.py and run the tests", environment="shell")
    history: tuple[Step, ...] = ()
    texts = []
    for _ in range(4):
        action, _ = commands.act(Fields(task=task, history=history, observation=REPOSITORY, actions="run(command)"))
        texts.append(action)
        history = (*history, Step(observation=REPOSITORY, action=Action(text=action, kind="run")))
    assert texts == ['run("make docs")', 'view("src/a.py")', 'run("python3 -m pytest -q")', 'finish("")']


def test_actions_of_a_span_are_told_in_their_order():
    acts = (Action(text="", kind="run", value="ls"), Action(text="", kind="view", name="a.py"))
    steps = tuple(Step(observation=REPOSITORY, action=action) for action in acts)
    done = Trajectory(
        task=Task(instruction="", environment="shell"), agent="a", steps=steps, last=seen("x"), stop="done"
    )
    assert commands.abstract(done, 0, 2) == 'Run `ls`, then show the file "a.py".'


# the package


def test_it_is_as_small_as_it_was_meant_to_be():
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) <= 20
    assert sum(len(file.read_text().splitlines()) for file in files) <= 2700


def test_no_text_in_it_names_an_application_or_what_only_one_has():
    names = {path.stem.lower() for path in APPLICATIONS.iterdir() if not path.name.startswith("_")}
    names |= {"milestone", "wiki", "ticket", "changeset", "topic", "forum", "category", "moderate"}
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose]
        found = {name for text in texts if isinstance(text, str) for name in names if name in text.lower().split()}
        assert not found, file.name


def test_it_reads_no_reason_of_a_step():
    for file in PACKAGE.rglob("*.py"):
        reads = [
            n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Attribute) and n.attr == "reason"
        ]
        assert not reads, file.name
