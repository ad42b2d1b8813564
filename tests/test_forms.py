"""Which fields and buttons belong together, and which value of an instruction goes into which field."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_environment import observed
from lbi.observations.parse import Page
from lbi.offline.assign import assign, holds
from lbi.offline.forms import find, form_of, forms
from lbi.offline.goal import page_of
from lbi.offline.lexical import values


def page(*lines: str, title: str = "Page") -> Page:
    return page_of(observed("/x", title, *lines))


LAMP = page(
    'textbox "Search"',
    'button "Find"',
    'textbox "Name:"',
    'textbox "Colour"',
    'textbox "Due date"',
    'combobox "Room": "hall" of "hall" | "attic"',
    'combobox "Kind": "tall" of "tall" | "flat"',
    'checkbox "Urgent"',
    'button "Create"',
    'button "Cancel"',
)


def assigned(instruction: str, *known: str, where: Page = LAMP) -> dict[str, str]:
    fields = [element for element in where.elements if element.role != "button"]
    lesson = {("textbox", name): "something" for name in known}
    found = assign(instruction, values(instruction), fields, lesson, frozenset({("textbox", "Search")}))
    return {filling.field.name: filling.value for filling in found}


CHOSEN = page('textbox "Name:": lamp', 'textbox "Note": old', 'checkbox "Urgent" (checked)', 'button "Save"')


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("The lamp is not urgent any more.", {"Urgent": "off"}),
        ("It was marked as urgent by mistake.", {"Urgent": "off"}),
        ("Make it urgent.", {"Urgent": ""}),
        ("Clear the note of the lamp.", {"Note": ""}),
        ("Note that the lamp is red.", {}),
    ],
)
def test_what_is_there_can_be_taken_away(instruction, expected):
    assert assigned(instruction, where=CHOSEN) == expected


def test_what_is_not_chosen_need_not_be_taken_away():
    assert assigned("The lamp is not urgent.") == {}
    assert [holds(e, "off") for e in LAMP.elements if e.name == "Urgent"] == [True]


def test_fields_belong_to_the_buttons_that_follow_them():
    found = [([e.name for e in form.fields], [e.name for e in form.buttons]) for form in forms(LAMP)]
    assert found == [
        (["Search"], ["Find"]),
        (["Name:", "Colour", "Due date", "Room", "Kind", "Urgent"], ["Create", "Cancel"]),
    ]


def test_what_is_disabled_is_part_of_no_form():
    assert forms(page('textbox "Name" (disabled)', 'button "Go" (disabled)')) == []
    assert find(page('button "Go" (disabled)'), "button", "Go") is None


def test_the_form_of_an_element_is_found_by_field_or_button():
    by_field, by_button = form_of(LAMP, ("textbox", "Colour")), form_of(LAMP, ("button", "Create"))
    assert by_field == by_button
    assert form_of(LAMP, ("button", "There is none")) is None


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (
            'Create one with the name "Desk light" and the colour "red"',
            {"Name:": "Desk light", "Colour": "red"},
        ),
        ('Create one with the colour "red" and the name "Desk light"', {"Name:": "Desk light", "Colour": "red"}),
        ('With the colour "red" in the room attic', {"Colour": "red", "Room": "attic"}),
        ('With the colour "red" in the room "attic"', {"Colour": "red", "Room": "attic"}),
        ('A "flat" one with the name "Desk light"', {"Name:": "Desk light", "Kind": "flat"}),
        ('The name "Desk light" is due on the date 2026-03-01', {"Name:": "Desk light", "Due date": "2026-03-01"}),
        ('An urgent one with the name "Desk light"', {"Name:": "Desk light", "Urgent": ""}),
    ],
)
def test_each_value_goes_to_the_field_that_it_is_named_with(instruction, expected):
    assert assigned(instruction).items() >= expected.items()
    assert "Search" not in assigned(instruction)


def test_a_field_that_is_named_right_after_a_value_is_not_outdone_by_a_word_before_it():
    assert assigned('By the colour, put "Desk light" in the name', "Name:")["Name:"] == "Desk light"


def test_what_can_be_chosen_is_not_typed():
    assert assigned('It goes to "attic"', "Name:") == {"Room": "attic"}
    assert assigned('Its name "attic" is new', "Name:")["Name:"] == "attic"


def test_a_value_without_a_field_name_goes_where_the_example_put_one():
    assert assigned('Make "Desk light"', "Name:") == {"Name:": "Desk light"}
    assert assigned('Make "Desk light"', "Colour") == {"Colour": "Desk light"}


def test_unquoted_words_after_the_name_of_a_field_that_the_example_filled_are_its_value():
    assert assigned("Create one with name desk light and colour red", "Name:", "Colour") == {
        "Name:": "desk light",
        "Colour": "red",
    }
    assert assigned("Create one with a nice name") == {}


SAID = ['"red"', '"attic"', '"Desk light"', "2026-03-01", "5", "name", "colour", "room", "to"]


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(SAID)).map(" ".join),
    st.sets(st.sampled_from(["Name:", "Colour", "Search"])),
)
def test_no_value_and_no_field_is_used_twice(instruction, known):
    fields = [element for element in LAMP.elements if element.role != "button"]
    lesson = {("textbox", name): "x" for name in known}
    found = assign(instruction, values(instruction), fields, lesson, frozenset())
    refs = [filling.field.ref for filling in found]
    starts = [filling.used.start for filling in found if filling.used]
    assert len(set(refs)) == len(refs)
    assert len(set(starts)) == len(starts)
    assert all(filling.value in filling.field.options for filling in found if filling.field.role == "combobox")
    assert refs == sorted(refs, key=lambda ref: int(ref[1:]))


def test_of_namesakes_the_one_beside_what_is_meant_is_found():
    lines = [
        line for name in ("Tall lamp", "Green lamp") for line in (f"text: {name}", f'link "edit" -> /edit/{name[:1]}')
    ]
    some = page(*lines)
    assert [find(some, "link", "edit", about).url for about in (("green",), ("tall",), ())] == [
        "/edit/G",
        "/edit/T",
        "/edit/T",
    ]


def test_a_name_that_says_the_same_in_other_words_is_found_if_it_is_the_only_one():
    assert find(page('button "Add lamp"'), "button", "Create lamps").name == "Add lamp"
    assert find(page('button "Add lamp"', 'button "Register lamp"'), "button", "Create lamps") is None
    assert find(page('button "Add lamp"'), "link", "Add lamp") is None


@pytest.mark.parametrize(
    ("line", "value", "held"),
    [
        ('textbox "A": some  Text', "some text", True),
        ('textbox "A": some', "some text", False),
        ('combobox "A": "x" of "x" | "y"', "X", True),
        ('checkbox "A" (checked)', "", True),
        ('checkbox "A"', "", False),
    ],
)
def test_a_field_that_shows_a_value_holds_it(line, value, held):
    assert holds(page(line).elements[0], value) == held
