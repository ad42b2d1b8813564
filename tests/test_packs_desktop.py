"""Tasks on private desktops for other harnesses: what their image brings, and that they score there as here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from harbors_order import as_in_docker, rewards_of
from lbi.config import Config
from lbi.evaluation.benchmark import load_benchmark
from lbi.storage.run_folder import RunFolder
from needs_desktop import needs_desktop
from running import lbi_here

SETUP = Path(__file__).parents[1] / "scripts" / "setup.sh"


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that are written of a run whose held-out tasks are those of the shipped desktop."""
    place = tmp_path_factory.mktemp("desk")
    with RunFolder(place / "run", Config(environment="desktop", application="debian").identity()) as folder:
        held_out = load_benchmark("desktop-small").tasks("debian")
        folder.store.put_many("heldout", [(f"{at}", task) for at, task in enumerate(held_out)])
    done = lbi_here("export", place / "run", "--format", "harbor", "--out", place / "tasks")
    assert done.returncode == 0, done.stderr
    assert "12 tasks (12 held-out)" in done.stdout
    return place / "tasks"


def test_the_image_brings_what_setup_installs_and_no_task(tasks: Path) -> None:
    dockerfile = (tasks / "terminal-archive" / "environment" / "Dockerfile").read_text()
    wanted = re.search(r"--no-install-recommends \\\n(.*?) \\\n", dockerfile)
    listed = re.search(r"^desktop=\((.*?)\)", SETUP.read_text(), re.MULTILINE | re.DOTALL)
    assert wanted
    assert listed
    packages, known = set(shlex.split(wanted[1])), set(shlex.split(listed[1]))
    assert packages - known <= {"python3"}, "those are on any Debian"
    manuals = {"libreoffice-help-en-us", "gimp-help-en"}
    assert known - packages == manuals, "what documents are read from"
    assert "benchmarks/*.toml" in dockerfile


def test_a_container_may_make_namespaces_and_has_no_more_capabilities(tasks: Path) -> None:
    compose = yaml.safe_load((tasks / "terminal-archive" / "environment" / "docker-compose.yaml").read_text())
    options = ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
    assert compose == {"services": {"main": {"security_opt": options}}}


@pytest.mark.parametrize("which", [pytest.param("terminal-archive", marks=needs_desktop)])
def test_nothing_done_scores_0_and_the_solution_1_with_the_capabilities_of_a_container(
    tasks: Path, tmp_path: Path, which: str
) -> None:
    assert rewards_of(tasks / which, tmp_path, as_in_docker()) == {"nothing": "0", "oracle": "1"}
