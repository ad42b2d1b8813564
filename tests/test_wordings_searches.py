"""Orders to search in many wordings: what for, and where; and what is more than an order to search."""

from __future__ import annotations

import pytest

from lbi.offline.searching import order

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
