"""lbi retrieve: what an agent would be shown for an instruction on a page, and why; and that it is what it is sent."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lbi
from lbi.retrieval.versions import current_build
from lbi.storage.run_folder import RunFolder
from learnt_run import ActingModel, make_run
from running import answer, command, environ, lbi_here
from small_application import running_application

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TASK = 'Store an item with the name "Flour" on the shelf "bottom"'
STORED = 'Store an item with the name "Salt" on the shelf "bottom"'


@pytest.fixture(scope="module")
def model() -> Iterator[ActingModel]:
    with ActingModel() as server:
        yield server


@pytest.fixture(scope="module")
def run(model: ActingModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_run(tmp_path_factory.mktemp("learnt"), model.url))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_application(tmp_path_factory.mktemp("site") / "live") as address:
        yield address


@pytest.fixture(scope="module")
def page(site: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page as `lbi look` prints it into a file."""
    file = tmp_path_factory.mktemp("page") / "page.txt"
    file.write_text(lbi_here("look", f"{site}/new").stdout)
    return file


def test_without_a_page_the_query_finds_and_it_is_said_why(run: Path, model: ActingModel) -> None:
    model.takes()
    ran = lbi_here("retrieve", run, TASK)
    assert (ran.returncode, ran.stderr) == (0, "")
    told = re.sub(r"\d[\d,]* (?=tokens|of them)", "N ", ran.stdout)
    told = re.sub(r"--span [0-9a-f]{8}", "--span ID", told)
    assert told.splitlines()[:12] == [
        "Page: none, so nothing is found by the page; give one with --page FILE or URL",
        f"Query: {TASK}  (the instruction; --ask lets the model write one)",
        "",
        " 1  found by the query, replayed, N tokens",
        f"    task    {STORED}",
        "    page    Larder  /",
        """    steps   click(link "New item")""",
        """            fill(textbox "Name", "Salt")""",
        """            select(combobox "Shelf", "bottom")""",
        """            click(button "Store item")""",
        "    run by  lbi act RUN --span ID --set name=... --set shelf=...",
        "",
    ]
    assert told.splitlines()[-2:] == [
        "1 example in the prompt, of 2 found among 2 (arm backward, agent icl); "
        "1 more have no room or add nothing: --all.",
        "The prompt has about N tokens, N of them for examples.",
    ]
    assert (model.prompts, model.queries) == ([], 0), "no model is asked"


def test_a_page_finds_too_whether_it_is_a_file_a_url_or_stdin(run: Path, site: str, page: Path) -> None:
    by_file = answer("retrieve", run, TASK, "--page", page, here=True)
    first = by_file["examples"][0]
    assert by_file["page"] == {"title": "New item", "url": "/new", "given": True}
    assert (first["why"], first["same_page"], first["page"]["url"]) == ("observation", True, "/new")
    assert first["instruction"] == STORED
    assert first["tokens"] > 0
    by_url = answer("retrieve", run, TASK, "--page", f"{site}/new", here=True)
    assert by_url["examples"] == by_file["examples"]
    piped = subprocess.run(
        command("retrieve", run, TASK, "--page", "-", "--prompt"),
        input=page.read_text(),
        env=environ(),
        capture_output=True,
        text=True,
    )
    assert piped.returncode == 0, piped.stderr
    assert piped.stdout == lbi_here("retrieve", run, TASK, "--page", page, "--prompt").stdout
    looked = page.with_name("look.json")
    looked.write_text(lbi_here("look", f"{site}/new", "--json").stdout)
    assert answer("retrieve", run, TASK, "--page", looked, here=True)["examples"] == by_file["examples"]
    assert "found by the page" in lbi_here("retrieve", run, TASK, "--page", page).stdout
    assert "    page    New item  /new  (the same page)\n" in lbi_here("retrieve", run, TASK, "--page", page).stdout


def test_the_prompt_is_the_one_that_is_sent(run: Path, model: ActingModel, tmp_path: Path) -> None:
    model.takes('finish("")')
    assert lbi_here("act", run, TASK).returncode == 0
    sent = model.prompts[0]
    model.takes()
    first = tmp_path / "first.txt"
    first.write_text(lbi_here("look", run.parent / "app" / "larder.toml").stdout)
    shown = answer("retrieve", run, TASK, "--page", first, "--ask", here=True)
    assert (shown["query"], shown["query_written_by"]) == ("store an item in the larder", "openai:acting")
    assert " ".join(message["content"] for message in shown["prompt"]).split() == sent.split()
    assert (model.queries, model.prompts) == (1, [])


def test_an_arm_without_examples_says_so_and_passages_are_listed(run: Path) -> None:
    plain = lbi_here("retrieve", run, TASK, "--arm", "baseline").stdout
    assert "\nNo examples are looked for (arm baseline, agent react). The prompt has about " in plain
    passages = lbi_here("retrieve", run, TASK, "--arm", "rag").stdout
    assert re.search(r"^ [123]  a passage of the documentation, \d+ tokens\n    from    Storing$", passages, re.M), (
        passages
    )


def test_nothing_is_written_into_the_run_which_may_be_in_use(run: Path) -> None:
    before = {str(file): file.read_bytes() for file in run.rglob("*") if file.is_file() and "run.db-" not in file.name}
    with RunFolder(run):
        found = lbi.retrieve(run, TASK)
        with lbi.load_run(run) as learnt:
            shown = learnt.retrieve(TASK, lbi.Observation(text=""))
    after = {str(file): file.read_bytes() for file in run.rglob("*") if file.is_file() and "run.db-" not in file.name}
    assert {name: text for name, text in after.items() if not name.endswith("lock")} == {
        name: text for name, text in before.items() if not name.endswith("lock")
    }
    assert found.examples[0].instruction == shown[0].example.instruction == STORED


def test_an_index_that_the_run_built_is_taken_as_it_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lbi.evaluation import indexes
    from lbi.retrieval import build
    from lbi.retrieval.borrow import borrow_index
    from lbi.retrieval.index import ExampleIndex
    from lbi.synthesis.examples import read_examples

    own = run / "index" / "backward-0-1"
    with RunFolder(run, writing=False) as folder:
        pairs = read_examples(folder, 0)
    trajectories = {trajectory.id: trajectory for _, trajectory in pairs}
    dates = {example.id: "" for example, _ in pairs}
    ExampleIndex.build(own, [example for example, _ in pairs], trajectories, dates=dates).close()
    try:
        built: list[Path] = []
        write = build.write_plan

        def counted(path: Path, *rest: Any) -> str:
            built.append(path)
            return write(path, *rest)

        monkeypatch.setattr(indexes, "write_plan", counted)
        monkeypatch.setattr(build, "write_plan", counted)
        assert len(lbi.retrieve(run, TASK).examples) == 2
        assert built == []
        assert current_build(borrow_index(run, "backward-0-1", run.parent / "copy")) == current_build(own)
    finally:
        import shutil

        shutil.rmtree(run / "index")


def test_the_same_in_python(run: Path, page: Path) -> None:
    found = lbi.retrieve(run, TASK, lbi.Observation(text=page.read_text(), url="/new", title="New item"))
    assert [example.why for example in found.examples][:1] == ["observation"]
    by_path = lbi.retrieve(run, TASK, page)
    assert by_path.examples == lbi.retrieve(run, TASK, str(page)).examples
    assert by_path.tokens > sum(example.tokens for example in by_path.examples) > 0


def test_an_offline_model_is_said_to_read_no_prompt(tmp_path: Path) -> None:
    run = asyncio.run(make_run(tmp_path))
    said = lbi_here("retrieve", run, TASK).stdout
    assert "Note: the model offline reads the examples themselves, all that were found, and no prompt.\n" in said


def test_without_a_key_the_prompt_is_shown_and_what_may_differ_is_said(run: Path) -> None:
    said = lbi_here("retrieve", run, TASK, "--model", "anthropic:claude-sonnet-4-5").stdout
    assert "Note: there is no key for anthropic:claude-sonnet-4-5, so the form of its replies" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{other}", TASK), "no run in"),
        (("{run}", TASK, "--page", "{other}/none.txt"), "cannot read the page"),
        (("{run}", TASK, "--page", "{other}"), "cannot read the page"),
        (("{run}", TASK, "--page", "{other}/empty.txt"), "is empty"),
        (("{run}", TASK, "--page", "{other}/acted.txt"), "holds actions"),
        (("{run}", TASK, "--page", "{other}/odd.json"), 'JSON without "last"'),
        (("{run}", TASK, "--page", "http://127.0.0.1:9/x"), "could not be opened"),
        (("{run}", TASK, "--arm", "back"), "did you mean"),
        (("{run}", TASK, "--agent", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_shown_is_one_line(arguments: tuple[str, ...], said: str, run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n[0.10 s]\n")
    (tmp_path / "acted.txt").write_text("URL: /\nTitle: A\n\n[0.10 s]\n\n> click(e1)\nnothing changed\n[0.20 s]\n")
    (tmp_path / "odd.json").write_text('{"first": "x"}')
    ran = lbi_here("retrieve", *(each.format(run=run, other=tmp_path) for each in arguments))
    assert (ran.returncode, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("lbi: ")
    assert said in line
