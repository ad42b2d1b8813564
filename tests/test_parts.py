"""What an instruction wants one after the other, and what is one thing however it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_environment import click, fill, shown, walk
from lbi.offline.parts import over, parts
from lbi.records import Action, Observation, Step
from test_policy import carried_out

KINDS = frozenset(["lamp", "room", "tag"])


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        (
            'Create the tag "warm" and give the lamp by the door this tag.',
            ('Create the tag "warm"', 'Give the lamp by the door the tag "warm".'),
        ),
        (
            'We need a tag named "cold". Add it, and then give it to lamp 5.',
            ('We need a tag named "cold". Add it', 'Give "cold" to lamp 5.'),
        ),
        ("Delete lamp 4. After that rename the room hall.", ("Delete lamp 4.", "Rename the room hall.")),
    ],
)
def test_what_changes_two_things_is_two(instruction, expected):
    assert parts(instruction, KINDS) == expected


@pytest.mark.parametrize(
    "instruction",
    [
        'Set the colour of lamp 5 to "red" and its room to "attic".',
        "Find the lamp that flickers, give it the colour red and put it in the hall.",
        "Which lamp is red? Open it.",
        'Create a lamp "Then and now" with the colour "red, and then blue".',
        "Search for the broken lamp and then open it.",
        "Somebody broke the lamp. Then it went dark. Delete lamp 4.",
    ],
)
def test_what_changes_one_thing_is_one(instruction):
    assert parts(instruction, KINDS) == (instruction,)


@given(st.text(max_size=120))
def test_any_text_has_parts(text):
    found = parts(text, KINDS)
    assert found
    assert len(found) > 1 or found == (text,)


def step(reason: str, digest: str) -> Step:
    return Step(
        observation=Observation(text="", url="/", digest=digest),
        action=Action(text="click(e1)", kind="click", role="button", name="Save"),
        reason=reason,
    )


def test_a_part_is_over_with_a_last_step_that_changed_something():
    history = (step("on the way", "a"), step("is done", "a"), step("is done", "b"), step("is done", "c"))
    assert over(history, ["done"], Observation(text="", url="/", digest="c")) == [2, 3]
    assert over(history, ["done"], Observation(text="", url="/", digest="d")) == [2, 3, 4]
    assert over((), ["done"], Observation(text="", url="/")) == []


async def test_both_parts_are_carried_out_one_after_the_other():
    new = (fill("Name", "Desk light"), fill("Colour", "black"), click("button", "Create"))
    created = shown(await walk("c", *new, start_url="/new"), 'Create with Name "Desk light" in new (New lamp)')
    kept = (click("link", "hall"), fill("Note", "dusty"), click("button", "Keep"))
    noted = shown(await walk("n", *kept, start_url="/rooms"), 'Keep with Note "dusty" on rooms "hall"')
    instruction = (
        'Create a lamp with the name "Desk" and the colour "red", and then keep the note "clean" for room attic.'
    )
    lamps, trajectory = await carried_out(instruction, created, noted, start_url="/")
    assert [(lamp.name, lamp.colour) for lamp in lamps.lamps.values()][3:] == [("Desk", "red")]
    assert lamps.notes == {"hall": "", "attic": "clean"}
    assert trajectory.stop == "done"
