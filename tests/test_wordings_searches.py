"""Orders to search in many wordings: what for, and where; and what is more than an order to search."""

from __future__ import annotations

import re

import pytest

from lbi.offline.policy import act
from lbi.offline.searching import order
from lbi.protocols import Fields
from lbi.records import Action, Observation, Step, Task

ORDERS = [
    ("Search this site for the word compass.", "compass"),
    ('Search for "blue paint", please.', "blue paint"),
    ("Please look up varnish in the notes.", "varnish"),
    ("Do we have anything about kayaks? Run a search for kayak and leave me on the page with the outcome.", "kayak"),
    ("Could you search the members for Okafor?", "Okafor"),
    ("Search the events, and nothing else, for the word regatta.", "regatta"),
    ("Look for oars among the loans only.", "oars"),
    ('Run a search for the exact phrase "life jackets".', '"life jackets"'),
    ("Do a search for lanterns, leaving the archive out.", "lanterns"),
    ("Use the search to look for the term mooring but not in the archive.", "mooring"),
    ("Search for the word rope and take me to the second page of the results.", "rope"),
]
MORE = [
    "Find the loan about the broken oar by searching and put it on hold.",
    "Search for the member who paid last and open the page.",
    "Look up who is on duty today.",
    "Somebody left a scarf. Look for the note about it and tell me where it is kept.",
    "Add a search box to the page.",
    "Who is looking for a new boat?",
    "Write that the search party meets at noon.",
]


@pytest.mark.parametrize(("text", "term"), ORDERS)
def test_what_is_to_be_searched_for(text: str, term: str) -> None:
    found = order(text)
    assert found is not None
    assert found.term == term


@pytest.mark.parametrize("text", MORE)
def test_what_asks_for_more_than_a_search_is_no_order_to_search(text: str) -> None:
    assert order(text) is None


SCOPES = [
    ("Search for oars, but only among the loans.", "oars", {"Loans"}),
    ('Look for "deposit" in the notes, leaving loans and events out of the search.', "deposit", {"Notes"}),
    ("Search the events, and nothing else, for the word regatta.", "regatta", {"Events"}),
    ('Look up "release" in the loans and in the notes, but not in the events.', "release", {"Loans", "Notes"}),
    ("Search for paint without the events.", "paint", {"Loans", "Notes"}),
    ("Please search for rope.", "rope", {"Events", "Loans", "Notes"}),
]


KINDS = ("Events", "Loans", "Notes")


def page(sent: str, typed: str, on: set[str]) -> Observation:
    """A site with a search box everywhere, whose results have a form of their own with a switch for each kind."""
    url = f"/search?q={sent}" if sent else "/"
    first = "" if sent or not typed else f": {typed}"
    lines = [
        f"URL: {url}",
        "Title: Club",
        f'textbox "Search:" [e1]{first}',
        'button "Search" [e2]',
        'link "Home" [e3] -> /',
    ]
    if sent:
        lines += [f'textbox "Search" [e4]: {typed}', 'button "Search" [e5]']
        for number, name in enumerate(KINDS, 6):
            lines.append(f'checkbox "{name}" [e{number}]{" (checked)" if name in on else ""}')
        lines += [f'link "About {sent}" [e9] -> /note/1', "text: found"]
    return Observation(text="\n".join(lines), url=url, title="Club")


@pytest.mark.parametrize(("text", "term", "scope"), SCOPES)
def test_where_is_to_be_searched(text: str, term: str, scope: set[str]) -> None:
    sent, typed, on = "", "", set(KINDS)
    history: list[Step] = []
    task = Task(instruction=text, environment="club")
    for _ in range(10):
        seen = page(sent, typed, on)
        move, reason = act(Fields(task=task, observation=seen, history=tuple(history)))
        if move.startswith("finish"):
            break
        found = re.fullmatch(r'(\w+)\((e\d+)(?:, "(.*)")?\)', move)
        assert found is not None, move
        kind, ref, value = found.groups()
        name = dict(zip(("e6", "e7", "e8"), KINDS, strict=True)).get(ref, "Search")
        if kind == "fill":
            typed = value
        elif name in KINDS:
            on ^= {name}
        else:
            sent = "&".join([typed, *sorted(on)]) if sent else typed
        role = "checkbox" if name in KINDS else "textbox"
        action = Action(text=move, kind=kind, role=role, name=name, value=value or "")
        history.append(Step(observation=seen, reason=reason, action=action))
    assert sent.split("&")[0] == term
    assert on == scope
    assert scope == set(KINDS) or set(sent.split("&")[1:]) == scope  # and it was sent again
