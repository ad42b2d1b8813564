"""What is shipped, run for real: applications start and reset, gold solutions score, a run works from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbi.environments.web.application import shipped_applications
from lbi.evaluation.benchmark import load_benchmark, shipped_benchmarks
from running import lbi

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("name", shipped_applications())
def test_an_application_starts_and_resets_to_the_same_state(name: str) -> None:
    done = lbi("check", "application", name)
    assert done.returncode == 0, done.stdout + done.stderr


#: sets of tasks on applications on the web, and one of how many is tried each time; `make sweep` tries all of them
WEB = {each: 1 for each in shipped_benchmarks() if load_benchmark(each).environment == "web"}
TRIED = {**WEB, "trac": 0, "trac2": 0, "trac3": 2}
ROWS = [pytest.param(name, one_of) for name, one_of in TRIED.items() if one_of] + [
    pytest.param(name, 1, marks=pytest.mark.sweep) for name, one_of in TRIED.items() if one_of != 1
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "one_of"), ROWS)
def test_gold_solutions_score_one_and_doing_nothing_scores_zero(name: str, one_of: int) -> None:
    tasks = [task.name for task in load_benchmark(name).task][::one_of]
    done = lbi("check", "benchmark", name, "--task", ",".join(tasks), "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(json.loads(done.stdout)) == len(tasks) > 0


@pytest.mark.long
def test_the_forum_needs_one_file_and_runs_from_documents_to_report(tmp_path: Path) -> None:
    small = ["--set", "synthesis.rollouts=6", "--set", "synthesis.compose=4", "--set", "evaluation.tasks=2"]
    done = lbi("run", CONFIGS / "spirit.toml", "--out", tmp_path / "run", *small, "--json", "--quiet")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert {arm["arm"] for arm in found["arms"]} >= {"baseline", "rag", "forward", "backward", "labels shuffled"}
    assert all(arm["results"] == 2 and arm["environment_errors"] == 0 for arm in found["arms"])
    assert found["funnel"]["trajectories"] == 6
    assert (tmp_path / "run" / "report.html").stat().st_size > 50_000
