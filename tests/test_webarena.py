"""WebArena: all 812 tasks are proved without a site, and some are done on stand-ins through the browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

from fake_sites import Sites
from lbi.benchmarks.webarena import original
from lbi.benchmarks.webarena.faults import FAULTS
from lbi.benchmarks.webarena.sites import load_sites
from lbi.cli.options import RunOptions, configured
from lbi.config import Config
from lbi.environments import open_environments
from lbi.environments.web.application import Policy
from lbi.environments.web.url_rules import UrlRules
from lbi.errors import EnvironmentFailure, UserError
from lbi.evaluation.benchmark import load_benchmark
from running import lbi_here


def _installed() -> bool:
    try:
        return bool(distribution("webarena-verified"))
    except PackageNotFoundError:
        return False


needs_tasks = pytest.mark.skipif(not _installed(), reason="the extra `webarena` is not installed")


def answer(task_type: str, data: Any = None) -> str:
    said = {"task_type": task_type, "status": "SUCCESS", "retrieved_data": data, "error_details": None}
    return f"finish({json.dumps(json.dumps(said))})"


# the whole set


@needs_tasks
@pytest.mark.slow
def test_every_task_is_proved_without_a_site_but_for_the_known_faults() -> None:
    rows = json.loads(lbi_here("check", "benchmark", "webarena", "--json", "--quiet").stdout)
    assert len(rows) == 812
    wrong = {int(row["task"]) for row in rows if (row["gold"], row["nothing"]) != (1, 0)}
    assert wrong == FAULTS.keys()
    assert {int(row["task"]) for row in rows if "faulty: " in row["found"]} == FAULTS.keys()
    passing_idle = {int(row["task"]) for row in rows if row["nothing"] == 1}
    assert passing_idle == {356, 757, 758, *range(761, 768)}
    assert {int(row["task"]) for row in rows if row["gold"] is None} == {699, 700, 811}


@needs_tasks
def test_the_original_checks_are_proved_where_no_language_model_judges() -> None:
    rows = json.loads(lbi_here("check", "benchmark", "webarena:original", "--json", "--quiet").stdout)
    judged = [row for row in rows if row["gold"] is not None]
    assert (len(rows), len(judged)) == (812, 670)
    assert all((row["gold"], row["nothing"]) == (1, 0) for row in judged)
    reasons = [row["found"] for row in rows if row["gold"] is None]
    assert sum("judged by a language model" in reason for reason in reasons) == 118
    assert all(reason.startswith("not runnable: ") for reason in reasons)


@needs_tasks
def test_tasks_are_chosen_by_site_number_and_subset() -> None:
    assert [task.name for task in load_benchmark("webarena:44,400").task] == ["44", "400"]
    assert {task.category for task in load_benchmark("webarena:gitlab").task} == {"gitlab"}
    assert len(load_benchmark("webarena:hard").task) == 258
    with pytest.raises(UserError, match="no tasks 'gitlub'; did you mean gitlab"):
        load_benchmark("webarena:gitlub")


@needs_tasks
def test_tasks_whose_sites_have_no_address_are_not_runnable(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text('[gitlab]\nurl = "http://127.0.0.1:8023"\n')
    tasks = {task.name: task for task in load_benchmark("webarena:44,400,699", str(file)).task}
    assert tasks["44"].not_runnable == ""
    assert tasks["400"].not_runnable == "no address is given for reddit"
    assert [task.name for task in load_benchmark("webarena:44,400", str(file)).runnable] == ["44"]


@needs_tasks
def test_a_run_needs_sites_and_one_worker(tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text('[gitlab]\nurl = "http://127.0.0.1:8023"\n')
    config, _ = configured(RunOptions(Path("webarena:44"), checkout=file))
    assert (config.environment, config.workers, config.checkout) == ("webarena", 1, str(file))
    with pytest.raises(UserError, match="--checkout"):
        open_environments(config.model_copy(update={"checkout": ""}), lambda image: "")
    with pytest.raises(UserError, match="workers = 1"):
        open_environments(config.model_copy(update={"workers": 2}), lambda image: "")


# the file of sites


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('[gitlub]\nurl = "http://a"\n', "unknown key 'gitlub'; did you mean 'gitlab'"),
        ('[gitlab]\nurl = "a"\n', "gitlab.url"),
        ("[gitlab", "not valid TOML"),
        ('[gitlab]\nurl = "http://a"\n[gitlab.login]\nheaders = {a = "b"}\nstorage_state = "c"\n', "choose one of"),
    ],
)
def test_a_mistake_in_the_file_of_sites_is_one_line(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(content)
    with pytest.raises(UserError) as raised:
        load_sites(str(file))
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_other_sites_may_be_opened_only_where_they_are_listed() -> None:
    rules = UrlRules(Policy(deny_urls=("^/admin",)), "http://one.test:80/", ["http://two.test:81/path"])
    assert rules.refuses_url("http://two.test:81/anywhere") == ""
    assert "another site" in rules.refuses_url("http://two.test:82/")
    assert "another site" in rules.refuses_url("http://three.test/")
    assert rules.refuses_url("http://two.test:81/admin") == "/admin may not be opened here"


# on stand-ins


@pytest.fixture
def sites() -> Iterator[Sites]:
    running = Sites()
    yield running
    running.close()


@pytest.fixture
async def environment(sites: Sites, tmp_path: Path) -> AsyncIterator[Any]:
    file = tmp_path / "sites.toml"
    steps = """steps = ['fill(textbox "Username", "byteblaze")', 'click(button "Sign in")']"""
    file.write_text(
        f'[gitlab]\nurl = "{sites.url["gitlab"]}"\n[gitlab.login.form]\nurl = "/users/sign_in"\n{steps}\n'
        f'[reddit]\nurl = "{sites.url["reddit"]}"\n[reddit.login.form]\nurl = "/login"\n{steps}\n'
        f'[shopping]\nurl = "{sites.url["shopping"]}"\nreset = ["touch", "{tmp_path / "was-reset"}"]\n'
    )
    config = Config(environment="webarena", benchmark="webarena", checkout=str(file), workers=1)
    environments = open_environments(config, lambda image: "")
    yield await environments.open()
    await environments.close()


async def done(environment: Any, number: str, *actions: str, judged: str = "webarena") -> float:
    (task,) = load_benchmark(f"{judged}:{number}" if judged == "webarena" else f"webarena:original,{number}").task
    as_task = load_benchmark("webarena").tasks("webarena", [task])[0]
    await environment.reset(as_task)
    for action in actions:
        outcome = await environment.step(action)
        assert not outcome.observation.error, f"{action}: {outcome.observation.error}"
    return float((await environment.score(as_task, outcome.answer))[0])


browser = pytest.mark.browser


@needs_tasks
@browser
@pytest.mark.slow
async def test_a_page_that_was_to_be_shown_scores_when_it_was_opened(environment: Any) -> None:
    assert await done(environment, "44", 'click(link "To-Do List")', answer("NAVIGATE")) == 1
    assert await done(environment, "44", answer("NAVIGATE")) == 0
    assert await done(environment, "44", 'click(link "To-Do List")', 'finish("")') == 0
    assert await done(environment, "44", 'click(link "To-Do List")', 'finish("")', judged="original") == 1
    assert await done(environment, "44", 'finish("")', judged="original") == 0


@needs_tasks
@browser
@pytest.mark.slow
async def test_a_form_scores_by_what_was_sent_and_how_it_was_answered(environment: Any) -> None:
    text = "Pro Python Developer with 20 years of Experience"
    fill = f'fill(textbox "Biography", "{text}")'
    way = ('click(link "Edit biography")', fill, 'click(button "Save")')
    assert await done(environment, "400", *way, answer("MUTATE")) == 1
    assert await done(environment, "400", *way[:2], answer("MUTATE")) == 0
    assert await done(environment, "400", way[0], 'fill(textbox "Biography", "x")', way[2], answer("MUTATE")) == 0


@needs_tasks
@browser
@pytest.mark.slow
async def test_a_request_of_a_script_scores_by_its_body(environment: Any) -> None:
    assert await done(environment, "418", 'click(button "Set yourself as busy")', answer("MUTATE")) == 1
    assert await done(environment, "418", answer("MUTATE")) == 0


@needs_tasks
@browser
@pytest.mark.slow
async def test_a_form_left_for_review_is_judged_though_it_was_never_sent(
    environment: Any, sites: Sites, tmp_path: Path
) -> None:
    text = "I need a refund. Order: 180. Amount: 12.99. Reason: It broke after three days of use."
    fill = f'fill(textbox "Message", "{text}")'
    assert await done(environment, "528", fill, answer("MUTATE")) == 1
    assert (tmp_path / "was-reset").exists()
    assert not [path for _, method, path in sites.seen if method == "POST" and path != "/users/sign_in"]
    assert await done(environment, "528", answer("MUTATE")) == 0
    assert await done(environment, "528", fill, 'click(button "Submit")', answer("MUTATE")) == 0


@needs_tasks
@browser
@pytest.mark.slow
async def test_a_task_of_two_sites_may_open_both_and_is_logged_in_at_both(environment: Any, sites: Sites) -> None:
    number = next(task.name for task in load_benchmark("webarena").task if task.category == "gitlab+reddit")
    (task,) = load_benchmark(f"webarena:{number}").task
    first = await environment.reset(load_benchmark("webarena").tasks("webarena", [task])[0])
    assert "Projects" in first.text
    outcome = await environment.step('click(link "Forum")')
    assert not outcome.observation.error
    assert 'heading "Forum"' in outcome.observation.text
    refused = await environment.step(f'goto("{sites.url["shopping"]}")')
    assert "another site" in refused.observation.error
    assert {(site, path) for site, method, path in sites.seen if method == "POST"} == {
        ("gitlab", "/users/sign_in"),
        ("reddit", "/login"),
    }


@needs_tasks
@browser
@pytest.mark.slow
async def test_a_reset_that_fails_is_the_infrastructure(sites: Sites, tmp_path: Path) -> None:
    file = tmp_path / "sites.toml"
    file.write_text(f'[shopping]\nurl = "{sites.url["shopping"]}"\nreset = ["false"]\n')
    config = Config(environment="webarena", benchmark="webarena", checkout=str(file), workers=1)
    environments = open_environments(config, lambda image: "")
    environment = await environments.open()
    with pytest.raises(EnvironmentFailure, match=r"the reset of .* exited with 1"):
        await environment.reset(load_benchmark("webarena:528", str(file)).tasks("webarena")[0])
    await environments.close()


# the original checks


def test_strings_are_judged_as_webarena_does() -> None:
    assert original.wrong_string({"exact_match": "Quest Band"}, ' "quest band" ') == ""
    assert original.wrong_string({"exact_match": "Quest Band"}, "the Quest Band")
    assert original.wrong_string({"must_include": ["7", "8"]}, "8 and 7") == ""
    assert original.wrong_string({"must_include": ["1"]}, "10 of them"), "a number within another is another number"
    assert original.wrong_string({"must_include": ["one"]}, "")


def test_addresses_are_judged_by_path_and_parameters() -> None:
    wanted = "http://a.test/issues?state=open |OR| http://a.test/board"
    assert original.wrong_url(wanted, "http://a.test/issues?sort=x&state=open") == ""
    assert original.wrong_url(wanted, "http://a.test/board/") == ""
    assert original.wrong_url(wanted, "http://a.test/issues?state=closed")
