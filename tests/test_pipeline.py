"""The whole method on a small real application, from the command line: complete, killed and continued, guarded."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lbi.records import Example, Observation, ProposalRound, Record, Result, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from running import answer, command, environ, lbi
from small_application import running_application, write_application

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ARMS = ["baseline", "rag", "forward", "backward", "backward + composed", "labels shuffled"]
#: work that is one row each; an episode counts as done with its result, which is written after it
DONE = ("document", "page", "round", "task", "trajectory", "replay", "candidate", "example", "result", "heldout")
KILLS = 4
Rows = dict[tuple[str, str], tuple[str, float]]


@dataclass(frozen=True)
class Larder:
    """The application with its config, and where applications are cached."""

    config: Path
    cache: str

    def lbi(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return lbi(*arguments, XDG_CACHE_HOME=self.cache)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*arguments),
            env=environ(XDG_CACHE_HOME=self.cache),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def larder(tmp_path_factory: pytest.TempPathFactory) -> Larder:
    return Larder(write_application(tmp_path_factory.mktemp("larder") / "app"), str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def undisturbed(larder: Larder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A run from start to end, and what it says of itself."""
    out = tmp_path_factory.mktemp("runs") / "undisturbed"
    return out, answer("run", larder.config, "--out", out, XDG_CACHE_HOME=larder.cache)


def rows_of(out: Path, kinds: tuple[str, ...] = DONE) -> Rows:
    """(kind, key) -> (id, time of writing); nothing where there is no database yet."""
    file = out / "run.db"
    if not file.is_file():
        return {}
    marks = ",".join("?" * len(kinds))
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as db:
        try:
            found = db.execute(f"SELECT kind, key, id, created FROM record WHERE kind IN ({marks})", kinds).fetchall()
        except sqlite3.OperationalError:  # the tables are not there yet
            return {}
    return {(kind, key): (id_, created) for kind, key, id_, created in found}


def content_of(out: Path) -> dict[str, dict[str, Any]]:
    """Everything a run came to, without the times at which it did."""
    types: dict[str, type[Record]] = {
        "page": Observation,
        "round": ProposalRound,
        "task": Task,
        "trajectory": Trajectory,
        "example": Example,
        "composition": Trajectory,
        "episode": Trajectory,
        "result": Result,
    }
    with RunFolder(out, writing=False) as folder:
        return {
            kind: {key: record.model_dump(mode="json") for key, record in folder.store.all(kind, type_)}
            for kind, type_ in types.items()
        }


def test_before_tasks_are_proposed_the_application_is_looked_at(undisturbed: tuple[Path, Any]) -> None:
    with RunFolder(undisturbed[0], writing=False) as folder:
        pages = [page for _, page in folder.store.all("page", Observation)]
        [(_, first)] = folder.store.all("round", ProposalRound)
    assert [page.url for page in pages] == ["/", "/new", "/count"]
    assert len({page.digest for page in pages}) == 1
    for shown in ('link "New item"', 'textbox "Name"', 'combobox "Shelf" (top | bottom)', 'button "Store item"'):
        assert shown in first.map


def test_a_run_leads_from_documents_to_results_of_every_arm_and_a_report(undisturbed: tuple[Path, Any]) -> None:
    out, said = undisturbed
    funnel = said["funnel"]
    assert all(funnel[label] for label in ("documents", "tasks proposed", "trajectories", "examples", "examples kept"))
    assert [arm["arm"] for arm in said["arms"]] == ARMS
    assert all(arm["tasks"] == 2 and not arm["environment_errors"] + arm["harness_errors"] for arm in said["arms"])
    assert [row["arm"] for row in said["comparisons"]] == ARMS[1:]
    assert said["failures"] == {}
    assert {"set up", "propose", "attempt (seed 0)", "evaluate (seed 0)"} <= said["seconds"].keys()
    html = (out / "report.html").read_text()
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert all(arm in html for arm in ARMS)


def test_the_plan_of_a_run_is_an_upper_bound_of_its_calls(larder: Larder, undisturbed: tuple[Path, Any]) -> None:
    planned = answer("run", larder.config, "--dry-run")
    assert undisturbed[1]["calls"] <= planned["calls"]
    with RunFolder(undisturbed[0], writing=False) as folder:
        asked = {stage: meter["calls"] for stage, meter in folder.store.meters().items() if "calls" in meter}
    most = {f"{row['stage']}/{row['role']}": row["calls"] for row in planned["stages"]}
    assert asked.keys() <= most.keys()
    assert all(calls <= most[stage] for stage, calls in asked.items())


def test_a_run_stops_before_its_budget_is_passed(larder: Larder, tmp_path: Path) -> None:
    """No call is sent, so no server is needed: the first one may already cost more than there is."""
    model = ("--model", "openai:mine", "--base-url", "http://127.0.0.1:9/v1")
    price = ("--set", 'models.prices={"openai:mine"=[10.0, 10.0]}', "--budget", "0.0001usd")
    ran = larder.lbi("run", larder.config, "--out", tmp_path / "out", "-q", *model, *price)
    assert (ran.returncode, ran.stdout) == (3, "")
    line, *undone = ran.stderr.splitlines()
    assert line.startswith("lbi: the budget of 0.00 USD is used up")
    assert line.endswith("continue the run with a higher --budget. Nothing finished is lost.")
    assert undone[:4] == [
        "Done so far:",
        "  tasks proposed: 0 of 6",
        "  attempts: 0 of 6",
        "  attempts labelled: 0 of 0",
    ]
    assert "held-out tasks measured in all arms: 0 of 2 (0 of 12 episodes)" in undone[4]
    assert undone[5].startswith("Continue: lbi run ")
    assert undone[5].endswith(" --budget 1usd")
    assert "0.0001usd" not in undone[5]


def test_a_finished_run_is_not_done_again(larder: Larder, undisturbed: tuple[Path, Any]) -> None:
    out, said = undisturbed
    before = rows_of(out)
    again = answer("run", larder.config, "--out", out, XDG_CACHE_HOME=larder.cache)
    assert rows_of(out) == before
    assert (again["arms"], again["calls"]) == (said["arms"], said["calls"])


def test_examples_of_a_run_are_exported_and_measured_anew(
    larder: Larder, undisturbed: tuple[Path, Any], tmp_path: Path
) -> None:
    out, _ = undisturbed
    exported = answer(
        "export", out, "--format", "trl", "--out", tmp_path / "set", "--tier", "replayed", "--allow-offline"
    )
    assert exported["rows"]["train"] > 0
    assert (tmp_path / "set" / "train.jsonl").is_file()
    second = tmp_path / "second"
    arguments = ("evaluate", out, "--out", second, "--set", "evaluation.tasks=1")
    assert {arm["tasks"] for arm in answer(*arguments, XDG_CACHE_HOME=larder.cache)["arms"]} == {1}
    assert rows_of(second, ("trajectory", "example")) == rows_of(out, ("trajectory", "example"))
    ran = larder.lbi("run", out, "--seeds", "0,1")
    assert (ran.returncode, "belongs to another config" in ran.stderr) == (2, True)


def test_a_run_killed_at_any_moment_goes_on_with_the_same_command(
    larder: Larder, undisturbed: tuple[Path, Any], tmp_path: Path
) -> None:
    """Nothing finished is lost, nothing finished is done again, and the end is that of a run that nobody disturbed."""
    out = tmp_path / "killed"
    moments = sorted(random.Random(7).sample(range(1, len(rows_of(undisturbed[0]))), KILLS))
    before: Rows = {}
    for moment in moments:
        with started(larder, out) as process:
            while len(rows_of(out)) < moment and process.poll() is None:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
        now = rows_of(out)
        assert before.items() <= unchanged(now, before)
        before = now
    ended = larder.lbi("run", larder.config, "--out", out, "--quiet")
    assert ended.returncode == 0, ended.stderr
    assert before.items() <= unchanged(rows_of(out), before)
    assert content_of(out) == content_of(undisturbed[0])


def unchanged(now: Rows, before: Rows) -> Any:
    """Rows as they are now; an example is written again when its replay is judged, and stays the same example."""
    return {
        place: before[place] if place[0] == "example" and place in before and before[place][0] == row[0] else row
        for place, row in now.items()
    }.items()


@contextmanager
def started(larder: Larder, out: Path) -> Iterator[subprocess.Popen[str]]:
    process = larder.start("run", larder.config, "--out", out, "--quiet")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_run_folder_takes_one_process_at_a_time_and_one_config(
    larder: Larder, undisturbed: tuple[Path, Any], tmp_path: Path
) -> None:
    out = tmp_path / "busy"
    with started(larder, out) as process:
        while not rows_of(out) and process.poll() is None:
            time.sleep(0.02)
        refused = larder.lbi("run", larder.config, "--out", out)
        assert refused.returncode == 2
        assert refused.stderr.splitlines()[-1].startswith(
            f"lbi: the run folder {out} is in use by process {process.pid} on {os.uname().nodename};"
        )
    other = larder.lbi("run", larder.config, "--out", undisturbed[0], "--set", "synthesis.step_limit=5")
    assert (other.returncode, other.stdout) == (2, "")
    assert "belongs to another config (different: synthesis)" in other.stderr
    less = larder.lbi("run", larder.config, "--out", undisturbed[0], "--set", "synthesis.rollouts=5")
    assert (less.returncode, less.stdout) == (2, "")
    assert "ask for 6 or more instead of 5" in less.stderr


def test_interrupting_a_run_says_how_to_go_on(larder: Larder, tmp_path: Path) -> None:
    out = tmp_path / "interrupted"
    # whoever starts the tests in the background has them ignore it, and what they start too
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = larder.start("run", larder.config, "--out", out, "--quiet")
    while not rows_of(out, ("trajectory",)) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does it: the browser's processes get it too
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].startswith("lbi: stopped. Nothing finished is lost: `lbi run ")
    assert (out / "report.html").is_file()


def test_a_site_of_ones_own_needs_only_its_address_and_its_documents(larder: Larder, tmp_path: Path) -> None:
    """It cannot be put back to a first state, so nothing is replayed, and nothing is dropped for that."""
    with running_application(tmp_path / "site") as url:
        made = lbi("init", "--url", url, "--docs", larder.config.with_name("docs"), cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        small = ("--set", "synthesis.rollouts=2", "--set", "evaluation.step_limit=4", "-q")
        said = answer("run", *small, cwd=tmp_path)
    assert said["funnel"]["examples kept"] > 0
    assert {arm["tasks"] for arm in said["arms"]} == {1}, "a task of a held-out document, judged by the committee"
    assert any("No held-out tasks were given" in note for note in said["notes"])
    assert any("cannot be put back" in note for note in said["notes"])
