"""lbi view in a real Chromium: nothing untrusted runs, nothing comes from elsewhere; in the dark and on paper, too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from as_seen import readable
from fake_environment import LampEnvironment
from lbi.agents import AgentParts
from lbi.agents.react import create
from lbi.environments.web.browser import find_chromium
from lbi.errors import UserError
from lbi.models.middleware.cache import cached
from lbi.models.providers.scripted import Scripted
from lbi.records import Task
from lbi.rollouts.loop import rollout
from lbi.storage.judgements import Judgements
from lbi.storage.run_folder import RunFolder
from reported_run import ATTACKS, CONFIG, EVIL, add_evaluation, add_synthesis, seen, trajectory
from small_image import PNG
from viewing import Viewer, viewing

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a roll-out whose steps know their prompt, and one that has a screenshot."""
    path = tmp_path_factory.mktemp("viewed") / "run"
    with RunFolder(path, CONFIG) as run:
        add_evaluation(run, add_synthesis(run))
        task = Task(instruction="Asked a model", environment="lamps")
        replies = [f'REASON: {EVIL}\nACTION: finish("")']
        agent = create(AgentParts(model=cached(Scripted(replies), run.store, run.store), stage="attempt"))
        run.store.put("trajectory", "0/asked/0", asyncio.run(rollout(LampEnvironment(), agent, task, 5)))
        pictured = trajectory(Task(instruction="Has a picture", environment="web"), "explore", steps=1)
        last = seen("the end").model_copy(update={"image": run.save_image(PNG)})
        run.store.put("trajectory", "0/pictured/0", pictured.model_copy(update={"last": last}))
    return path


@pytest.fixture(scope="module")
def viewer(run: Path) -> Iterator[Viewer]:
    with viewing(run, run) as viewer:
        yield viewer


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        try:
            path = find_chromium(playwright.chromium.executable_path)
        except UserError as error:
            pytest.skip(str(error))
        chromium = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
        yield chromium
        chromium.close()


def test_nothing_untrusted_runs_and_nothing_comes_from_elsewhere(viewer: Viewer, browser: Any) -> None:
    page = browser.new_page()
    trouble: list[str] = []
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    ours = (viewer.address, "data:,")
    page.on("request", lambda asked: None if asked.url.startswith(ours) else trouble.append(asked.url))
    visited = [path for path, answer in viewer.crawl().items() if "<!doctype html>" in answer.text]
    assert len(visited) > 20
    said = 0
    for path in visited:
        if answer_missing(path):
            continue
        page.goto(viewer.origin + path)
        assert page.evaluate("window.ran") is None, path
        assert page.locator("main :is(script, iframe, style, a[href^=javascript])").count() == 0, path
        said += ATTACKS[0] in page.locator("main").inner_text()
    assert said > 10, "what is hostile is shown, as text"
    assert trouble == []
    page.close()


def answer_missing(path: str) -> bool:
    """A browser tells of every page that is not there on its console."""
    return "/calls/" in path


def test_a_prompt_is_fetched_when_it_is_unfolded_and_a_picture_stands_beside_its_page(
    viewer: Viewer, browser: Any
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(viewer.address + "trajectories?words=asked+a+model")
    page.click("#list a")
    assert not any("/call/" in each for each in asked)
    page.click("text=The prompt as it was sent")
    page.wait_for_selector("article.call")
    call = page.locator("article.call").inner_text()
    assert "OBJECTIVE" in call
    assert ATTACKS[0] in call
    assert page.evaluate("window.ran") is None
    page.goto(viewer.address + "trajectories?words=has+a+picture")
    page.click("#list a")
    picture, text = page.locator("img.seen").bounding_box(), page.locator(".pictured pre").bounding_box()
    assert page.locator("img.seen").evaluate("image => image.naturalWidth") > 0
    assert picture["x"] + picture["width"] <= text["x"]
    assert picture["y"] < text["y"] + text["height"], "side by side"
    page.close()


def test_an_example_is_judged_in_the_browser(viewer: Viewer, browser: Any, run: Path) -> None:
    page = browser.new_page()
    page.goto(viewer.address + "judge")
    first = page.locator("[name=example]").input_value()
    page.fill("[name=instruction]", "Say what was done")
    page.click("text=Reword")
    page.wait_for_url("**/judge?last=*")
    assert page.locator("[name=example]").input_value() != first
    (kept,) = Judgements(run).all()
    assert (kept.example, kept.decision, kept.instruction, kept.judge) == (first, "reword", "Say what was done", "ada")
    page.close()


def test_a_run_that_goes_on_is_looked_at_again(viewer: Viewer, browser: Any) -> None:
    page = browser.new_page()
    page.goto(viewer.address)
    page.evaluate("document.querySelector('#live .tiles').remove()")
    page.wait_for_selector("#live .tiles", timeout=30_000)
    assert "Stages" in page.locator("#live").inner_text()
    page.close()


def test_what_is_the_same_stays_as_somebody_may_have_marked_a_part_of_it(viewer: Viewer, browser: Any) -> None:
    page = browser.new_page()
    looks: list[str] = []
    page.on("response", lambda answer: looks.append(answer.url) if answer.url.endswith("/live") else None)
    page.goto(viewer.address)
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#live .lead'))")
    marked = page.evaluate("getSelection().toString()")
    with page.expect_response("**/live", timeout=30_000):
        pass
    with page.expect_response("**/live", timeout=30_000):  # the first one has been dealt with by then
        pass
    assert marked
    assert page.evaluate("getSelection().toString()") == marked
    assert looks
    page.close()


def test_names_stay_in_view_and_words_have_room_in_wide_tables_on_a_small_screen(viewer: Viewer, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 260, "height": 800})
    page.goto(viewer.address + "tasks")
    left = "node => node.getBoundingClientRect().left"
    name = page.locator(".matrix tbody tr:not(.group) th").first
    before = name.evaluate(left)
    page.locator(".scroll:has(.matrix)").evaluate("node => node.scrollTo(1000, 0)")
    assert page.locator(".scroll:has(.matrix)").evaluate("node => node.scrollLeft") > 20
    assert name.evaluate(left) == pytest.approx(before, abs=1)
    page.goto(viewer.address)
    width = page.locator("#committee td:last-child").first.evaluate("node => node.getBoundingClientRect().width")
    assert width > 200
    page.close()


def test_pages_are_readable_in_the_dark_and_on_paper_and_on_a_small_screen(viewer: Viewer, browser: Any) -> None:
    page = browser.new_page(color_scheme="dark")
    pages = ("", "trajectories", "tasks", "examples", "judge", "runs")
    for each in pages:
        page.goto(viewer.address + each)
        assert readable(page, "body", dark=True), each
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, each
        page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(viewer.address + "trajectories?source=synthesis")
    page.click("#list a >> nth=0")
    page.emulate_media(media="print", color_scheme="dark")
    assert readable(page, "body", dark=False)
    assert not page.locator(".bar").is_visible()
    assert page.locator(".steps pre").first.evaluate("pre => getComputedStyle(pre).maxHeight") == "none"
    page.close()
