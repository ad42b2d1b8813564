"""Documents become tasks that cite them, and tasks take turns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.errors import ModelError, ParseError
from lbi.models.providers.scripted import Scripted
from lbi.records import Document, Task
from lbi.synthesis.propose import propose_from_section, round_robin, verbatim_quote
from lbi_offline.model import OfflineModel

DOCUMENT = Document(text="To make a note, press  Save.\nNotes can be deleted.", source="guide.md", title="Notes")


def listed(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"instruction": instruction, "quote": quote} for instruction, quote in pairs])


async def proposed(*replies: str | Exception, count: int = 3) -> list[Task]:
    tasks, _ = await propose_from_section(Scripted(replies), DOCUMENT, count, environment="desk", actions="click")
    return tasks


async def test_a_task_leads_back_to_its_document_and_the_words_it_rests_on():
    [task] = await proposed(listed(("Make a note", "press Save.")))
    assert (task.instruction, task.environment, task.document) == ("Make a note", "desk", DOCUMENT.id)
    assert task.quote == "press Save."
    assert task.check is None


async def test_a_task_begins_where_its_document_says_and_other_documents_are_the_same_as_before():
    there = DOCUMENT.model_copy(update={"start_url": "/notes?page=2"})
    model = Scripted([listed(("Make a note", ""))])
    [task], _ = await propose_from_section(model, there, 3, environment="desk", actions="click")
    assert task.start_url == "/notes?page=2"
    assert "start_url" not in DOCUMENT.model_dump_json()
    assert there.id != DOCUMENT.id


async def test_no_more_tasks_are_taken_than_were_asked_for():
    many = listed(*((f"Task {at}", "") for at in range(9)))
    assert [task.instruction for task in await proposed(many, count=2)] == ["Task 0", "Task 1"]


async def test_the_model_is_told_what_it_needs():
    model = Scripted([listed(("a", ""))])
    _, usage = await propose_from_section(model, DOCUMENT, 4, environment="desk", actions="click(e1)", stage="s")
    [request] = model.requests
    assert (request.role, request.stage, usage.calls) == ("propose", "s", 1)
    assert (request.fields.document, request.fields.count, request.fields.actions) == (DOCUMENT, 4, "click(e1)")


async def test_an_unreadable_reply_is_asked_for_once_more_and_never_made_up():
    assert len(await proposed("I would rather not.", listed(("Make a note", "")))) == 1
    with pytest.raises(ParseError):
        await proposed("I would rather not.", "No.")
    with pytest.raises(ModelError):
        await proposed(ModelError("gone"))


async def test_half_of_a_character_in_a_reply_spoils_no_record():
    [task] = await proposed('[{"instruction": "Note \\ud83d and \\ud83d\\ude00", "quote": ""}]')
    assert task.instruction == "Note \ufffd and \U0001f600"
    assert task.id


async def test_the_offline_model_proposes_what_the_document_tells_to_do():
    tasks, _ = await propose_from_section(OfflineModel(), DOCUMENT, 3, environment="desk", actions="")
    assert tasks
    assert all(task.instruction.startswith("Notes: ") and task.quote for task in tasks)


@settings(max_examples=40)
@given(st.text(max_size=200), st.integers(0, 4))
async def test_the_offline_model_proposes_something_of_any_document(text, count):
    document = Document(text=text, source="s")
    tasks, _ = await propose_from_section(OfflineModel(), document, count, environment="desk", actions="")
    assert len(tasks) <= count
    assert all(task.instruction.strip() for task in tasks)


@pytest.mark.parametrize(
    ("quote", "kept"),
    [
        ("press Save. Notes", "press Save. Notes"),
        ("  press\n Save.", "press Save."),
        ("press Delete.", ""),
        ("PRESS SAVE", ""),
        (" ", ""),
    ],
)
def test_a_quote_counts_where_it_stands_in_the_document(quote, kept):
    assert verbatim_quote(quote, DOCUMENT.text) == kept


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(), max_size=5), max_size=5))
def test_turns_take_everything_once_and_first_ones_first(numbers):
    tasks = [
        [Task(instruction=f"{source}/{at}", environment="x") for at in range(len(some))]
        for source, some in enumerate(numbers)
    ]
    taken = round_robin(tasks)
    assert sorted(task.instruction for task in taken) == sorted(t.instruction for some in tasks for t in some)
    turns = [int(task.instruction.split("/")[1]) for task in taken]
    assert turns == sorted(turns)


def test_a_beginning_of_the_turns_is_spread_over_all():
    tasks = [[Task(instruction=f"{name}{at}", environment="x") for at in range(3)] for name in "ab"]
    assert [task.instruction for task in round_robin(tasks)] == ["a0", "b0", "a1", "b1", "a2", "b2"]
