"""What makes two observations the same: labels do, references, times and tokens do not."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.observations.normalise import kind_of_place, mask, normalise, normalise_url, observation_key, place
from lbi.records import Observation

LABELS = st.text("abcdefghijklmnopqrstuvwxyzäöü ", min_size=1, max_size=12).map(lambda text: f"Label {text.strip()}")
REFERENCES = st.from_regex(r"\A(f[1-9])?e[1-9][0-9]{0,3}\Z")
TOKENS = st.text("0123456789abcdef", min_size=24, max_size=40).map(lambda text: "1a" + text)
MOMENTS = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2089, 12, 31))
FORMS = st.sampled_from(
    [
        "%Y-%m-%d",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S.%f",
        "%m/%d/%y",
        "%d.%m.%Y",
        "%b %d, %Y, %I:%M:%S %p",
        "%B %d, %Y",
        "%d %B %Y at %H:%M",
        "%A, %b %d, %Y",
        "%a %b %d %H:%M:%S %Y",
        "%I:%M %p",
    ]
)
AGES = st.builds(
    "{} {}".format, st.integers(1, 999), st.sampled_from(["seconds", "minutes", "hours", "days", "weeks", "years"])
)


def page(label: str, reference: str, token: str, moment: str, age: str) -> Observation:
    lines = [
        "URL: /ignored",
        f'button "{label}" [{reference}]',
        f'link "{age} ago" [{reference}] -> /log?from={moment.replace(" ", "%20")}&__FORM_TOKEN={token}#{reference}',
        f"text: changed {moment} by ann, due in {age}; key {token}",
    ]
    return Observation(text="\n".join(lines), url=f"/item?__FORM_TOKEN={token}#{reference}", title=f"Item, {age} ago")


@given(
    LABELS, st.tuples(REFERENCES, REFERENCES), st.tuples(TOKENS, TOKENS), st.tuples(MOMENTS, MOMENTS), FORMS, AGES, AGES
)
@settings(max_examples=60, deadline=None)
def test_references_tokens_and_times_never_change_the_key(label, references, tokens, moments, form, age, other):
    a = page(label, references[0], tokens[0], moments[0].strftime(form), age)
    b = page(label, references[1], tokens[1], moments[1].strftime(form), other)
    assert normalise(a) == normalise(b)
    assert observation_key(a) == observation_key(b)


@given(LABELS, LABELS, REFERENCES, MOMENTS)
@settings(max_examples=40, deadline=None)
def test_another_label_is_another_key(label, other, reference, moment):
    a, b = (page(name, reference, "1a" * 12, moment.isoformat(), "3 days") for name in (label, other))
    assert (observation_key(a) == observation_key(b)) == (" ".join(label.split()) == " ".join(other.split()))


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_text_has_a_key_that_fits_sqlite_and_masking_twice_is_masking_once(text, url, title):
    key = observation_key(Observation(text=text, url=url, title=title))
    assert -(2**63) <= key < 2**63
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "3 weeks ago",
        "a few seconds ago",
        "2 years, 1 month ago",
        "in 2 days",
        "5 weeks late",
        "Nov 22, 2026, 7:57:53 AM",
        "Nov 22, 2026, 7:57:53\u202fAM",
        "12/31/26",
        "22nd November 2026",
        "15 Mar '25",
        "Sun Nov 22 08:18:28 2026",
        "2026-11-22T07:57:53+01:00",
        "2026/11/22 07:57",
        "yesterday at 5:00 p.m.",
    ],
)
def test_a_time_is_masked_as_a_whole(text):
    assert mask(f"Seen {text} by ann") == "Seen <time> by ann"


@pytest.mark.parametrize(
    "text",
    [
        "version 1.6.2",
        "ticket 12 of 14",
        "3 days of work",
        "May contain nuts",
        "path /a/1/2/34",
        "commit 4ac1fd0",
        "ratio 3/4",
        "defaced facade",
        "session",
        "192.168.1.100",
    ],
)
def test_content_is_left_alone(text):
    assert mask(text) == text


def test_two_entities_are_not_the_same_page():
    a, b = (Observation(text='heading "Item"', url=f"/item/{number}") for number in (12, 13))
    assert observation_key(a) != observation_key(b)
    assert kind_of_place(place(a)) == kind_of_place(place(b))


def test_an_error_note_and_blanks_make_no_difference():
    plain = Observation(text='heading "A"\n  text: b  c', url="/x")
    noted = Observation(text='heading "A"\n\n text:  b c \n', url="/x", error="no such element", digest="12")
    assert observation_key(plain) == observation_key(noted)


def test_an_address_loses_what_is_volatile_and_keeps_what_is_not():
    assert normalise_url("/q?b=2&a=1&utm_source=x&__FORM_TOKEN=9f8e#top") == "/q?a=1&b=2"
    assert normalise_url("http://127.0.0.1:8123/q?ticket=12") == "/q?ticket=12"
    assert normalise_url("/login?ticket=ST-12-abcdef0123") == "/login"
    assert normalise_url("/x;jsessionid=12ab?n=1") == "/x?n=1"
    assert normalise_url("https://example.org/x") == "https://example.org/x"
    assert normalise_url("") == "/"


def test_the_place_is_the_title_where_there_is_no_address():
    assert place(Observation(text="x", title="Calculator")) == "Calculator"


def test_masked_moments_of_one_form_are_equal_whatever_the_day():
    start = datetime(2026, 1, 1, 7, 5)
    for form in ("%b %d, %Y", "%B %d", "%d %b", "%H:%M"):
        masked = {mask(f"on {(start + timedelta(days=day, hours=day)).strftime(form)}") for day in range(0, 365, 7)}
        assert masked == {"on <time>"}, form
