"""Words and values of an instruction, as the offline model reads it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.offline.lexical import contains_phrase, is_question, labels, mask, overlap, stem, values, widened, words


def found(instruction: str) -> list[tuple[str, str]]:
    return [(value.kind, value.text) for value in values(instruction)]


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ('Set the colour of lamp 5 to "red"', [("number", "5"), ("quoted", "red")]),
        ("Set it to 'it isn't red' now", [("quoted", "it isn't red")]),
        ("Call it “Tall lamp” and ‘not’ `code`", [("quoted", "Tall lamp"), ("quoted", "not"), ("quoted", "code")]),
        ("Close #12 by 2026-03-01", [("number", "12"), ("date", "2026-03-01")]),
        ("Make it due 3/14/2026", [("date", "3/14/2026")]),
        ("Give version 1.2.3 to hjones_2", [("number", "1.2.3"), ("name", "hjones_2")]),
        ("Open the page WikiStart of Anna Miller", [("name", "WikiStart"), ("name", "Anna Miller")]),
        ("Open the page", []),
        ("", []),
    ],
)
def test_values_are_what_an_instruction_names(instruction, expected):
    assert found(instruction) == expected


def test_the_context_of_a_value_ends_at_its_neighbours():
    red, tall = values('with the colour "red" and the name "Tall"')
    assert (red.before[0], tall.before[0]) == ("colour", stem("name"))
    assert "colour" not in tall.before
    assert stem("name") not in red.before


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_values_lie_in_the_text_in_order_and_apart(text):
    some = values(text)
    assert all(value.text.strip() and value.text in text[value.start : value.end] for value in some)
    assert all(one.end <= other.start for one, other in pairwise(some))


@pytest.mark.parametrize(
    "same",
    [
        ("ticket", "tickets", "Ticket"),
        ("add", "create", "creating", "registers"),
        ("delete", "removed", "discard"),
        ("change", "editing", "update", "set"),
        ("category", "categories"),
        ("stop", "stopped", "stopping"),
    ],
)
def test_forms_of_a_word_and_words_for_the_same_are_one(same):
    assert len({stem(word) for word in same}) == 1


def test_different_words_stay_different():
    distinct = ("ticket", "milestone", "wiki", "report", "class", "news", "create", "delete", "open", "close")
    assert len({stem(word) for word in distinct}) == len(distinct)


@settings(max_examples=60)
@given(st.text(max_size=30))
def test_stemming_any_word_never_leaves_nothing_of_it(word):
    assert bool(stem(word)) == bool(word)


def test_words_leave_out_what_carries_no_meaning_and_take_names_apart():
    assert words("Please go to the WikiStart page") == words("wiki start")
    assert labels("New page of the wiki") == (stem("new"), stem("page"), stem("wiki"))


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Who owns ticket 5?", True),
        ("How many tickets are open", True),
        ("Tell me the colour", True),
        ("Is the lamp red", True),
        ("Create a ticket", False),
        ("Show what is there", False),
        ("Island lamps", False),
        ("", False),
    ],
)
def test_a_question_wants_to_be_told_something(text, question):
    assert is_question(text) == question


def test_what_is_asked_for_is_left_when_of_what_is_masked():
    said = mask('Set the colour of lamp 5 to "dark red" by 2026-01-02 for user_7')
    assert words(said) == words("Set colour lamp by for")


@settings(max_examples=60)
@given(st.text(max_size=40))
def test_a_text_is_widened_by_whole_words_only(text):
    assert set(words(mask(text))) <= set(words(widened(text)))


@pytest.mark.parametrize(
    ("text", "phrase", "contained"),
    [
        ("Open the Tall  Lamp now", "tall lamp", True),
        ("Open the tall lamps", "tall lamp", False),
        ("cost (net)", "(net)", True),
        ("anything", " ", False),
    ],
)
def test_a_phrase_is_contained_as_whole_words(text, phrase, contained):
    assert contains_phrase(text, phrase) == contained


@settings(max_examples=60)
@given(st.frozensets(st.integers(0, 5)), st.frozensets(st.integers(0, 5)))
def test_overlap_is_symmetric_and_full_for_the_same(one, other):
    one, other = frozenset(map(str, one)), frozenset(map(str, other))
    assert overlap(one, other) == overlap(other, one)
    assert 0 <= overlap(one, other) <= 1
    assert (overlap(one, other) == 1) == (one == other and bool(one))
