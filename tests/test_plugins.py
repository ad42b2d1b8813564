"""Plug-ins of other distributions: found by their entry points, used like ours, and skipped by name when broken."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from rich.console import Console

from evaluating import evaluated
from fake_environment import LampEnvironments
from lbi import plugins
from lbi.config import resolve
from lbi.context import RunContext
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.records import Task
from lbi.storage.run_folder import RunFolder
from running import environ

AGENT = '''"""Gives up at once, politely."""

from lbi.agents import AgentParts
from lbi.protocols import Decision


class Polite:
    name = "polite"

    def __init__(self, parts):
        self.parts = parts

    async def act(self, task, history, observation, actions):
        return Decision(action='finish("no, thank you")', reason="politeness")


def create(parts: AgentParts) -> Polite:
    return Polite(parts)
'''
BENCHMARK = '''"""One held-out task about manners."""

from lbi.evaluation.benchmark import Benchmark


def load() -> Benchmark:
    task = {"name": "greet", "instruction": "Say hello", "check": {"answer": ["hello"]}}
    return Benchmark.model_validate({"name": "manners", "application": "lamps", "task": [task]})
'''
ENTRY_POINTS = """[lbi.agents]
polite = polite_lbi.agent
rude = polite_lbi.missing
icl = polite_lbi.agent

[lbi.benchmarks]
manners = polite_lbi.benchmark
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution that pip has installed there, from a wheel made here."""
    folder = tmp_path_factory.mktemp("polite")
    wheel = folder / "polite_lbi-1.0-py3-none-any.whl"
    info = "polite_lbi-1.0.dist-info"
    files = {
        "polite_lbi/__init__.py": "",
        "polite_lbi/agent.py": AGENT,
        "polite_lbi/benchmark.py": BENCHMARK,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: polite-lbi\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": "".join(f"{name},,\n" for name in files)}.items():
            archive.writestr(name, text)
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    return target


@pytest.fixture
def site(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(installed))
    return installed


@pytest.mark.slow
async def test_an_agent_of_another_distribution_is_evaluated_like_ours(site: Path, tmp_path: Path) -> None:
    arms = [{"name": "baseline", "agent": "react"}, {"name": "polite", "agent": "polite"}]
    config = resolve({"evaluation": {"arms": arms, "step_limit": 2}}, "test")
    with RunFolder(tmp_path / "run") as folder:
        context = RunContext(folder, config, Progress(Console(quiet=True)), LampEnvironments(), Prices())
        task = Task(instruction="Paint lamp 7", environment="lamps", name="paint", check={"answer": ["no, thank you"]})
        results = {result.arm: result for result in await evaluated(context, [task], 0, [], [])}
        await context.close()
    assert (results["polite"].steps, results["polite"].stop) == (1, "done")


def test_a_benchmark_of_another_distribution_is_loaded_by_its_name(site: Path) -> None:
    assert [task.name for task in load_benchmark("manners").task] == ["greet"]


def test_a_broken_plug_in_is_named_when_it_is_picked(site: Path) -> None:
    with pytest.raises(UserError, match=r"the agent 'rude' of the distribution polite-lbi cannot be loaded: .*missing"):
        plugins.load("agents", "rude")


def test_ours_wins_over_another_with_its_name(site: Path) -> None:
    assert plugins.available("agents")["icl"].distribution == plugins.OURS
    assert plugins.load("agents", "icl").__name__ == "lbi.agents.icl"


def test_the_list_says_where_each_comes_from_and_goes_on_after_a_broken_one(installed: Path) -> None:
    listing = [sys.executable, "-m", "lbi", "list", "--json"]
    ran = subprocess.run(
        listing, env=environ(PYTHONPATH=str(installed)), capture_output=True, text=True, check=True, timeout=60
    )
    rows = {kind: {row["name"]: row for row in rows} for kind, rows in json.loads(ran.stdout).items()}
    assert rows["agents"]["polite"] == {
        "name": "polite",
        "description": "Gives up at once, politely.",
        "distribution": "polite-lbi",
    }
    assert rows["agents"]["rude"]["description"].startswith("cannot be loaded, and is skipped: ModuleNotFoundError")
    assert rows["agents"]["react"]["distribution"] == "learn-by-interact"
    assert rows["benchmarks"]["manners"]["distribution"] == "polite-lbi"


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="there is no filter 'repeats'; did you mean 'repeat'"):
        plugins.load("filters", "repeats")
