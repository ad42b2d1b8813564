"""Texts changed as an instruction wants it, and left alone where nothing in them is clearly meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.offline.goal import Goal
from lbi.offline.revise import edits, revised

PLAN = """= Plan =
We sail on Monday. The dinghy leaks. Bring bread.

== To do ==
 * oil the winch
 * paint the 12 oars

== Rules ==
1. No shoes.
2. No more than 6 people."""


def swapped(old: str, new: str) -> str:
    return PLAN.replace(old, new)


@pytest.mark.parametrize(
    ("instruction", "text"),
    [
        ('On the plan page replace "Monday" with "Tuesday".', swapped("Monday", "Tuesday")),
        ('Change "Bring bread" into "Bring rice" on the plan.', swapped("Bring bread", "Bring rice")),
        ('The plan should say "Friday" instead of "Monday".', swapped("Monday", "Friday")),
        ("At most 6 people are allowed by the plan page; raise that to 8.", swapped("6", "8")),
        ("Raise the number of oars to paint on the plan page to 14.", swapped("12", "14")),
        ("No more than 9 people can come now. Correct the plan page.", swapped("6", "9")),
        (
            'We do not sail on Monday any more, correct this on the plan page ("We sail on Sunday.").',
            swapped("Monday", "Sunday"),
        ),
        ("Take the sentence about the dinghy off the plan.", swapped(" The dinghy leaks.", "")),
        ("Remove the bullet about the winch from the plan.", swapped(" * oil the winch\n", "")),
        ('Add the bullet "buy rope" to the list.', swapped("oars\n", "oars\n * buy rope\n")),
        ('Append the line "3. No knives." to the rules.', PLAN + "\n3. No knives."),
        ('Append "No knives." to the list of rules.', PLAN + "\n3. No knives."),
        ('Put the line "DRAFT" at the top of the plan.', "DRAFT\n" + PLAN),
        ("Please write at the end of the plan: all of this is a draft", PLAN + "\n3. all of this is a draft"),
    ],
)
def test_only_what_is_meant_is_changed(instruction, text):
    assert revised(Goal(instruction), PLAN) == text


def test_numerals_in_words_are_exchanged():
    text = "It seats nine people."
    assert revised(Goal("The boat has to seat ten people, not nine."), text) == "It seats ten people."
    assert revised(Goal("The boat is wide, not nine."), text) is None


@pytest.mark.parametrize(
    "instruction",
    [
        'Set the colour of lamp 5 to "red".',
        "Remove the sentence about whales from the plan.",
        "Remove the bullet from the plan.",
        'Replace "Saturday" with "Sunday" on the plan page.',
        "Raise the limit to 600 on the plan page.",
        'Create the page "Menu".',
    ],
)
def test_where_nothing_is_clearly_meant_nothing_is_changed(instruction):
    assert revised(Goal(instruction), PLAN) is None


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ('Append the line "x" to the plan.', True),
        ("Correct the date on the plan page.", True),
        ('Create a page "Menu" with the text "rice".', False),
        ("Which line of the plan speaks of bread?", False),
        ("Give ticket 5 to jane.", False),
    ],
)
def test_it_is_known_which_instructions_speak_of_a_part_of_a_text(instruction, expected):
    assert edits(Goal(instruction)) is expected


@settings(max_examples=200)
@given(st.text(max_size=80), st.text(max_size=200))
def test_any_instruction_and_any_text_are_borne(instruction, text):
    assert revised(Goal(instruction), text) != ""
