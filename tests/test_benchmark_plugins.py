"""Benchmarks that are plug-ins: parts of them are chosen by name, and they are proved before anybody pays for a run."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lbi import plugins
from lbi.cli.options import RunOptions, configured
from lbi.cli.preflight import check_config
from lbi.config import Config
from lbi.environments import open_environments
from lbi.environments.web.checks import evaluate
from lbi.errors import ScoreError, UserError
from lbi.evaluation.benchmark import load_benchmark, load_benchmarks
from lbi.records import Check, Task
from running import answer, lbi_here


@pytest.fixture(autouse=True)
def riddles(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("riddles", "fake_benchmark", "lbi.benchmarks")
    scanned = plugins._scanned
    monkeypatch.setattr(
        plugins, "_scanned", lambda group, path: (*scanned(group, path), *([entry] if group == entry.group else []))
    )


def test_parts_of_a_benchmark_are_chosen_behind_its_name() -> None:
    assert [task.name for task in load_benchmark("riddles:right,away", "here").task] == ["right", "away"]
    assert [task.name for task in load_benchmarks(["riddles:right"], "here").task] == ["right"]


def test_what_is_faulty_or_cannot_be_run_is_measured_by_no_run() -> None:
    benchmark = load_benchmark("riddles", "here")
    assert [task.name for task in benchmark.tasks("web")] == [task.name for task in benchmark.runnable]
    assert [task.name for task in benchmark.runnable] == ["right", "wrong"]


async def test_a_run_of_tasks_that_cannot_be_run_does_not_begin() -> None:
    config = Config(url="http://127.0.0.1:9", benchmark="riddles:away", checkout="here")
    with pytest.raises(UserError, match="no task of the benchmark riddles can be run: its site is not here"):
        await check_config(config)


def test_a_benchmark_that_proves_itself_says_of_each_task_what_it_found() -> None:
    ran = lbi_here("check", "benchmark", "riddles", "here", "--json")
    assert ran.returncode == 1
    rows = {row["task"]: row for row in json.loads(ran.stdout)}
    assert rows["right"] == {
        **{"what": "riddles: right", "task": "right", "passed": True, "gold": 1.0, "nothing": 0.0, "found": ""}
    }
    assert (rows["wrong"]["passed"], rows["wrong"]["found"]) == (False, "wrong in here")
    assert (rows["faulty"]["passed"], rows["faulty"]["found"]) == (True, "faulty: nobody knows; faulty in here")
    assert (rows["away"]["passed"], rows["away"]["gold"]) == (True, 1.0)
    assert rows["away"]["found"].startswith("not runnable: its site is not here")


def test_what_is_told_apart_counts_as_neither_passed_nor_failed() -> None:
    assert "1 of 2 passed; 1 not runnable, 1 faulty" in lbi_here("check", "benchmark", "riddles", "here").stdout
    only = lbi_here("check", "benchmark", "riddles", "here", "--task", "right")
    assert (only.returncode, "1 of 1 passed" in only.stdout) == (0, True)
    two = answer("check", "benchmark", "riddles", "here", "--task", "right,faulty", here=True)
    assert sorted(row["task"] for row in two) == ["faulty", "right"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("benchmark", "riddles"), "riddles: give a checkout"),
        (("benchmark", "riddles", "here", "--task", "right,rihgt"), "has no task 'rihgt'; nearest: right"),
        (("browser", "any", "here"), "only a benchmark takes a checkout"),
        (("benchmark", "ridles"), "no benchmark 'ridles'"),
    ],
)
def test_a_check_of_what_there_is_not_is_one_line(arguments: tuple[str, ...], complaint: str) -> None:
    ran = lbi_here("check", *arguments)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert complaint in ran.stderr


def test_a_benchmark_without_an_environment_of_its_own_is_none() -> None:
    with pytest.raises(UserError, match="the benchmark 'riddles' brings no environment of its own"):
        open_environments(Config(environment="riddles"), lambda image: "")


def test_a_benchmark_without_a_config_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the benchmark riddles names no config; write one with benchmark = 'riddles:"):
        configured(RunOptions(Path("riddles:right")))


def test_a_checkout_is_meant_from_where_the_config_lies(tmp_path: Path) -> None:
    (tmp_path / "lbi.toml").write_text('url = "http://127.0.0.1:9"\nbenchmark = "riddles"\ncheckout = "here"\n')
    config, _ = configured(RunOptions(tmp_path / "lbi.toml"))
    assert config.checkout == str(tmp_path / "here")
    config, _ = configured(RunOptions(tmp_path / "lbi.toml", checkout=tmp_path / "there"))
    assert config.checkout == str(tmp_path / "there")


async def test_only_the_environment_of_the_benchmark_grades_its_tasks() -> None:
    with pytest.raises(ScoreError, match="only the environment of the task's own benchmark"):
        await evaluate(Check(grader="riddle"), "", "", "", None)  # type: ignore[arg-type]


def test_the_new_field_of_a_check_changes_no_id_of_tasks_without_it() -> None:
    task = Task(instruction="Count", environment="web", check=Check(answer=("2",)))
    assert "grader" not in task.model_dump(mode="json")["check"]
    assert Check(grader="a").model_dump()["grader"] == "a"
