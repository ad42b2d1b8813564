"""What agents did on held-out tasks, out into folders that others' tools read: a score and a trajectory for each."""

from __future__ import annotations

import json
from pathlib import Path

from lbi.config import Config
from lbi.records import Action, Observation, Result, Step, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from running import lbi_here


def run_with_results(folder: Path, environment: str = "osworld", category: str = "os", name: str = "folder") -> Path:
    task = Task(instruction="Rename the folder.", environment=environment, name=name, category=category)
    step = Step(
        observation=Observation(text="Title: Desktop"),
        reason="it is called old",
        action=Action(text="click(e1)", kind="click", role="button", name="Rename"),
    )
    walk = Trajectory(
        task=task, agent="react", steps=(step,), last=Observation(text="Title: new", error="late"), stop="done"
    )
    result = Result(task=name, category=category, arm="my arm", seed=1, score=0.5, steps=1, trajectory=walk.id)
    broken = Result(
        task="raises", category=category, arm="my arm", seed=1, score=0.0, steps=0, fault="harness", reason="x"
    )
    with RunFolder(folder, Config().identity()) as opened:
        opened.store.put("episode", f"my arm/1/{name}", walk)
        opened.store.put("result", f"my arm/1/{name}", result)
        opened.store.put("result", "my arm/1/raises", broken)
    return folder


def test_results_are_written_as_osworlds_runner_leaves_them_and_read_again(tmp_path: Path) -> None:
    run = run_with_results(tmp_path / "run")
    ran = lbi_here("export", run, "--format", "results", "--out", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    assert "1 score, 1 without one" in ran.stdout
    results = tmp_path / "out" / "my-arm" / "seed-1" / "results"
    assert (results / "os" / "folder" / "result.txt").read_text("utf-8") == "0.5\n"
    assert not (results / "os" / "raises" / "result.txt").exists()
    graded = json.loads(lbi_here("grade", "osworld", "--predictions", results, "--json").stdout)
    assert graded["all"] == {"tasks": 2, "scored": 1, "sum": 0.5, "rate": 0.5}


def test_a_trajectory_beside_a_score_is_atif(tmp_path: Path) -> None:
    lbi_here("export", run_with_results(tmp_path / "run"), "--format", "results", "--out", tmp_path / "out")
    file = tmp_path / "out" / "my-arm" / "seed-1" / "results" / "os" / "folder" / "trajectory.json"
    told = json.loads(file.read_text("utf-8"))
    assert told["schema_version"] == "ATIF-v1.8"
    assert [step["source"] for step in told["steps"]] == ["user", "agent"]
    assert told["steps"][0]["message"] == "Rename the folder.\n\nTitle: Desktop"
    (call,), (seen,) = told["steps"][1]["tool_calls"], told["steps"][1]["observation"]["results"]
    assert (call["function_name"], call["arguments"]) == ("click", {"action": "click(e1)"})
    assert seen == {"source_call_id": call["tool_call_id"], "content": "late\n\nTitle: new"}
    assert (told["extra"]["score"], told["extra"]["category"]) == (0.5, "os")


def test_nothing_is_written_over_and_a_run_without_results_is_told(tmp_path: Path) -> None:
    run = run_with_results(tmp_path / "run")
    (tmp_path / "out").mkdir()
    there = lbi_here("export", run, "--format", "results", "--out", tmp_path / "out")
    assert (there.returncode, "is there already" in there.stderr) == (2, True)
    other_seed = lbi_here("export", run, "--format", "results", "--out", tmp_path / "new", "--seeds", "7")
    assert (other_seed.returncode, "has no results of held-out tasks" in other_seed.stderr) == (2, True)
