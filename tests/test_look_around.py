"""A short look around before any task: where it goes, what it leaves alone, and that it is done once in a run."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from fake_environment import LampEnvironment, LampEnvironments, observed
from lbi.benchmarks.miniwob.environment import MiniwobEnvironments
from lbi.config import Config, resolve
from lbi.context import RunContext
from lbi.environments import _pool
from lbi.environments.repository.environment import RepositoryEnvironments
from lbi.environments.shell.environment import ShellEnvironments
from lbi.errors import EnvironmentFailure
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.protocols import Outcome
from lbi.records import Action, Observation, Task
from lbi.rollouts.look_around import look_around, pages_of, stored_pages
from lbi.storage.run_folder import RunFolder


class Site:
    """Pages by address; ``went`` is what was asked of it, and what is not there is an error."""

    name, actions = "site", "goto, click"

    def __init__(self, pages: dict[str, tuple[str, ...]], broken: str = "") -> None:
        self.pages, self.broken = pages, broken
        self.went: list[str] = []
        self.at = "/"

    async def reset(self, task: Task) -> Observation:
        return self._page("/")

    async def step(self, action: str) -> Outcome:
        self.went.append(action)
        if self.broken and self.broken in action:
            raise EnvironmentFailure("the site is gone")
        if action.startswith("goto("):
            self.at = action.removeprefix('goto("').removesuffix('")')
            return Outcome(action=Action(text=action, kind="goto", value=self.at), observation=self._page(self.at))
        return Outcome(action=Action(text=action, kind="click"), observation=self._page(f"{self.at}!clicked"))

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        return 0.0, ""

    async def close(self) -> None:
        pass

    def _page(self, url: str) -> Observation:
        lines = self.pages.get(url)
        if lines is None:
            return observed(url, "Not found").model_copy(update={"error": "there is no such page"})
        return observed(url, f"Page {url}", *lines)


def links(*urls: str) -> tuple[str, ...]:
    return tuple(f'link "To {url}" -> {url}' for url in urls)


async def test_every_part_of_a_site_is_seen_before_a_second_page_of_one() -> None:
    lists = {f"/wiki/{name}": links("/") for name in "abcdefgh"}
    site = Site(
        {
            "/": links(*lists, "/issues", "/new", "/issues?sort=1"),
            **lists,
            "/issues": links("/issues/1"),
            "/issues?sort=1": (),
            "/new": ('button "Create"',),
            "/issues/1": ('button "Close"',),
        }
    )
    seen = [page.url for page in await pages_of(site, 6, clicks=False)]
    assert seen[:4] == ["/", "/wiki/a", "/issues", "/new"]
    assert "/issues/1" in seen, "a page of a kind that was not seen comes before another order of a list"


async def test_what_would_end_or_delete_something_is_left_alone() -> None:
    away = ('link "Log out" -> /logout', 'link "Delete account" -> /gone', 'link "Sign off" -> /bye')
    site = Site({"/": (*away, *links("/a")), "/a": ()} | dict.fromkeys(("/logout", "/gone", "/bye"), ()))
    assert [page.url for page in await pages_of(site, 9, clicks=True)] == ["/", "/a"]
    assert site.went == ['goto("/a")']


@pytest.mark.parametrize("clicks", [True, False])
async def test_what_has_no_address_is_clicked_only_where_everything_is_put_back(clicks: bool) -> None:
    site = Site({"/": ('tab "Open"', 'tab "Closed"', 'button "Send"'), "/!clicked": ("text: there",)})
    pages = await pages_of(site, 9, clicks=clicks)
    assert [page.url for page in pages] == ["/", "/!clicked"][: 1 + clicks]
    assert not any("Send" in action for action in site.went)


async def test_links_that_lead_nowhere_are_passed_over() -> None:
    site = Site({"/": links("/a", "/missing", "/b"), "/a": (), "/b": ()})
    assert [page.url for page in await pages_of(site, 9, clicks=False)] == ["/", "/a", "/b"]


async def test_nothing_is_changed_by_looking_around() -> None:
    lamps = LampEnvironment()
    before = (await lamps.reset(Task(instruction="", environment="lamps"))).digest
    pages = await pages_of(lamps, 30, clicks=True)
    assert {page.digest for page in pages} == {before}
    assert len(pages) > 5


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        yield opened


class Many(LampEnvironments):
    several = True


def context_of(folder: RunFolder, config: Config, environments: LampEnvironments) -> RunContext:
    seen = Progress(Console(file=StringIO()), quiet=True)
    return RunContext(folder=folder, config=config, progress=seen, environments=environments, prices=Prices())


async def test_a_run_looks_around_once(folder: RunFolder) -> None:
    config = resolve({"synthesis": {"map_pages": 5}}, "test")
    context = context_of(folder, config, LampEnvironments())
    await look_around(context)
    pages = stored_pages(context)
    assert [page.url for page in pages][:3] == ["/", "/lamps", "/rooms"]
    assert len(pages) == 5
    again = context_of(folder, config, LampEnvironments(broken=99))
    await look_around(again)
    assert again.environments.opened == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("pages", "environments"), [(0, LampEnvironments()), (5, Many())])
async def test_there_is_no_map_where_none_is_wanted_or_every_task_has_its_own_application(
    folder: RunFolder, pages: int, environments: LampEnvironments
) -> None:
    context = context_of(folder, resolve({"synthesis": {"map_pages": pages}}, "test"), environments)
    await look_around(context)
    assert stored_pages(context) == []


def test_environments_of_which_each_task_has_its_own_say_so() -> None:
    assert RepositoryEnvironments.several
    assert MiniwobEnvironments.several
    assert not hasattr(ShellEnvironments, "several")


async def test_a_site_that_cannot_be_looked_at_is_recorded_and_ends_no_run(folder: RunFolder) -> None:
    context = context_of(folder, resolve({}, "test"), LampEnvironments(broken=99))
    await look_around(context)
    assert stored_pages(context) == []
    assert [row["key"] for row in folder.store.failures("page")] == ["look around"]


class Breaking(LampEnvironments):
    """Environments of which the first ``failing`` ones fail at their third step."""

    def __init__(self, failing: int) -> None:
        super().__init__()
        self.failing, self.made = failing, 0

    async def open(self) -> LampEnvironment:
        self.made += 1
        environment = await super().open()
        if self.made > self.failing:
            return environment
        step, steps = environment.step, count(1)

        async def failing(action: str) -> Outcome:
            if next(steps) == 3:
                raise EnvironmentFailure("the browser has ended")
            return await step(action)

        environment.step = failing  # type: ignore[method-assign]
        return environment


@pytest.mark.parametrize(("failing", "tries", "seen"), [(1, 2, 5), (99, 3, 3)])
async def test_a_look_that_broke_off_is_begun_anew_and_the_last_keeps_what_was_seen(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, failing: int, tries: int, seen: int
) -> None:
    """So that the tasks of a run do not depend on whether, and when, a browser died."""
    monkeypatch.setattr(_pool, "FIRST_WAIT", 0.0)
    config = resolve({"synthesis": {"map_pages": 5}}, "test")
    environments = Breaking(failing)
    context = context_of(folder, config, environments)
    await look_around(context)
    assert environments.made == tries
    whole = await pages_of(await LampEnvironments().open(), 5, clicks=context.restores)
    assert stored_pages(context) == whole[:seen]
