"""Spider2-V from a checkout: which tasks run, what they are judged by, and what a broken one keeps from going on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from lbi.benchmarks import spider2v
from lbi.benchmarks.spider2v import desktop, interpreters, manuals, practice, proof, steps
from lbi.benchmarks.spider2v.checkout import STEPS, Checkout
from lbi.benchmarks.spider2v.gold import gold_of
from lbi.benchmarks.spider2v.judge import Got, Sides, judge
from lbi.benchmarks.spider2v.terminal import command_in
from lbi.cli.app import app
from lbi.cli.trials import check_benchmark
from lbi.environments.desktop import application
from lbi.environments.desktop.application import Desktop
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.protocols import CheckedTask
from spider2v_checkout import EXAMPLES, long, named, without_index, write_checkout

RUNNER = CliRunner()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """On a machine that has all programs: what is judged by files needs none of them."""
    for module in (desktop, proof):
        monkeypatch.setattr(module, "lacking", lambda app: "")
    return write_checkout(tmp_path / "checkout")


@pytest.fixture
def made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    return without_index(tmp_path, monkeypatch)


def checked(checkout: Path, *names: str) -> dict[str, CheckedTask]:
    tasks = named(checkout)
    return {row.task: row for row in asyncio.run(spider2v.check([tasks[name] for name in names], str(checkout)))}


# which tasks there are


def test_what_cannot_run_here_is_told_with_the_reason_and_is_measured_by_no_run(checkout: Path) -> None:
    benchmark = load_benchmark("spider2v", str(checkout))
    assert {task.name: task.not_runnable for task in benchmark.task if task.not_runnable} == {
        "excel-33333333": "unknown evaluator 'no_such_metric'",
        "excel-44444444": f"the checkout lacks {EXAMPLES}/excel/{long('4')}/gold.csv",
        "bigquery-99999999": "needs an account",
        "airbyte-aaaaaaaa": "needs Docker (airbyte)",
    }
    assert [task.name for task in benchmark.runnable] == [
        *("excel-11111111", "excel-22222222", "excel-55555555", "excel-66666666", "excel-bbbbbbbb"),
        *("dbt-77777777", "dbt-88888888"),
    ]


def test_a_machine_without_a_program_proves_what_needs_none_and_runs_nothing_of_it(
    checkout: Path, made_here: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (desktop, proof):
        monkeypatch.setattr(module, "lacking", lambda app: "needs what is not installed: xvfb")
    assert not load_benchmark("spider2v", str(checkout)).runnable
    rows = asyncio.run(check_benchmark("spider2v:excel-11111111,dbt-77777777", str(checkout), "", 1, quiet=True))
    assert [(row["gold"], row["nothing"], row["found"]) for row in rows] == [
        (1, 0, "not runnable: needs what is not installed: xvfb"),
        (None, None, "not runnable: needs what is not installed: xvfb"),
    ]


def test_what_is_not_installed_is_told_by_the_names_of_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    desktop.lacking.cache_clear()
    for module in (application, desktop):
        monkeypatch.setattr(module, "program_on_host", lambda name: None if name in ("chromium", "jq") else "/bin/x")
    try:
        assert "chromium" in desktop.lacking("jupyter")
        assert "chromium" not in desktop.lacking("excel"), "its tasks open no page"
        assert "jq" in desktop.lacking("excel")
    finally:
        desktop.lacking.cache_clear()


def test_programs_tasks_and_wordings_are_chosen_by_name(checkout: Path) -> None:
    def names(selection: str) -> list[str]:
        return [task.name for task in load_benchmark(f"spider2v:{selection}", str(checkout)).task]

    assert names("dbt") == ["dbt-77777777", "dbt-88888888"]
    assert names("verbose") == ["dbt-77777777", "dbt-88888888"]
    assert names("abstract,excel-11111111,dbt") == ["excel-11111111"]
    with pytest.raises(UserError, match=r"spider2v has no tasks 'exel'; nearest: excel"):
        names("exel")


def test_a_task_file_that_is_missing_or_of_another_form_is_that_task_s_fault_alone(checkout: Path) -> None:
    folder = checkout / EXAMPLES / "excel"
    (folder / long("1") / f"{long('1')}.json").unlink()
    (folder / long("2") / f"{long('2')}.json").write_text('{"id": 7}')
    changed = folder / long("5") / f"{long('5')}.json"
    task = json.loads(changed.read_text())
    task["config"].append({"type": "turn_into_gold", "parameters": {}})
    changed.write_text(json.dumps(task))
    half = folder / long("b") / f"{long('b')}.json"
    half.write_text(half.read_text().replace('"dest": "/home/user/sales.csv"', '"dest": null', 1))
    why = Checkout(checkout).not_runnable
    assert why["excel-11111111"].startswith("the checkout lacks evaluation_examples/")
    assert why["excel-22222222"].endswith("is no task as Spider2-V writes them")
    assert why["excel-55555555"] == "unknown step 'turn_into_gold'"
    assert why["excel-bbbbbbbb"] == "its copyfile_from_host_to_guest has no 'dest'"
    assert "excel-66666666" not in why


def test_a_file_that_is_a_pointer_of_git_lfs_is_told_by_its_task_alone(checkout: Path) -> None:
    file = checkout / EXAMPLES / "excel" / long("1") / "sales.csv"
    assert file.is_file()
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "utf-8")
    why = Checkout(checkout).not_runnable
    assert why["excel-11111111"] == (
        f"the checkout has a pointer of Git LFS in place of {EXAMPLES}/excel/{long('1')}/sales.csv: "
        "`git lfs pull` brings the file"
    )
    assert "excel-66666666" not in why


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("", "--checkout .* is no folder"),
        ("evaluation_examples/test_all.json", "is no whole checkout of Spider2-V: it has no evaluation_examples/test"),
        ("desktop_env/evaluators/metrics", "is no whole checkout of Spider2-V: it has no desktop_env/evaluators"),
    ],
)
def test_half_a_checkout_is_one_clear_line(checkout: Path, lost: str, message: str) -> None:
    (checkout / lost).rename(checkout.parent / "elsewhere")
    told = RUNNER.invoke(app, ["check", "benchmark", "spider2v", str(checkout)])
    assert told.exit_code == 2
    with pytest.raises(UserError, match=message) as error:
        Checkout(checkout)
    assert "\n" not in str(error.value)


def test_a_checkout_of_something_else_is_one_clear_line(checkout: Path) -> None:
    (checkout / "evaluation_examples/test_all.json").write_text('{"os": ["a", "b"]}')
    with pytest.raises(UserError, match="has none of the tasks that its list names; is it a checkout of Spider2-V"):
        load_benchmark("spider2v", str(checkout))


def test_a_list_of_another_version_is_one_clear_line(checkout: Path) -> None:
    (checkout / "evaluation_examples/test_all.json").write_text('["a", "b"]')
    with pytest.raises(UserError, match="is no list of tasks by program; is it another version"):
        load_benchmark("spider2v", str(checkout))


def test_no_file_outside_of_the_checkout_is_read(checkout: Path) -> None:
    file = checkout / EXAMPLES / "excel" / long("1") / f"{long('1')}.json"
    file.write_text(file.read_text().replace(f"{EXAMPLES}/excel/{long('1')}/sales.csv", "../../etc/passwd"))
    assert "leads out of the checkout" in Checkout(checkout).not_runnable["excel-11111111"]


# what is judged


def test_the_expected_file_scores_1_and_doing_nothing_0_by_the_metrics_as_they_are(
    checkout: Path, made_here: list[tuple[str, ...]]
) -> None:
    rows = asyncio.run(check_benchmark("spider2v:excel", str(checkout), "", 1, quiet=True))
    found = {row["task"]: row for row in rows}
    assert (found["excel-11111111"]["gold"], found["excel-11111111"]["nothing"]) == (1, 0)
    assert found["excel-11111111"]["passed"]
    assert made_here == [interpreters.GRADER]
    for name, why in {
        "excel-22222222": "the metric fails on its own expected file: ValueError: a fault of the metric",
        "excel-bbbbbbbb": "the module broken of the metrics cannot be loaded: RuntimeError: not for this machine",
        "excel-66666666": "needs another_one.deep.Thing, which is not installed",
    }.items():
        assert found[name]["gold"] is None, "a metric that raises has no score"
        assert found[name]["nothing"] is None
        assert why in found[name]["found"]
        assert not found[name]["passed"]
    assert found["excel-33333333"]["found"] == "not runnable: unknown evaluator 'no_such_metric'"


def test_a_file_that_no_metric_can_read_is_the_agent_s_and_scores_0(
    checkout: Path, made_here: list[tuple[str, ...]]
) -> None:
    from_checkout = Checkout(checkout)
    task = from_checkout.tasks["excel-55555555"]
    gold = Got("gold.csv", b"1\n2\n")
    asked = [Sides(task, (Got("sales.csv", content),), (gold,)) for content in (b"1\n2\n", b"2\n1\n", b"many\n", None)]
    verdicts = asyncio.run(judge(from_checkout, interpreters.grader(), asked))
    assert [score for score, _ in verdicts] == [1, 0, 0, 0]
    assert "cannot be judged (compare_numbers: ValueError" in verdicts[2][1]
    assert "no file to judge" in verdicts[3][1]


def test_without_uv_or_an_index_each_task_says_so_and_none_is_scored(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> Path:
        raise UserError("installing openpyxl==3.1.5 failed (exit 1): no\nindex answers")

    monkeypatch.setattr(interpreters, "interpreter", fails)
    rows = checked(checkout, "excel-11111111", "excel-33333333", "dbt-77777777")
    assert set(rows) == {"excel-11111111", "dbt-77777777"}, "what is known to be not runnable is not tried"
    assert rows["excel-11111111"].problem == "installing openpyxl==3.1.5 failed (exit 1): no index answers"
    assert "no interpreter for dbt: installing openpyxl" in rows["dbt-77777777"].problem
    assert all(row.gold is None and row.nothing is None and not row.passed for row in rows.values())


def test_the_authors_pins_are_read_from_their_own_script(checkout: Path, made_here: list[tuple[str, ...]]) -> None:
    assert interpreters.pins(checkout, "dbt") == ("dbt-core==1.7.13", "dbt-duckdb==1.7.4", "small[extra]>=0.0.8")
    interpreters.environment(checkout, "dbt")
    assert made_here[0][:2] == ("dbt-core==1.7.13", "dbt-duckdb==1.7.4")
    with pytest.raises(UserError, match="does not say what the environment 'jupyter' holds; is it another version"):
        interpreters.pins(checkout, "jupyter")


def test_a_solution_takes_the_files_that_lie_beside_its_task(checkout: Path) -> None:
    from_checkout = Checkout(checkout)
    task = from_checkout.tasks["dbt-77777777"]
    assert gold_of(from_checkout, task) == ()
    known = task.model_copy(update={"id": "e0796d19-1", "app": "dagster"})
    (checkout / EXAMPLES / "dagster" / known.id).mkdir(parents=True)
    (checkout / EXAMPLES / "dagster" / known.id / "temp_test_assets.py").write_text("assert True\n")
    actions = gold_of(from_checkout, known)
    assert actions[-1] == 'finish("")'
    assert "YXNzZXJ0IFRydWUK > ~/harry-potter-potions/" in actions[0], "the file itself, encoded"
    assert gold_of(from_checkout, task.model_copy(update={"app": "dagster", "counterpart": known.id})) != ()


def test_a_command_is_read_where_the_first_action_is_one() -> None:
    command = command_in('I look first.\nrun("ls -l | head")')
    assert command is not None
    assert (command.action.kind, command.action.value, command.changes) == ("run", "ls -l | head", "")
    changing = command_in('run("dbt run")')
    assert changing is not None
    assert changing.foreseen.changes == "dbt may change something"
    assert command_in('click(menuitem "Run")') is None
    assert command_in('type(e1, "run(1)")') is None
    assert command_in('press("Control+s")') is None


# what is learnt from


def test_a_help_text_becomes_a_section_with_a_line_for_each_option() -> None:
    told = """Usage: dbt seed [OPTIONS]

  Load data from csv files into your data warehouse.

Options:
  -f, --full-refresh  If specified, dbt will drop incremental models
                      and rebuild them.
  --show              Show a sample of the loaded data
"""
    assert manuals._help_page("dbt seed", told).splitlines() == [
        "# dbt seed",
        "",
        "Use `dbt seed` to load data from csv files into your data warehouse.",
        "Options:",
        "- `-f, --full-refresh` If specified, dbt will drop incremental models and rebuild them.",
        "- `--show` Show a sample of the loaded data",
    ]


def test_the_files_of_a_page_tell_its_menus_and_keys(tmp_path: Path) -> None:
    (tmp_path / "notebook").mkdir()
    menu = {"id": "jp-mainmenu-run", "items": [{"type": "separator"}, {"command": "notebook:run-all-above"}]}
    schema = {
        "title": "Notebook",
        "jupyter.lab.menus": {"main": [menu]},
        "jupyter.lab.shortcuts": [{"command": "notebook:run-cell", "keys": ["Accel Enter"]}],
    }
    (tmp_path / "notebook" / "tracker.json").write_text(json.dumps(schema))
    assert list(manuals._schemas(tmp_path)) == [
        "# The menu Run\n\n- Choose Run, then Run All Above.",
        "# Keys of Notebook\n\n- Press Control+Enter to run cell.",
    ]


def test_practice_begins_with_nothing_of_a_held_out_task() -> None:
    told = json.dumps(practice.STEPS)
    assert set(practice.STEPS) == {"excel", "jupyter", "dbt", "dagster"}
    assert "evaluation_examples" not in told
    assert all(step["type"] in STEPS for steps in practice.STEPS.values() for step in steps)


# beginning


@pytest.mark.parametrize(
    "step",
    [
        {"type": "execute", "parameters": {}},
        {"type": "launch", "parameters": {"command": 5}},
        {"type": "google_chrome_browser", "parameters": {"urls": 5}},
        {"type": "copyfile_from_host_to_guest", "parameters": {"src": "nowhere.csv", "dest": "/home/user/a.csv"}},
    ],
)
def test_a_step_of_another_form_and_a_file_that_is_gone_are_the_task_s_fault_in_a_line(
    checkout: Path, step: dict[str, Any]
) -> None:
    on = steps.Steps(Checkout(checkout), Desktop(name="small"), cast("Any", None))
    with pytest.raises(steps.MalformedStep, match=r"none of Spider2-V's: |nowhere\.csv of the checkout") as told:
        asyncio.run(on.carry_out([step]))
    assert "\n" not in str(told.value)


class Showing:
    """A desktop whose windows tell more with each look, up to the last; a second goes by with each."""

    def __init__(self, *texts: str) -> None:
        self.texts, self.looks = list(texts), 0

    async def ask(self, do: str) -> dict[str, Any]:
        self.looks += 1
        text = self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]
        return {"windows": [{"role": "frame", "name": text, "states": [], "children": []}]}

    def until_still(self, checkout: Path) -> None:
        on = steps.Steps(Checkout(checkout), Desktop(name="small"), cast("Any", self), lambda: self.looks)
        asyncio.run(on._until_still())


def test_a_page_that_goes_on_loading_is_begun_with_once_it_shows_the_same_for_a_while(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LOOK_AGAIN", 0)
    session = Showing("JupyterLab", "practice.ipynb", "practice.ipynb, kernel starting", "practice.ipynb, kernel idle")
    session.until_still(checkout)
    assert session.looks == 4 + steps.STILL_SECONDS


def test_a_page_that_never_stays_the_same_is_begun_with_as_it_is(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LOOK_AGAIN", 0)
    session = Showing(*map(str, range(1000)))
    session.until_still(checkout)
    assert session.looks == steps.STILL_AT_MOST
