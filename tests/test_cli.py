"""The command line: what each command answers, and one clear line for everything that a person can get wrong."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from larder import answer, command, environ, lbi, lbi_here, write_larder
from lbi import __version__
from lbi.cli.errors import explained
from lbi.config import Config, load_config
from lbi.errors import BudgetExceeded, EnvironmentFailure, ModelUnavailable, UserError
from lbi.models.pricing import Price
from lbi.records import Document, Example, Task
from lbi.storage.run_folder import RunFolder
from lbi.storage.writer import Writer

HEAVY = {"pydantic", "rich", "jinja2", "numpy", "playwright", "openai", "anthropic", "tantivy", "docutils", "bs4"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_larder(tmp_path / "app")


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """A run folder in which something is."""
    out = tmp_path / "started"
    with RunFolder(out, Config(url="http://127.0.0.1:9").identity()) as folder:
        folder.store.put("document", "00000", Document(text="Press the button.", source="guide.md"))
    return out


def refused(*arguments: str | Path, cwd: Path | None = None, **more: str) -> str:
    """The line that a command gives for bad input; that it is one line, and the exit code, is checked here.

    Commands with ``--out`` may get as far as opening a run folder, so they have a process of their own.
    """
    ran = (lbi if "--out" in arguments else lbi_here)(*arguments, cwd=cwd, **more)
    assert (ran.returncode, ran.stdout) == (2, ""), ran
    (line,) = ran.stderr.splitlines()
    assert line.startswith("lbi: ")
    return line


# help


def test_help_and_version_load_nothing_heavy() -> None:
    code = """
import sys
from lbi.cli.app import main
sys.argv = ["lbi", *sys.argv[1:]]
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
    for argument in ("--help", "--version"):
        ran = subprocess.run(
            [sys.executable, "-c", code, argument], env=environ(), capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 0
        assert not HEAVY & set(ran.stderr.split())
    assert ran.stdout == f"lbi {__version__}\n"


def test_every_command_has_help_and_an_unknown_option_is_refused() -> None:
    said = lbi("--help").stdout
    names = ("run", "synthesize", "evaluate", "report", "export", "list", "check", "init")
    assert all(f"\n  {name} " in said for name in names)
    for name in names:
        ran = lbi_here(name, "--help")
        assert (ran.returncode, ran.stderr) == (0, "")
    ran = lbi_here("run", "--wrokers", "2")
    assert (ran.returncode, "--workers" in ran.stderr) == (2, True)


# what there is


def test_list_names_every_plug_in_with_a_line_of_its_own() -> None:
    found = answer("list", here=True)
    assert set(found) == {
        "applications",
        "benchmarks",
        "agents",
        "filters",
        "models",
        "environments",
        "configs",
        "examples",
        "readers",
        "exporters",
    }
    for kind, rows in found.items():
        assert kind == "configs" or (rows and all(row["name"] and row["description"] for row in rows)), kind
    assert [row["name"] for row in answer("list", "agents", here=True)] == [
        "explore",
        "icl",
        "rag",
        "react",
        "try_commands",
    ]
    assert "did you mean agents?" in refused("list", "agent")


def test_list_finds_the_configs_that_lie_here(config: Path) -> None:
    found, *shipped = answer("list", "configs", cwd=config.parent, here=True)
    assert (found["name"], found["path"]) == ("run.toml", "run.toml")
    assert {"trac", "repo"} <= {row["name"] for row in shipped}


def test_check_of_a_config_says_what_is_in_it(config: Path) -> None:
    (row,) = answer("check", "config", config, here=True)
    assert row["passed"]
    assert "2 held-out tasks" in row["found"]
    ran = lbi_here("check", "config", config.with_name("none.toml"), "--json")
    assert (ran.returncode, json.loads(ran.stdout)[0]["passed"]) == (1, False)
    assert "cannot check" in refused("check", "everything")
    assert "which benchmark?" in refused("check", "benchmark")
    assert "no task 'flour'; nearest: store-flour" in refused(
        "check", "benchmark", config.with_name("tasks.toml"), "--task", "flour"
    )


# the plan


def test_a_dry_run_prints_config_and_plan_and_makes_nothing(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    arguments = ("run", config, "--out", out, "--dry-run", "--seeds", "0,1", "--set", "synthesis.kinds=['summary']")
    found = answer(*arguments, here=True)
    assert not out.exists()
    assert (found["documents"], found["tasks_proposed"], found["rollouts"], found["held_out_tasks"]) == (3, 6, 12, 2)
    rows = {(row["stage"], row["role"]): row for row in found["stages"]}
    assert rows["propose", "propose"]["calls"] == 3
    assert rows["label", "summarise"]["calls"] == 12  # the four spans of a trajectory in one call
    alone = answer(*arguments, "--set", "labelling.together=1", here=True)["stages"]
    assert [row["calls"] for row in alone if row["role"] == "summarise"] == [12 * 4]
    assert rows["filter", "judge"]["calls"] == 12 * 4 + 12
    assert rows["evaluate: backward", "query"]["calls"] == 2 * 2 * 5
    assert ("attempt", "act") not in rows, "the exploring agent asks no model"
    assert found["cost"] == 0
    text = lbi_here(*arguments).stdout
    assert 'synthesis.kinds = ["summary"]' in text
    assert "at most" in text


def test_a_dry_run_prices_a_model_without_its_key_and_says_so_where_no_price_is_known(config: Path) -> None:
    found = answer("run", config, "--dry-run", "--model", "openai:gpt-4o", here=True)
    assert found["cost"] > 0.01
    assert sum(row["cost"] for row in found["stages"]) == pytest.approx(found["cost"])
    assert next(row for row in found["stages"] if row["stage"] == "attempt")["calls"] == 6 * 6
    assert "OPENAI_API_KEY" in found["notes"][0]
    own = ("run", config, "--dry-run", "--model", "openai:mine", "--base-url", "http://127.0.0.1:9/v1")
    assert answer(*own, here=True)["cost"] is None
    assert "price unknown" in lbi_here(*own).stdout
    priced = answer(*own, "--set", 'models.prices={"openai:mine"=[1.0, 2.0]}', here=True)
    assert priced["cost"] == pytest.approx((priced["input_tokens"] + 2 * priced["output_tokens"]) / 1e6, rel=0.01)
    parts = {only: answer(only, config, "--dry-run", here=True)["calls"] for only in ("run", "synthesize")}
    assert 0 < parts["synthesize"] < parts["run"]


# bad input


def test_mistakes_in_a_config_are_named_with_the_nearest_right_thing(config: Path, tmp_path: Path) -> None:
    assert "did you mean 'tasks'?" in refused("run", config, "--set", "evaluation.taks=3")
    assert "no config file" in refused("run", tmp_path / "none.toml")
    assert "There is no lbi.toml here" in refused("run", cwd=tmp_path)
    assert "a folder without a run" in refused("run", tmp_path)
    assert "--set takes KEY=VALUE" in refused("run", config, "--set", "workers")
    assert "not a table" in refused("run", config, "--set", "name.first=x")
    assert "seeds are whole numbers" in refused("run", config, "--seeds", "one")
    assert "cannot read the budget" in refused("run", config, "--budget", "much")
    assert "did you mean 'explore'?" in refused("run", config, "--set", "synthesis.agent='axplore'")
    assert "is no arm" in refused("run", config, "--set", "evaluation.reference='none'")
    (tmp_path / "broken.toml").write_text("name = ")
    assert "broken.toml" in refused("run", tmp_path / "broken.toml")
    assert not (tmp_path / "runs").exists()


def test_a_model_without_key_or_with_an_unknown_name_ends_before_anything_is_done(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    assert "set the environment variable ANTHROPIC_API_KEY" in refused(
        "run", config, "-o", out, "--model", "anthropic:claude-sonnet-4-5"
    )
    assert 'unknown model "gpt-99"' in refused(
        "run", config, "-o", out, "--model", "openai:gpt-99", OPENAI_API_KEY="none"
    )
    assert "did you mean 'openai'?" in refused("run", config, "-o", out, "--model", "opnai:gpt-5")
    assert "the price of openai:mine is unknown" in refused(
        *("run", config, "-o", out, "--model", "openai:mine", "--base-url", "http://127.0.0.1:9/v1", "--budget", "1")
    )
    assert not out.exists()


def test_an_application_that_does_not_come_up_is_named_with_what_it_said(tmp_path: Path) -> None:
    config = _config_for(tmp_path, '["{python}", "-c", "raise SystemExit(\'the database is missing\')"]')
    line = refused("run", config, "-q", "--out", tmp_path / "out")
    assert "does not come up" in line
    assert line.endswith("the database is missing")


def test_an_application_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        start = f'["{{python}}", "-m", "http.server", "{port}", "--bind", "127.0.0.1"]'
        assert "its port is taken" in refused("run", _config_for(tmp_path, start), "-q", "--out", tmp_path / "out")


def _config_for(folder: Path, start: str) -> Path:
    (folder / "app.toml").write_text(f'name = "app"\nstart = {start}\n')
    file = folder / "app-run.toml"
    file.write_text('application = "app.toml"\n[[documents]]\ntext = "Press the button."\ntitle = "Guide"\n')
    return file


@pytest.mark.browser
def test_a_missing_browser_is_named_and_nothing_is_lost(config: Path, tmp_path: Path) -> None:
    without = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path)}
    out = tmp_path / "out"
    assert "no Chromium found. Get one with" in refused(
        "run", config, "--out", out, "-q", XDG_CACHE_HOME=str(tmp_path), **without
    )
    ran = lbi("check", "browser", **without)
    assert (ran.returncode, "FAILED" in ran.stdout) == (1, True)
    # the folder holds nothing yet, so it takes a config that was put right
    with RunFolder(out, load_config(config, {"name": "other"}).identity()) as folder:
        assert folder.config["name"] == "other"


def test_documents_that_cannot_be_read_are_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("")
    (tmp_path / "image.md").write_bytes(bytes(range(256)))
    docs = f'documents=[{{path="{tmp_path}/empty.md"}}, {{path="{tmp_path}/image.md"}}]'
    found = answer("run", config, "--dry-run", "--set", docs, here=True)
    assert [Path(skipped["source"]).name for skipped in found["skipped"]] == ["empty.md", "image.md"]
    assert all(skipped["reason"] for skipped in found["skipped"])
    url = ("--url", "http://127.0.0.1:9")
    line = refused_after("init", *url, "--docs", tmp_path / "image.md", "--out", tmp_path / "lbi.toml", cwd=tmp_path)
    assert "no document could be read" in line


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "there is no run.db" in refused("report", tmp_path)
    assert "there is no run.db" in refused("export", tmp_path, "--format", "trl")
    assert "is no run folder" in refused("evaluate", tmp_path)


def test_bad_choices_of_an_export_are_named(started: Path) -> None:
    assert "there is no export format 'csv'; known:" in refused("export", started, "--format", "csv")
    assert "there is no tier 'best'" in refused("export", started, "--format", "trl", "--tier", "best")
    assert "there is no kind of example 'long'" in refused("export", started, "--format", "trl", "--kinds", "long")
    assert "nothing to export" in refused("export", started, "--format", "trl")


def test_a_full_disk_is_said_and_loses_nothing(started: Path, tmp_path: Path) -> None:
    """No file may grow as large as the report, so it cannot be written; what was there stays."""
    with RunFolder(started) as folder:  # a report that is larger than what SQLite needs to be read
        tasks = [Task(instruction="Cook. " * 500, environment="app", name=f"cook-{n}") for n in range(50)]
        folder.store.put_many("heldout", [(task.name, task) for task in tasks])
    assert lbi("report", started).returncode == 0
    most = (started / "report.html").stat().st_size - 1

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    before = (started / "report.html").read_bytes()
    ran = subprocess.run(
        command("report", started), env=environ(), capture_output=True, text=True, preexec_fn=little_room, timeout=60
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("lbi: the disk is full")
    assert (started / "report.html").read_bytes() == before
    assert not list(started.glob("*.part"))
    with RunFolder(started) as folder:
        folder.store.flush()
        assert folder.store._writer is None
        database = folder.store._connected()
        database.execute("PRAGMA max_page_count = 1")
        folder.store._writer = Writer(database)
        with pytest.raises(UserError, match=r"database or disk is full.*nothing finished is lost"):
            folder.store.put("document", "00001", Document(text=os.urandom(9000).hex(), source="b.md")).wait()
        assert folder.store.count("document") == 1


ON_A_READ_ONLY_DISK = """
import os, sys
from lbi.sandbox.supervisor import mounts
place, *arguments = sys.argv[1:]
mounts.own_namespace()
mounts.mount(place, place, "", mounts.BIND)
mounts.mount("none", place, "", mounts.REMOUNT | mounts.BIND | mounts.RDONLY)
os.execv(sys.executable, [sys.executable, "-m", "lbi", *arguments])
"""


def test_a_disk_that_is_read_only_is_said_and_what_is_on_it_can_be_looked_at(started: Path, config: Path) -> None:
    """In a mount namespace of the command's own: to root, a file's mode means nothing."""

    def shut(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        place = [sys.executable, "-c", ON_A_READ_ONLY_DISK, started.parent, *arguments]
        return subprocess.run(place, env=environ(), capture_output=True, text=True, timeout=60)

    looked = shut("calls", started)
    if "cannot make a user namespace" in looked.stderr:
        pytest.skip("this user may not mount anything")
    assert (looked.returncode, looked.stderr) == (0, "")
    for arguments, said in (
        (("report", started), f"lbi: the disk is read-only at {started}/"),
        (
            ("run", config, "-q", "--out", started),
            f"lbi: cannot use the run folder {started}: Read-only file system; make",
        ),
        (
            ("run", config, "-q", "--out", started / "new"),
            f"lbi: cannot use the run folder {started / 'new'}: Read-only",
        ),
    ):
        ran = shut(*arguments)
        assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran
        assert ran.stderr.startswith(said)
    assert not (started / "report.html").exists()
    assert lbi("report", started).returncode == 0  # writable again, it goes on


# errors


def test_what_several_workers_ran_into_is_told_by_its_cause() -> None:
    def group(*errors: Exception) -> ExceptionGroup[Exception]:
        return ExceptionGroup("tasks", [ExceptionGroup("inner", list(errors))])

    user, broken = UserError("no such thing"), EnvironmentFailure("the server is gone")
    assert explained(group(broken, user)) == ("no such thing", 2)
    line, code = explained(group(BudgetExceeded("the budget is used up")))
    assert (line, code) == ("the budget is used up. Nothing finished is lost", 3)
    assert explained(group(broken))[1] == 2
    assert explained(group(broken, ModelUnavailable("a wrong key"))) == ("a wrong key", 2)
    assert explained(OSError(errno.ENOSPC, "No space left on device", "/x/run.db"))[0].startswith(
        "the disk is full at /x/run.db"
    )


def test_what_nobody_expected_leaves_its_traceback_in_a_file() -> None:
    try:
        raise ZeroDivisionError("of a constant")
    except ZeroDivisionError as error:
        line, code = explained(error)
    assert code == 1
    assert line.startswith("the program is wrong: ZeroDivisionError: of a constant; the traceback is in ")
    file = Path(line.partition(" is in ")[2].rstrip("."))
    assert "test_what_nobody_expected" in file.read_text()
    file.unlink()


# reports


def test_report_answers_in_json_at_any_point_of_a_run(started: Path) -> None:
    found = answer("report", started, here=True)
    assert (found["funnel"]["documents"], found["arms"], found["comparisons"]) == (1, [], [])
    assert Path(found["report"]).is_file()
    assert (found["calls"], found["money"]) == (0, 0)


def test_a_report_tells_tokens_and_money_by_stage_and_per_kept_example(started: Path) -> None:
    with RunFolder(started) as folder:
        store = folder.store
        store.add("label/abstract", calls=2, hits=1, input_tokens=900, cached_tokens=300, written_tokens=200, cost=0.25)
        store.add("filter/judge", calls=1, input_tokens=100, output_tokens=10, cost=0.05)
        store.add("evaluate: rag/act", calls=1, input_tokens=7, cost=7.0)
        for number, kind in enumerate(("abstract", "abstract", "forward")):
            made = Example(kind=kind, instruction=f"Go {number}", trajectory="t", start=0, end=1)
            store.put("example", f"0/t/{kind}/{number}", made)
        store.put("price", "a:b 1", Price(input=1, output=2, date="2026-11-22"))
    found = answer("report", started, here=True)
    rows = {row["stage"]: row for row in found["stages"]}
    assert (rows["label/abstract"]["cached_tokens"], rows["label/abstract"]["written_tokens"]) == (300, 200)
    assert (rows["label/abstract"]["hits"], rows["label/abstract"]["money"]) == (1, 0.25)
    assert found["per_kept_example"] == {"examples": 2, "tokens": 1010 / 2, "money": pytest.approx(0.15)}
    assert [(price["model"], price["date"]) for price in found["prices"]] == [("a:b", "2026-11-22")]
    said = lbi_here("report", started).stdout
    assert "What the models took" in said
    assert "per kept example (2): 505 tokens, $0.15" in said
    with RunFolder(started) as folder:
        folder.store.add("filter/judge", unpriced=1)
    assert answer("report", started, here=True)["per_kept_example"]["money"] is None, "unknown is not zero"


# init


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = (
            b"<title>Kitchen</title><h1>Kitchen</h1><a href=/a>Recipes</a><button>Cook</button><input aria-label=Name>"
        )
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.browser
def test_init_looks_at_the_site_and_writes_a_config_that_runs(site: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text(
        "# Cooking\n\n" + "Press Cook, and what the recipe says is cooked. " * 5
    )
    ran = lbi("init", "--url", site, "--docs", "docs", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "3 elements" in ran.stdout
    assert "lbi run lbi.toml --dry-run" in ran.stdout
    config = load_config(tmp_path / "lbi.toml")
    assert (config.url, config.documents[0].path) == (site, str(tmp_path / "docs"))
    assert answer("run", "--dry-run", cwd=tmp_path)["documents"] == 1
    assert "is there already" in refused("init", "--url", site, "--docs", "docs", cwd=tmp_path)
    head, sign, template = (tmp_path / "tasks.toml").read_text().partition("# [[task]]")
    (tmp_path / "tasks.toml").write_text(head + (sign + template).replace("\n# ", "\n").removeprefix("# "))
    uncommented = answer("run", "--dry-run", "--set", "benchmark=tasks.toml", cwd=tmp_path)
    assert uncommented["held_out_tasks"] == 1


@pytest.mark.browser
def test_init_writes_nothing_for_a_site_that_does_not_answer(tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# Cooking\n\n" + "Press Cook, and what the recipe says is cooked. " * 5)
    line = refused_after("init", "--url", "http://127.0.0.1:9", "--docs", "guide.md", cwd=tmp_path)
    assert "http://127.0.0.1:9 does not answer in the browser" in line
    assert not (tmp_path / "lbi.toml").exists()


def refused_after(*arguments: str | Path, cwd: Path) -> str:
    """As ``refused``, of a command that says something before."""
    ran = lbi(*arguments, cwd=cwd)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    return line


def test_init_refuses_what_is_no_address_and_documents_that_are_not_there(tmp_path: Path) -> None:
    assert 'not "localhost:3000"' in refused("init", "--url", "localhost:3000", "--docs", ".", cwd=tmp_path)
    line = refused("init", "--url", "http://localhost:3000", "--docs", "nowhere", cwd=tmp_path)
    assert "--docs names nowhere, which is not there" in line
