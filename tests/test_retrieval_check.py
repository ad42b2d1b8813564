"""`lbi check retrieval RUN`: how often an example of what a held-out task asks for is found, and why it is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy
import pytest

from fake_notes import ARCHIVE, DELETE, HELP, HOME, MILK, MORE, NEW, NOTES, SAVE, title, walk
from lbi.config import Config
from lbi.evaluation.relevance import StoredOperations, measure, measure_left_out
from lbi.models.embeddings import Vectors
from lbi.observations.operations import Operation, Operations
from lbi.protocols import Shown
from lbi.records import Check, Example, Observation, Result, Task, Trajectory, Verdict
from lbi.storage.run_folder import RunFolder
from running import lbi_here

DONE = 'finish("")'


def held_out(name: str, instruction: str, *gold: str) -> Task:
    return Task(instruction=instruction, environment="desk", name=name, gold=gold, check=Check(answer=("x",)))


def labelled(walked: Trajectory, instruction: str, start: int, end: int, *verdicts: Verdict) -> Example:
    return Example(
        kind="abstract", instruction=instruction, trajectory=walked.id, start=start, end=end, verdicts=verdicts
    )


@pytest.fixture
async def run(tmp_path: Path) -> Path:
    """A run in which notes were made, one was deleted, and one was archived; of these, the first is in the index."""
    eggs = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE, HOME, HELP)
    milk = await walk("milk", NOTES, MILK, DELETE)
    hidden = await walk("hidden", NOTES, MILK, MORE, ARCHIVE)
    examples = [
        labelled(eggs, 'Make a note with the title "Eggs"', 0, 4),
        labelled(milk, 'Delete the note "Buy milk"', 0, 3, Verdict(filter="committee", keep=False, reason="no")),
    ]
    tasks = [
        held_out(
            "made",
            'Make a note "Ham"',
            'fill(textbox "Title", "Ham")',
            'click(button "Save")',
            DONE,
        ),
        held_out("dropped", "Get rid of the note", 'click(button "Delete")', DONE),
        held_out("unlabelled", "Archive the note", 'click(button "More")', 'click(button "Archive")', DONE),
        held_out("never", "Print the note", 'click(button "Print")', DONE),
        held_out("solved", "Make one more note"),
        held_out("unsolved", "Make no note"),
    ]
    folder = tmp_path / "run"
    with RunFolder(folder, Config(environment="desk", seeds=(0,)).identity()) as opened:
        store = opened.store
        walks = (eggs, milk, hidden)
        store.put_many("trajectory", [(f"0/{each.task.id}/0", each) for each in walks])
        store.put_many("example", [(f"0/{e.trajectory}/abstract/{e.start:03d}-{e.end:03d}", e) for e in examples])
        store.put_many("heldout", [(task.name, task) for task in tasks])
        episode = eggs.model_copy(update={"steps": eggs.steps[:4], "last": eggs.observations[4]})
        store.put_many("episode", [("baseline/0/solved", episode), ("baseline/0/unsolved", milk)])
        for name, score in (("solved", 1.0), ("unsolved", 0.0)):
            result = Result(task=name, arm="baseline", seed=0, score=score, steps=4)
            store.put_many("result", [(f"baseline/0/{name}", result)])
        store.flush()
    return folder


def test_each_task_is_told_the_rank_of_what_it_asks_for_or_how_far_that_came(run):
    answer = lbi_here("check", "retrieval", run, "--json")
    assert answer.returncode == 0, answer.stderr
    shown = json.loads(answer.stdout)["as an agent is shown them"]
    tasks = {task["task"]: (task["rank"], task["why"], task["detail"]) for task in shown["tasks"]}
    assert tasks == {
        "made": (1, "", ""),
        "dropped": (0, "dropped", "by committee"),
        "unlabelled": (0, "rolled out and not labelled", ""),
        "never": (0, "never rolled out", ""),
        "solved": (1, "", ""),  # its operation is that of the episode that solved it
    }
    assert shown["without_operation"] == ["unsolved"]
    assert shown["recall"] == {"1": 0.4, "3": 0.4, "5": 0.4}
    assert shown["nothing_fitted"] == 0.6
    assert shown["recall_of_told"] == 0.4


def test_the_table_says_recall_and_how_often_nothing_fitted(run):
    said = lbi_here("check", "retrieval", run).stdout
    assert "5 look-ups: 5 held-out tasks" in said
    assert all(f"recall@{k}" in said for k in (1, 3, 5))
    assert "Nothing fitted: 60.0%" in said
    assert "\nits own" in said, "its own examples, left out"
    assert "1  dropped: by committee" in said


def test_a_sweep_tells_what_other_numbers_of_examples_find(run):
    found = json.loads(lbi_here("check", "retrieval", run, "--sweep", "--json").stdout)
    assert found["m1 = 5, m2 = 5"]["recall"]["1"] == 0.4
    assert max(task["shown"] for task in found["m1 = 0, m2 = 1"]["tasks"]) == 1
    assert found["told in 800 characters"]["recall_of_told"] == 0.4, "what a prompt of that room tells"


async def test_the_runs_own_examples_are_asked_for_without_those_of_their_roll_out(run):
    again = await walk("ham", NOTES, NEW, title("Ham"), SAVE)
    with RunFolder(run, Config(environment="desk", seeds=(0,)).identity()) as opened:
        opened.store.put("trajectory", f"0/{again.task.id}/0", again)
        made = labelled(again, 'Write a note called "Ham"', 0, 4)
        opened.store.put("example", f"0/{again.id}/abstract/000-004", made)
        opened.store.flush()
    asked = []

    with RunFolder(run, writing=False) as folder:
        stored = StoredOperations(folder)
        pairs = [pair for pair in stored.examples(0) if pair[0].kept]
        assert len(pairs) == 2

        def search(task: Task, page: Observation, shown: int, exclude=()):
            asked.append((task.instruction, page.text))
            return [Shown(example=e, trajectory=t, at=e.start, why="query") for e, t in pairs if t.id not in exclude]

        found = measure_left_out(stored, 0, search, 5).found
    assert [(each.rank, each.shown, str(each.operation)) for each in found] == [
        (1, 1, 'click button "Save" after textbox "Title"')
    ] * 2
    assert all(len(words.split()) <= 3 for words, _ in asked), "half of the words of an instruction, without its values"
    assert all(text == pairs[0][1].observations[0].text for _, text in asked)


def test_what_is_ranked_too_low_is_told_apart_from_what_is_not_ranked(run):
    with RunFolder(run, writing=False) as folder:
        stored = StoredOperations(folder)
        wrong, right = sorted(stored.examples(0), key=lambda pair: pair[0].instruction)  # Delete ..., Make ...

        found = [
            Shown(example=example, trajectory=walk, at=example.start, why="query") for example, walk in (wrong, right)
        ]

        def low(task: Task, page: Observation, shown: int, exclude=()):
            return found[:shown]

        def nowhere(task: Task, page: Observation, shown: int, exclude=()):
            return found[:1]

        details = {}
        for search in (low, nowhere):
            [made] = [each for each in measure(stored, 0, search, 1).found if each.task.name == "made"]
            assert (made.rank, made.why) == (0, "in the index")
            details[search.__name__] = made.detail
    assert details == {"low": "ranked after 1", "nowhere": "behind others like it, or below the threshold"}


def test_nothing_in_the_run_is_changed(run):
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*") if file.is_file() and "run.db" not in file.name}
    assert lbi_here("check", "retrieval", run).returncode == 0
    assert {f: f.stat().st_mtime_ns for f in run.rglob("*") if f.is_file() and "run.db" not in f.name} == before


@pytest.mark.parametrize("what", ["nothing", "no run", "no tasks"])
def test_what_cannot_be_checked_is_told_in_one_line(what, tmp_path):
    (tmp_path / "empty").mkdir()
    if what == "no tasks":
        with RunFolder(tmp_path / "bare", Config(environment="desk").identity()):
            pass
    arguments = {"nothing": [], "no run": [tmp_path / "empty"], "no tasks": [tmp_path / "bare"]}[what]
    answer = lbi_here("check", "retrieval", *arguments)
    expected = {"nothing": "which run?", "no run": "no run in", "no tasks": "has no held-out tasks"}[what]
    assert answer.returncode == 2
    assert expected in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


# operations


def test_values_make_no_other_operation():
    read = Operations().of_actions
    one = read(['fill(textbox "Cc:", "ines")', 'click(button "Submit changes")', DONE])
    other = read(["""fill('textbox "Cc:"', "tom")""", """click('button "Submit changes"')"""])
    assert one == other == Operation("click", "button", "Submit changes", frozenset({'textbox "Cc"'}))
    assert one.same_fields(other)
    assert one.alike == read(['click(button "SUBMIT changes")']).alike == ("click", "button", "submit changes")
    assert one.same_fields(read(['fill(textbox "CC", "x")', 'click(button "Submit changes")']))
    commented = read(['fill(textbox "Comment", "x")', 'click(button "Submit changes")'])
    assert commented.alike == one.alike
    assert not commented.same_fields(one)


def test_links_to_things_of_one_kind_are_one_operation_and_links_that_do_something_are_not():
    things = [f'link "Note {word}" [e{at}] -> /notes/{at}/note-{word}' for at, word in enumerate(("a", "b", "c", "d"))]
    page = Observation(text="\n".join([*things, 'link "Edit" [e8] -> /notes/7/update']))
    other = [Observation(text=f"text: {at}") for at in range(9)]  # so that no link is on many pages
    read = Operations([page, *other]).of_actions
    first, last = (read([f'click(link "Note {word}")']) for word in "ad")
    assert first == last == Operation("click", "link", leads_to="/notes/0/*")
    assert read(['click(link "Edit")']) == Operation("click", "link", leads_to="/notes/0/update")


def test_commands_are_told_apart_by_what_they_run():
    read = Operations().of_actions
    assert read(['run("git log -3 -- docs")']) == read(['run("git log --stat")']) != read(['run("git diff")'])
    assert read(["run('PAGER=cat A=1 git log -p')"]) == read(['run("git log")']) == Operation("run", "", "git log")
    assert read(['view("src/a.py")']) == read(['view("lib/b.py")'])
    assert read([DONE]) is None


class AllNotesAlike:
    """An encoder to which all notes are alike, and nothing else."""

    name = "made up"

    def encode(self, texts: Sequence[str]) -> Vectors:
        return numpy.array([[1, 0] if "note" in text.lower() else [0, 1] for text in texts], dtype=numpy.float32)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return self.encode(texts)

    async def close(self) -> None:
        pass


def test_where_an_encoder_is_here_words_both_and_meaning_alone_stand_side_by_side(run, monkeypatch):
    def ranks() -> dict[str, int]:
        answer = lbi_here("check", "retrieval", run, "--json")
        assert answer.returncode == 0, answer.stderr
        rows = json.loads(answer.stdout).items()
        return {way: task["rank"] for way, told in rows for task in told["tasks"] if task["task"] == "made"}

    monkeypatch.setattr("lbi.cli.retrieval.open_encoder", lambda: None)
    words = ranks()
    monkeypatch.setattr("lbi.cli.retrieval.open_encoder", AllNotesAlike)
    usual = ("as an agent is shown them", "by the instruction alone")
    meant = {f"{way}, by meaning {how}" for way in usual for how in ("too", "alone")}
    every = ranks()
    assert every.keys() == words.keys() | meant
    assert every.items() >= words.items()
    assert every["by the instruction alone, by meaning alone"] == 1
