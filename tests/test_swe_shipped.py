"""The shipped instances for real: sources and interpreters from the package index, tests in sandboxes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from lbi.evaluation.benchmark import load_benchmark, shipped_benchmarks
from running import command, environ, lbi
from small_repository import needs_bubblewrap

pytestmark = [pytest.mark.slow, needs_bubblewrap]
REPOSITORIES = [name for name in shipped_benchmarks() if load_benchmark(name).environment == "repository"]


@pytest.mark.parametrize("name", REPOSITORIES)
def test_each_fix_resolves_its_instance_and_nothing_and_a_wrong_patch_do_not(name: str) -> None:
    """All of them, each graded three times; seconds each where archives and interpreters have to be fetched first."""
    checked = command("check", "benchmark", name, "--workers", "2", "--json", "-q")
    done = subprocess.run(checked, env=environ(), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    names = [task.name for task in load_benchmark(name).task]
    assert len(names) >= 10
    assert {
        row["task"]: (row["gold"], row["nothing"], row["wrong"]) for row in json.loads(done.stdout)
    } == dict.fromkeys(names, (1.0, 0.0, 0.0))


def test_the_official_package_agrees_with_our_grades(tmp_path: Path) -> None:
    name = REPOSITORIES[0]
    one, other = (task.name for task in load_benchmark(name).task[:2])
    # the fix is worked out from archives, which this process may not download
    code = (
        "import sys; from pathlib import Path; from lbi.benchmarks.swebench.catalog import open_catalog\n"
        "from lbi.benchmarks.swebench.predictions import Prediction, write_predictions\n"
        "shelf = open_catalog(sys.argv[1]); fix = shelf.build(sys.argv[2]).instance.patch\n"
        "pairs = {sys.argv[2]: fix, sys.argv[3]: ''}\n"
        "write_predictions(Path(sys.argv[4]), [Prediction(instance_id=i, model_patch=p) for i, p in pairs.items()])\n"
    )
    file = tmp_path / "predictions.json"
    arguments = [command()[0], "-c", code, name, one, other, str(file)]
    subprocess.run(arguments, check=True, timeout=300, env=environ(), capture_output=True)
    done = lbi("grade", name, "--predictions", file, "--official", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    grades = json.loads(done.stdout)["grades"]
    assert {key: (row["resolved"], row["official"]) for key, row in grades.items()} == {
        one: (True, True),
        other: (False, False),
    }
