"""OSWorld's tasks from a checkout: which can be run here, why not the others, and what its runner leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from lbi.benchmarks.osworld import config, load
from lbi.benchmarks.osworld.evaluators import Evaluators
from lbi.benchmarks.osworld.faults import FAULTS
from lbi.benchmarks.osworld.oracle import MOST_WAITS, Follows, _scripts
from lbi.benchmarks.osworld.places import read_places
from lbi.benchmarks.osworld.setup import MalformedStep, Setup, shows_window
from lbi.benchmarks.osworld.suite import Suite
from lbi.benchmarks.osworld.task import Step, TaskFile
from lbi.environments.desktop.actions import parse_action
from lbi.environments.desktop.application import Desktop
from lbi.environments.desktop.session import DesktopSession
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.records import Observation, Task
from running import lbi_here
from small_osworld import HUB, TASKS, write_checkout


def reasons(checkout: Path, selection: str = "") -> dict[str, str]:
    return {task.name: task.not_runnable for task in load(selection, str(checkout)).task}


def test_each_task_says_why_it_cannot_be_run_here(tmp_path: Path) -> None:
    found = reasons(write_checkout(tmp_path, listed=("os/gone",)))
    runs = {name for name, why in found.items() if not why}
    assert runs == {"folder", "note", "list", "cannot", "raises", "not-started"}
    assert found["unknown"] == "unknown to these evaluators: the metric compare_dreams"
    assert found["step"] == "unknown to these evaluators: the step teleport"
    assert found["account"] == "needs an account: Google Drive"
    assert found["live"] == "needs a live site: shop.example"
    assert found["gnome"] == "needs what no private desktop has: GNOME's settings"
    assert found["mail"] == "needs a program that is not installed: picard"
    assert found["reads-pictures"] == "needs a package for its evaluator: easyocr (for compare_image_text)"
    assert found["no-files"] == "needs the file cache: list.txt, sorted.txt"
    assert found["gone"] == "no task of this version: its file is missing"
    assert found["no-json"].startswith("no task of this version: its file cannot be read: ")
    assert found["no-evaluator"] == "no task of this version: its file is none of OSWorld's: evaluator: Field required"


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ('"command": "echo', '"command": 5, "said": "echo'),
        ('"config": [', '"config": [{"type": "chrome_open_tabs", "parameters": {"urls_to_open": 5}}, '),
        ('"config": [', '"config": [{"type": "download", "parameters": {"files": [{"url": 5, "path": "a"}]}}, '),
        ('"config": [', '"config": [{"type": "download", "parameters": {"files": null}}, '),
    ],
)
def test_a_task_of_another_form_is_told_and_keeps_no_other_from_being_listed(
    tmp_path: Path, part: str, other: str
) -> None:
    settings = write_checkout(tmp_path, only=("os/folder", "os/cannot"))
    file = tmp_path / "checkout" / "evaluation_examples" / "examples" / "os" / "folder.json"
    assert part in file.read_text("utf-8")
    file.write_text(file.read_text("utf-8").replace(part, other), "utf-8")
    found = reasons(settings)
    assert found["folder"].startswith("no task of this version: its file is none of OSWorld's: its steps")
    assert found["cannot"] == ""


def test_an_address_that_is_none_is_told_and_keeps_no_other_from_being_listed(tmp_path: Path) -> None:
    settings = write_checkout(tmp_path, only=("os/live", "os/cannot"))
    file = tmp_path / "checkout" / "evaluation_examples" / "examples" / "os" / "live.json"
    file.write_text(file.read_text("utf-8").replace("https://shop.example/x", "http:"), "utf-8")
    assert reasons(settings) == {"live": "needs a live site: http:", "cannot": ""}


def test_a_task_that_passes_when_nothing_is_done_is_listed_and_measured_by_no_run(tmp_path: Path) -> None:
    settings = write_checkout(tmp_path, only=("os/folder",))
    (faulty,) = FAULTS
    task = {"id": faulty, **TASKS["os/folder"]}  # type: ignore[dict-item]
    (tmp_path / "checkout" / "evaluation_examples" / "test_more.json").write_text(json.dumps({"os": [faulty]}), "utf-8")
    (tmp_path / "checkout" / "evaluation_examples" / "examples" / "os" / f"{faulty}.json").write_text(json.dumps(task))
    benchmark = load("more,os/folder", str(settings))
    assert [each.name for each in benchmark.runnable] == ["folder"]
    assert benchmark.task[0].faulty.startswith("scores 1 when nothing is done")


def test_tasks_are_chosen_by_application_list_and_id(tmp_path: Path) -> None:
    checkout = str(write_checkout(tmp_path))
    assert [task.name for task in load_benchmark("osworld:editor", checkout).task] == ["note", "list", "no-files"]
    assert [task.name for task in load_benchmark("osworld:small,not-started", checkout).task] == [
        "folder",
        "not-started",
    ]
    with pytest.raises(UserError, match=r"has no tasks 'editr' in this checkout; did you mean editor\?"):
        load("editr", checkout)


def test_a_run_needs_no_more_than_the_name_and_the_checkout(tmp_path: Path) -> None:
    assert config("", "anywhere")["environment"] == "osworld"
    with pytest.raises(UserError, match="osworld needs a checkout"):
        load("", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("checkout = 'nowhere'", "there is no folder .*nowhere"),
        ("checkout = '.'", "has no evaluation_examples/examples: is it a checkout of OSWorld, and the whole of it"),
        ("checkout = 'checkout'\nfiles = ['cache']", "files: there is no folder .*cache"),
        ("checkout = 'checkout'\nevaluators = 'files'", "evaluators: .*files has no evaluators/metrics"),
        ("checkout = 'checkout'\nfile = 'x'", "file"),
        ("checkout = ", "suite.toml"),
    ],
)
def test_a_wrong_checkout_is_one_clear_line(tmp_path: Path, text: str, told: str) -> None:
    settings = write_checkout(tmp_path, only=("os/folder",))
    settings.write_text(text, "utf-8")
    with pytest.raises(UserError, match=told) as caught:
        read_places(str(settings))
    assert "\n" not in str(caught.value)


def test_half_a_file_of_evaluators_is_told_by_the_tasks_that_need_it_and_by_no_other(tmp_path: Path) -> None:
    settings = write_checkout(tmp_path, only=("os/folder", "os/cannot"))
    metrics = tmp_path / "checkout" / "desktop_env" / "evaluators" / "metrics" / "general.py"
    metrics.write_text(metrics.read_text("utf-8")[:200] + "\ndef (", "utf-8")
    found = reasons(settings)
    told = "unknown to these evaluators: the metric exact_match (metrics/general.py cannot be read: "
    assert found["folder"].startswith(told)
    assert "\n" not in found["folder"]
    assert found["cannot"] == ""


@pytest.mark.parametrize(
    "step",
    [
        {"type": "sleep", "parameters": {"seconds": "soon"}},
        {"type": "execute", "parameters": {"command": "echo 'no end"}},
        {"type": "launch", "parameters": {}},
        {"type": "launch", "parameters": {"command": "vlc", "wait": 3}},
        {"type": "download", "parameters": {"files": [{"url": "x"}]}},
    ],
)
async def test_a_step_of_another_form_is_the_task_s_fault_in_a_line(step: dict[str, Any]) -> None:
    setup = Setup(cast("DesktopSession", None), Desktop(name="small"), lambda address: b"")
    for forgiving in (False, True):
        with pytest.raises(MalformedStep, match=rf"^step 1 \({step['type']}\) is none of OSWorld's: ") as told:
            await setup.carry_out((Step.model_validate(step),), forgiving=forgiving)
        assert "\n" not in str(told.value)


def test_a_list_that_is_none_and_a_checkout_without_tasks_are_told(tmp_path: Path) -> None:
    settings = write_checkout(tmp_path, only=("os/folder",))
    lists = tmp_path / "checkout" / "evaluation_examples"
    (lists / "test_all.json").write_text("[1]", "utf-8")
    with pytest.raises(UserError, match=r"test_all\.json is no list of OSWorld's tasks"):
        load("", str(settings))
    (lists / "test_all.json").write_text('{"excel": ["a", "b"]}', "utf-8")
    with pytest.raises(UserError, match="has none of the tasks that its list names: is it OSWorld's"):
        load("", str(settings))
    for file in lists.glob("test_*.json"):
        file.unlink()
    assert reasons(tmp_path / "suite.toml", "os") == {"folder": ""}
    (lists / "examples" / "os" / "folder.json").unlink()
    with pytest.raises(UserError, match="has no tasks"):
        Suite(str(settings)).names  # noqa: B018  (is read)


def test_an_interpreter_without_evaluators_says_what_to_do(tmp_path: Path) -> None:
    settings = write_checkout(tmp_path, only=("os/folder",))
    settings.write_text(f"checkout = 'checkout'\npython = {json.dumps(sys.executable)}", "utf-8")
    with pytest.raises(UserError, match='has no package desktop-env: install it there, or set evaluators = "checkout"'):
        load("", str(settings))


@pytest.mark.parametrize(
    "place", ["os/x/a.txt", "x/a.txt", "x/b2fd4f38-e5e1-5d4b-bb2c-d4c17e9a1b52_a.txt", "own/os/x/a.txt"]
)
def test_a_file_is_found_however_it_is_kept(tmp_path: Path, place: str) -> None:
    from uuid import NAMESPACE_URL, uuid5

    address = f"{HUB}/own/os/x/a.txt"
    place = place.replace("b2fd4f38-e5e1-5d4b-bb2c-d4c17e9a1b52", str(uuid5(NAMESPACE_URL, address)))
    places = read_places(str(write_checkout(tmp_path, only=("os/folder",))))
    assert places.file(address, "os/x") is None
    file = tmp_path / "files" / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a", "utf-8")
    assert places.file(address, "os/x") == file


def test_a_pointer_of_git_lfs_is_no_file_and_a_real_one_elsewhere_is_taken(tmp_path: Path) -> None:
    """A clone of the data set without Git LFS has a few lines of text for each file, which a task would begin with."""
    settings = write_checkout(tmp_path, only=("editor/list",))
    file = tmp_path / "files" / "editor" / "list" / "list.txt"
    real = tmp_path / "files" / "list" / "list.txt"
    real.parent.mkdir()
    file.rename(real)
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n", "utf-8")
    places = read_places(str(settings))
    assert places.file(f"{HUB}/editor/list/list.txt", "editor/list") == real
    assert reasons(settings)["list"] == ""
    real.unlink()
    told = "needs the file cache: list.txt (a pointer of Git LFS is there: `git lfs pull` brings the file)"
    assert reasons(settings)["list"] == told


def test_what_a_function_needs_is_read_without_running_it(tmp_path: Path) -> None:
    write_checkout(tmp_path, only=("os/folder",))
    evaluators = Evaluators(tmp_path / "checkout" / "desktop_env", ())
    assert evaluators.module_of("metrics", "exact_match") == "general"
    assert evaluators.module_of("metrics", "get_rule") == ""
    assert evaluators.lacks("metrics", "compare_text_file") == []
    assert evaluators.lacks("metrics", "compare_image_text") == ["easyocr"]
    assert evaluators.lacks("getters", "get_reader") == ["pydrive_that_nobody_has"]
    assert set(evaluators.missing()) == {"easyocr", "pydrive_that_nobody_has", "torch_that_nobody_has"}


def test_a_function_under_another_name_and_through_another_module_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "desktop_env" / "evaluators"
    for kind in ("getters", "metrics"):
        (folder / kind).mkdir(parents=True)
    (folder / "metrics" / "__init__.py").write_text("from .inner import inside as outside\n", "utf-8")
    (folder / "metrics" / "inner.py").write_text("from .deep import dive\ndef inside(a): return dive(a)\n", "utf-8")
    (folder / "metrics" / "deep.py").write_text(
        "import sea\ndef dive(a: 'sea.Fish') -> int: return sea.down(a)\n", "utf-8"
    )
    evaluators = Evaluators(tmp_path / "desktop_env", ())
    assert (evaluators.module_of("metrics", "outside"), evaluators.function_of("metrics", "outside")) == (
        "inner",
        "inside",
    )
    assert evaluators.lacks("metrics", "outside") == ["sea"]


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("VLC_VERBOSE=-1 vlc --no-audio", True),
        ("libreoffice --impress", True),
        ("pkill vlc", False),
        ("libreoffice --convert-to csv --outdir /tmp /tmp/a.xlsx", False),
        ("socat tcp-listen:9222,fork tcp:localhost:1337", False),
        ("tar -xf /home/user/gimp.tar", False),
    ],
)
def test_programs_that_show_a_window_are_waited_for(command: str, shows: bool) -> None:
    assert shows_window(command) is shows


def test_a_task_that_is_called_infeasible_has_its_solution() -> None:
    task = TaskFile.model_validate({"id": "a", "app": "os", **TASKS["os/cannot"]})  # type: ignore[dict-item]
    assert task.infeasible
    assert task.metrics == ()


async def test_a_script_waits_for_what_is_not_there_yet_and_not_for_ever() -> None:
    task = Task(instruction="", environment="osworld")

    async def acts(script: Follows, text: str, times: int) -> list[str]:
        return [(await script.act(task, (), Observation(text=text), "")).action for _ in range(times)]

    script = Follows(('press("Control+l")', 'click(button "Save")', 'finish("")'))
    assert await acts(script, "Title: x", 3) == ['press("Control+l")', "wait()", "wait()"]
    assert await acts(script, 'Title: x\nbutton "Save" [e1]', 2) == ['click(button "Save")', 'finish("")']
    never = Follows(('click(button "Save")', 'finish("")'))
    assert await acts(never, "Title: x", MOST_WAITS + 2) == ["wait()"] * MOST_WAITS + [
        'click(button "Save")',
        'finish("")',
    ]


def test_scripts_are_of_tasks_ids_and_can_be_read() -> None:
    assert len(_scripts()) >= 17
    for task, actions in _scripts().items():
        UUID(task)  # raises for what is none
        assert [parse_action(action).kind for action in actions].index("finish") == len(actions) - 1


# results


def results_of(root: Path, /, **scores: str | None) -> Path:
    for name, score in scores.items():
        place = root / "pyautogui" / "a11y_tree" / "model" / "os" / name
        place.mkdir(parents=True)
        if score is not None:
            (place / "result.txt").write_text(score, "utf-8")
    return root


def test_the_results_of_osworlds_runner_are_read(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", folder="1.0\n", cannot="0", raises=None, unknown="done")
    ran = lbi_here("grade", "osworld", "--predictions", results, "--json")
    assert ran.returncode == 1, ran.stderr
    found = json.loads(ran.stdout)
    assert found["all"] == {"tasks": 4, "scored": 2, "sum": 1.0, "rate": 0.5}
    assert found["tasks"]["raises"]["reason"] == "no result.txt: the runner did not end this task"
    assert found["tasks"]["unknown"] == {
        "score": None,
        "reason": "result.txt says 'done', which is no score from 0 to 1",
    }


def test_with_a_checkout_tasks_without_a_result_and_results_of_no_task_are_told(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", folder="True", dream="1")
    settings = write_checkout(tmp_path, only=("os/folder", "os/cannot"))
    ran = lbi_here("grade", "osworld", "--predictions", results, "--checkout", settings)
    assert ran.returncode == 1
    assert "no score: os/cannot: no result.txt" in ran.stdout
    assert "no score: os/dream: no task of this checkout" in ran.stdout
    assert "100.0%" in ran.stdout


def test_folders_that_are_no_results_are_told(tmp_path: Path) -> None:
    two = results_of(tmp_path / "results", folder="1")
    (two / "click" / "screenshot" / "other" / "os" / "folder").mkdir(parents=True)
    (two / "click" / "screenshot" / "other" / "os" / "folder" / "result.txt").write_text("0", "utf-8")
    for place, told in [(tmp_path / "nix", "there is no folder"), (two, "has the results of 2 runs")]:
        ran = lbi_here("grade", "osworld", "--predictions", place)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert told in ran.stderr
    (tmp_path / "empty").mkdir()
    assert "has no result.txt below it" in lbi_here("grade", "osworld", "--predictions", tmp_path / "empty").stderr
    assert "has no format of results" in lbi_here("grade", "miniwob", "--predictions", two).stderr
