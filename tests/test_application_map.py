"""The map that the writer of tasks reads: what is where in the application, and no more than there is room for."""

from __future__ import annotations

from fake_environment import LampEnvironment, observed
from lbi.observations.application_map import application_map
from lbi.protocols import PromptLimits
from lbi.records import Observation, Task
from lbi.rollouts.look_around import pages_of

NAV = ('link "Home" -> /', 'link "Boats" -> /boats', 'link "New boat" -> /new', 'button "Help"')


def page(url: str, title: str, *lines: str) -> Observation:
    return observed(url, f"{title} - Marina", *NAV, f'heading "{title}"', *lines)


BOATS = [
    page(f"/boats/{at}", f"Boat {name}", 'textbox "Comment": ', 'button "Send"', f'link "{owner}" -> /people/{owner}')
    for at, name, owner in ((1, "Amber", "ines"), (2, "Birch", "ravi"), (3, "Coral", "ines"))
]
SITE = [
    page("/", "Start", "text: Welcome"),
    page(
        "/new",
        "New boat",
        'textbox "Name": ',
        'combobox "Berth": "north" of "north" | "south"',
        'combobox "Spare berth": "south" of "south" | "north"',
        'button "Create"',
    ),
    page(
        "/boats",
        "Boats",
        "columns: Name | Owner",
        'row: checkbox "Select Amber" | link "Amber" [e91] -> /boats/1 | ines',
        'row: checkbox "Select Birch" | link "Birch" [e93] -> /boats/2 | ravi',
    ),
    *BOATS,
]


def test_the_map_says_what_can_be_filled_chosen_and_pressed_on_which_page() -> None:
    lines = application_map(SITE, 4_000).split("\n")
    at = lines.index('/new "New boat"')
    assert 'textbox "Name"' in lines[at + 1]
    assert 'combobox "Berth" (north | south)' in lines[at + 1]
    assert 'button "Create"' in lines[at + 1]
    assert 'combobox "Spare berth" (as combobox "Berth")' in lines[at + 1], "the same options are told once"


def test_what_all_pages_have_in_common_is_told_once() -> None:
    text = application_map(SITE, 4_000)
    assert text.startswith('On every page: link "Home", link "Boats", link "New boat", button "Help"')
    assert text.count('"Help"') == 1


def test_pages_of_one_kind_are_one_entry_with_their_addresses() -> None:
    text = application_map(SITE, 4_000)
    assert '/boats/1, /boats/2, /boats/3 "Boat Amber"' in text
    assert text.count('textbox "Comment"') == 1
    assert text.count('button "Send"') == 1


def test_names_of_things_are_told_and_what_each_row_has_is_not() -> None:
    text = application_map(SITE, 4_000)
    assert "[Name | Owner]; Amber | ines; Birch | ravi" in text
    assert '"ravi"' in text
    assert "Select Amber" not in text


def test_where_there_is_little_room_controls_come_before_things_and_nothing_is_cut_in_two() -> None:
    whole = application_map(SITE, 4_000)
    for limit in range(0, len(whole) + 1, 40):
        text = application_map(SITE, limit)
        assert len(text) <= max(limit, len(whole.split("\n")[0]))
        assert set(text.split("\n")) - {line for line in text.split("\n") if "there:" in line} <= set(whole.split("\n"))
    tight = application_map(SITE, len(whole) - 60)
    assert 'textbox "Comment"' in tight
    assert 'button "Create"' in tight


def test_of_what_is_no_page_the_text_is_shown() -> None:
    listing = Observation(
        text="Folder: /work\nA repository of 2 files:\n./ boats.py\ntests/ test_boats.py", url="/work"
    )
    assert "tests/ test_boats.py" in application_map([listing], 2_000)
    assert application_map([], 2_000) == ""


async def test_a_map_of_an_application_fits_a_prompt_beside_the_section() -> None:
    pages = await pages_of(LampEnvironment(), 16, clicks=True)
    text = application_map(pages, PromptLimits().map)
    assert len(text) < sum(len(page.text) for page in pages) / 2
    for name in ('textbox "Name"', "(hall | attic)", '"Green lamp"', 'button "Delete"'):
        assert name in text


async def test_the_map_holds_nothing_of_where_an_element_was_on_its_page() -> None:
    seen = await LampEnvironment().reset(Task(instruction="", environment="lamps"))
    assert "[e" not in application_map([seen, *SITE], 4_000)
