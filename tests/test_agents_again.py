"""Agents that begin again within an episode: Reflexion with lessons, LATS with a tree of states."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import replace

import pytest

from fake_environment import LampEnvironment
from lbi.agents import AgentParts, open_agent
from lbi.agents.lats import Lats
from lbi.cli.estimate import plan
from lbi.config import resolve
from lbi.errors import EnvironmentFailure, ModelBusy, ModelError
from lbi.models.providers.scripted import Scripted
from lbi.prompts import render
from lbi.protocols import Allowance, Request
from lbi.records import Check, Observation, Task, Trajectory, Usage
from lbi.rollouts.loop import rollout

TASK = Task(
    instruction='Make the lamp "Tall lamp" red, and change nothing else',
    environment="lamps",
    check=Check(shows=("8 Tall lamp red",)),
)
OPEN, FILL, SAVE = 'goto("/lamps/8")', 'fill(textbox "Colour", "red")', 'click(button "Save")'
RIGHT = [OPEN, FILL, SAVE, 'finish("")']
WRONG = ['goto("/lamps/7")', FILL, SAVE, 'finish("")']


def act(action: str) -> str:
    return f"REASON: as planned\nACTION: {action}"


def verdict(good: bool, reason: str = "the wrong lamp is red") -> str:
    word = str(good).lower()
    return f'{{"reason": "{reason}", "aligned": {word}, "coherent": true, "natural": true, "reasonable": true}}'


def text_of(request: Request) -> str:
    return "\n".join(message.content for message in render(request))


# Reflexion


def learns(request: Request) -> str:
    """Acts wrongly until it is told of the lamp's number."""
    if request.role == "act":
        knows = "number 8" in text_of(request)
        return act((RIGHT if knows else WRONG)[len(request.fields.history)])
    if request.role == "judge":
        assert request.fields.trajectory is not None
        last = request.fields.trajectory.last
        return verdict('"red"' in last.text and last.url == "/lamps/8")
    return "LESSON: I opened the lamp number 7; I will open\nnumber 8."


async def test_reflexion_begins_again_with_what_it_learnt() -> None:
    model = Scripted(learns)
    lamps = LampEnvironment()
    trajectory = await rollout(lamps, open_agent("reflexion", AgentParts(model=model, stage="s")), TASK, 6)
    assert [step.action.text for step in trajectory.steps] == RIGHT
    assert trajectory.agent == "reflexion"
    assert (await lamps.score(TASK, trajectory.answer))[0] == 1.0
    assert "7 Green lamp green" in lamps.state, "the trial that failed left nothing behind"
    assert Counter(request.role for request in model.requests) == {"act": 8, "judge": 2, "reflect": 1}
    assert {request.stage for request in model.requests} == {"s"}
    first, second = (text_of(request) for request in (model.requests[0], model.requests[-2]))
    assert "EARLIER TRIALS" not in first
    assert "- I opened the lamp number 7; I will open number 8." in second
    [reflect] = [request for request in model.requests if request.role == "reflect"]
    assert "the wrong lamp is red" in text_of(reflect)
    assert "8 Tall lamp red" not in "".join(map(text_of, model.requests)), "the check is shown to nobody"


async def test_reflexion_counts_the_calls_of_all_trials_judges_and_lessons() -> None:
    class Paid(Scripted):
        async def complete(self, request: Request):
            reply = await super().complete(request)
            return reply.model_copy(update={"usage": Usage(calls=1, output_tokens=10, cost=0.5)})

    model = Paid(learns)
    trajectory = await rollout(LampEnvironment(), open_agent("reflexion", AgentParts(model=model)), TASK, 6)
    assert (trajectory.usage.calls, trajectory.usage.cost) == (len(model.requests), 0.5 * len(model.requests))
    assert sum(step.usage.calls for step in trajectory.steps) == 4
    free = await rollout(LampEnvironment(), open_agent("reflexion", AgentParts(model=Scripted(learns))), TASK, 6)
    assert free.id == trajectory.id, "what it cost is no part of what happened"


async def test_reflexion_has_three_trials() -> None:
    def never(request: Request) -> str:
        return learns(request) if request.role == "act" else verdict(False) if request.role == "judge" else "Try again."

    model = Scripted(never)
    trajectory = await rollout(LampEnvironment(), open_agent("reflexion", AgentParts(model=model)), TASK, 6)
    assert Counter(request.role for request in model.requests) == {"act": 12, "judge": 2, "reflect": 2}
    assert [step.action.text for step in trajectory.steps] == WRONG


async def test_a_judge_who_cannot_be_read_ends_the_trials_and_costs_nothing_that_was_done() -> None:
    def mumbles(request: Request) -> str:
        return "Hm." if request.role == "judge" else learns(request)

    trajectory = await rollout(LampEnvironment(), open_agent("reflexion", AgentParts(model=Scripted(mumbles))), TASK, 6)
    assert (trajectory.stop, len(trajectory.steps)) == ("done", 4)


@pytest.mark.parametrize("agent", ["reflexion", "lats"])
@pytest.mark.parametrize("role", ["act", "judge", "reflect", "value"])
async def test_an_outage_is_never_the_agents(agent: str, role: str) -> None:
    asked = {"reflexion": ("act", "judge", "reflect"), "lats": ("act", "value")}[agent]
    if role not in asked:
        return

    def down(request: Request) -> str | Exception:
        return ModelBusy("try later") if request.role == role else searches(request)

    with pytest.raises(EnvironmentFailure) as caught:
        await rollout(LampEnvironment(), open_agent(agent, AgentParts(model=Scripted(down))), TASK, 6)
    assert caught.value.kind == "provider"


# LATS


def searches(request: Request) -> str:
    """Of five samples most go wrong; the value tells which do not."""
    if request.role == "act":
        step = len(request.fields.history)
        return act(RIGHT[min(step, 3)] if request.sample % 5 == 3 else WRONG[min(step, 3)])
    if request.role == "value":
        actions = [step.action.text for step in request.fields.history]
        good = actions == RIGHT[: len(actions)]
        return f"REASON: r\nVALUE: {5 + len(actions) if good else 1}"
    return learns(request)


async def test_lats_finds_the_way_that_few_samples_take() -> None:
    model = Scripted(searches)
    lamps = LampEnvironment()
    trajectory = await rollout(lamps, open_agent("lats", AgentParts(model=model, stage="s")), TASK, 6)
    assert [step.action.text for step in trajectory.steps] == RIGHT
    assert (trajectory.agent, trajectory.stop) == ("lats", "done")
    assert (await lamps.score(TASK, trajectory.answer))[0] == 1.0
    assert "7 Green lamp green" in lamps.state, "what was tried elsewhere was put back"
    samples = [request.sample for request in model.requests if request.role == "act"]
    assert samples == list(range(5)) * (len(samples) // 5)
    assert {request.temperature for request in model.requests if request.role == "act"} == {1.0}
    values = [request for request in model.requests if request.role == "value"]
    assert len(values) <= len(samples), "an action that several samples agree on is tried once"
    assert trajectory.usage.calls == trajectory.beside.calls


class KeepingLamps(LampEnvironment):
    """Keeps states by copies of what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, tuple[dict[str, object], Observation]] = {}
        self.resets = self.returns = self.keeps = 0

    async def reset(self, task: Task) -> Observation:
        self.resets += 1
        return await super().reset(task)

    async def keep_state(self) -> str:
        self.keeps += 1
        ours = ("kept", "resets", "returns", "keeps")
        about = copy.deepcopy({name: value for name, value in vars(self).items() if name not in ours})
        self.kept[str(self.keeps)] = about, self.look()
        return str(self.keeps)

    async def return_to(self, state: str) -> Observation:
        self.returns += 1
        about, seen = self.kept[state]
        vars(self).update(copy.deepcopy(about))
        return seen

    async def drop_state(self, state: str) -> None:
        del self.kept[state]


async def test_lats_goes_back_to_states_that_the_environment_keeps_and_drops_them() -> None:
    repeating, keeping = LampEnvironment(), KeepingLamps()
    both = [
        await rollout(lamps, open_agent("lats", AgentParts(model=Scripted(searches), stage="s")), TASK, 6)
        for lamps in (repeating, keeping)
    ]
    assert [step.action.text for step in both[1].steps] == RIGHT
    assert [each.answer for each in both] == [both[0].answer] * 2
    assert (await keeping.score(TASK, both[1].answer))[0] == 1.0
    assert keeping.returns > 1
    assert keeping.resets < 2 + keeping.returns, "only the beginning is reset to"
    assert keeping.kept == {}


async def test_lats_values_a_state_by_the_model_and_by_agreement() -> None:
    def flat(request: Request) -> str:
        if request.role == "value":
            return "VALUE: 5"
        return act(OPEN if request.sample < 2 else 'goto("/lamps/7")')

    agent = Lats(AgentParts(model=Scripted(flat)), expansions=1)
    trajectory = await rollout(LampEnvironment(), agent, TASK, 6)
    # 0.8 * 0.5 + 0.2 * 3/5 is more than 0.8 * 0.5 + 0.2 * 2/5
    assert [step.action.text for step in trajectory.steps] == ['goto("/lamps/7")']
    assert trajectory.stop == "step_limit"


async def test_lats_goes_no_deeper_than_the_step_limit() -> None:
    deepest = 0

    def wanders(request: Request) -> str:
        nonlocal deepest
        deepest = max(deepest, len(request.fields.history))
        return "VALUE: 5" if request.role == "value" else act(f'goto("/lamps/{7 + request.sample % 3}")')

    trajectory = await rollout(LampEnvironment(), open_agent("lats", AgentParts(model=Scripted(wanders))), TASK, 2)
    assert deepest == 2, "a state at the limit has a value, and nothing is sampled there"
    assert len(trajectory.steps) <= 2


async def test_a_model_that_fails_for_good_leaves_lats_with_what_it_has() -> None:
    asked = 0

    def dies(request: Request) -> str | Exception:
        nonlocal asked
        asked += 1
        return ModelError("gone") if asked > 12 else searches(request)

    trajectory = await rollout(LampEnvironment(), open_agent("lats", AgentParts(model=Scripted(dies))), TASK, 6)
    assert trajectory.stop == "model_failure"
    assert re.search("gone", trajectory.error)
    assert trajectory.steps


async def test_a_reply_that_has_no_end_costs_lats_one_sample_and_not_the_search() -> None:
    """As small models write them, of one state in a few."""
    broken = 0

    def goes_on(request: Request) -> str | Exception:
        nonlocal broken
        said = searches(request)
        wrong = request.role == "value" and said.endswith("VALUE: 1")
        broken += wrong
        return ModelError("cut off", kind="truncated") if wrong else said

    trajectory = await rollout(LampEnvironment(), open_agent("lats", AgentParts(model=Scripted(goes_on))), TASK, 6)
    assert broken
    assert (trajectory.stop, trajectory.error) == ("done", "")
    assert [step.action.text for step in trajectory.steps] == RIGHT


async def test_of_a_model_without_a_usable_reply_lats_says_what_was_wrong() -> None:
    def endless(request: Request) -> Exception:
        return ModelError("the reply was cut off", kind="truncated")

    trajectory = await rollout(LampEnvironment(), open_agent("lats", AgentParts(model=Scripted(endless))), TASK, 6)
    assert (trajectory.stop, trajectory.error, trajectory.steps) == ("model_failure", "the reply was cut off", ())


# the best of several tries


async def test_best_of_tries_again_until_a_judge_accepts_and_counts_all_of_it() -> None:
    def tries(request: Request) -> str:
        if request.role == "judge":
            trajectory = request.fields.trajectory
            return verdict(trajectory is not None and trajectory.last.url == "/lamps/8")
        return act((RIGHT if request.sample else WRONG)[len(request.fields.history)])

    model = Scripted(tries)
    lamps = LampEnvironment()
    trajectory = await rollout(lamps, open_agent("best_of", AgentParts(model=model, stage="s")), TASK, 6)
    assert (trajectory.agent, trajectory.stop, trajectory.last.url) == ("best_of", "done", "/lamps/8")
    assert [request.role for request in model.requests].count("judge") == 2
    assert trajectory.usage.calls == len(model.requests) == 10
    samples = {(request.sample, request.temperature > 0) for request in model.requests if request.role == "act"}
    assert samples == {(0, False), (1, True)}, "the first try is the baseline's, the next one another sample"
    assert (await lamps.score(TASK, ""))[0] == 1.0


async def test_best_of_ends_with_its_last_try_where_none_is_accepted() -> None:
    model = Scripted(
        lambda request: verdict(False) if request.role == "judge" else act(WRONG[len(request.fields.history)])
    )
    trajectory = await rollout(LampEnvironment(), open_agent("best_of", AgentParts(model=model)), TASK, 6)
    assert trajectory.stop == "done"
    assert [request.role for request in model.requests].count("judge") == 2, "the last try is not judged"
    assert trajectory.usage.calls == len(model.requests) == 14


# as much as another episode took


@pytest.mark.parametrize("tokens", [True, False])
async def test_a_plain_agent_takes_as_many_steps_as_it_is_given_tokens_or_calls_for(tokens: bool) -> None:
    async def walked(limit: int, allowance: Allowance | None = None) -> Trajectory:
        model = Scripted(lambda request: act(OPEN))
        agent = open_agent("react", AgentParts(model=model))
        return await rollout(LampEnvironment(), agent, TASK, limit, allowance=allowance)

    other = await walked(7)
    given = Allowance.of(other.usage if tokens else Usage(calls=7))
    assert given.of_calls is not tokens
    assert (await walked(50, given)).steps == other.steps, "no more and no fewer, whatever the step limit"
    one_more = replace(given, amount=given.amount + given.spent(other.steps[-1].usage))
    assert len((await walked(50, one_more)).steps) == 8
    assert len((await walked(50, Allowance(0))).steps) == 1


async def test_best_of_tries_on_while_most_of_a_try_fits_and_repeats_no_sample_of_another_seed() -> None:
    async def tried(calls: int, seed: int = 0) -> tuple[int, set[tuple[int, float]]]:
        model = Scripted(
            lambda request: verdict(False) if request.role == "judge" else act(WRONG[len(request.fields.history)])
        )
        agent = open_agent("best_of", AgentParts(model=model, sample=seed))
        allowance = Allowance(calls, of_calls=True)
        trajectory = await rollout(LampEnvironment(), agent, TASK, 6, allowance=allowance)
        assert trajectory.usage.calls == len(model.requests)
        return len(model.requests), {(r.sample, r.temperature) for r in model.requests if r.role == "act"}

    # a try is four calls, and one of the judge before the next
    assert [(await tried(calls))[0] for calls in (1, 5, 9, 14, 22)] == [4, 4, 9, 14, 24]
    assert not (await tried(60, seed=0))[1] & (await tried(60, seed=1))[1]


# what they cost


def test_a_dry_run_gives_a_control_the_tokens_of_its_model() -> None:
    arms = [
        {"name": "baseline", "agent": "react"},
        {"name": "long", "agent": "react", "step_factor": 3.0},
        {"name": "control", "agent": "best_of", "spends_as": "long"},
    ]
    config = resolve({"evaluation": {"step_limit": 4, "arms": arms}}, "test")
    tokens: Counter[str] = Counter()
    for row in plan(config, [], 10, "click(e12)"):
        tokens[row.stage] += row.input_tokens + row.output_tokens
    assert tokens["evaluate: control"] == pytest.approx(tokens["evaluate: long"], rel=0.01)


def test_a_dry_run_knows_how_often_they_ask() -> None:
    arms = [{"name": name, "agent": name} for name in ("react", "best_of", "reflexion", "lats")]
    config = resolve({"evaluation": {"step_limit": 4, "arms": arms, "reference": "react"}}, "test")
    rows = plan(config, [], 10, "click(e12)")
    calls = {(row.stage.removeprefix("evaluate: "), row.role): row.calls for row in rows if "evaluate" in row.stage}
    assert calls == {
        ("react", "act"): 40,
        ("best_of", "act"): 120,
        ("best_of", "judge"): 20,
        ("reflexion", "act"): 120,
        ("reflexion", "judge"): 20,
        ("reflexion", "reflect"): 20,
        ("lats", "act"): 500,
        ("lats", "value"): 500,
    }
    assert all(row.input_tokens > 100 * row.calls for row in rows if "evaluate" in row.stage)
