"""Results in Spider2-V's own format: what its runner left is read, and ours are written so that it reads them."""

from __future__ import annotations

import json
from pathlib import Path

from running import lbi_here
from spider2v_checkout import TASKS, long, write_checkout
from test_results_out import run_with_results

RUN = "pyautogui_a11y_tree_model"  # the folder of a run, as its runner names it


def results_of(root: Path, **scores: str) -> Path:
    """One file for each task, as their runner writes it: RUN/APP/ID/result.txt."""
    for task, score in scores.items():
        app, _, name = task.partition("_")
        place = root / RUN / app / name
        place.mkdir(parents=True)
        (place / "result.txt").write_text(score, "utf-8")
    return root


def graded(*arguments: str | Path) -> dict[str, dict[str, object]]:
    return dict(json.loads(lbi_here("grade", "spider2v", "--json", "--predictions", *arguments).stdout)["tasks"])


def test_the_results_of_spider2_vs_runner_get_the_names_of_our_tasks(tmp_path: Path) -> None:
    results = results_of(
        tmp_path / "results", **{f"excel_{long('1')}": "1.0\n", f"dbt_{long('7')}": "0\n", "dbt_dream": "1"}
    )
    rows = graded(results, "--checkout", write_checkout(tmp_path / "checkout"))
    assert rows["excel-11111111"] == {"score": 1.0, "reason": ""}
    assert rows["dbt-77777777"] == {"score": 0.0, "reason": ""}
    assert rows["dream"] == {"score": None, "reason": "no task of this checkout"}
    assert rows["dbt-88888888"] == {"score": None, "reason": "no result.txt"}, "it is in no rate, and not left out"
    assert len(rows) == sum(map(len, TASKS.values())) + 1


def test_without_a_checkout_rows_have_the_names_of_their_folders(tmp_path: Path) -> None:
    results = results_of(tmp_path / "results", **{f"dbt_{long('7')}": "0.5"})
    assert graded(results) == {long("7"): {"score": 0.5, "reason": ""}}


def test_results_that_we_wrote_are_read_by_the_names_that_we_gave(tmp_path: Path) -> None:
    run = run_with_results(tmp_path / "run", environment="spider2v", category="dbt", name="dbt-77777777")
    assert lbi_here("export", run, "--format", "results", "--out", tmp_path / "out").returncode == 0
    results = tmp_path / "out" / "my-arm" / "seed-1" / "results"
    rows = graded(results, "--checkout", write_checkout(tmp_path / "checkout"))
    assert rows["dbt-77777777"] == {"score": 0.5, "reason": ""}
    assert rows["excel-11111111"]["score"] is None
