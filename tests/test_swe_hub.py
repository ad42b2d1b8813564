"""Data sets of a hub by its own client, which asks a hub on loopback: what is fetched, and how a refusal is said."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fake_hub import COMMIT, Hub, hub
from lbi.benchmarks.swebench.mutations.operators import mutations
from lbi.benchmarks.swebench.mutations.run import Baseline, Tried
from lbi.benchmarks.swebench.mutations.tasks import write_tasks
from lbi.benchmarks.swebench.predictions import Prediction, write_predictions
from repository_with_tests import PASSING, TILL, ground_of, write_repository
from running import environ, lbi
from small_repository import needs_bubblewrap

BUG = {"instance_id": "a__b-1", "repo": "a/b", "base_commit": "c0ffee", "problem_statement": "Breaks."}


def parquet(*rows: dict[str, Any]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
    return file.getvalue()


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def mutated(folder: Path) -> dict[str, Any]:
    """An instance that can be built here: ten units cost what nine would."""
    (change,) = [each for each in mutations(TILL, "src/till.py") if (each.operator, each.old) == ("boundary", ">=")]
    tried = Tried(mutation=change, verdict="breaks", broken=("tests/test_till.py::test_ten_are_cheaper",))
    write_tasks(
        folder / "t.jsonl",
        ground_of(write_repository(folder / "context")),
        Baseline(passed=PASSING, seconds=1.0),
        [tried],
    )
    row: dict[str, Any] = json.loads((folder / "t.jsonl").read_text())
    return row


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Hub]:
    row = mutated(tmp_path)
    files = {
        "acme/bugs": {
            "README.md": b"# Bugs",
            "data/train-00000-of-00001.parquet": b"not fetched",
            "data/test-00000-of-00001.parquet": parquet(row),
        },
        "acme/lines": {"README.md": b"# Bugs", "all.jsonl": lines(BUG)},
        "acme/none": {"README.md": b"# Nothing"},
        "acme/odd": {"test.jsonl": lines({"instance_id": "a"})},
    }
    with hub(files) as server:
        yield server


def grade(served: Hub, folder: Path, place: str, *, patch: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """As a person does whose cache is a folder of this test."""
    name = json.loads((folder / "t.jsonl").read_text())["instance_id"] if "bugs" in place else "a__b-1"
    write_predictions(folder / "p.jsonl", [Prediction(instance_id=name, model_patch=patch)])
    home = {"HF_HOME": str(folder / "hub"), "HF_ENDPOINT": served.url, "HF_TOKEN": ""}
    return lbi("grade", place, "--predictions", folder / "p.jsonl", "--json", **{**home, **env})


@needs_bubblewrap
@pytest.mark.slow
def test_instances_of_a_hub_are_graded_and_fetched_once(served: Hub, tmp_path: Path) -> None:
    fix = json.loads((tmp_path / "t.jsonl").read_text())
    online: dict[str, str] = {}
    for place, patch, env, resolved in (
        ("hub:acme/bugs", fix["patch"], online, True),
        (f"hub:acme/bugs@{COMMIT}", "", {"HF_HUB_OFFLINE": "1"}, False),
    ):
        done = grade(served, tmp_path, place, patch=patch, **env)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["grades"][fix["instance_id"]]["resolved"] is resolved
    downloads = [each for each in served.requests if each.startswith("GET /datasets")]
    assert [each.rpartition("/")[2] for each in downloads] == ["test-00000-of-00001.parquet"]


@pytest.mark.slow
def test_a_data_set_of_a_hub_is_a_benchmark(served: Hub, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        'environment = "repository"\napplication = "hub:acme/lines"\nbenchmark = "hub:acme/lines"\n'
        "[[documents]]\ntext = 'Mend it.'\n"
    )
    env = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": served.url}
    done = lbi("run", tmp_path / "run.toml", "--dry-run", "--json", "--out", tmp_path / "run", **env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["benchmark"] == "hub:acme/lines"


REFUSALS = {
    "hub:acme/absent": "no data set acme/absent on {hub}, or it is private: look at its name, or log in with",
    "hub:acme/private": "no data set acme/private on {hub}, or it is private",
    "hub:acme/gated": "is gated: ask for access at {hub}/datasets/acme/gated, and log in with",
    "hub:acme/lines@v9": "hub:acme/lines has no revision 'v9' on {hub}",
    "hub:acme/broken": "{hub} answered 503; try again later, or name a file",
    "hub:acme/none": "holds no .parquet, .jsonl, .json file",
    "hub:acme/odd": "test.jsonl: row 1: repo: is missing",
    "hub:acme": "'hub:acme' names no data set of a hub; write hub:OWNER/NAME",
}


@pytest.mark.slow
def test_what_a_hub_refuses_is_said_in_one_line(served: Hub, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.jsonl", [Prediction(instance_id="a__b-1")])
    # the client reads its variables when it is imported, so it is in a process of its own, one for all refusals
    code = (
        "import json, sys\nfrom running import lbi_here\n"
        "done = {place: lbi_here('grade', place, '-p', 'p.jsonl', '--json') for place in sys.argv[1:]}\n"
        "print(json.dumps({place: [each.returncode, each.stdout, each.stderr] for place, each in done.items()}))"
    )
    env = environ(HF_HOME=str(tmp_path / "hub"), HF_ENDPOINT=served.url, PYTHONPATH=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, *REFUSALS]
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")
    for place, (code_, printed, complained) in json.loads(ran.stdout).items():
        assert (code_, printed, complained.count("\n")) == (2, "", 1), complained
        assert REFUSALS[place].format(hub=served.url) in complained


@pytest.mark.slow
def test_a_hub_that_is_not_there_is_said_in_one_line(served: Hub, tmp_path: Path) -> None:
    gone = "http://127.0.0.1:9"  # nobody listens there
    for env, said in (
        ({"HF_ENDPOINT": gone}, f"the hub {gone} cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE"),
    ):
        done = grade(served, tmp_path, "hub:acme/lines", **env)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert f"hub:acme/lines is not in the hub's cache, and {said}" in done.stderr
    assert served.requests == []
