"""The exploring agent covers a site, fills fields with values of their type, and heeds what a refusal asks for."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

import pytest
from forms_site import FormSite
from hypothesis import given
from hypothesis import strategies as st

from fake_environment import LampEnvironment, click, fill, observed, walk
from lbi.observations.parse import Element, Page
from lbi.records import Task, Trajectory
from lbi.rollouts.loop import rollout
from lbi_offline.coverage import Coverage
from lbi_offline.explore import WORTH, Explorer
from lbi_offline.invent import Format, asked, invent, type_of

TASKS = [Task(instruction=f"Look around {at}", environment="lamps") for at in range(8)]


async def explored(seed: int, rounds: int = 3) -> list[Trajectory]:
    agent, finished = Explorer(seed=seed), []
    for _ in range(rounds):
        agent.prepare(TASKS)
        episodes = [await rollout(LampEnvironment(), agent, task, 10) for task in TASKS]
        agent.learn(episodes)
        finished += episodes
    return finished


def actions(episodes: list[Trajectory]) -> list[list[str]]:
    return [[action.grounded for action in episode.actions] for episode in episodes]


# values


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("E-mail", r"\w+@example\.org"),
        ("Contact email address", r"\w+@example\.org"),
        ("Homepage URL", r"https://example\.org/\w+"),
        ("Due date", r"2027-\d\d-\d\d"),
        ("Birthday", r"2027-\d\d-\d\d"),
        ("Start time", r"\d\d:\d\d"),
        ("Amount", r"\d+"),
        ("Number of seats", r"\d+"),
        ("Telephone", r"\+\d+"),
        ("User name", r"[a-z]+\d\d"),
        ("Subject", r"[A-Z][a-z]+ [a-z]+ \d+"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_field_is_filled_with_a_value_of_its_type(name, pattern, seed):
    field = Element("textbox", name, "e1")
    assert re.fullmatch(pattern, invent(field, Page(), random.Random(seed)))


def test_a_field_for_numbers_takes_numbers_whatever_it_is_called():
    assert invent(Element("spinbutton", "Seats", "e1"), Page(), random.Random(1)).isdigit()


def test_a_field_that_shows_a_date_takes_one_that_is_written_alike():
    field = Element("textbox", "From", "e1", value="31.12.2026")
    assert type_of(field) == "date"
    assert re.fullmatch(r"\d\d\.\d\d\.2027", invent(field, Page(), random.Random(1)))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Enter a date as DD.MM.YYYY", Format("date", "DD.MM.YYYY")),
        ("Use the form 2024-05-01", Format("date", "YYYY-MM-DD")),
        ("Enter a valid email address.", Format("email")),
        ("Must be between 3 and 9", Format("", "", 3, 9)),
        ("Value must be at least 100", Format("", "", 100, 110)),
        ("At least 12 characters, please", Format(shortest=12)),
        ("takes only numbers", Format("number")),
        ("", Format()),
    ],
)
def test_a_message_tells_the_form_of_a_value(message, expected):
    assert asked(message) == expected


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "Z"]), max_size=60), st.integers(0, 99))
def test_nothing_that_a_message_says_becomes_a_value(message, seed):
    secret = f"zq{message}xv"
    for name in ("Name", "Subject", "E-mail", "Due date", "Amount"):
        value = invent(Element("textbox", name, "e1"), Page(), random.Random(seed), asked(secret))
        assert "zq" not in value
        assert "xv" not in value


# refusals


def only_dotted_dates(entered: Mapping[str, str]) -> str:
    if re.fullmatch(r"\d\d\.\d\d\.\d{4}", entered.get("Due date", "")):
        return ""
    return 'Due date: "someday" is no date. Write it as DD.MM.YYYY.'


def only_addresses(entered: Mapping[str, str]) -> str:
    return "" if "@" in entered.get("Contact", "") else "Contact: enter a valid e-mail address."


def all_of_them(entered: Mapping[str, str]) -> str:
    return "" if all(entered.get(name) for name in ("A", "B", "C", "D", "E")) else "Something is missing."


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        (("Name", "Due date"), only_dotted_dates),
        (("Contact", "Subject"), only_addresses),
        (tuple("ABCDE"), all_of_them),
    ],
)
@pytest.mark.parametrize("seed", range(4))
async def test_a_form_that_was_refused_is_tried_again_in_the_form_that_the_message_asks_for(fields, check, seed):
    site = FormSite(fields, check)
    episode = await rollout(site, Explorer(seed=seed), Task(instruction="Look around", environment="forms"), 18)
    assert site.saved
    assert not any("someday" in action.value or "valid" in action.value for action in episode.actions)


async def test_a_form_that_refuses_everything_is_given_up():
    site = FormSite(("Name", "Amount"), lambda entered: "Not today.")
    episode = await rollout(site, Explorer(), Task(instruction="Look around", environment="forms"), 18)
    assert [action.name for action in episode.actions].count("Save") <= 3
    assert episode.stop == "done"


# coverage


async def test_exploring_reaches_every_kind_of_place_and_changes_something():
    episodes = await explored(0)
    places = {Coverage().pattern(observation.url) for episode in episodes for observation in episode.observations}
    assert {"/", "/lamps", "/rooms", "/new", "/lamps/*"} <= places
    pressed = {action.name for episode in episodes for action in episode.actions}
    assert {"Create", "Save", "Delete", "Keep"} <= pressed
    assert not any(observation.error for episode in episodes for observation in episode.observations)


async def test_the_same_seed_explores_alike_and_another_one_otherwise():
    assert actions(await explored(3, 2)) == actions(await explored(3, 2)) != actions(await explored(4, 2))


@pytest.mark.parametrize("reason", ["", "to see what Save does"])
async def test_no_decision_rests_on_the_reasons_of_steps(reason):
    agent = Explorer(seed=2)
    for _ in range(2):
        agent.prepare(TASKS[:4])
        episodes = [await rollout(LampEnvironment(), agent, task, 10) for task in TASKS[:4]]
        for episode in episodes:
            steps = tuple(step.model_copy(update={"reason": reason}) for step in episode.steps)
            for at, step in enumerate(steps):
                decision = await agent.act(episode.task, steps[:at], step.observation, "")
                assert decision.action == episode.steps[at].action.text
        agent.learn(episodes)


async def test_what_had_no_effect_is_not_tried_for_ever():
    agent, tried = Explorer(), 0
    for at in range(12):
        task = Task(instruction=f"Print {at}", environment="lamps", start_url="/rooms")
        agent.prepare([task])
        episode = await rollout(LampEnvironment(), agent, task, 8)
        tried += [action.name for action in episode.actions].count("Print")
        agent.learn([episode])
    assert 1 <= tried <= 3
    assert agent.coverage.want(("button", "/rooms", "Print")) < WORTH


async def test_a_round_is_handed_out_so_that_no_two_episodes_try_the_same():
    agent = Explorer()
    agent.learn([await walk("all", click("link", "Rooms"), click("link", "Lamps"), click("link", "New lamp"))])
    agent.prepare(TASKS[:4])
    aims = [offered for task in TASKS[:4] for offered, _, _ in agent._aims[task.id]]
    assert len(aims) == len(set(aims)) > 4


async def test_addresses_of_what_an_episode_created_are_no_aims():
    agent = Explorer()
    way = (click("link", "New lamp"), fill("Name", "Desk light"), fill("Colour", "black"), click("button", "Create"))
    agent.learn([await walk("create", *way, click("link", "Lamps")), await walk("lamps", click("link", "Lamps"))])
    known = {url for offer in agent.coverage.offers.values() for url in offer.urls}
    assert "/lamps/10" not in known
    assert {"/", "/new", "/lamps", "/lamps/7"} <= known


def test_things_of_one_kind_are_one_place():
    coverage = Coverage()
    names = [f"name{chr(97 + at)}" for at in range(20)]
    links = [f'link "{name}" -> /user/{at}/{name}' for at, name in enumerate(("jane", "bob", "eve", "al"), 1)]
    page = observed("/all", "All", *(f'link "{name}" -> /tag/{name}' for name in names), *links)
    coverage.learn([Trajectory(task=TASKS[0], agent="a", last=page, stop="done")])
    assert coverage.pattern("/lamps/7") == coverage.pattern("/lamps/9/") == "/lamps/*"
    assert coverage.pattern("/tag/namea/edit") == "/tag/*/edit"
    assert (coverage.pattern("/user/3/eve"), coverage.pattern("/user/3/edit")) == ("/user/*/*", "/user/*/edit")
    assert (coverage.pattern("/page?action=edit"), coverage.pattern("/page?id=3")) == (
        "/page?action=edit",
        "/page?id=*",
    )
