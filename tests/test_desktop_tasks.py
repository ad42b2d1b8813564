"""Held-out tasks on a desktop, by the command that proves them; and the whole method on a desktop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from needs_desktop import needs_desktop
from running import lbi

pytestmark = needs_desktop
#: one of each kind of program; `lbi check benchmark desktop-small` tries all twelve
TASKS = ("calc-total", "writer-replace", "gimp-rotate", "terminal-archive")
CONFIG = Path(__file__).parents[1] / "configs" / "desktop.toml"


@pytest.mark.parametrize("task", TASKS)
def test_the_solution_of_a_task_scores_one_and_doing_nothing_zero(task: str) -> None:
    done = lbi("check", "benchmark", "desktop-small", "--task", task, "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (row,) = json.loads(done.stdout)
    assert (row["gold"], row["nothing"]) == (1, 0)


def test_a_desktop_is_learnt_from_documents_to_report(tmp_path: Path) -> None:
    arms = '[{name="baseline",agent="react"},{name="backward",agent="icl",data="backward"}]'
    small = ["synthesis.rollouts=3", "synthesis.compose=0", "synthesis.step_limit=4"]
    small += ["evaluation.tasks=1", "evaluation.step_limit=3", f"evaluation.arms={arms}"]
    settings = [part for each in small for part in ("--set", each)]
    done = lbi("run", CONFIG, "--out", tmp_path / "run", *settings, "--json", "--quiet")
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["funnel"]["trajectories"] == 3
    assert found["funnel"]["examples kept"] > 0
    assert [(arm["results"], arm["environment_errors"]) for arm in found["arms"]] == [(1, 0), (1, 0)]
