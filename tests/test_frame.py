"""What pages have in common is found by counting, and the part that an action touches by where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbi.observations.frame import Frame
from lbi.observations.region import touched
from lbi.records import Action

NAVIGATION = [
    'link "Shop" [e1] -> /',
    'textbox "Search:" [e2]',
    'button "Search" [e3]',
    'link "Basket (0)" [e4] -> /basket',
]
FOOTER = "text: Boats & more"


def page(address: str, *own: str, basket: int = 0, current: str = "") -> str:
    above = [line.replace("(0)", f"({basket})") for line in NAVIGATION]
    above = [line.replace(" ->", " (current) ->") if current and current in line else line for line in above]
    return "\n".join([f"URL: {address}", "Title: Shop", *above, *own, FOOTER])


PAGES = (
    page("/", 'heading "Welcome"', 'link "Boats" [e5] -> /boats'),
    page("/boats/1", 'heading "Puffin"', 'button "Rent" [e5]', 'button "Report" [e6]', "text: white"),
    page("/boats/2", 'heading "Tern"', 'button "Rent" [e5]', 'button "Report" [e6]', "text: green", basket=1),
    page("/basket", 'heading "Basket"', 'button "Pay" [e5]', basket=2, current="Basket"),
    page("/help/rent", 'heading "How to rent"', "text: Press Rent."),
)


def test_the_frame_is_what_most_places_have_whatever_its_counters_and_states_are() -> None:
    split = Frame.of(PAGES).split(PAGES[3])
    assert split.own.split("\n")[2:] == ['heading "Basket"', 'button "Pay" [e5]']
    assert [part.summary for part in split.parts] == ["2 links, 1 textbox, 1 button", "text"]
    assert split.parts[0].refs == ("e1", "e2", "e3", "e4")


def test_the_buttons_of_one_kind_of_page_are_no_frame_however_often_it_was_seen() -> None:
    boats = [page(f"/boats/{n}", 'button "Rent" [e5]', 'button "Report" [e6]') for n in range(40)]
    assert 'button "Rent" [e5]' in Frame.of([*PAGES, *boats]).own(boats[7])


def test_the_side_bar_of_one_section_is_found_too() -> None:
    side = ['link "Names" [e5] -> /set/a', 'link "Prices" [e6] -> /set/b', 'link "Harbours" [e7] -> /set/c']
    settings = [page(f"/set/{name}", *side, f'heading "{name}"', 'button "Save" [e8]') for name in "abcd"]
    own = Frame.of([*PAGES, *settings]).own(settings[1])
    assert "Prices" not in own
    assert 'button "Save" [e8]' in own, "what stands alone may be the very thing that a page is for"


def test_pages_of_one_place_alone_have_no_frame() -> None:
    same = [page("/boats/1", f'textbox "Name:" [e5]: {"x" * n}') for n in range(9)]
    assert not Frame.of(same)
    assert Frame.of(same).own(same[0]) == same[0]


def test_a_line_that_holds_something_of_the_pages_own_is_never_folded() -> None:
    menu = ['group "Menu"', '  link "One" [e5]', '  link "Two" [e6]', '  link "Three" [e7]']
    frame = Frame.seen([page("/a", *menu)])
    new = page("/b", *menu, '  link "New" [e8]')
    assert 'group "Menu"\n  link "New" [e8]' in frame.own(new)
    assert "Menu" not in frame.own(page("/b", *menu))


@given(
    st.lists(
        st.sampled_from([*PAGES[0].split("\n"), "  text: in it", 'group "G"', "", 'row: x | link "a" [e9]']),
        max_size=20,
    )
)
def test_own_part_and_frame_together_are_the_page(lines: list[str]) -> None:
    text = "\n".join(lines)
    split = Frame.of(PAGES).split(text)
    rest = split.own.split("\n")
    for part in split.parts:
        rest[part.start : part.start] = part.lines
    assert [line for line in rest if line] == [line for line in lines if line]


# what an action touches


def act(role: str, name: str, nth: int = 0) -> Action:
    return Action(text="", kind="click", role=role, name=name, nth=nth)


FORM = page(
    "/boats/new",
    'heading "Add a boat"',
    'group "Properties"',
    '  textbox "Name:" [e5]',
    '  combobox "Harbour:" [e6]: "Porto" of "Porto" | "Faro"',
    'button "Add" [e7]',
    'heading "Help"',
    "text: far away",
)
TABLE = page(
    "/boats",
    'heading "Boats"',
    "columns: Boat | Colour | ",
    'row: link "Puffin" [e5] -> /boats/1 | white | button "edit" [e6]',
    'row: link "Tern" [e7] -> /boats/2 | green | button "edit" [e8]',
)


def test_of_a_field_its_group_the_button_that_sends_it_and_the_heading_are_shown() -> None:
    region = touched(FORM, act("textbox", "Name:"), Frame.of(PAGES))
    assert region is not None
    assert region.text.split("\n") == FORM.split("\n")[6:11]
    assert region.line == 'textbox "Name:" [e5]'


def test_of_a_button_in_a_row_the_row_and_the_names_of_its_columns_are_shown() -> None:
    region = touched(TABLE, act("button", "edit", 1))
    assert region is not None
    assert all(words in region.text for words in ("Tern", "columns: Boat", 'heading "Boats"'))
    assert "Puffin" not in region.text


def test_of_a_link_in_the_navigation_nothing_but_itself_is_shown() -> None:
    region = touched(FORM, act("link", "Basket (0)"), Frame.of(PAGES))
    assert region is not None
    assert region.text == 'link "Basket (0)" [e4] -> /basket'


def test_a_link_among_many_is_told_by_the_text_above_it() -> None:
    posts = ["text: Ann: hello", 'link "delete" [e5]', "text: Bob: BUY", 'link "delete" [e6]']
    region = touched(page("/t/1", 'heading "Talk"', *posts), act("link", "delete", 1), Frame.of(PAGES))
    assert region is not None
    assert "text: Bob: BUY" in region.text


def test_an_element_is_found_by_its_reference_too_and_its_line_is_there_whatever_the_limit_is() -> None:
    region = touched(FORM, "e6", limit=1)
    assert region is not None
    assert region.text.strip() == 'combobox "Harbour:" [e6]: "Porto" of "Porto" | "Faro"'


@pytest.mark.parametrize("action", ["e99", act("button", "No such"), Action(text='goto("/")', kind="goto", value="/")])
def test_what_is_no_element_of_the_page_touches_nothing(action: Action | str) -> None:
    assert touched(FORM, action) is None
