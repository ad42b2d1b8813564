"""OSWorld's format on a real desktop: config, solution, postconfig, getters and metrics, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from evaluating import evaluated
from lbi.benchmarks.osworld import create, load
from lbi.benchmarks.osworld import environment as module
from lbi.benchmarks.osworld.environment import OSWorldEnvironment
from lbi.config import Config
from lbi.context import open_context
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.evaluation.statistics import summarise
from lbi.records import Task
from needs_desktop import needs_desktop
from running import lbi
from small_osworld import FOLDER, TASKS, write_checkout

pytestmark = needs_desktop
LIST = """python("import os; print(os.listdir('/home/user/Desktop'))")"""
RENAME = """python("import os; os.rename('/home/user/Desktop/old', '/home/user/Desktop/new')")"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkout(tmp_path_factory.mktemp("suite"))


@pytest_asyncio.fixture
async def environment(checkout: Path) -> AsyncIterator[OSWorldEnvironment]:
    environments = create(Config(environment="osworld", checkout=str(checkout)), lambda png: "")
    try:
        yield await environments.open()
    finally:
        await environments.close()


def task_of(checkout: Path, name: str) -> Task:
    benchmark = load("", str(checkout))
    return benchmark.tasks("osworld", [task for task in benchmark.task if task.name == name])[0]


def test_a_set_is_proved_and_a_broken_task_stops_no_other(checkout: Path) -> None:
    done = lbi("check", "benchmark", "osworld:editor/list,os/raises,os/unknown", checkout, "--json")
    assert done.returncode == 1, done.stderr[-2000:]  # the metric that raises
    rows = {row["task"]: row for row in json.loads(done.stdout)}
    assert (rows["list"]["gold"], rows["list"]["nothing"]) == (
        1,
        0,
    )  # the reference, put where the result is looked for
    assert (rows["raises"]["passed"], rows["raises"]["nothing"]) == (False, None)
    assert "raised KeyError: 'a column that is not there', in diff_text_file" in rows["raises"]["found"]
    assert rows["unknown"]["found"].startswith("not runnable: unknown to these evaluators")


async def test_what_is_typed_is_saved_by_the_postconfig_and_judged(
    environment: OSWorldEnvironment, checkout: Path
) -> None:
    task = task_of(checkout, "note")
    seen = await environment.reset(task)
    assert "order a pump" in seen.text
    assert (await environment.score(task, ""))[0] == 0.0
    await environment.step('press("Control+End")')
    typed = await environment.step('type("new ropes")')
    assert "new ropes" in typed.observation.text
    assert await environment.score(task, "") == (1.0, "compare_text_file: 1; check_include_exclude: 1")


async def test_commands_run_as_there_and_episodes_know_nothing_of_each_other(
    environment: OSWorldEnvironment, checkout: Path
) -> None:
    task = task_of(checkout, "folder")
    await environment.reset(task)
    assert await environment.score(task, "") == (0.0, "exact_match does not hold")
    await environment.step(RENAME)
    assert await environment.score(task, "") == (1.0, "exact_match: 1")
    assert (await environment.score(task, "infeasible"))[0] == 0.0  # it was feasible, whatever was done
    await environment.reset(task)
    listed = await environment.step(LIST)
    assert "the snippet printed: ['old']" in listed.observation.text


async def test_a_task_is_called_infeasible_in_the_words_of_osworlds_agents(
    environment: OSWorldEnvironment, checkout: Path
) -> None:
    cannot = task_of(checkout, "cannot")
    await environment.reset(cannot)
    ended = await environment.step("FAIL")
    assert ended.done
    assert (await environment.score(cannot, ended.answer))[0] == 1.0
    assert (await environment.score(cannot, ""))[0] == 0.0


async def test_what_breaks_is_the_harness_and_not_the_agent(environment: OSWorldEnvironment, checkout: Path) -> None:
    with pytest.raises(
        EnvironmentFailure, match=r"os/not-started did not begin: step 1 of its config \(launch\): gimp"
    ):
        await environment.reset(task_of(checkout, "not-started"))
    raises = task_of(checkout, "raises")
    await environment.reset(raises)
    with pytest.raises(ScoreError, match="raised KeyError"):
        await environment.score(raises, "")
    with pytest.raises(ScoreError, match="is none of this checkout"):
        await environment.score(raises.model_copy(update={"check": None}), "")


async def test_a_file_that_an_agent_spoilt_scores_0(environment: OSWorldEnvironment, checkout: Path) -> None:
    task = task_of(checkout, "list")
    await environment.reset(task)
    await environment.step("""python("open('/home/user/Desktop/list.txt', 'wb').write(bytes([255]))")""")
    score, reason = await environment.score(task, "")
    assert score == 0.0
    assert reason.startswith("compare_text_file cannot read what is to be judged (UnicodeDecodeError: ")


async def test_what_breaks_is_in_no_rate_and_the_rest_is_measured(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that does not start, and a metric that raises, before a task that is whole."""
    monkeypatch.setattr(module, "TRIES", 1)
    told = {"arms": [{"name": "baseline", "agent": "react"}], "step_limit": 1}
    config = Config.model_validate({"environment": "osworld", "checkout": str(checkout), "evaluation": told})
    tasks = [task_of(checkout, name) for name in ("not-started", "raises", "folder")]
    async with open_context(config, tmp_path / "run") as context:
        results = await evaluated(context, tasks, 0, [], [])
    assert {each.task: each.fault for each in results} == {
        "not-started": "environment",
        "raises": "harness",
        "folder": "",
    }
    (arm,) = summarise(results)
    assert (arm.results, arm.environment_faults, arm.harness_faults) == (1, 1, 1)


async def test_a_file_that_is_gone_when_a_task_begins_is_told(tmp_path: Path) -> None:
    settings = write_checkout(tmp_path, only=("editor/list",))
    task = task_of(settings, "list")
    (tmp_path / "files" / "editor" / "list" / "list.txt").unlink()
    environments = create(Config(environment="osworld", checkout=str(settings)), lambda png: "")
    try:
        environment = await environments.open()
        with pytest.raises(EnvironmentFailure, match=r"no given folder has list\.txt"):
            await environment.reset(task)
    finally:
        await environments.close()


async def test_steps_of_another_form_are_a_failure_of_the_harness_at_the_beginning_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = {"type": "sleep", "parameters": {"seconds": "soon"}}
    monkeypatch.setitem(TASKS, "os/begin", {**FOLDER, "config": [step]})
    monkeypatch.setitem(TASKS, "os/end", {**FOLDER, "evaluator": {**FOLDER["evaluator"], "postconfig": [step]}})  # type: ignore[dict-item]
    settings = write_checkout(tmp_path, only=("os/begin", "os/end"))
    environments = create(Config(environment="osworld", checkout=str(settings)), lambda png: "")
    told = r"step 1 \(sleep\) is none of OSWorld's: could not convert string to float: 'soon'"
    try:
        environment = await environments.open()
        with pytest.raises(EnvironmentFailure, match=f"os/begin did not begin: {told}"):
            await environment.reset(task_of(settings, "begin"))
        await environment.reset(task_of(settings, "end"))
        with pytest.raises(ScoreError, match=f"the task's postconfig: {told}"):
            await environment.score(task_of(settings, "end"), "")
    finally:
        await environments.close()


def test_the_fixture_covers_every_kind_of_step() -> None:
    kinds = {step["type"] for task in TASKS.values() if isinstance(task, dict) for step in task.get("config", [])}
    assert {"download", "open", "execute", "launch"} <= kinds
