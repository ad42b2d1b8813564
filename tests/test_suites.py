"""Suites from a checkout: pages without tasks and verifiers, verifiers as they are written, the whole method."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lbi.benchmarks import webarena_infinity
from lbi.benchmarks.webarena_infinity.verify import CANNOT_TELL
from lbi.cli.app import app
from lbi.cli.trials import check_benchmark
from lbi.environments.web.actions import parse_action
from lbi.environments.web.application import load_application
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.errors import ScoreError, UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.records import Task
from lbi.sandbox.host import plain, run_on_host
from lbi.storage.run_folder import RunFolder
from suite_checkout import GOLD, write_checkout

BROWSER = pytest.mark.browser
RUNNER = CliRunner()
SUITE = resources.files(webarena_infinity.__name__)


def written(tmp_path: Path, *more: str) -> Path:
    """The files of the application, with its gold solutions; returns their folder."""
    checkout = write_checkout(tmp_path / "checkout", more=more)
    folder = webarena_infinity.write("plants", checkout, tmp_path / "files").parent
    (folder / "gold.json").write_text(json.dumps(GOLD))
    return folder


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[WebEnvironment]:
    environments = WebEnvironments(folder / "application.toml", cache=folder / "cache")
    try:
        yield await environments.open()
    finally:
        await environments.close()


def tasks(folder: Path) -> dict[str, Task]:
    return {task.name: task for task in load_benchmark(str(folder / "tasks.toml")).tasks("plants")}


def test_pages_come_without_tasks_and_verifiers_and_the_manual_with_what_it_leads_to(tmp_path: Path) -> None:
    application = load_application(written(tmp_path) / "application.toml")
    assert sorted(Path(path).name for path in application.prepare.copy_) == ["css", "index.html", "js", "server.py"]
    manual = [Path(source.path).name for source in application.documents]
    assert manual == ["index.md", "watering.md", "adding.md"]
    assert application.requirements == ()
    assert application.description == "Plants and when they were watered."


def test_without_a_manifest_the_manual_is_the_folder_of_the_application(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path, "plants-care")
    (checkout / "infra/env_manifest.jsonl").unlink()
    assert webarena_infinity.manual_of("plants-care", checkout) == [checkout / "apps/user-manuals/plants/care"]
    assert webarena_infinity.manual_of("plants-other", checkout) == [checkout / "apps/user-manuals/plants"]
    assert webarena_infinity.manual_of("stones", checkout) == []


def test_tasks_are_read_from_the_suites_own_file(tmp_path: Path) -> None:
    found = tasks(written(tmp_path))
    assert {name: (task.category, task.level) for name, task in found.items()} == {
        "task_e1": ("easy", 1),
        "task_m1": ("medium", 2),
    }
    check = found["task_m1"].check
    assert check is not None
    assert check.command[0] == "{python}"
    assert check.command[-2:] == ("real-tasks/task_m1.py", "{url}")
    assert found["task_e1"].gold == tuple(GOLD["task_e1"])


def test_an_application_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no application 'stones'; there are: plants"):
        webarena_infinity.write("stones", write_checkout(tmp_path), tmp_path / "files")
    with pytest.raises(UserError, match="it has no apps/NAME"):
        webarena_infinity.write("stones", tmp_path / "nowhere", tmp_path / "files")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "webarena-infinity:plants"], "needs --checkout FOLDER"),
        (["run", "webarena-infinity:plants", "--checkout", "nowhere"], "nowhere is no folder"),
        (["reproduce", "retrieval", "webarena-infinity:plants"], "needs --checkout FOLDER"),
        (["reproduce", "retrieval", "webarena-infinity:plants", "--checkout", "nowhere"], "nowhere is no folder"),
        (["check", "benchmark", "webarena-infinity:plants"], "needs --checkout FOLDER"),
        (["check", "application", "webarena-infinity:plants", "nowhere"], "--checkout nowhere is no folder"),
    ],
)
def test_what_is_missing_is_said_in_one_line(arguments: list[str], said: str) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("name", [file.name for file in SUITE.joinpath("gold").iterdir()])
def test_our_solutions_are_readable_and_end(name: str) -> None:
    gold = webarena_infinity.gold_of(name.removesuffix(".toml"))
    assert len(gold) >= 10
    for actions in gold.values():
        kinds = [parse_action(action).kind for action in actions]
        assert kinds.index("finish") == len(kinds) - 1


# verifiers


@pytest.mark.parametrize(
    ("verifier", "code", "said"),
    [
        ("real-tasks/task_e1.py", CANNOT_TELL, "the site has no state"),
        ("real-tasks/task_import.py", CANNOT_TELL, "ModuleNotFoundError"),
        ("real-tasks/nowhere.py", CANNOT_TELL, "FileNotFoundError"),
    ],
)
def test_a_verifier_that_cannot_tell_says_so(tmp_path: Path, verifier: str, code: int, said: str) -> None:
    place = write_checkout(tmp_path) / "apps/plants"
    program = str(Path(str(SUITE.joinpath("verify.py"))))
    command = [sys.executable, program, str(place), verifier, "http://127.0.0.1:9"]
    done = run_on_host(command, env=plain(), timeout=60)
    assert (done.exit_code, said in done.text + done.last_errors(3)) == (code, True), done


@BROWSER
@pytest.mark.slow
async def test_a_crash_of_a_verifier_is_never_the_agents_failure(tmp_path: Path) -> None:
    folder = written(tmp_path, "task_crash", "task_odd", "task_import", "task_quits")
    found = tasks(folder)
    async with opened(folder) as environment:
        for name, said in (
            ("task_crash", "KeyError"),
            ("task_odd", "no verdict"),
            ("task_import", "nowhere"),
            ("task_quits", "cannot tell"),
        ):
            await environment.reset(found[name])
            with pytest.raises(ScoreError, match=said):
                await environment.score(found[name], "")
        await environment.reset(found["task_e1"])
        score, reason = await environment.score(found["task_e1"], "")
        assert score == 0
        assert "the fern is False" in reason


# what an agent may see


@BROWSER
@pytest.mark.slow
async def test_an_agent_can_neither_read_nor_push_the_state_and_the_page_can(tmp_path: Path) -> None:
    folder = written(tmp_path)
    async with opened(folder) as environment:
        first = await environment.reset(tasks(folder)["task_e1"])
        for address in (
            "/api/state",
            "/api/reset",
            "/%61pi/state",
            "/server.py",
            "/real-tasks.json",
            "/real-tasks/task_e1.py",
            "/js/../server.py",
            "/js/app.js",
            "//127.0.0.1/api/state",
        ):
            outcome = await environment.step(f'goto("{address}")')
            assert outcome.observation.error, address
            assert outcome.observation.digest == first.digest
        for allowed in ("/", "/index.html", "/#/new", "/?a=b#/new"):
            assert not (await environment.step(f'goto("{allowed}")')).observation.error, allowed
        await environment.step('goto("/#/")')
        changed = (await environment.step('click(checkbox "Fern watered")')).observation
        assert changed.digest != first.digest
        for path in ("real-tasks.json", "real-tasks/task_e1.py", "APP_DESCRIPTION.md", "sanity_check_real.py"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                await asyncio.to_thread(urllib.request.urlopen, f"{environment.url}/{path}", timeout=10)
        assert environment.exposed() == ()


@BROWSER
@pytest.mark.slow
async def test_the_state_of_an_episode_is_never_that_of_the_next(tmp_path: Path) -> None:
    folder = written(tmp_path)
    task = tasks(folder)["task_m1"]
    async with opened(folder) as environment:
        first = await environment.reset(task)
        for _ in range(3):
            for action in task.gold[:-1]:
                assert not (await environment.step(action)).observation.error
            assert (await environment.score(task, ""))[0] == 1
            again = await environment.reset(task)
            assert again == first
            assert (await environment.score(task, ""))[0] == 0


@BROWSER
@pytest.mark.slow
async def test_gold_scores_one_nothing_scores_zero_and_no_gold_is_a_note(tmp_path: Path) -> None:
    folder = written(tmp_path)
    (folder / "gold.json").write_text(json.dumps({"task_e1": GOLD["task_e1"]}))
    rows = {row["task"]: row for row in await check_benchmark(str(folder / "tasks.toml"), "", "", 1, True)}
    assert [rows["task_e1"][key] for key in ("passed", "gold", "nothing", "found")] == [True, 1, 0, ""]
    assert [rows["task_m1"][key] for key in ("passed", "gold", "nothing")] == [True, None, 0]
    assert rows["task_m1"]["found"].startswith("the task has no gold solution")


@BROWSER
@pytest.mark.slow
def test_the_whole_method_runs_on_an_application_of_a_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = write_checkout(tmp_path / "checkout")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings = {"synthesis.rollouts": 6, "synthesis.step_limit": 6, "synthesis.compose": 2, "evaluation.step_limit": 5}
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = ["run", "webarena-infinity:plants", "--checkout", str(checkout), "--workers", "2", "-q", *options]
    result = RUNNER.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "webarena-infinity:plants" in result.output  # of what to do next
    with RunFolder(tmp_path / "runs/webarena-infinity-plants", writing=False) as run:
        counts = {kind: run.store.count(kind) for kind in ("task", "trajectory", "example", "result")}
    assert all(counts.values()), counts
