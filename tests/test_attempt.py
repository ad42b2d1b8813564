"""From documents to roll-outs: no more sections are asked than it takes, and as many roll-outs are made as wanted."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from evaluating import proposed_at_once
from fake_environment import LampEnvironments
from lbi.cli.estimate import counts, plan
from lbi.config import Config, resolve
from lbi.context import RunContext
from lbi.errors import ModelError
from lbi.evaluation.holdout import tasks_wanted
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring.progress import Progress
from lbi.protocols import PromptLimits, Request
from lbi.records import Document, Task
from lbi.rollouts.explorer import agent_for_rollouts
from lbi.rollouts.schedule import at_once, attempt_tasks
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import store_trimmed
from lbi.synthesis.propose import spread_over_sources

DOCUMENTS = [Document(text=f"Section {at}", source=f"page {at % 5}") for at in range(40)]
BENCHMARK = "lamps.toml"  # only whether there is one matters here


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        yield opened


def config_of(rollouts: int, *, seed: int = 0, benchmark: str = BENCHMARK, tasks: int = 0, **more: object) -> Config:
    raw = {"seeds": [seed], "benchmark": benchmark, "evaluation": {"tasks": tasks}, **more}
    return resolve({**raw, "synthesis": {"rollouts": rollouts, "tasks_per_document": 3, "step_limit": 4}}, "test")


def shop_of(folder: RunFolder, config: Config, reply: Callable[[Request], str] | None = None) -> RunContext:
    seen = Progress(Console(file=StringIO()), quiet=True)
    context = RunContext(folder=folder, config=config, progress=seen, environments=LampEnvironments(), prices=Prices())
    if reply is not None:
        context._models["offline"] = Scripted(reply)
    return context


def three_tasks(request: Request) -> str:
    return tasks_of(request, 3)


def tasks_of(request: Request, count: int) -> str:
    assert request.fields.document is not None
    name = request.fields.document.text
    return json.dumps([{"instruction": f"{name}, task {at}", "quote": ""} for at in range(count)])


def asked(context: RunContext) -> list[str]:
    model = context._models["offline"]
    assert isinstance(model, Scripted)
    return [request.fields.document.id for request in model.requests if request.fields.document is not None]


# which sections are asked


async def test_no_more_sections_are_asked_than_the_roll_outs_need(folder):
    context = shop_of(folder, config_of(10), three_tasks)
    tasks = await proposed_at_once(context, DOCUMENTS, "", 10)
    assert len(asked(context)) == len(set(asked(context))) == 4
    assert len(tasks) == len({task.id for task in tasks}) == 12
    assert len({task.document for task in tasks[:4]}) == 4, "the first tasks of all sections come first"


async def test_what_sections_fall_short_of_comes_from_further_ones(folder):
    order = [section.id for section in spread_over_sources(DOCUMENTS, 0)]

    def reply(request: Request) -> str:
        number = order.index(request.fields.document.id)
        if number == 1:
            raise ModelError("refused")
        return tasks_of(request, 1 if number == 2 else 3)

    context = shop_of(folder, config_of(10), reply)
    assert len(await proposed_at_once(context, DOCUMENTS, "", 10)) == 10
    assert sorted(asked(context), key=order.index) == order[:5]
    assert [row["key"] for row in folder.store.failures("task")] == [order[1]]


async def test_where_there_are_too_few_sections_all_of_them_are_asked_once(folder):
    context = shop_of(folder, config_of(10), lambda request: tasks_of(request, 1))
    assert len(await proposed_at_once(context, DOCUMENTS[:3], "", 10)) == 3
    assert len(asked(context)) == 3


@pytest.mark.parametrize("stop", range(6))
async def test_a_run_that_was_stopped_asks_for_what_is_missing_and_ends_as_any_other(tmp_path, stop):
    def reply(request: Request) -> str:
        return tasks_of(request, 1 + int(request.fields.document.text.split()[1]) % 3)

    with RunFolder(tmp_path / "undisturbed") as undisturbed:
        context = shop_of(undisturbed, config_of(12), reply)
        whole = await proposed_at_once(context, DOCUMENTS, "", 12)
        rows = undisturbed.store.all("task", Task)
    finished = random.Random(stop).sample(asked(context), stop)  # the others were on their way
    with RunFolder(tmp_path / "stopped") as stopped:
        stopped.store.put_many("task", [(key, task) for key, task in rows if task.document in finished])
        context = shop_of(stopped, config_of(12), reply)
        assert await proposed_at_once(context, DOCUMENTS, "", 12) == whole
        assert not set(finished) & set(asked(context))
        assert stopped.store.all("task", Task) == rows


@settings(max_examples=40)
@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 3))
def test_any_beginning_of_the_sections_is_spread_over_the_sources(sources, seed):
    sections = [Document(text=str(at), source=str(source)) for at, source in enumerate(sources)]
    order = spread_over_sources(sections, seed)
    assert sorted(section.text for section in order) == sorted(section.text for section in sections)
    assert spread_over_sources(sections, seed) == order
    whole = Counter(sources)
    for end in range(len(order) + 1):
        taken = Counter(int(section.source) for section in order[:end])
        open_ = [taken[source] for source in whole if taken[source] < whole[source]]
        assert not open_ or max(taken.values(), default=0) - min(open_) <= 1


def test_another_seed_asks_other_sections():
    assert spread_over_sources(DOCUMENTS, 0)[:5] != spread_over_sources(DOCUMENTS, 1)[:5]


# the plan


@pytest.mark.parametrize("documents", [3, 40])
@pytest.mark.parametrize(("benchmark", "held_out"), [(BENCHMARK, 0), ("", 0), ("", 7)])
async def test_the_plan_says_what_is_asked(folder, documents, benchmark, held_out):
    config = config_of(10, benchmark=benchmark, tasks=held_out)
    context = shop_of(folder, config, three_tasks)
    await proposed_at_once(context, DOCUMENTS[:documents], "", tasks_wanted(config))
    rows = plan(config, DOCUMENTS[:documents], 20 if benchmark else 0, "")
    assert next(row.calls for row in rows if row.stage == "propose") == len(asked(context))
    work = counts(config, documents, 20 if benchmark else 0)
    assert (work.sections, work.proposed, work.rollouts) == (len(asked(context)), folder.store.count("task"), 10)


def test_the_plan_counts_the_map_and_what_later_rounds_are_told():
    def tokens(**synthesis):
        config = config_of(30)
        config = config.model_copy(update={"synthesis": config.synthesis.model_copy(update=synthesis)})
        return next(row.input_tokens for row in plan(config, DOCUMENTS, 20, "") if row.stage == "propose")

    without = tokens(map_pages=0, tasks_per_round=0)
    sections, map_, covered = 10, PromptLimits().map / 4, 2 * PromptLimits().covered / 4
    assert tokens(tasks_per_round=0) - without == pytest.approx(sections * map_, rel=0.2)
    assert tokens(map_pages=0, tasks_per_round=24) - without == pytest.approx((sections - 8) * covered, rel=0.2)


@pytest.mark.parametrize(
    ("model", "agent", "environment", "attempts_with", "calls"),
    [
        ("offline", "", "web", "explore", 0),
        ("offline", "", "shell", "try_commands", 0),
        ("offline", "", "repository", "try_commands", 0),
        ("offline", "", "desktop", "explore", 0),
        ("offline", "", "osworld", "explore", 0),
        ("offline", "try_commands", "web", "try_commands", 0),
        ("openai:gpt-5", "try_commands", "shell", "try_commands", 0),
        ("openai:gpt-5", "", "web", "react", 10 * 4),
        ("openai:gpt-5", "icl", "web", "icl", 10 * 4),
        ("offline", "react", "web", "react", 10 * 4),
    ],
)
def test_the_plan_counts_no_calls_of_an_agent_that_asks_no_model(model, agent, environment, attempts_with, calls):
    config = config_of(10, models={"default": model}, environment=environment)
    config = config.model_copy(update={"synthesis": config.synthesis.model_copy(update={"agent": agent})})
    assert agent_for_rollouts(config) == attempts_with
    rows = plan(config, DOCUMENTS, 20, "")
    assert sum(row.calls for row in rows if row.stage == "attempt") == calls


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(0, 30))
def test_without_a_benchmark_there_are_tasks_for_both_sides(rollouts, held_out):
    config = config_of(rollouts, benchmark="", tasks=held_out)
    work = counts(config, 1000, 0)
    assert work.held_out >= max(1, held_out)
    assert work.proposed - 3 * max(1, round(0.2 * work.sections)) >= rollouts


# attempts


TASKS = [Task(instruction=f"Look at lamp {at}", environment="lamps") for at in range(3)]


async def test_where_tasks_are_few_they_are_attempted_again_and_otherwise(folder):
    context = shop_of(folder, config_of(11))
    found = await attempt_tasks(context, at_once(TASKS), 0)
    assert [trajectory.attempt for trajectory in found] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert folder.store.keys("trajectory") == {f"0/{t.task.id}/{t.attempt}" for t in found}
    walks = {(t.task.id, tuple(action.grounded for action in t.actions)) for t in found}
    assert len(walks) > 3, "a further attempt is not the first one over again"
    trimmed = [t for each in found if (t := await store_trimmed(context, each, 0)).steps]
    assert folder.store.keys("trimmed") == {f"0/{t.task.id}/{t.attempt}" for t in trimmed if t not in found}


async def test_attempts_that_are_stored_are_not_run_again(folder, tmp_path):
    whole = await attempt_tasks(shop_of(folder, config_of(8)), at_once(TASKS), 0)
    with RunFolder(tmp_path / "stopped") as stopped:
        stopped.store.put_many("trajectory", [(f"0/{t.task.id}/{t.attempt}", t) for t in whole[:5]])
        context = shop_of(stopped, config_of(8))
        assert await attempt_tasks(context, at_once(TASKS), 0) == whole
    again = shop_of(folder, config_of(8))
    assert await attempt_tasks(again, at_once(TASKS), 0) == whole
    assert again.environments.opened == []


async def test_a_model_is_asked_for_another_sample_at_each_attempt(folder):
    config = config_of(5, models={"default": "offline"})
    config = config.model_copy(update={"synthesis": config.synthesis.model_copy(update={"agent": "react"})})
    context = shop_of(folder, config, lambda _: 'REASON: done\nACTION: finish("")')
    await attempt_tasks(context, at_once(TASKS[:2]), 4)
    model = context._models["offline"]
    assert isinstance(model, Scripted)
    samples = [(request.sample, request.temperature > 0) for request in model.requests]
    assert len(samples) == 5
    assert samples[:2] == [(4, False)] * 2
    assert len({sample for sample, _ in samples}) == 3
    assert all(warm for _, warm in samples[2:])


async def test_no_more_is_attempted_than_asked_for_and_nothing_where_there_is_no_task(folder):
    assert len(await attempt_tasks(shop_of(folder, config_of(2)), at_once(TASKS), 0)) == 2
    assert await attempt_tasks(shop_of(folder, config_of(2)), at_once([]), 1) == []
