"""Environments as actors of a real Ray cluster of two nodes, one of which is lost in the middle of a run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from lbi.records import Trajectory
from lbi.storage.damage import DamagedRun
from lbi.storage.database import Store
from lbi.storage.run_folder import RunFolder
from ray_nodes import RayNodes, descendants, gone, ray_nodes
from running import command, environ, lbi
from small_application import write_application

pytest.importorskip("ray", reason="needs Ray: pip install 'learn-by-interact[ray]'")
pytestmark = pytest.mark.slow
SOURCE = str(Path(__file__).parents[1] / "src")
BROWSER = '{"browser": 1}'


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    """A head that drives the run, and one machine with a browser and places for two environments."""
    with ray_nodes(PYTHONPATH=SOURCE) as nodes:
        nodes.start(0)
        nodes.start(2, BROWSER)
        yield nodes


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "tally"
    (folder / "docs").mkdir(parents=True)
    (folder / "tally.py").write_text("import sys, time\ntime.sleep(1)\nprint(sum(map(int, sys.argv[1:])))\n")
    for word in ("sums", "lists", "files", "errors"):
        text = f"# About {word}\n\nRun `python tally.py 1 2 3` for {word}. Read `cat tally.py` to see how it is done.\n"
        (folder / "docs" / f"{word}.md").write_text(
            f"{text}\n## More on {word}\n\nAdd others: `python tally.py 5 6`.\n"
        )
    return folder


def arguments(repository: Path, out: Path, address: str) -> list[str]:
    settings = ("synthesis.rollouts=4", "synthesis.step_limit=4", "synthesis.compose=0")
    extra = [part for setting in settings for part in ("--set", setting)]
    where = ["--ray", address] if address else []
    return ["synthesize", "--repo", str(repository), "--out", str(out), "-q", "-w", "2", *extra, *where]


def trajectories(out: Path) -> dict[str, str]:
    with RunFolder(out, writing=False) as folder:
        return {key: trajectory.id for key, trajectory in folder.store.all("trajectory", Trajectory)}


def pages_and_actions(out: Path) -> list[tuple[str, str]]:
    """What was seen and done; pictures may differ by a pixel from one browser to the next."""
    with RunFolder(out, writing=False) as folder:
        walks = [walk for _, walk in folder.store.all("trajectory", Trajectory)]
    return [(page.text, page.url) for walk in walks for page in walk.observations] + [
        (action.text, action.written) for walk in walks for action in walk.actions
    ]


def begun(out: Path) -> bool:
    """Whether a roll-out is stored."""
    if not (out / "run.db").is_file():
        return False
    # while the run makes its tables there are none
    with closing(Store(out / "run.db", writing=False)) as store, suppress(DamagedRun):
        return bool(store.count("trajectory"))
    return False


@pytest.mark.parametrize(
    ("setting", "missing"),
    [
        ("cluster.cores=5", "no machine of the Ray cluster has 5 cores"),
        ("cluster.resources={desktop = 1}", "no machine of the Ray cluster has desktop=1"),
    ],
)
def test_a_cluster_without_what_an_environment_takes_is_one_line(
    nodes: RayNodes, repository: Path, tmp_path: Path, setting: str, missing: str
) -> None:
    ran = lbi(*arguments(repository, tmp_path / "run", nodes.address), "--set", setting)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert missing in ran.stderr
    assert "browser=1" in ran.stderr  # says what there is
    assert len(ran.stderr.strip().splitlines()) == 1


def browsers_below(process: int) -> list[str]:
    """The command lines of browsers that a process, or one below it, has started."""
    found = []
    for pid in descendants(process):
        with suppress(OSError):
            line = (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            found += [line] if "--remote-debugging" in line else []
    return found


@pytest.mark.browser
def test_a_browser_and_its_application_run_on_the_other_machine_and_the_run_is_the_same(
    nodes: RayNodes, tmp_path: Path
) -> None:
    config = write_application(tmp_path / "larder")
    settings = ("synthesis.rollouts=1", "synthesis.step_limit=4", "synthesis.compose=0", "web.screenshots=true")
    extra = [part for setting in settings for part in ("--set", setting)]
    here = lbi("synthesize", config, "--out", tmp_path / "here", "-q", "-w", "1", *extra)
    assert here.returncode == 0, here.stderr
    out = tmp_path / "there"
    line = command("synthesize", config, "--out", out, "-q", "-w", "1", *extra, "--ray", nodes.address)
    there: list[str] = []
    with (tmp_path / "said.txt").open("w") as said, subprocess.Popen(line, env=environ(), stderr=said) as run:
        while run.poll() is None:
            there += browsers_below(nodes.nodes[-1].process.pid)
            assert not browsers_below(run.pid)
            time.sleep(0.1)
    assert run.returncode == 0, (tmp_path / "said.txt").read_text()
    assert there
    assert pages_and_actions(out) == pages_and_actions(tmp_path / "here") != []
    with RunFolder(out, writing=False) as folder:
        seen = [page for _, walk in folder.store.all("trajectory", Trajectory) for page in walk.observations]
        assert all(folder.load_image(page.image).startswith(b"\x89PNG") for page in seen)


def test_a_node_that_is_lost_costs_retries_and_changes_nothing(
    nodes: RayNodes, repository: Path, tmp_path: Path
) -> None:
    here = lbi(*arguments(repository, tmp_path / "here", ""))
    assert here.returncode == 0, here.stderr
    out = tmp_path / "there"
    run = subprocess.Popen(
        command(*arguments(repository, out, nodes.address)), env=environ(), stderr=subprocess.PIPE, text=True
    )
    try:
        while run.poll() is None and not begun(out):
            time.sleep(0.1)
        lost = nodes.nodes[-1]
        below = descendants(lost.process.pid)
        lost.kill()
        assert all(map(gone, below))
        nodes.start(2, BROWSER)
        _, errors = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 0, errors
    assert trajectories(out) == trajectories(tmp_path / "here")
    with RunFolder(out, writing=False) as folder:
        assert folder.store.meters()["environment: machine"]["failures"] >= 1
