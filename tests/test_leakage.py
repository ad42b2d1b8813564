"""An agent that is measured on a task of some date is shown nothing that is known only since."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_notes import NEW, NOTES, SAVE, title, walk
from lbi.agents import AgentParts, open_agent
from lbi.config import resolve
from lbi.evaluation.arms import dates_of_examples, examples_for
from lbi.models.providers.scripted import Scripted
from lbi.protocols import Request
from lbi.records import Document, Example, Observation, Task, Trajectory
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.leakage import example_dates, may_be_shown, tags_later_than

BASE = "2024-08-14T02:12:00+00:00"
BEFORE, LATER = "2024-07-01T00:00:00+00:00", "2024-08-14T08:20:00+00:00"  # the fix came on the day of its base
PAGE = Observation(text='link "Notes" [e1]', url="/", title="Desk /")
BUG = Task(instruction="Make a note with the title Beans", environment="desk", name="bug", date=BASE)


@pytest.mark.parametrize(
    ("date", "task", "allowed"),
    [
        (BEFORE, BASE, True),
        (BASE, BASE, True),
        (LATER, BASE, False),
        ("2024-08-13", BASE, True),
        ("2024-08-14", BASE, False),  # a day may be any of its moments
        ("2024-08-14T04:00:00+02:00", BASE, True),
        ("2024-08-14T02:11:59Z", BASE, True),
        ("", BASE, False),
        ("0f3a9be", BASE, False),  # a commit says nothing of when it was
        ("", "", True),
        (LATER, "", True),
        (BEFORE, "soon", False),
    ],
)
def test_what_is_later_or_of_no_date_is_not_shown(date: str, task: str, allowed: bool) -> None:
    assert may_be_shown(date, task) is allowed


def document(text: str, date: str) -> Document:
    return Document(text=text, source="notes.py", title=text, date=date)


OLD, FIX, UNDATED = document("a note of old", BEFORE), document("the note, mended", LATER), document("a note", "")


async def shown(agent: str, parts: AgentParts, task: Task) -> str:
    """What the agent's model is asked with."""
    asked: list[Request] = []

    def reply(request: Request) -> str:
        asked.append(request)
        return "note with a title" if request.role == "query" else "REASON: so\nACTION: click(e1)"

    model = Scripted(reply)
    await open_agent(agent, AgentParts(**{**parts.__dict__, "model": model})).act(task, (), PAGE, "click(e1)")
    (fields,) = [request.fields for request in asked if request.role == "act"]
    return " | ".join([*(d.text for d in fields.documents), *(s.example.instruction for s in fields.examples)])


async def test_documents_that_are_later_than_a_task_are_not_retrieved() -> None:
    parts = AgentParts(model=Scripted(lambda request: ""), documents=[OLD, FIX, UNDATED])
    assert await shown("rag", parts, BUG) == "a note of old"
    free = BUG.model_copy(update={"date": ""})
    assert set((await shown("rag", parts, free)).split(" | ")) == {OLD.text, FIX.text, UNDATED.text}


async def walked(of: Document, words: str) -> tuple[Example, Trajectory]:
    trajectory = await walk(words, NOTES, NEW, title(words), SAVE, document=of.id)
    example = Example(
        kind="abstract", instruction=f"Make a note with the title {words}", trajectory=trajectory.id, start=0, end=4
    )
    return example.model_copy(update={"document": of.id}), trajectory


async def test_examples_that_come_from_a_later_fix_are_not_retrieved(tmp_path: Path) -> None:
    pairs = [await walked(OLD, "Old"), await walked(FIX, "Fix"), await walked(UNDATED, "Undated")]
    dates = example_dates(pairs, [OLD, FIX, UNDATED])
    trajectories = {trajectory.id: trajectory for _, trajectory in pairs}
    index = ExampleIndex.build(tmp_path, [example for example, _ in pairs], trajectories, None, dates)
    parts = AgentParts(model=Scripted(lambda request: ""), index=index, dates=set(dates.values()))
    said = await shown("icl", parts, BUG)
    assert "title Old" in said
    assert "Fix" not in said
    assert "Undated" not in said
    free = await shown("icl", parts, BUG.model_copy(update={"date": ""}))
    assert all(words in free for words in ("Old", "Fix", "Undated"))
    index.close()


async def test_an_example_is_as_late_as_the_latest_of_what_it_comes_from() -> None:
    (old, walk_old), (fix, walk_fix) = await walked(OLD, "Old"), await walked(FIX, "Fix")
    joined = old.model_copy(update={"kind": "composed", "parents": (old.id, fix.id)})
    later_task = walk_old.model_copy(update={"task": walk_old.task.model_copy(update={"date": LATER})})
    attempted = old.model_copy(update={"trajectory": later_task.id})
    nowhere = old.model_copy(update={"document": "", "instruction": "from nowhere", "trajectory": "t"})
    walk_nowhere = walk_old.model_copy(update={"task": walk_old.task.model_copy(update={"document": ""})})
    pairs = [
        (old, walk_old),
        (fix, walk_fix),
        (joined, walk_old),
        (attempted, later_task),
        (nowhere, walk_nowhere),
    ]
    dates = example_dates(pairs, [OLD, FIX])
    assert [dates[example.id] for example, _ in pairs] == [BEFORE, LATER, LATER, LATER, ""]
    assert tags_later_than(dates.values(), BASE) == {f"date:{LATER}", "date:"}


async def test_a_label_that_was_shuffled_is_as_late_as_where_it_comes_from() -> None:
    pairs = [await walked(OLD, "Old"), await walked(FIX, "Fix"), await walked(OLD, "Other")]
    for seed in range(6):
        chosen = examples_for("shuffled", pairs, seed)
        dates = dates_of_examples("shuffled", chosen, pairs, [OLD, FIX])
        for example, trajectory in chosen:
            both = "Fix" in example.instruction or trajectory.task.document == FIX.id
            assert dates[example.id] == (LATER if both else BEFORE)


def test_the_date_of_a_held_out_task_is_part_of_it_and_of_no_other() -> None:
    plain = Task(instruction="x", environment="e")
    assert "date" not in plain.model_dump()
    assert BUG.id != BUG.model_copy(update={"date": LATER}).id
    assert resolve({"name": "x"}, "x").benchmark == ""
