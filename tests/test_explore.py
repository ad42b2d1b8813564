"""The exploring agent: what it has seen decides what it tries next, and nothing else does."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_environment import LampEnvironment, LampEnvironments, click, fill, observed, walk
from lbi.agents import Parts, open_agent
from lbi.agents.explore import WORTH, Aim, Explorer, Moment
from lbi.environments.web.actions import parse_action
from lbi.models.providers.offline import OfflineModel
from lbi.observations.parse import parse_observation
from lbi.offline.coverage import Coverage
from lbi.offline.goal import page_of
from lbi.offline.invent import invent, pick
from lbi.records import Action, Observation, Step, Task, Trajectory
from lbi.rollouts.loop import in_parallel, rollout

TASKS = [Task(instruction=f"Look at thing {at}", environment="lamps") for at in range(12)]
ROUND = 4


async def explored(seed: int, *, workers: int = 1, pauses: tuple[int, ...] = (0,)) -> list[Trajectory]:
    """Three rounds of four roll-outs, learned from after each; slow environments finish later."""
    agent = Explorer(seed=seed)
    found: list[Trajectory] = []
    for at in range(0, len(TASKS), ROUND):
        done: dict[str, Trajectory] = {}

        async def one(environment, task, done=done):
            done[task.id] = await rollout(environment, agent, task, 8)

        some = TASKS[at : at + ROUND]
        agent.prepare(some)
        await in_parallel(
            LampEnvironments(pauses=pauses), some, one, workers=workers, failed=lambda *_: pytest.fail("broken")
        )
        found += [done[task.id] for task in some]
        agent.learn([done[task.id] for task in some])
    return found


def actions(trajectories: list[Trajectory]) -> list[list[str]]:
    return [[action.grounded for action in trajectory.actions] for trajectory in trajectories]


async def test_the_same_seed_and_the_same_rounds_lead_to_the_same_actions():
    first = await explored(3)
    assert actions(first) == actions(await explored(3))
    assert actions(first) != actions(await explored(4))


async def test_how_many_work_and_who_is_slow_changes_nothing():
    alone = actions(await explored(3))
    assert alone == actions(await explored(3, workers=3, pauses=(5, 0, 2)))
    assert alone == actions(await explored(3, workers=4, pauses=(0, 1, 7, 3)))


async def test_exploring_reaches_every_kind_of_place_and_changes_something():
    found = await explored(0)
    seen = {Coverage().pattern(o.url) for trajectory in found for o in trajectory.observations}
    assert {"/", "/lamps", "/rooms", "/new"} <= seen
    pristine = found[0].observations[0].digest
    assert any(trajectory.last.digest != pristine for trajectory in found)
    assert not any(o.error for trajectory in found for o in trajectory.observations)


async def test_what_it_does_is_read_by_the_environment():
    found = await explored(1)
    assert all(action.kind for trajectory in found for action in trajectory.actions)


async def test_a_task_attempted_before_is_attempted_otherwise():
    """Both have learned the same of the application, but one of them from this very task."""
    walks = []
    for at, task in enumerate(TASKS):
        first = await walk("rooms", click("link", "Rooms"), start_url="/lamps")
        again, other = Explorer(seed=at), Explorer(seed=at)
        again.learn([first.model_copy(update={"task": task})])
        other.learn([first])
        walks.append([actions([await rollout(LampEnvironment(), agent, task, 8)]) for agent in (again, other)])
    assert any(one != two for one, two in walks)


def test_the_seed_is_the_sample_of_the_agents_parts():
    agent = open_agent("explore", Parts(model=OfflineModel(), sample=5))
    assert isinstance(agent, Explorer)
    assert agent.seed == 5


# what was learned


async def test_what_had_no_effect_is_not_tried_for_ever():
    agent = Explorer()
    tried = 0
    for at in range(12):
        task = Task(instruction=f"Print {at}", environment="lamps", start_url="/rooms")
        agent.prepare([task])
        trajectory = await rollout(LampEnvironment(), agent, task, 8)
        tried += [action.name for action in trajectory.actions].count("Print")
        agent.learn([trajectory])
    assert 1 <= tried <= 3
    assert agent.coverage.want(("button", "/rooms", "Print")) < WORTH


async def test_a_round_is_handed_out_so_that_no_two_episodes_try_the_same():
    agent = Explorer()
    agent.learn([await walk("all", click("link", "Rooms"), click("link", "Lamps"), click("link", "New lamp"))])
    agent.prepare(TASKS[:4])
    aims = [aim.offered for task in TASKS[:4] for aim in agent._aims[task.id]]
    assert len(aims) == len(set(aims)) > 4


async def test_an_aim_is_reached_by_the_link_that_is_known_to_lead_there():
    agent = Explorer()
    agent.learn([await walk("all", click("link", "Lamps"))])
    task = Task(instruction="", environment="lamps")
    agent._aims = {task.id: [Aim(("to", "/lamps/*", ""), "/lamps/7")]}
    trajectory = await rollout(LampEnvironment(), agent, task, 2)
    assert [action.kind for action in trajectory.actions] == ["goto", "click"]
    assert trajectory.last.url == "/lamps/7"


async def test_a_button_not_yet_tried_is():
    agent = Explorer()
    agent.learn([await walk("rooms", click("link", "Rooms"))])
    names = set()
    for at in range(20):
        task = Task(instruction=f"Print {at}", environment="lamps")
        agent.prepare([task])
        trajectory = await rollout(LampEnvironment(), agent, task, 8)
        names |= {action.name for action in trajectory.actions}
    assert "Print" in names


async def test_addresses_of_what_an_episode_created_are_no_aims():
    agent = Explorer()
    made = (click("link", "New lamp"), fill("Name", "Desk light"), fill("Colour", "black"), click("button", "Create"))
    trajectory = await walk("create", *made, click("link", "Lamps"))
    assert trajectory.observations[-2].url == "/lamps/10"
    assert 'link "Desk light"' in trajectory.last.text
    agent.learn([trajectory, await walk("lamps", click("link", "Lamps"))])
    known = {url for offer in agent.coverage.offers.values() for url in offer.urls}
    assert "/lamps/10" not in known
    assert {"/", "/new", "/lamps", "/lamps/7"} <= known


async def test_things_of_one_kind_are_one_place():
    seven, nine, new = [page_of((await walk("", start_url=url)).last) for url in ("/lamps/7", "/lamps/9", "/new")]
    coverage = Coverage()
    assert set(coverage.offered(seven)) == set(coverage.offered(nine)) != set(coverage.offered(new))
    assert coverage.pattern("/lamps/7") == coverage.pattern("/lamps/9/") == "/lamps/*"


def test_one_of_very_many_siblings_is_an_instance_of_them():
    coverage = Coverage()
    names = [f"name{chr(97 + at)}" for at in range(20)]
    page = observed("/all", "All", *(f'link "{name}" -> /user/{name}' for name in names))
    coverage.learn([Trajectory(task=TASKS[0], agent="a", last=page, stop="done")])
    assert coverage.pattern("/user/namea") == "/user/*"
    assert coverage.pattern("/user/namea/edit") == "/user/*/edit"


def test_a_readable_part_after_a_number_is_no_kind_of_place_and_a_verb_is_one():
    coverage = Coverage()
    links = [f'link "{name}" -> /user/{at}/{name}' for at, name in enumerate(("jane", "bob", "eve", "al"), 1)]
    page = observed("/all", "All", *links, 'link "edit" -> /user/1/edit', 'link "Lock" -> /user/1/lock')
    coverage.learn([Trajectory(task=TASKS[0], agent="a", last=page, stop="done")])
    assert coverage.pattern("/user/3/eve") == "/user/*/*"
    assert coverage.pattern("/user/3/edit") == "/user/*/edit"
    assert coverage.pattern("/user/3/lock") == "/user/*/lock"


def test_plain_words_of_a_query_tell_places_apart_and_other_values_do_not():
    coverage = Coverage()
    assert coverage.pattern("/page?action=edit") == "/page?action=edit"
    assert coverage.pattern("/page?id=3") == coverage.pattern("/page?id=Name") == "/page?id=*"


def test_fields_that_come_to_light_are_known_to_be_behind_what_was_clicked():
    closed = observed("/lamp", "Lamp", 'link "More" -> #', 'textbox "Name"', 'button "Save"')
    opened = observed("/lamp", "Lamp", 'link "More" -> #', 'textbox "Name"', 'textbox "Colour"', 'button "Save"')
    more = Action(text="click(e1)", kind="click", role="link", name="More")
    walk_ = Trajectory(
        task=TASKS[0], agent="a", steps=(Step(observation=closed, action=more),), last=opened, stop="done"
    )
    coverage = Coverage()
    coverage.learn([walk_])
    form = ("form", "/lamp", "Save")
    assert coverage.left(coverage.offers[form]) == {("textbox", "Name"), ("textbox", "Colour")}
    assert coverage.unfold_for(form) == ("More",)


# forms


def on_form(*boxes: str) -> Observation:
    return observed("/new", "New lamp", *boxes, 'button "Create"')


LOCKED = """URL: /colours
Title: Colours
columns: Name | Usual
row
  checkbox [e1]
  link "red" [e2] -> /colours/red
  radio [e3] (checked)
row
  checkbox [e4]
  link "blue" [e5] -> /colours/blue
  radio [e6]
button "Apply" [e7] (disabled)
button "Remove selected" [e8] (disabled)"""


@pytest.mark.parametrize(("button", "ticked"), [("Apply", "click(e6)"), ("Remove selected", "click(e4)")])
def test_a_locked_button_waits_for_what_it_is_about(button, ticked):
    now = Moment(TASKS[0], (), Observation(text=LOCKED, url="/colours"), parse_observation(LOCKED), random.Random(1))
    locked = next(e for e in now.page.elements if e.name == button)
    assert Explorer()._begin(now, locked) == (ticked, f"unlock: {button}")


async def test_a_refused_form_is_completed_and_sent_again():
    lamps = LampEnvironment()
    seen = await lamps.reset(Task(instruction="", environment="lamps", start_url="/new"))
    history: list[Step] = []
    for action in (fill("Name", "Desk light"), click("button", "Create")):
        outcome = await lamps.step(action)
        history.append(Step(observation=seen, reason="press: Create", action=outcome.action))
        seen = outcome.observation
    assert seen.url == "/new"
    for _ in range(4):
        decision = await Explorer().act(TASKS[0], tuple(history), seen, "")
        outcome = await lamps.step(decision.action)
        history.append(Step(observation=seen, reason=decision.reason, action=outcome.action))
        seen = outcome.observation
        if seen.url != "/new":
            break
    done = [action.name for action in (step.action for step in history[2:])]
    assert done[0] == "Colour"
    assert done[-1] == "Create"
    assert "\n10 " in lamps.state


async def test_a_form_is_filled_before_its_button_is_pressed():
    task = Task(instruction="Create a lamp", environment="lamps")
    agent = Explorer()
    agent.learn([await walk("new", start_url="/new")])
    for seed in range(8):
        agent.seed = seed
        trajectory = await rollout(LampEnvironment(), agent, task.model_copy(update={"start_url": "/new"}), 8)
        names = [action.name for action in trajectory.actions]
        if "Create" in names:
            assert "Name" in names[: names.index("Create")]


@settings(max_examples=40)
@given(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                'textbox "Name"',
                'textbox "Due date": 2026-01-02',
                'combobox "Room": "a" of "a" | "b"',
                'checkbox "Urgent"',
                'button "Save"',
                'link "Away" -> https://example.org/',
                'link "Up" -> /a',
                'searchbox "Search"',
                'radio ""',
                'button "Gone" (disabled)',
                'combobox "None": none of ',
                'link "Bad" -> //',
                'spinbutton "Count": 3',
            ]
        ),
        max_size=7,
    ),
    st.integers(0, 3),
)
async def test_whatever_the_page_shows_it_decides_on_an_action_that_can_be_read(text, lines, seed):
    page = observed("/x/7", "X", *lines, f"text: {text}")
    agent = Explorer(seed=seed)
    for _ in range(2):
        decision = await agent.act(TASKS[0], (), page, "")
        assert parse_action(decision.action).kind
        assert "https://" not in decision.action
        agent.learn([Trajectory(task=TASKS[0], agent="a", last=page, stop="done")])


# made-up values


@given(st.randoms(use_true_random=False))
def test_values_are_made_up_to_fit_their_fields(rng: random.Random):
    page = page_of(
        observed(
            "/",
            "T",
            'textbox "Due date"',
            'textbox "E-mail"',
            'spinbutton "Count"',
            'textbox "Search"',
            'textbox "Colour:"',
            'combobox "Room": "a" of "a" | "b" | ""',
            "text: zebra",
        )
    )
    fits = {
        "Due date": r"2027-\d\d-\d\d",
        "E-mail": r"\w+@example\.org",
        "Count": r"\d+",
        "Search": "zebra",
    }
    for element in page.elements[:4]:
        assert re.fullmatch(fits[element.name], invent(element, page, {}, rng))
    assert invent(page.elements[4], page, {"colour": ["red"]}, rng).strip()
    assert pick(page.elements[5], rng) == "b"
