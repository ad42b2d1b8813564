"""Which spans of a trajectory are worth a label, and what an example says of where it came from."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_notes import DELETE, HELP, HOME, MILK, NEW, NOTES, SAVE, title, walk
from lbi.errors import ModelError, ParseError
from lbi.models.providers.scripted import Scripted
from lbi.observations.normalise import observation_key
from lbi.records import Action, Example, Observation, Step, Task, Trajectory
from lbi.synthesis.backward import (
    PER_END,
    actions_to_learn,
    all_spans,
    forward_example,
    label_span,
    plan_spans,
    without_duplicates,
    without_idle_steps,
    worth,
)

FINISH, NOTHING = 'finish("")', """click('button "There is none"')"""
ENTERING = ("fill", "select")
TOGGLES = ("checkbox", "radio", "switch")

OBSERVATION = st.builds(
    Observation,
    text=st.sampled_from(["one", "two", "three", "shown 2 minutes ago", "shown 9 minutes ago"]),
    url=st.sampled_from(["/a", "/b", "/a#top", "/c?x=1"]),
    digest=st.sampled_from(["d0", "d0", "d1"]),
    error=st.sampled_from(["", "", "", "", "it failed"]),
)
ACTION = st.builds(
    Action,
    text=st.just("it"),
    kind=st.sampled_from(["click", "click", "fill", "select", "press", "goto", "back", "scroll", ""]),
    role=st.sampled_from(["button", "link", "textbox", "checkbox", "radio"]),
    name=st.sampled_from(["Save", "Name"]),
)


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    steps = draw(st.lists(st.builds(Step, observation=OBSERVATION, action=ACTION), max_size=9))
    if draw(st.booleans()):
        steps.append(Step(observation=draw(OBSERVATION), action=Action(text=FINISH, kind="finish")))
    task = Task(instruction="go", environment="x", document="d")
    return Trajectory(task=task, agent="a", steps=tuple(steps), last=draw(OBSERVATION), stop="step_limit")


def enters(action: Action) -> bool:
    return action.kind in ENTERING or action.role in TOGGLES


def sends(action: Action) -> bool:
    return action.kind == "press" or action.role == "button"


# which spans


@settings(max_examples=60)
@given(trajectories())
def test_every_span_begins_and_ends_on_an_observation(trajectory):
    spans, n = all_spans(trajectory), actions_to_learn(trajectory)
    assert len(set(spans)) == len(spans) == n * (n + 1) // 2
    assert all(0 <= i < j <= n < len(trajectory.observations) for i, j in spans)
    assert all(action.kind != "finish" for action in trajectory.actions[:n])


@settings(max_examples=60)
@given(trajectories(), st.integers(0, 20), st.integers(0, 3))
def test_a_plan_holds_at_most_the_budget_of_different_spans_in_order(trajectory, budget, seed):
    spans = plan_spans(trajectory, budget, seed)
    assert len(spans) <= budget
    assert spans == sorted(set(spans))
    assert set(spans) <= set(all_spans(trajectory))
    assert all(sum(j == end for _, j in spans) <= PER_END for _, end in spans)
    assert plan_spans(trajectory, budget, seed) == spans


@settings(max_examples=60)
@given(trajectories(), st.integers(1, 8))
def test_a_smaller_budget_takes_some_of_what_a_larger_one_takes(trajectory, budget):
    assert set(plan_spans(trajectory, budget, 0)) <= set(plan_spans(trajectory, budget + 1, 0))


@settings(max_examples=60)
@given(trajectories())
def test_no_planned_span_holds_a_failed_action(trajectory):
    for i, j in plan_spans(trajectory, 99, 0):
        assert not any(observation.error for observation in trajectory.observations[i + 1 : j + 1])


@settings(max_examples=60)
@given(trajectories())
def test_no_planned_span_starts_inside_a_form(trajectory):
    seen = trajectory.observations
    for i, _ in plan_spans(trajectory, 99, 0):
        if i and enters(trajectory.actions[i - 1]):
            moved = seen[i].url.split("#")[0] != seen[i - 1].url.split("#")[0]
            assert moved or seen[i].digest != seen[i - 1].digest


@settings(max_examples=60)
@given(trajectories())
def test_no_planned_span_leaves_a_form_unsent(trajectory):
    for i, j in plan_spans(trajectory, 99, 0):
        actions = trajectory.actions[i:j]
        assert not enters(actions[-1])
        assert all(enters(after) or sends(after) for before, after in pairwise(actions) if enters(before))


@settings(max_examples=60)
@given(trajectories(), st.integers(0, 3))
def test_a_plan_takes_only_what_is_worth_something(trajectory, seed):
    assert all(worth(trajectory, i, j) > 0 for i, j in plan_spans(trajectory, 99, seed))


async def test_a_form_is_learned_whole_with_the_change_as_its_end():
    trajectory = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE, FINISH)
    spans = plan_spans(trajectory, 99, 0)
    assert (2, 4) in spans
    assert not {(2, 3), (1, 3), (0, 3), (3, 4)} & set(spans)
    assert max(j for _, j in spans) == 4


async def test_one_change_at_the_end_is_worth_more_than_a_walk_and_than_two_changes():
    trajectory = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE, MILK, DELETE)
    change = worth(trajectory, 2, 4)
    assert change > worth(trajectory, 0, 1) > 0
    assert change > worth(trajectory, 2, 6)
    assert plan_spans(trajectory, 1, 0)[0][1] in (4, 6)


async def test_a_form_that_was_left_teaches_nothing():
    trajectory = await walk("eggs", NOTES, NEW, title("Eggs"), HOME)
    assert worth(trajectory, 2, 4) <= 0
    assert not [span for span in plan_spans(trajectory, 99, 0) if span[1] == 4 and span[0] < 3]


async def test_nothing_is_planned_where_nothing_was_done():
    assert plan_spans(await walk("nothing"), 9, 0) == []
    assert plan_spans(await walk("nothing", FINISH), 9, 0) == []
    assert plan_spans(await walk("nothing", NOTES), 0, 0) == []


# idle steps


@settings(max_examples=60)
@given(trajectories())
def test_steps_after_which_everything_is_as_before_are_removed_and_no_others(trajectory):
    found = without_idle_steps(trajectory)
    seen = found.observations
    assert found.last.model_copy(update={"error": ""}) == trajectory.last.model_copy(update={"error": ""})
    assert set(found.actions) <= set(trajectory.actions)
    for step, before, after in zip(found.steps, seen[:-1], seen[1:], strict=True):
        same = (before.digest, before.url) == (after.digest, after.url)
        assert step.action.kind == "finish" or not (same and observation_key(before) == observation_key(after))
    assert without_idle_steps(found) is found


async def test_a_click_that_did_nothing_is_left_out():
    trajectory = await walk("eggs", NOTES, NEW, SAVE, title("Eggs"), SAVE)
    assert [action.name for action in without_idle_steps(trajectory).actions] == ["Notes", "New note", "Title", "Save"]


async def test_a_trajectory_without_idle_steps_stays_the_record_that_it_is():
    trajectory = await walk("eggs", NOTES, HOME, NOTES, FINISH)
    assert without_idle_steps(trajectory) is trajectory


async def test_a_failed_click_that_is_left_out_spoils_no_span_around_it():
    trajectory = without_idle_steps(await walk("eggs", NOTES, NOTHING, NEW))
    assert [action.name for action in trajectory.actions] == ["Notes", "New note"]
    assert worth(trajectory, 0, 2) > 0


# examples


async def test_the_forward_example_is_the_task_with_everything_but_the_finish():
    trajectory = await walk("Make a note of eggs", HELP, NOTES, NEW, FINISH, document="d1")
    example = forward_example(trajectory)
    assert example is not None
    assert (example.kind, example.instruction, example.document) == ("forward", "Make a note of eggs", "d1")
    assert (example.trajectory, example.start, example.end) == (trajectory.id, 0, 3)


@settings(max_examples=60)
@given(trajectories())
def test_the_forward_example_spans_every_action(trajectory):
    example = forward_example(trajectory)
    assert (example is None) == (actions_to_learn(trajectory) == 0)
    if example is not None:
        assert (example.start, example.end) == (0, actions_to_learn(trajectory))


@pytest.mark.parametrize(
    ("kind", "role", "reply", "text"),
    [
        ("abstract", "abstract", "Make a note of eggs", "Make a note of eggs"),
        ("summary", "summarise", "click Save", "Replicate the following: click Save"),
    ],
)
async def test_a_label_leads_back_to_its_span_trajectory_and_document(kind, role, reply, text):
    trajectory = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE, document="d1")
    model = Scripted([reply])
    example, usage = await label_span(model, trajectory, 2, 4, kind)
    [request] = model.requests
    assert (request.role, request.fields.start, request.fields.end) == (role, 2, 4)
    assert request.fields.trajectory == trajectory
    assert (example.kind, example.instruction, example.document) == (kind, text, "d1")
    assert (example.trajectory, example.start, example.end, usage.calls) == (trajectory.id, 2, 4, 1)


@pytest.mark.parametrize(("replies", "error"), [([ModelError("gone")], ModelError), (["", " "], ParseError)])
async def test_a_label_that_cannot_be_had_is_no_example(replies, error):
    trajectory = await walk("eggs", NOTES)
    with pytest.raises(error):
        await label_span(Scripted(replies), trajectory, 0, 1, "abstract")


async def test_of_examples_that_say_and_do_the_same_two_are_kept():
    walks = [await walk(name, NOTES, NEW) for name in ("one", "two", "three")]
    examples = [
        (Example(kind="abstract", instruction=text, trajectory=each.id, start=0, end=end), each)
        for each in walks
        for text, end in (("Open it", 2), ("Open it", 1), ("Show it", 2))
    ]
    kept = without_duplicates(examples)
    assert len(kept) == 6
    assert {trajectory.task.instruction for _, trajectory in kept} == {"one", "two"}
    assert without_duplicates(examples, most=3) == examples
