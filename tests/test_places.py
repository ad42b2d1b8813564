"""Addresses, the things they are about, and one thing put in the place of another."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_environment import observed
from lbi.observations.parse import Page
from lbi.offline.goal import Goal, page_of
from lbi.offline.places import Thing, place, segments, swap, thing_in, thing_of
from lbi.offline.things import Known, directory, homes

ROOMS = page_of(
    observed(
        "/rooms",
        "Rooms",
        'link "hall" -> /rooms/hall',
        'link "Dark attic" -> /rooms/dark%20attic',
        'link "#7" -> /lamps/7/green-lamp',
        'link "Tall lamp" -> /lamps/8/tall-lamp?x=1',
        'link "edit" -> /lamps/7/edit',
        'link "edit" -> /lamps/8/edit',
        'link "Away" -> https://example.org/lamps/9',
    )
)
PART = st.text("ab c7-", min_size=1, max_size=5).filter(str.strip)


def pages(*more: Page) -> list[Page]:
    return [ROOMS, *more]


def test_an_address_is_taken_apart_and_decoded():
    assert segments("/a/b%20c/?x=1#y") == ["a", "b c"]
    assert segments("/") == segments("") == []


@pytest.mark.parametrize(
    ("url", "thing"),
    [
        ("/lamps/7", Thing(("lamps",), "7")),
        ("/lamps/7/green-lamp?edit=1", Thing(("lamps",), "7", "green-lamp")),
        ("/lamps/7/edit", Thing(("lamps",), "7")),
        ("/a/1/b/2", Thing(("a", "1", "b"), "2")),
        ("/report/r12", Thing(("report",), "r12")),
        ("/rooms/hall", Thing(("rooms",), "hall")),
        ("/rooms/dark%20attic", Thing(("rooms",), "dark attic")),
        ("/rooms", None),
        ("/7", None),
        ("/rooms/edit", None),
        ("/halls/hall", None),
        ("/", None),
    ],
)
def test_a_page_is_about_what_its_address_and_the_links_to_it_name(url, thing):
    assert thing_of(url, pages()) == thing


def test_a_thing_is_taken_from_an_address_under_its_kind():
    assert thing_in("/lamps/8/tall-lamp?x=1", ("lamps",), numbered=True) == Thing(("lamps",), "8", "tall-lamp")
    assert thing_in("/lamps/8/edit", ("lamps",), numbered=True) == Thing(("lamps",), "8")
    assert thing_in("/lamps/new", ("lamps",), numbered=True) is None
    assert thing_in("/rooms/8", ("lamps",), numbered=True) is None


def test_things_of_one_kind_are_told_by_the_links_to_them():
    found = directory(Thing(("lamps",), "5"), pages())
    assert {thing.id for thing in found} == {"8"}  # "#7" and "edit" are no names
    assert found[Thing(("lamps",), "8", "tall-lamp")] == {"Tall lamp"}


def test_a_page_about_the_same_number_lends_its_names_to_another_kind_of_page():
    lamp = page_of(observed("/lamps/8/tall-lamp", "Tall lamp", 'link "Switch it" -> /lamps/switch/8'))
    about = Thing(("lamps", "switch"), "3")
    assert homes(about, [lamp]) == set()
    there = page_of(observed("/lamps/3", "Red lamp", 'link "Switch it" -> /lamps/switch/3'))
    found = directory(about, [*pages(there), lamp])
    assert {thing.id: names for thing, names in found.items()}["8"] == {"Tall lamp"}


ABOUT = Thing(("lamps",), "5")


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Paint the tall lamp", "8"),
        ("Paint lamp 7", "7"),
        ("Paint #7", "7"),
        ("Paint the one that is so very tall", "8"),
        ("Paint the small lamp", None),
        ("edit a lamp", None),
    ],
)
def test_the_instruction_names_a_thing_by_number_name_or_most_of_its_name(instruction, expected):
    found = Known(Goal(instruction), directory(ABOUT, pages())).counterpart(ABOUT, {"paint", "lamp"})
    assert (found.id if found else None) == expected


def test_two_things_that_are_named_alike_are_not_guessed_between():
    twins = page_of(observed("/l", "L", 'link "Tall red lamp" -> /lamps/1', 'link "Tall blue lamp" -> /lamps/2'))
    known = directory(ABOUT, [twins])
    assert Known(Goal("Paint the tall lamp"), known).counterpart(ABOUT, {"paint", "lamp"}) is None
    found = Known(Goal("Paint the tall lamp, the blue one"), known).counterpart(ABOUT, {"paint", "lamp"})
    assert found == Thing(("lamps",), "2")


@pytest.mark.parametrize("instruction", ["Paint the tall lamp", "Paint the tall blue lamp", "Paint the wide one", "Go"])
def test_what_is_known_beside_counts_as_if_it_had_been_known_at_once(instruction):
    lamps = {name: Thing(("lamps",), str(at)) for at, name in enumerate(("Tall red lamp", "Tall blue lamp", "Wide"))}
    first = {thing: {name} for name, thing in list(lamps.items())[:2]}
    more = {lamps["Tall blue lamp"]: {"Tall blue lamp", "Bluebird"}, lamps["Wide"]: {"Wide"}}
    known, once = Known(Goal(instruction), first), Known(Goal(instruction), {**first, **more})
    assert known.beside(first) is known
    assert known.beside(more).names == once.names
    assert known.beside(more).common == once.common
    assert known.beside(more).counterpart(ABOUT, {"paint"}) == once.counterpart(ABOUT, {"paint"})


def test_a_place_is_the_words_of_an_address_without_its_thing():
    thing = Thing(("lamps",), "7", "green-lamp")
    assert place("/lamps/7/green-lamp?action=edit&x=9", thing) == "lamps edit"
    assert place("/lamps/7", None) == "lamps 7"
    assert place("/", None) == ""


@pytest.mark.parametrize(
    ("url", "old", "new", "expected"),
    [
        ("/lamps/7?a=7#7", Thing(("lamps",), "7"), Thing(("lamps",), "8"), "/lamps/8?a=7#7"),
        ("/lamps/7/green-lamp", Thing(("lamps",), "7", "green-lamp"), Thing(("lamps",), "8", "tall"), "/lamps/8/tall"),
        ("/rooms/hall/edit", Thing(("rooms",), "hall"), Thing(("rooms",), "dark attic"), "/rooms/dark%20attic/edit"),
        ("/shelves/7", Thing(("lamps",), "7"), Thing(("lamps",), "8"), "/shelves/7"),
        ("/lamps/77", Thing(("lamps",), "7"), Thing(("lamps",), "8"), "/lamps/77"),
        ("/lamps/7", Thing(("lamps",), "7"), None, "/lamps/7"),
    ],
)
def test_one_thing_is_put_in_the_place_of_another(url, old, new, expected):
    assert swap(url, old, new) == expected


@settings(max_examples=60)
@given(PART, PART, PART, st.sampled_from(["", "/edit", "?a=b", "/edit?a=b#c"]))
def test_a_swap_changes_the_thing_and_nothing_else_and_can_be_undone(prefix, one, other, rest):
    old, new = Thing((prefix,), one), Thing((prefix,), other)
    url = f"/{quote(prefix)}/{quote(one)}{rest}"
    swapped = swap(url, old, new)
    assert segments(swapped)[:2] == [prefix, other]
    assert segments(swapped)[2:] == segments(url)[2:]
    assert segments(swap(swapped, new, old)) == segments(url)
    assert swap(url, old, old) == url


PLANS = {Thing(("plans",), name): {name} for name in ("Anchor", "Breakwater", "Break")}


@pytest.mark.parametrize(
    ("instruction", "meant"),
    [
        ("Anchor is done; what is left of it moves to Breakwater.", "Anchor"),
        ("Add a line to Break in the same way as it is done for Breakwater.", "Break"),
        ("Breakwater is late.", "Breakwater"),
    ],
)
def test_of_several_names_that_are_said_the_first_is_meant(instruction, meant):
    assert Known(Goal(instruction), PLANS).counterpart(Thing(("plans",), "Clipper"), ()) == Thing(("plans",), meant)
