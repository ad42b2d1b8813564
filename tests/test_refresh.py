"""lbi knowledge refresh: where documents or pages changed, the examples concerned are renewed or retired, no others."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fake_environment import LampEnvironment, LampEnvironments
from lbi.config import resolve
from lbi.context import RunContext
from lbi.documents.corpus import read_corpus
from lbi.environments.shell.environment import ShellEnvironments, ShellSettings
from lbi.environments.web.environment import WebEnvironments
from lbi.errors import EnvironmentFailure, UserError
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring.progress import Progress
from lbi.protocols import Outcome
from lbi.records import Document, Example, Task, Trajectory
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder
from lbi.synthesis import refresh as refreshing
from lbi.synthesis.examples import read_examples
from lbi.synthesis.origins import UNKNOWN, application_version, note_learnt
from lbi.synthesis.refresh import Refreshed, refresh
from skilled_run import MADE, NOTED, PAINTED, RECUR, keep, pairs_of
from small_application import write_application
from small_repository import repository


class ChangedLamps(LampEnvironment):
    """Another version: the form for new lamps has a hint, or rooms have no button to keep notes with."""

    hint, no_keep, fails_at = "", False, ""

    def _page(self) -> tuple[str, list[str]]:
        title, lines = super()._page()
        if self.hint and self.url == "/new":
            lines = [f"text: {self.hint}", *lines]
        if self.no_keep and self.url.startswith("/rooms/"):
            lines = [line for line in lines if "Keep" not in line]
        return title, list(lines)

    async def step(self, action: str) -> Outcome:
        if self.fails_at and self.fails_at in action:
            raise EnvironmentFailure("the lamps are gone")
        return await super().step(action)


@dataclass
class Lamps(LampEnvironments):
    """The environments of one version, which count what is done in them."""

    hint: str = ""
    no_keep: bool = False
    fails_at: str = ""
    version: str = "1"
    tasks: list[str] = field(default_factory=list)

    async def open(self) -> LampEnvironment:
        lamps = ChangedLamps()
        lamps.hint, lamps.no_keep, lamps.fails_at = self.hint, self.no_keep, self.fails_at
        reset, tasks = lamps.reset, self.tasks

        async def counted(task: Task) -> object:
            tasks.append(task.instruction)
            return await reset(task)

        lamps.reset = counted  # type: ignore[method-assign, assignment]
        self.opened.append(lamps)
        return lamps


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbi.environments._pool.FIRST_WAIT", 0.0)

    async def nothing(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setattr("lbi.rollouts.set_up.own_documents", nothing)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        yield opened


DOCUMENTS = {"lamps": "How a lamp is added, step by step.", "rooms": "How a note about a room is kept."}


def context_of(folder: RunFolder, docs: Path, lamps: Lamps) -> RunContext:
    config = resolve({"workers": 1, "documents": [{"path": str(docs)}]}, "test")
    seen = Progress(Console(file=StringIO()), quiet=True)
    context = RunContext(folder=folder, config=config, progress=seen, environments=lamps, prices=Prices())
    context._models["offline"] = Scripted([])  # whoever asks it fails
    return context


async def learnt(folder: RunFolder, tmp_path: Path) -> Path:
    """A run that learnt from version 1; the folder of its documents."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in DOCUMENTS.items():
        (docs / f"{name}.md").write_text(f"# {name}\n\n{text}\n" * 3)
    context = context_of(folder, docs, Lamps())
    documents = read_corpus(context.config.documents).documents
    folder.store.put_many("document", [(f"{at:05d}", each) for at, each in enumerate(documents)])
    about = {Path(document.source).stem: document.id for document in documents}
    keep(folder, [_about(pair, about) for pair in await pairs_of(RECUR)])
    assert note_learnt(context, 0) == len(RECUR)
    return docs


def _about(pair: tuple[Example, Trajectory], about: dict[str, str]) -> tuple[Example, Trajectory]:
    example, walk = pair
    document = about["rooms" if example.instruction in NOTED else "lamps"]
    return example.model_copy(update={"document": document}), walk


def live(folder: RunFolder) -> dict[str, Example]:
    return {example.instruction: example for example, _ in read_examples(folder, 0)}


async def refreshed(folder: RunFolder, docs: Path, lamps: Lamps) -> tuple[Refreshed, list[str]]:
    """What became of it, and the instructions that were carried out for it."""
    context = context_of(folder, docs, lamps)
    try:
        done = await refresh(context)
    finally:
        await context.close()
    return done, [task for task in lamps.tasks if task]


async def test_where_nothing_changed_nothing_is_carried_out(folder: RunFolder, tmp_path: Path) -> None:
    docs = await learnt(folder, tmp_path)
    before = live(folder)
    for _ in range(2):
        done, carried_out = await refreshed(folder, docs, Lamps())
        assert (done, carried_out) == (Refreshed(), [])
    assert live(folder) == before


async def test_a_page_that_looks_different_renews_the_examples_on_it_and_no_others(
    folder: RunFolder, tmp_path: Path
) -> None:
    docs = await learnt(folder, tmp_path)
    before = live(folder)
    done, carried_out = await refreshed(folder, docs, Lamps(hint="A lamp needs a colour.", version="2"))
    assert done.pages == ("/new",)
    assert set(carried_out) == set(MADE)
    assert len(done.renewed) == len(MADE)
    after = live(folder)
    assert {i: e.id for i, e in after.items() if i not in MADE} == {i: e.id for i, e in before.items() if i not in MADE}
    for instruction in MADE:
        old, new = before[instruction], after[instruction]
        assert done.renewed[old.id] == new.id
        assert (new.tier, new.start, new.end, new.document) == ("replayed", old.start, old.end, old.document)
    pages = {e.instruction: walk.observations for e, walk in read_examples(folder, 0)}
    assert all("A lamp needs a colour." in pages[instruction][1].text for instruction in MADE)
    log = KnowledgeLog(folder.store)
    states = log.states()
    assert all(f"renewed as {done.renewed[e.id]}" in states[e.id].reason for i, e in before.items() if i in MADE)
    (born,) = [e for e in log.events(after[next(iter(MADE))].id) if e.event == "learnt"]
    assert born.source == "application 2"
    again, carried_out = await refreshed(folder, docs, Lamps(hint="A lamp needs a colour.", version="2"))
    assert (again.pages, carried_out) == ((), [])


async def test_a_page_that_looks_again_as_it_did_brings_the_first_examples_back(
    folder: RunFolder, tmp_path: Path
) -> None:
    docs = await learnt(folder, tmp_path)
    before = live(folder)
    for times in range(1, 3):
        await refreshed(folder, docs, Lamps(hint="A lamp needs a colour."))
        assert all(live(folder)[instruction] != before[instruction] for instruction in MADE)
        done, _ = await refreshed(folder, docs, Lamps())
        assert (len(done.renewed), done.retired) == (len(MADE), {}), times
        assert {i: e.id for i, e in live(folder).items()} == {i: e.id for i, e in before.items()}


async def test_what_is_no_longer_possible_is_retired_and_says_why(folder: RunFolder, tmp_path: Path) -> None:
    docs = await learnt(folder, tmp_path)
    before = live(folder)
    done, carried_out = await refreshed(folder, docs, Lamps(no_keep=True))
    assert set(carried_out) == set(NOTED)
    assert set(done.retired) == {before[instruction].id for instruction in NOTED}
    assert all(
        "looks different, and step 4 is no longer possible: there is no such element" in why
        for why in done.retired.values()
    )
    assert set(live(folder)) == set(MADE) | set(PAINTED)


async def test_a_document_that_changed_concerns_the_examples_that_came_from_it(
    folder: RunFolder, tmp_path: Path
) -> None:
    docs = await learnt(folder, tmp_path)
    before = live(folder)
    (docs / "rooms.md").write_text("# rooms\n\nA note about a room can be as long as one likes.\n" * 3)
    done, carried_out = await refreshed(folder, docs, Lamps())
    assert done.documents
    assert set(carried_out) == set(NOTED)
    assert set(done.same) == {before[instruction].id for instruction in NOTED}
    assert live(folder) == before
    stored = [document.text for _, document in folder.store.all("document", Document)]
    assert any("as long as one likes" in text for text in stored)
    assert (await refreshed(folder, docs, Lamps()))[1] == [], "what is settled is not carried out again"


async def test_a_document_that_cannot_be_read_at_present_is_not_gone(folder: RunFolder, tmp_path: Path) -> None:
    docs = await learnt(folder, tmp_path)
    (docs / "rooms.md").write_bytes(b"")
    done, carried_out = await refreshed(folder, docs, Lamps())
    assert (done.documents, carried_out) == ((), [])


async def test_an_outage_decides_nothing_and_the_next_time_settles_it(folder: RunFolder, tmp_path: Path) -> None:
    docs = await learnt(folder, tmp_path)
    before = live(folder)
    broken = Lamps(hint="A lamp needs a colour.", version="2", fails_at="Create")
    done, _ = await refreshed(folder, docs, broken)
    assert (done.failed, done.retired, done.renewed) == (len(MADE), {}, {})
    assert live(folder) == before
    assert {each["boundary"] for each in folder.store.failures("renewed")} == {"environment"}
    done, carried_out = await refreshed(folder, docs, Lamps(hint="A lamp needs a colour.", version="2"))
    assert len(done.renewed) == len(MADE)
    assert set(carried_out) == set(MADE)


async def test_each_example_knows_its_document_and_the_version_of_the_application(
    folder: RunFolder, tmp_path: Path
) -> None:
    await learnt(folder, tmp_path)
    log = KnowledgeLog(folder.store)
    for example in live(folder).values():
        (event,) = log.events(example.id)
        assert (event.event, event.source) == ("learnt", "application 1")
        assert event.reason == f"document {example.document}"


def test_what_cannot_be_looked_at_is_carried_out_again_only_under_another_version() -> None:
    changes = refreshing.Changes({}, frozenset(), "2", frozenset())
    example = Example(kind="abstract", instruction="x", trajectory="t", start=0, end=1)
    ((_, walk),) = asyncio.run(pairs_of(dict([next(iter(MADE.items()))])))
    assert changes.concern((example, walk), refreshing.ItemLog(version="2")) == ()
    assert changes.concern((example, walk), refreshing.ItemLog(version="1")) == (
        "another version of the application than 1",
    )
    assert changes.concern((example, walk), refreshing.ItemLog(version="unknown")) == ()


async def test_an_application_that_cannot_be_put_back_is_left_alone(folder: RunFolder, tmp_path: Path) -> None:
    docs = await learnt(folder, tmp_path)
    lamps = Lamps(hint="Another page.")
    lamps.restores = False
    with pytest.raises(UserError, match="lamps cannot be put back"):
        await refreshed(folder, docs, lamps)
    assert lamps.opened == []


def test_the_version_of_an_application_is_another_one_when_its_file_or_what_it_brings_is(tmp_path: Path) -> None:
    def version() -> str:
        return application_version(WebEnvironments(tmp_path / "app" / "larder.toml"))

    write_application(tmp_path / "app")
    file = tmp_path / "app" / "larder.toml"
    first = version()
    assert first == version() != UNKNOWN
    file.write_text(file.read_text().replace("<button>Store item", "<button>Put away"))
    second = version()
    assert second != first
    (tmp_path / "app" / "state").mkdir()
    (tmp_path / "app" / "state" / "shelves.txt").write_text("top")
    file.write_text(file.read_text().replace("[state]", '[state]\nfiles = "state/"'))
    third = version()
    (tmp_path / "app" / "state" / "shelves.txt").write_text("bottom")
    assert len({first, second, third, version()}) == 4
    assert application_version(WebEnvironments(base_url="http://127.0.0.1:9/")) == UNKNOWN


def test_the_version_of_a_repository_is_the_commit_that_it_is_at(tmp_path: Path) -> None:
    folder = repository(tmp_path / "greeter")
    environments = ShellEnvironments(ShellSettings(folder))
    first = application_version(environments)
    assert re.fullmatch("[0-9a-f]{40}", first)
    who = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "next"], cwd=folder, check=True)
    assert application_version(environments) != first
    plain = ShellEnvironments(ShellSettings(repository(tmp_path / "plain", git=False)))
    assert application_version(plain) == UNKNOWN
