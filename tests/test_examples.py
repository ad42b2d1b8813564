"""The examples: complete, found by their names wherever the package is installed, and they work."""

from __future__ import annotations

import json
import sqlite3
import tomllib
from html import unescape
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest

from lbi.cli import shipped
from lbi.cli.preflight import check_config
from lbi.config import load_config
from lbi.environments.web.application import load_application
from lbi.environments.web.backend import LocalBackend, ManagedApplication
from lbi.environments.web.install import install
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from running import answer, lbi, lbi_here

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(file.parent for file in (ROOT / "examples").glob("*/lbi.toml"))
EACH = pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
ARMS = "evaluation.arms=[{name='baseline', agent='react'}, {name='backward', agent='icl', data='backward'}]"


# what is there


def test_there_are_three() -> None:
    assert [folder.name for folder in EXAMPLES] == ["board", "notes", "stock"]


@EACH
async def test_an_example_is_complete(example: Path) -> None:
    for file in example.glob("*.toml"):
        assert tomllib.loads(file.read_text())
        assert file.read_text().startswith("# "), f"{file} opens with what it is"
    config = load_config(example / "lbi.toml")
    await check_config(config)
    assert config.name == example.name
    assert config.models.default == "offline"
    assert load_application(config.application).name == example.name
    assert 2 <= len([*example.glob("docs/*.md")]) <= 5
    assert len((example / "README.md").read_text().splitlines()) <= 20


@EACH
def test_its_tasks_have_solutions_and_several_kinds_of_checks(example: Path) -> None:
    tasks = load_benchmark(str(example / "tasks.toml")).task
    assert 6 <= len(tasks) <= 8
    assert all(task.gold and task.category and task.level for task in tasks)
    kinds = [{kind for kind in ("sql", "answer", "url") if getattr(task.check, kind)} for task in tasks]
    assert set().union(*kinds) == {"sql", "answer", "url"}


@EACH
def test_its_server_needs_nothing_but_its_own_machine(example: Path) -> None:
    server = (example / "state" / "serve.py").read_text()
    assert "127.0.0.1" in server
    for file in (example / "state").iterdir():
        assert "http://" not in file.read_text()
        assert "cdn" not in file.read_text()


@pytest.mark.parametrize("name", ["stock", "board"])
def test_its_files_are_copied_into_the_state_and_nothing_is_written_beside_them(name: str, tmp_path: Path) -> None:
    example = ROOT / "examples" / name
    before = sorted(example.rglob("*"))
    made = install(load_application(example / "application.toml"), tmp_path)
    assert (made.pristine / "serve.py").read_text() == (example / "state" / "serve.py").read_text()
    database = sqlite3.connect(made.pristine / f"{name}.db")
    assert database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    database.close()
    assert sorted(example.rglob("*")) == before


# found by name


def test_a_shipped_config_or_example_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.find_config(Path("trac")) == ROOT / "configs" / "trac.toml"
    assert shipped.find_config(Path("notes")) == ROOT / "examples" / "notes" / "lbi.toml"
    assert not shipped.shipped_configs().keys() & shipped.shipped_examples().keys()
    with pytest.raises(UserError, match=r"no config file nots; did you mean notes\?"):
        shipped.find_config(Path("nots"))
    with pytest.raises(UserError, match=r"no config file stock\.toml; did you mean stock\?"):
        shipped.find_config(Path("stock.toml"))
    Path("mine.toml").touch()
    with pytest.raises(UserError, match=r"did you mean mine\.toml\?"):
        shipped.find_config(Path("mien.toml"))


def test_a_file_of_that_name_here_wins_and_a_folder_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trac").touch()
    assert shipped.find_config(Path("trac")) == Path("trac")
    Path("notes").mkdir()
    assert shipped.find_config(Path("notes")) == ROOT / "examples" / "notes" / "lbi.toml"
    Path("others").mkdir()
    assert shipped.find_config(Path("others")) == Path("others")


def test_a_copy_of_the_package_in_another_project_takes_nothing_for_ours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert not shipped._is_ours(tmp_path / "pyproject.toml")
    assert not shipped._is_ours(tmp_path / "none.toml")
    assert shipped._is_ours(ROOT / "pyproject.toml")


def test_the_wheel_holds_the_configs_and_the_examples() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"configs": "lbi/_shipped/configs", "examples": "lbi/_shipped/examples"}


def test_examples_are_listed_and_planned_from_anywhere(tmp_path: Path) -> None:
    rows = answer("list", "examples", cwd=tmp_path, here=True)
    assert [row["name"] for row in rows] == ["board", "notes", "stock"]
    assert all(row["description"] and Path(row["path"]).is_file() for row in rows)
    planned = answer("run", "stock", "--dry-run", cwd=tmp_path, here=True)
    assert (planned["out"], planned["held_out_tasks"]) == ("runs/stock", 8)
    assert not [*tmp_path.iterdir()]
    assert "did you mean board?" in lbi_here("run", "baord", cwd=tmp_path).stderr


# files beside an application's file


def test_files_of_the_state_are_part_of_what_it_is_made_from(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    file.write_text('name = "a"\nstart = ["x"]\n[state]\nfiles = "given"\n[[documents]]\npath = "docs"\n')
    (tmp_path / "given" / "in").mkdir(parents=True)
    (tmp_path / "given" / "in" / "one.txt").write_text("1")
    (tmp_path / "given" / "in" / "one.txt").chmod(0o444)
    application = load_application(file)
    assert application.documents[0].path == str(tmp_path / "docs")
    first = install(application, tmp_path / "cache")
    with open(first.pristine / "in" / "one.txt", "a") as copy:  # may be written to, though the original may not
        copy.write("2")
    assert install(application, tmp_path / "cache").pristine == first.pristine
    (tmp_path / "given" / "two.txt").write_text("2")
    assert install(application, tmp_path / "cache").pristine != first.pristine
    nothing = application.model_copy(update={"state": application.state.model_copy(update={"files": "none"})})
    with pytest.raises(UserError, match=r"state\.files names .*none, which is no folder with files in it"):
        install(nothing, tmp_path / "cache")


# what their servers answer


async def served(name: str, cache: Path) -> LocalBackend:
    return await ManagedApplication(load_application(ROOT / "examples" / name / "application.toml"), cache).start()


def asked(browser: OpenerDirector, address: str, method: str = "", **fields: str) -> tuple[int, str]:
    """Status and text of a page; with fields, of a form that was sent."""
    data = urlencode(fields).encode() if fields else None
    try:
        with browser.open(Request(address, data, method=method or None), timeout=10) as reply:
            return reply.status, unescape(reply.read().decode())
    except HTTPError as refusal:
        with refusal:
            return refusal.code, unescape(refusal.read().decode())


async def test_the_stock_list_wants_a_log_in_and_says_how_things_are_written(tmp_path: Path) -> None:
    backend = await served("stock", tmp_path)
    browser = build_opener(HTTPCookieProcessor())
    try:
        products = f"{backend.url}/products"
        assert "Password" in asked(browser, products)[1]
        assert asked(browser, f"{backend.url}/login", user="clerk", password="guess")[0] == 403
        assert asked(browser, f"{backend.url}/login", user="clerk", password="maple-and-rivets-3")[0] == 200
        assert "Page 1 of 3" in asked(browser, products)[1]
        assert "Wine glasses" in asked(browser, f"{products}?page=3")[1]
        status, page = asked(browser, f"{products}/new", name="Tea", number="7", price="1,5", delivered="14.3.2025")
        assert status == 422
        for said in ("such as FO-2044", "such as 12.50", "such as 25", "such as 2025-03-14"):
            assert said in page
        assert backend.query("SELECT count(*) FROM product") == [(22,)]
        assert "cannot be undone" in asked(browser, f"{products}/9/delete")[1]
        assert backend.query("SELECT count(*) FROM product") == [(22,)]
        asked(browser, f"{products}/9/delete", sure="yes")
        assert backend.query("SELECT count(*) FROM product") == [(21,)]
    finally:
        await backend.stop()


async def test_the_board_answers_its_scripts_in_json(tmp_path: Path) -> None:
    backend = await served("board", tmp_path)
    browser = build_opener()
    try:
        found = json.loads(asked(browser, f"{backend.url}/api/board?filter=stage")[1])
        assert [card["title"] for card in found["cards"]] == ["Stage lights", "Build the stage"]
        assert asked(browser, f"{backend.url}/api/cards/5", "DELETE")[0] == 200
        assert backend.query("SELECT count(*) FROM card") == [(9,)]
        assert asked(browser, f"{backend.url}/elsewhere")[0] == 404
    finally:
        await backend.stop()


# they work


@pytest.mark.browser
@pytest.mark.slow
@EACH
def test_it_starts_resets_and_scores_rightly(example: Path) -> None:
    done = lbi("check", "application", example / "application.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = answer("check", "benchmark", example / "tasks.toml", "--workers", "2")
    assert [(row["gold"], row["nothing"]) for row in rows] == [(1, 0)] * len(rows)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("example", [each for each in EXAMPLES if each.name != "notes"], ids=lambda folder: folder.name)
def test_it_runs_whole_and_its_examples_do_not_hurt(example: Path, tmp_path: Path) -> None:
    """As ``notes`` does in the test of README, whose worked example it is."""
    few = ["-s", "synthesis.rollouts=8", "-s", "synthesis.compose=0", "-s", ARMS]
    done = lbi("run", example.name, *few, "--workers", "2", "--json", "--quiet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    arms = {arm["arm"]: arm for arm in json.loads(done.stdout)["arms"]}
    assert all(arm["results"] == 8 and not arm["environment_errors"] for arm in arms.values())
    assert arms["backward"]["success"] >= arms["baseline"]["success"]
    assert (tmp_path / "runs" / example.name / "report.html").is_file()
