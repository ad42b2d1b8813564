"""Grading: a fix resolves, nothing and a wrong fix do not, and an agent cannot talk itself into a better grade."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lbi.benchmarks.swebench.build import Built
from lbi.benchmarks.swebench.catalog import open_catalog
from lbi.benchmarks.swebench.grade import grade
from lbi.benchmarks.swebench.mutations.operators import mutations
from lbi.benchmarks.swebench.mutations.run import Baseline, Tried
from lbi.benchmarks.swebench.mutations.tasks import write_tasks
from lbi.benchmarks.swebench.official import log_of
from lbi.benchmarks.swebench.patches import edited
from lbi.benchmarks.swebench.predictions import Prediction, read_predictions, write_predictions
from lbi.cli.instances import check_instances
from lbi.config import Config, load_config
from lbi.environments import open_environments
from lbi.errors import ScoreError, UserError
from lbi.records import Task
from repository_with_tests import PASSING, TILL, ground_of, write_repository
from running import lbi, lbi_here
from small_repository import needs_bubblewrap

pytestmark = needs_bubblewrap
BROKEN = "tests/test_till.py::test_ten_are_cheaper"


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A file of one task: ten units cost what nine would."""
    repository = write_repository(tmp_path / "context")
    (change,) = [each for each in mutations(TILL, "src/till.py") if (each.operator, each.old) == ("boundary", ">=")]
    before = Baseline(passed=PASSING, seconds=1.0)
    write_tasks(
        tmp_path / "tasks.jsonl",
        ground_of(repository),
        before,
        [Tried(mutation=change, verdict="breaks", broken=(BROKEN,))],
    )
    return tmp_path / "tasks.jsonl"


@pytest.fixture
def built(tasks: Path) -> Iterator[Built]:
    catalog = open_catalog(str(tasks))
    yield catalog.build(next(iter(catalog.instances)))
    catalog.close()


def change(built: Built, path: str, old: str, new: str) -> str:
    content = (built.tree / path).read_bytes()
    assert old.encode() in content
    return edited(path, content, content.replace(old.encode(), new.encode()))


@pytest.mark.slow
async def test_the_fix_resolves_and_less_or_more_than_it_does_not(built: Built) -> None:
    fixed = await grade(built, built.instance.patch)
    assert (fixed.resolved, fixed.reason) == (True, "")
    nothing = await grade(built, "")
    assert (nothing.resolved, nothing.still_failing, nothing.now_failing) == (False, (BROKEN,), ())
    too_much = await grade(built, change(built, "src/till.py", "units > 10", "units > 1"))
    assert (too_much.resolved, too_much.still_failing, too_much.now_failing) == (
        False,
        (),
        ("tests/test_till.py::test_few",),
    )


@pytest.mark.slow
async def test_tests_are_those_of_the_instance_whatever_a_patch_makes_of_them(built: Built) -> None:
    cheated = await grade(built, change(built, "tests/test_till.py", "== 9.0", "== 10.0"))
    assert (cheated.resolved, cheated.still_failing) == (False, (BROKEN,))
    deleted = await grade(built, edited("tests/test_till.py", (built.tree / "tests/test_till.py").read_bytes(), b""))
    assert deleted.still_failing == (BROKEN,)


async def test_a_patch_that_does_not_apply_or_breaks_every_import_is_the_agents_own(built: Built) -> None:
    nonsense = await grade(built, "--- a/no.py\n+++ b/no.py\n@@ -1 +1 @@\n-a\n+b\n")
    assert (nonsense.applied, nonsense.resolved) == (False, False)
    assert "does not apply" in nonsense.reason
    assert log_of(nonsense).startswith(">>>>> Patch Apply Failed")
    broken = await grade(built, change(built, "src/till.py", '"""A till."""', "raise ImportError"))
    assert set(broken.still_failing) | set(broken.now_failing) == set(PASSING)
    assert ">>>>> Test Exit Code: 2" in log_of(broken)


async def test_what_the_tested_program_prints_is_no_result(built: Built) -> None:
    shouts = f'print("PASSED {BROKEN}")\nimport atexit; atexit.register(print, "1 passed")\n"""A till."""'
    assert not (await grade(built, change(built, "src/till.py", '"""A till."""', shouts))).resolved


EXPECTED = """
import pytest, unittest
@pytest.mark.xfail(reason="known")
def test_known_leak(): assert False
@pytest.mark.xfail(run=False)
def test_never_run(): assert False
@pytest.mark.parametrize("x", ["a b", "\u00fc"])
def test_names(x): assert x
class TestTank(unittest.TestCase):
    @unittest.expectedFailure
    def test_expected(self): self.fail()
"""


@pytest.mark.slow
async def test_failures_that_are_expected_pass_if_they_ran(tasks: Path, tmp_path: Path) -> None:
    (tmp_path / "context" / "tests" / "test_tank.py").write_text(EXPECTED)
    row = json.loads(tasks.read_text())
    names = ("test_known_leak", "TestTank::test_expected", "test_names[a", "test_names[\\xfc]", "test_never_run")
    row["PASS_TO_PASS"] = [f"tests/test_tank.py::{name}" for name in names]
    row["mutation"]["tests"] = ["tests/test_till.py", "tests/test_tank.py"]
    tasks.write_text(json.dumps(row))
    with closing(open_catalog(str(tasks))) as catalog:
        built = catalog.build(row["instance_id"])
        graded = await grade(built, built.instance.patch)
    assert (graded.still_failing, graded.now_failing) == ((), ("tests/test_tank.py::test_never_run",))


@pytest.mark.slow
async def test_a_benchmark_is_proven_three_ways(tasks: Path) -> None:
    (row,) = await check_instances(str(tasks), "", 1, quiet=True)
    assert (row["passed"], row["gold"], row["nothing"], row["wrong"]) == (True, 1.0, 0.0, 0.0)
    text = tasks.read_text()
    tasks.write_text(text.replace('"PASS_TO_PASS": [', f'"PASS_TO_PASS": ["{BROKEN.replace("ten", "eleven")}", '))
    (row,) = await check_instances(str(tasks), "", 1, quiet=True)
    assert not row["passed"]
    assert "gold: 1 fail that passed: tests/test_till.py::test_eleven_are_cheaper" in row["found"]


@pytest.mark.slow
def test_predictions_are_graded_once_and_the_grades_kept(tasks: Path, built: Built, tmp_path: Path) -> None:
    name, file = built.instance.instance_id, tmp_path / "p.jsonl"
    write_predictions(file, [Prediction(instance_id=name, model_name_or_path="m", model_patch=built.instance.patch)])
    done = lbi_here("grade", tasks, "--predictions", file, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["grades"][name]["resolved"] is True
    kept = tmp_path / "p.grades.json"
    marked = kept.read_text().replace('"reason": ""', '"reason": "graded before"')
    kept.write_text(marked)
    again = json.loads(lbi_here("grade", tasks, "-p", file, "--json").stdout)
    assert again["grades"][name]["reason"] == "graded before"
    write_predictions(file, [Prediction(instance_id=name, model_patch="")])
    other = json.loads(lbi_here("grade", tasks, "-p", file, "--json").stdout)
    assert other["grades"][name]["resolved"] is False


def test_predictions_of_another_data_set_are_refused(tasks: Path, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.json", [Prediction(instance_id="a__b-1")])
    done = lbi_here("grade", tasks, "-p", tmp_path / "p.json")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "'a__b-1' is no instance" in done.stderr


@pytest.mark.parametrize("patch", ['""', "null"])
def test_an_empty_prediction_is_unresolved_and_nothing_is_run_for_it(patch: str, tmp_path: Path) -> None:
    row = {"instance_id": "a__b-1", "repo": "a/b", "base_commit": "c", "problem_statement": "p"}
    (tmp_path / "official.jsonl").write_text(json.dumps(row))  # comes as an image, so running it would need an engine
    (tmp_path / "p.json").write_text(f'[{{"instance_id": "a__b-1", "model_patch": {patch}}}]')
    done = lbi_here("grade", tmp_path / "official.jsonl", "-p", tmp_path / "p.json", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["empty"], found["unresolved"], found["instances"]) == (1, 1, 1)
    assert found["grades"]["a__b-1"]["reason"] == "the patch is empty"
    assert json.loads((tmp_path / "p.grades.json").read_text())["grades"] == found["grades"]


@pytest.mark.slow
async def test_a_blank_patch_is_no_empty_one_and_does_not_apply(built: Built) -> None:
    blank = await grade(built, "\n")
    assert (blank.applied, blank.resolved) == (False, False)


@pytest.mark.slow
async def test_an_episode_is_scored_by_what_it_leaves_in_the_repository(tasks: Path) -> None:
    environments = open_environments(Config(environment="repository", application=str(tasks)), lambda png: "")
    (name,) = open_catalog(str(tasks)).instances
    task = Task(instruction="mend it", environment=environments.name, name=name)
    try:
        environment = await environments.open()
        first = await environment.reset(task)
        assert "src/ till.py" in first.text
        ran = await environment.step('run("python -m pytest -q tests 2>&1 | tail -4")')
        assert "2 failed, 4 passed" in ran.observation.text
        assert await environment.score(task, "") == (0.0, "the patch is empty")
        mended = await environment.step("run(\"sed -i 's/units > 10/units >= 10/' src/till.py\")")
        assert "Exit code: 0" in mended.observation.text
        assert (await environment.score(task, ""))[0] == 1
        assert "+    if units >= 10:" in await environment.submission()  # type: ignore[attr-defined]
        await environment.reset(task)
        assert (await environment.score(task, ""))[0] == 0
        with pytest.raises(ScoreError, match="of no instance"):
            await environment.score(Task(instruction="x", environment="y"), "")
    finally:
        await environments.close()


@pytest.mark.slow
def test_a_run_of_the_offline_model_ends_and_hands_in_what_it_left(tasks: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text(
        'environment = "repository"\napplication = "tasks.jsonl"\nbenchmark = "tasks.jsonl"\nworkers = 1\n'
        "[synthesis]\nrollouts = 1\nstep_limit = 2\ncompose = 0\n"
        '[evaluation]\nstep_limit = 2\narms = [{ name = "baseline", agent = "react" }]\n'
    )
    assert load_config(config).benchmark == str(tasks)
    done = lbi("run", config, "--out", tmp_path / "run", "-q", "--json")
    assert done.returncode == 0, done.stderr[-2000:]
    (arm,) = json.loads(done.stdout)["arms"]
    assert (arm["results"], arm["environment_errors"]) == (1, 0)
    written = lbi("export", tmp_path / "run", "--format", "predictions", "--out", tmp_path / "handed-in")
    assert written.returncode == 0, written.stderr
    (prediction,) = read_predictions(tmp_path / "handed-in" / "baseline-0.jsonl")
    assert prediction.instance_id in open_catalog(str(tasks)).instances


def test_what_cannot_be_built_here_says_why(tmp_path: Path) -> None:
    row = {"instance_id": "a__b-1", "repo": "a/b", "base_commit": "c", "problem_statement": "p"}
    (tmp_path / "official.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match="container images"):
        open_catalog(str(tmp_path / "official.jsonl")).build("a__b-1")
    row["mutation"] = {"patch": "", "operator": "", "function": "", "line": 1, "python": sys.executable, "tests": []}
    row["repo"] = str(tmp_path / "gone")
    (tmp_path / "mutated.jsonl").write_text(json.dumps(row))
    with (
        closing(open_catalog(str(tmp_path / "mutated.jsonl"))) as catalog,
        pytest.raises(UserError, match="is not there any more"),
    ):
        catalog.build("a__b-1")
    with pytest.raises(UserError, match="no instances at nowhere"):
        open_catalog("nowhere")
