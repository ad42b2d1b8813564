"""Action text as models really write it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbi.environments.web.actions import Call, Target, UnreadableAction, parse_action, parse_target
from lbi.environments.web.perform import ActionRefused, find
from lbi.observations.parse import parse_observation
from lbi.records import Action, stored_element, written_element

E12 = Target(ref="e12")
BUTTON = Target(role="button", name="Create ticket", nth=2)


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("click(e12)", Call("click", E12)),
        ("click([e12])", Call("click", E12)),
        ('click("e12")', Call("click", E12)),
        ("Action: click(e12)", Call("click", E12)),
        ("I press it.\n```\nclick(e12)\n```", Call("click", E12)),
        ("`click( e12 )`", Call("click", E12)),
        ("click('button \"Create ticket\" #2')", Call("click", BUTTON)),
        ('click(button "Create ticket" #2)', Call("click", BUTTON)),
        ('click(3rd button "Create ticket")', Call("click", BUTTON)),
        ("click('3rd button \"Create ticket\"')", Call("click", BUTTON)),
        ('click(button "Create ticket" 3rd)', Call("click", BUTTON)),
        ("fill(2nd textbox, no quotes)", Call("fill", Target(role="textbox", nth=1), "no quotes")),
        ('click("button \\"Create ticket\\" #2")', Call("click", BUTTON)),
        ('fill(e12, "a, b")', Call("fill", E12, "a, b")),
        ("fill(e12, 'it\\'s')", Call("fill", E12, "it's")),
        ("fill(e12, 'it's')", Call("fill", E12, "it's")),
        ("fill(e12, plain words)", Call("fill", E12, "plain words")),
        ("fill(e12, f(x))", Call("fill", E12, "f(x)")),
        ('fill(e12, "two\\nlines")', Call("fill", E12, "two\nlines")),
        ('fill(e12, "two\nlines")', Call("fill", E12, "two\nlines")),
        ('fill(e12, "")', Call("fill", E12, "")),
        ('fill(e12, "no end)', Call("fill", E12, "no end")),
        ('fill(e12, "C:\\docs \\u00e9")', Call("fill", E12, "C:\\docs é")),
        ('select(e12, "docs")', Call("select", E12, "docs")),
        ('press("Enter")', Call("press", None, "Enter")),
        ("press(Enter)", Call("press", None, "Enter")),
        ('press(e12, "Control+A")', Call("press", E12, "Control+A")),
        ('goto("/query?a=1&b=(2)")', Call("goto", None, "/query?a=1&b=(2)")),
        ("back()", Call("back")),
        ("back", Call("back")),
        ('scroll("down")', Call("scroll", None, "down")),
        ('finish("")', Call("finish")),
        ("finish()", Call("finish")),
        ("finish(42, 43)", Call("finish", None, "42, 43")),
    ],
)
def test_an_action_is_read(text: str, call: Call) -> None:
    assert parse_action(text) == call


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no action found"),
        ("I do not know.", "no action found"),
        ("unclick(e12)", "no action found"),
        ("click()", "needs an element"),
        ("click(the button)", "is no element"),
        ("fill(e12)", "needs a value"),
        ("goto()", "needs an address"),
        ('scroll("left")', '"up" or "down"'),
        ('press(" ")', "needs a key"),
        ("click(__import__('os').system('id'))", "is no element"),
    ],
)
def test_what_is_no_action_is_explained_in_one_line(text: str, says: str) -> None:
    with pytest.raises(UnreadableAction, match=says) as caught:
        parse_action(text)
    assert "\n" not in str(caught.value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXT, TEXT, st.integers(0, 3))
def test_the_grounded_form_of_a_fill_is_read_back(name: str, value: str, nth: int) -> None:
    action = Action(text="", kind="fill", role="textbox", name=name, nth=nth, value=value)
    if not name and not nth:
        return  # a role alone is too little to find anything by
    call = Call("fill", Target(role="textbox", name=name, nth=nth), value)
    assert parse_action(action.grounded) == call
    assert parse_action(action.written) == call, "as prompts write it"


@given(name=st.text(max_size=30), onto=st.text(max_size=30))
def test_a_drag_as_prompts_write_it_is_read_back(name: str, onto: str) -> None:
    target = stored_element("row", onto, 1)
    action = Action(text="", kind="drag", role="link", name=name, value=target)
    assert parse_action(action.written) == Call(
        "drag", Target(role="link", name=name), onto=Target(role="row", name=onto, nth=1)
    )


@given(TEXT)
def test_any_answer_survives(answer: str) -> None:
    assert parse_action(f"finish({json.dumps(answer)})").value == answer
    assert parse_action(Action(text="", kind="finish", value=answer).grounded).value == answer


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail_otherwise(text: str) -> None:
    try:
        parse_action(text)
        parse_action(f"fill({text}")
    except UnreadableAction:
        pass


def test_a_target_is_a_reference_or_role_and_name() -> None:
    assert parse_target("f1e3") == Target(ref="f1e3")
    assert parse_target('link "Edit"') == Target(role="link", name="Edit")
    assert parse_target("textbox #1") == parse_target("2nd textbox") == Target(role="textbox", nth=1)
    assert parse_target("2nd") is parse_target("0th button") is parse_target('2nd link "a" #1') is None
    assert parse_target("Edit") is None


def test_equal_elements_are_counted_from_1_where_it_is_read_and_from_0_where_it_is_stored() -> None:
    for nth, ordinal in {1: "2nd", 2: "3rd", 3: "4th", 10: "11th", 20: "21st", 111: "112th"}.items():
        assert written_element("link", "Edit", nth) == f'{ordinal} link "Edit"'
        assert stored_element("link", "Edit", nth) == f'link "Edit" #{nth}'
        both = parse_target(f'{ordinal} link "Edit"'), parse_target(f'link "Edit" #{nth}')
        assert both == (Target(role="link", name="Edit", nth=nth),) * 2
    assert written_element("link", "Edit") == stored_element("link", "Edit") == 'link "Edit"'
    assert parse_target('1st link "Edit"') == parse_target('link "Edit"')
    assert parse_target('link "Edit #1"') == Target(role="link", name="Edit #1"), "a name is a name"


PAGE = parse_observation(
    "\n".join(
        [
            'spinbutton "Weight" [e1]: 5',
            'textbox "Height (cm)" [e2]: 180',
            'link "Save" [e3] -> /save',
            'button "Save" [e4]',
            'button "Save" [e5]',
            'img "Logo" [e6]',
            'link "Ship\\u00a0to" [e7] -> /ship',
            "textbox [e8]",
        ]
    )
)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ('textbox "Weight"', 'there is no textbox "Weight" on this page; there is a spinbutton "Weight"'),
        ('textbox "weight:"', 'there is no textbox "weight:" on this page; there is a spinbutton "Weight"'),
        ('textbox "Height"', 'there is no textbox "Height" on this page; there is a textbox "Height (cm)"'),
        ('checkbox "Save"', 'there is no checkbox "Save" on this page; there is a link "Save"'),
        ('2nd link "Save"', 'there is no 2nd link "Save" on this page; there is a button "Save"'),
        ('button "Logo"', 'there is no button "Logo" on this page; there is an img "Logo"'),
        ('button "Cancel"', 'there is no button "Cancel" on this page'),
        ("textbox #4", 'there is no 5th textbox "" on this page'),
        ('12th checkbox "Off"', 'there is no 12th checkbox "Off" on this page'),
        ('button "Sav"', 'there is no button "Sav" on this page; there is a button "Save"'),
    ],
)
def test_the_nearest_element_is_named_where_there_is_none(target: str, message: str) -> None:
    wanted = parse_target(target)
    assert wanted is not None
    with pytest.raises(ActionRefused) as refused:
        find(PAGE, wanted)
    assert str(refused.value) == message


@pytest.mark.parametrize(("target", "ref"), [("e2", "e2"), ('button "Save" #1', "e5"), ('link "ship to"', "e7")])
def test_an_element_is_found_by_its_reference_or_its_name(target: str, ref: str) -> None:
    wanted = parse_target(target)
    assert wanted is not None
    assert find(PAGE, wanted).ref == ref
