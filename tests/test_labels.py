"""What the offline model says that a span did: true to its steps, its values and its things."""

from __future__ import annotations

import pytest

from fake_environment import click, fill, select, walk
from lbi.models import parsing
from lbi.models.providers.offline import OfflineModel
from lbi.observations.parse import parse_observation
from lbi.offline.forms import column_of, row_of
from lbi.offline.labels import abstract, summary
from lbi.offline.lexical import is_question, values
from lbi.protocols import Fields, Request
from lbi.records import Trajectory


@pytest.fixture
async def created() -> Trajectory:
    steps = (fill("Name", "Desk light"), fill("Colour", "red"), select("Room", "attic"), click("button", "Create"))
    return await walk("?", click("link", "New lamp"), *steps)


@pytest.fixture
async def painted() -> Trajectory:
    return await walk(
        "?", click("link", "Lamps"), click("link", "Tall lamp"), fill("Colour", "blue"), click("button", "Save")
    )


def quoted(text: str) -> list[str]:
    return [value.text for value in values(text) if value.kind == "quoted"]


def test_a_form_is_labelled_with_its_button_its_fields_and_their_values(created):
    label = abstract(created, 1, 5)
    assert label.startswith("Create ")
    assert quoted(label) == ["Desk light", "red", "attic"]
    for field in ("Name", "Colour", "Room"):
        assert field in label
    assert "New lamp" in label


def test_a_change_of_a_thing_names_the_thing(painted):
    label = abstract(painted, 2, 4)
    assert label.startswith("Save ")
    assert quoted(label) == ["blue", "8", "Tall lamp"]
    assert "lamps" in label


async def test_of_a_field_filled_twice_the_last_value_counts():
    steps = (fill("Colour", "red"), fill("Colour", "blue"), click("button", "Save"))
    trajectory = await walk("?", *steps, start_url="/lamps/8")
    assert quoted(abstract(trajectory, 0, 3)) == ["blue", "8", "Tall lamp"]


def test_a_walk_is_a_visit(painted):
    label = abstract(painted, 0, 1)
    assert label.startswith("Open ") or is_question(label)
    assert "lamps" in label.lower()
    assert quoted(abstract(painted, 0, 2)) == ["8", "Tall lamp"]


async def test_a_button_alone_is_labelled_with_its_place():
    trajectory = await walk("?", click("button", "Delete"), start_url="/lamps/8")
    label = abstract(trajectory, 0, 1)
    assert label.startswith("Delete ")
    assert quoted(label) == ["8", "Tall lamp"]


async def test_quotes_in_a_value_do_not_end_it():
    trajectory = await walk(
        "?", fill("Note", 'a "dark" room'.replace('"', '\\"')), click("button", "Keep"), start_url="/rooms/hall"
    )
    assert "a 'dark' room" in quoted(abstract(trajectory, 0, 2))


def test_a_label_says_nothing_of_what_lies_outside_its_span(created, painted):
    assert "Create" not in abstract(created, 0, 1)
    assert "blue" not in abstract(painted, 0, 2)
    assert "textbox Name" not in summary(created, 2, 5)


def test_a_summary_tells_the_steps_in_order_and_where_they_ended(created):
    text = summary(created, 1, 5)
    assert text.startswith("Replicate the following: on /new, fill textbox Name")
    places = [text.index(word) for word in ("Desk light", "red", "attic", "Create", "it ends on /lamps/10")]
    assert places == sorted(places)


async def test_the_model_answers_with_these_labels_and_agrees_with_them(created, painted):
    for trajectory, start, end in ((created, 1, 5), (painted, 2, 4)):
        fields = Fields(trajectory=trajectory, start=start, end=end)
        reply = await OfflineModel().complete(Request(role="abstract", fields=fields))
        assert parsing.instruction(reply.text) == abstract(trajectory, start, end)
        asked = fields.model_copy(update={"instruction": reply.text})
        vote = await OfflineModel().complete(Request(role="judge", fields=asked))
        assert parsing.vote("offline")(vote.text).accepts


@pytest.mark.parametrize(
    ("role", "label", "reader"), [("abstract", abstract, parsing.instruction), ("summarise", summary, parsing.summary)]
)
async def test_the_model_labels_several_spans_at_once_with_the_same_words(role, label, reader, created):
    spans = ((1, 3), (1, 5), (2, 5))
    fields = Fields(trajectory=created, start=1, end=5, spans=spans)
    assert fields.span_names == ("0-2", "0-4", "1-4")
    reply = await OfflineModel().complete(Request(role=role, fields=fields))
    found = parsing.each(reader, fields.span_names)(reply.text)
    assert list(found.values()) == [reader(label(created, *span)) for span in spans]


async def test_the_model_rejects_a_label_that_names_what_was_not_done(painted):
    fields = Fields(trajectory=painted, start=2, end=4, instruction='Save with Colour "purple" on lamps "8"')
    vote = parsing.vote("offline")((await OfflineModel().complete(Request(role="judge", fields=fields))).text)
    assert not vote.aligned
    assert "purple" in vote.reason


TABLE = """columns: checkbox "All" [e1] | Name | Usual | Order
row
  checkbox [e2]
  link "red" [e3] -> /colours/red
  radio [e4]
  combobox [e5]: "1" of "1" | "2"
row
  checkbox [e6]
  link "blue" [e7] -> /colours/blue
  radio [e8] (checked)
  combobox [e9]: "2" of "2" | "1"
row: x | grey [e10] | radio [e11]
"""


def test_a_choice_in_a_table_is_told_by_its_row_and_column():
    page = parse_observation(TABLE)
    found = {e.ref: (column_of(page, e), row_of(page, e)[0]) for e in page.elements if e.role != "link"}
    assert found["e4"] == ("Usual", "red")
    assert found["e8"] == ("Usual", "blue")
    assert found["e9"] == ("Order", "blue")
    assert found["e6"] == ("", "blue")  # the switch for all rows is no name of a column
    assert found["e11"] == ("Usual", "x")
