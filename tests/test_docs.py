"""docs/: the picture is of the code as it is, and every snippet is a file that works."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from evaluating import evaluated
from lbi.agents import AgentParts
from lbi.config import resolve
from lbi.context import RunContext
from lbi.models.pricing import Prices
from lbi.models.registry import Settings
from lbi.monitoring.progress import Progress
from lbi.protocols import Environment, Environments, Fields, Message, Model, Request
from lbi.records import Example, Observation, Step, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.synthesis import filters
from lbi.training.export.turns import Turn

ROOT = Path(__file__).parents[1]
SNIPPETS = ROOT / "docs" / "snippets"
sys.path.insert(0, str(ROOT / "scripts"))

import picture  # noqa: E402
import snippets  # noqa: E402


def snippet(name: str) -> Any:
    """A file of docs/snippets as a module."""
    spec = importlib.util.spec_from_file_location(f"snippet_{name}", SNIPPETS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_of_the_pipeline_as_it_is() -> None:
    drawn = picture.picture(picture.PIPELINE.read_text("utf-8"))
    page = picture.PAGE.read_text("utf-8")
    assert picture.BEGIN + drawn + picture.END in page, "run scripts/picture.py --write"


def test_the_picture_shows_the_stages_of_the_paper_in_their_order() -> None:
    names = re.findall(r"<b>(\w+)</b>", picture.picture(picture.PIPELINE.read_text("utf-8")))
    wanted = [
        "propose_tasks",
        "roll_out",
        "label",
        "filter_examples",
        "verify",
        "compose",
        "index_examples",
        "evaluate",
    ]
    assert [name for name in names if name in wanted] == wanted


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_pages_show_every_snippet_as_it_is() -> None:
    pages = [page.read_text("utf-8") for page in snippets.PAGES]
    assert [snippets.with_snippets(page) for page in pages] == pages, "run scripts/snippets.py"
    named = {name for page in pages for name in snippets.MARK.findall(page)}
    assert named == {file.name for file in SNIPPETS.iterdir() if file.is_file()}


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The snippets as plug-ins, found as those of an installed distribution are."""
    from importlib.metadata import EntryPoint

    from lbi import plugins

    kinds = {"agents": "agent", "models": "model", "environments": "environment", "filters": "filter"}
    names = {"agents": "impatient", "models": "mine", "environments": "counter", "filters": "brief"}

    def entries(kind: str) -> list[plugins.PlugIn]:
        if kind not in kinds:
            return []
        sys.modules[f"snippet_{kinds[kind]}"] = snippet(kinds[kind])
        entry = EntryPoint(names[kind], f"snippet_{kinds[kind]}", f"lbi.{kind}")
        return [plugins.PlugIn(names[kind], entry.value, "my-package", entry)]

    monkeypatch.setattr(plugins, "_entries", entries)


async def test_environment_agent_and_model_of_the_page_make_an_evaluation(mine: None, tmp_path: Path) -> None:
    from lbi.environments import open_environments, own_documents

    arms = [{"name": "baseline", "agent": "react"}, {"name": "impatient", "agent": "impatient"}]
    config = resolve(
        {"environment": "counter", "models": {"default": "mine:any"}, "evaluation": {"arms": arms}}, "test"
    )
    environments = open_environments(config, lambda png: "")
    assert isinstance(environments, Environments)
    assert isinstance(await environments.open(), Environment)
    assert [source.title for source in await own_documents(config, environments)] == ["Counting"]
    task = Task(instruction="Say nothing", environment="counter", name="silence", check={"answer": [""]})
    with RunFolder(tmp_path / "run") as folder:
        context = RunContext(folder, config, Progress(Console(quiet=True)), environments, Prices())
        results = await evaluated(context, [task], 0, [], [])
        await context.close()
    assert [(result.arm, result.score, result.steps) for result in results] == [
        ("baseline", 1.0, 1),
        ("impatient", 1.0, 1),
    ]


async def test_the_model_of_the_page_is_a_model() -> None:
    model = snippet("model").create("any", Settings())
    assert isinstance(model, Model)
    observation = Observation(text="link")
    fields = Fields(task=Task(instruction="x", environment="any"), observation=observation)
    assert (await model.complete(Request(role="act", fields=fields))).text.endswith('finish("")')


async def test_the_agent_of_the_page_gives_up_on_its_third_visit() -> None:
    page = Observation(text="The same page.", url="/")
    agent = snippet("agent").create(AgentParts(model=snippet("model").create("any", Settings())))
    task = Task(instruction="x", environment="any")
    history = tuple(Step(observation=page, action={"text": "up()"}) for _ in range(2))
    assert (await agent.act(task, history, page, "")).reason == "this leads nowhere"
    assert (await agent.act(task, history[:1], page, "")).reason == "nothing is left to do"


async def test_the_filter_of_the_page_drops_long_instructions() -> None:
    judge = snippet("filter").create(filters.FilterParts()).judge
    trajectory = Trajectory(
        task=Task(instruction="x", environment="any"), agent="any", steps=(), last=Observation(text=""), stop="done"
    )
    verdicts = [
        await judge(Example(kind="abstract", instruction=text, trajectory="t", start=0, end=1), trajectory)
        for text in ("Close the ticket", "word " * 41)
    ]
    assert [verdict.keep for verdict in verdicts] == [True, False]


def test_the_reader_of_the_page_makes_a_section_of_each_heading() -> None:
    page = snippet("reader").read("* Open\nPress it.\n** Close\nPress again.\n")
    assert [section.headings for section in page.sections] == [("Open",), ("Close",)]
    assert "".join(section.text for section in page.sections) == "* Open\nPress it.\n** Close\nPress again.\n"


def test_the_exporter_of_the_page_writes_rows(tmp_path: Path) -> None:
    exporter = snippet("exporter")
    prompt = (Message(role="system", content="Act."), Message(role="user", content="The page"))
    turn = Turn.__new__(Turn)
    object.__setattr__(turn, "prompt", prompt)
    object.__setattr__(turn, "reply", "ACTION: up()")
    sink = exporter.open_sink(tmp_path / "rows")
    sink.put(exporter.row(turn))
    sink.close()
    row = json.loads((tmp_path / "rows").read_text())
    assert row == {"instruction": "Act.", "input": "The page", "output": "ACTION: up()"}


def test_the_benchmark_of_the_page_loads() -> None:
    assert [task.name for task in snippet("benchmark").load().task] == ["start-page"]


def test_every_place_that_the_contributors_page_names_exists() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rows = re.findall(r"^\| an? [^|]+ \| `([^`]+)`[^|]*\| `([^`]+)` \|$", page, flags=re.MULTILINE)
    assert len(rows) >= 7
    for place, model in rows:
        folder = ROOT / place.partition("NAME")[0]
        assert folder.is_dir(), place
        assert (folder / model).exists() or (ROOT / model).exists(), model
