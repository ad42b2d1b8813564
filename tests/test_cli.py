"""The command line: what each command answers, and one clear line for everything that a person can get wrong."""

from __future__ import annotations

import errno
import json
import os
import re
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

from lbi import __version__
from lbi.cli import init
from lbi.cli.errors import explained
from lbi.config import Config, load_config
from lbi.environments.web.application import load_application
from lbi.errors import BudgetExceeded, EnvironmentFailure, ModelUnavailable, UserError
from lbi.models.pricing import Price
from lbi.prompts import prompt_hash
from lbi.records import Action, Document, Example, Observation, Result, Step, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.storage.writer import Writer
from running import answer, command, environ, lbi, lbi_here
from small_application import write_application

LOCKS = ("lock", "lock.joined")
HEAVY = {"pydantic", "rich", "jinja2", "numpy", "playwright", "openai", "anthropic", "tantivy", "docutils", "bs4"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_application(tmp_path / "app")


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
        "traces",
    }
    for kind, rows in found.items():
        assert kind == "configs" or (rows and all(row["name"] and row["description"] for row in rows)), kind
    assert [row["name"] for row in answer("list", "agents", here=True)] == [
        "best_of",
        "explore",
        "icl",
        "lats",
        "rag",
        "react",
        "reflexion",
        "spans",
        "try_commands",
    ]
    assert {row["name"] for row in answer("list", "models", here=True)} >= {"offline", "openai:NAME", "anthropic:NAME"}
    assert "did you mean agents?" in refused("list", "agent")


def test_list_finds_the_configs_that_lie_here(config: Path) -> None:
    found, *shipped = answer("list", "configs", cwd=config.parent, here=True)
    assert (found["name"], found["path"]) == ("run.toml", "run.toml")
    assert {"trac", "repo"} <= {row["name"] for row in shipped}


def test_no_table_cuts_a_path(config: Path) -> None:
    folder = config.parent / "configs"
    folder.mkdir()
    file = folder / f"{'a-long-name-of-a-config-' * 3}.toml"
    file.write_text('# What it is for\nurl = "http://localhost:1"\n')
    text = lbi_here("list", "configs", cwd=config.parent, COLUMNS="60").stdout
    assert "…" not in text
    assert f"configs/{file.name}" in "".join(text.replace("What it is for", "").split())


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


PRICED = ("--model", "openai:mine", "--base-url", "http://127.0.0.1:9/v1", "-s", 'models.prices."openai:mine"=[1, 2]')


def test_a_dry_run_says_what_is_likely_and_on_what_that_rests(config: Path) -> None:
    planned = answer("run", config, "--dry-run", *PRICED, here=True)
    likely = planned["expected"]
    assert 0 < likely["cost"] < planned["cost"]
    assert (
        "an attempt takes 3 of 6 steps; an episode takes 3 of 5 steps; pages have 6,000 characters" in likely["basis"]
    )
    text = lbi_here("run", config, "--dry-run", *PRICED).stdout
    assert f"Expected, assumed, since no run shows it yet: {likely['basis']}" in text
    assert "A budget that should be enough: --budget 1usd" in text
    assert (
        "will probably stop it before the end"
        in lbi_here("run", config, "--dry-run", *PRICED, "--budget", "0.01").stdout
    )


def test_a_dry_run_takes_lengths_from_the_run_that_is_there(config: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "out", Observation(text="a page")
    step = Step(observation=page, action=Action(text="click(e1)"))
    with RunFolder(out, Config().identity()) as folder:
        for number in (1, 3):
            task = Task(instruction="Cook", environment="web")
            made = Trajectory(task=task, agent="a", steps=(step,) * number, last=page, stop="done")
            folder.store.put("trajectory", f"0/{number}/0", made)
        folder.store.put("result", "baseline/0/a", Result(task="a", arm="baseline", seed=0, score=0.0, steps=4))
        folder.store.add("attempt/act", calls=4, input_tokens=4000, output_tokens=80, cost=0.5)
    planned = answer("run", config, "--out", out, "--dry-run", *PRICED, here=True)
    rows = {(row["stage"], row["role"]): row for row in planned["expected"]["stages"]}
    attempt = rows["attempt", "act"]
    assert (attempt["calls"], attempt["input_tokens"], attempt["output_tokens"]) == (12, 12_000, 240)
    assert rows["evaluate: baseline", "act"]["calls"] == 2 * 4
    assert (planned["expected"]["from"], planned["spent"]) == (str(out), 0.5)
    text = lbi_here("run", config, "--out", out, "--dry-run", *PRICED).stdout
    assert "an attempt takes 2.0 steps; an episode takes 4.0 steps" in text
    assert "$0.50 is spent already" in text


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


def test_set_takes_any_value_of_toml_and_a_bare_word_is_a_text(config: Path) -> None:
    settings = (
        'evaluation.arms=[{name="baseline",agent="react"}, {name="backward",agent="icl",data="backward"}]',
        'synthesis.filters=["repeat"]',
        'models.prices."openai:gpt-4.1"=[1, 2]',
        "labelling.spans=all",
        "name=a few words",
        "evaluation.growth=[0.5]",
    )
    resolved = answer("run", config, "--dry-run", *(part for each in settings for part in ("-s", each)), here=True)[
        "config"
    ]
    assert [arm["name"] for arm in resolved["evaluation"]["arms"]] == ["baseline", "backward"]
    assert resolved["synthesis"]["filters"] == ["repeat"]
    assert resolved["models"]["prices"]["openai:gpt-4.1"]["output"] == 2
    assert (resolved["labelling"]["spans"], resolved["name"]) == ("all", "a few words")
    assert "[repeat] is no TOML value" in refused("run", config, "-s", "synthesis.filters=[repeat]")
    assert "should be a list (got 'repeat')" in refused("run", config, "-s", "synthesis.filters=repeat")


def test_paths_in_settings_are_meant_from_where_the_command_runs(config: Path, tmp_path: Path) -> None:
    settings = ("-s", "benchmark=app/tasks.toml", "-s", 'documents=[{path="app/docs"}]')
    resolved = answer("run", config, "--dry-run", *settings, cwd=tmp_path, here=True)["config"]
    assert resolved["benchmark"] == str(tmp_path / "app" / "tasks.toml")
    assert resolved["documents"][0]["path"] == str(tmp_path / "app" / "docs")


def test_all_mistakes_of_a_config_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "lbi.toml").write_text(
        'workers = "many"\nrollouts = 3\n[evaluation]\ntaks = 3\n'
        '[models]\nprcies = {}\n[synthesis]\nfilters = "repeat"\n'
    )
    ran = lbi_here("run", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    headline, *lines = ran.stderr.splitlines()
    assert headline == "lbi: lbi.toml: 5 mistakes"
    assert sorted(lines) == [
        "  synthesis.filters: should be a list (got 'repeat')",
        "  unknown key 'evaluation.taks'; did you mean 'tasks'?",
        "  unknown key 'models.prcies'; did you mean 'prices'?",
        "  unknown key 'rollouts'; did you mean 'synthesis.rollouts'?",
        "  workers: should be a whole number (got 'many')",
    ]


def test_all_names_that_a_config_gets_wrong_are_told_at_once(config: Path) -> None:
    wrong = ("-s", "synthesis.agent=axplore", "-s", 'synthesis.filters=["repeet"]', "-s", "evaluation.reference=none")
    ran = lbi_here("run", config, *wrong)
    assert ran.returncode == 2
    headline, *lines = ran.stderr.splitlines()
    assert headline == "lbi: the config has 3 mistakes"
    assert all(hint in line for hint, line in zip(("'explore'", "'repeat'", "is no arm"), lines, strict=True))


def test_help_groups_its_commands() -> None:
    text = lbi_here("--help").stdout
    order = [text.index(f"\n{heading}:\n") for heading in ("Learn", "Look", "Use", "Tools")]
    assert order == sorted(order)
    assert text.index("\n  run ") < order[1] < text.index("\n  report ") < order[2] < text.index("\n  export ")


def test_a_model_without_key_or_with_an_unknown_name_ends_before_anything_is_done(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "none"
    assert "set the environment variable ANTHROPIC_API_KEY" in refused(
        "run", config, "-o", out, "--model", "anthropic:claude-sonnet-4-5"
    )
    assert 'unknown model "gpt-99"' in refused(
        "run", config, "-o", out, "--model", "openai:gpt-99", OPENAI_API_KEY="none"
    )
    assert "did you mean 'openai'?" in refused("run", config, "-o", out, "--model", "opnai:gpt-5")
    assert "did you mean openai:gpt-5?" in refused("run", config, "-o", out, "--model", "gpt-5")
    assert "the price of openai:mine is unknown" in refused(
        *("run", config, "-o", out, "--model", "openai:mine", "--base-url", "http://127.0.0.1:9/v1", "--budget", "1")
    )
    keys = ("models.default='anthropic:claude-sonnet-4-5'", "models.judges=['openai:gpt-5', 'google:gemini-2.5-pro']")
    told = refused("run", config, "-o", out, *(part for key in keys for part in ("--set", key)))
    assert "no key for anthropic and openai and google: set the environment variables ANTHROPIC_API_KEY and" in told
    assert "OPENAI_API_KEY and GEMINI_API_KEY or GOOGLE_API_KEY" in told
    assert not out.exists()


@pytest.mark.slow
def test_an_application_that_does_not_come_up_is_named_with_what_it_said(tmp_path: Path) -> None:
    config = _config_for(tmp_path, '["{python}", "-c", "raise SystemExit(\'the database is missing\')"]')
    line = refused("run", config, "-q", "--out", tmp_path / "out")
    assert "does not come up" in line
    assert line.endswith("the database is missing")


@pytest.mark.slow
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
    assert "nothing to export" in refused("export", started, "--format", "trl", "--allow-offline")


def test_what_the_offline_model_made_is_exported_only_when_that_is_meant(started: Path) -> None:
    line = refused("export", started, "--format", "trl")
    assert "was made by the offline model, which is no language model; add --allow-offline" in line


@pytest.mark.slow
def test_a_failed_export_leaves_nothing_behind(started: Path, tmp_path: Path) -> None:
    refused("export", started, "--format", "trl", "--allow-offline")
    assert {file.name for file in started.iterdir() if not file.name.startswith("run.db")} == {"config.json", *LOCKS}
    refused("export", started, "--format", "trl", "--allow-offline", "--out", tmp_path / "new" / "training")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    line = refused("export", started, "-f", "trl", "--allow-offline", "--out", tmp_path / "file" / "x")
    assert "choose another --out" in line
    line = refused("export", started, "-f", "trl", "--allow-offline", "--out", tmp_path / "file")
    assert f"cannot write to {tmp_path / 'file'}: it is a file" in line


def test_what_a_killed_export_left_goes_with_the_next(started: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    killed, at_work = (tmp_path / f".out.{number}.part" for number in (process.pid, os.getpid()))
    for folder in (killed, at_work):
        folder.mkdir()
        (folder / "train.jsonl").write_text("{}")
    refused("export", started, "-f", "trl", "--allow-offline", "--out", tmp_path / "out")
    assert not killed.exists()
    assert at_work.exists()


@pytest.mark.parametrize("earlier", [False, True])
def test_an_export_says_who_made_it_and_takes_the_place_of_an_earlier_one(
    started: Path, tmp_path: Path, earlier: bool
) -> None:
    click = Action(text="click(e1)", kind="click", role="button", name="Cook")
    page = Observation(text='button "Cook" [e1]', url="/")
    task = Task(instruction="Cook", environment="web", document="guide")
    trajectory = Trajectory(task=task, agent="a", steps=(Step(observation=page, action=click),), last=page, stop="done")
    example = Example(
        kind="abstract",
        instruction="Cook it",
        trajectory=trajectory.id,
        start=0,
        end=1,
        document="guide",
        tier="replayed",
    )
    with RunFolder(started) as folder:
        folder.store.put("trajectory", "0/t/0", trajectory)
        folder.store.put("example", "0/t/abstract/000-001", example)
    out = tmp_path / "training"
    if earlier:
        out.mkdir()
        for name in ("validation.parquet", "mine.txt", "export.json"):
            (out / name).write_text("old")
    ran = lbi_here("export", started, "--format", "trl", "--allow-offline", "--out", out)
    assert ran.returncode == 0, ran.stderr
    assert "offline model, which is no language model" in " ".join(ran.stdout.split())
    assert "No document falls to the validation side" in ran.stdout
    assert "Longest row: about" in ran.stdout
    assert "default max_length=1,024 cuts" in " ".join(ran.stdout.split())
    card = json.loads((out / "export.json").read_text())
    assert (card["lengths"]["fits"][0]["setting"], card["lengths"]["estimated"]) == ("max_length", True)
    made_by = card["made_by"]
    assert made_by == {
        "act": "offline",
        "label": "offline",
        "judges": ["offline"],
        "offline": True,
        "prompts": {role: prompt_hash(role) for role in ("propose", "act", "abstract", "summarise", "judge")},
        "contamination": None,
    }
    names = {file.name for file in out.iterdir()}
    written = {"train.jsonl", "trl.yaml", "unsloth_train.py", "export.json"}
    assert names == {*written, *(["mine.txt"] if earlier else [])}
    before = {file: file.read_bytes() for file in out.iterdir()}
    dry = lbi_here("export", started, "--format", "openai", "--allow-offline", "--out", out, "--dry-run")
    assert "Examples: 1 abstract; 1 short; 1 replayed." in " ".join(dry.stdout.split())
    assert "Nothing is written (--dry-run)" in dry.stdout
    assert {file: file.read_bytes() for file in out.iterdir()} == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
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


@pytest.mark.slow
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
    said = lbi_here("report", started, "--tables").stdout
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
    suggested = re.search(r"lbi run lbi.toml (--model \S+) --budget (\d+)usd", ran.stdout)
    assert suggested is not None
    planned = answer("run", *suggested[1].split(), "--dry-run", cwd=tmp_path)
    assert planned["expected"]["cost"] < int(suggested[2]), "the budget that is suggested is enough"
    config = load_config(tmp_path / "lbi.toml")
    assert (config.url, config.documents[0].path) == (site, str(tmp_path / "docs"))
    assert answer("run", "--dry-run", cwd=tmp_path)["documents"] == 1
    assert "is there already" in refused("init", "--url", site, "--docs", "docs", cwd=tmp_path)
    head, sign, template = (tmp_path / "tasks.toml").read_text().partition("# [[task]]")
    (tmp_path / "tasks.toml").write_text(head + (sign + template).replace("\n# ", "\n").removeprefix("# "))
    uncommented = answer("run", "--dry-run", "--set", "benchmark=tasks.toml", cwd=tmp_path)
    assert uncommented["held_out_tasks"] == 1


def test_init_writes_economical_settings_and_how_lbi_starts_the_application(tmp_path: Path) -> None:
    init._write(tmp_path / "lbi.toml", tmp_path / "tasks.toml", "kitchen", "http://localhost:3000", ["docs"])
    text = (tmp_path / "lbi.toml").read_text()
    config = load_config(tmp_path / "lbi.toml")
    assert (config.labelling.spans, config.synthesis.compose, config.evaluation.tasks) == ("informative", 8, 20)
    _, _, lines = text.partition("#\n# name = ")
    (tmp_path / "kitchen.toml").write_text(("# name = " + lines).replace("\n# ", "\n").replace("\n#\n", "\n\n")[2:])
    application = load_application(str(tmp_path / "kitchen.toml"))
    assert (application.name, application.state.database) == ("kitchen", "data.db")
    assert application.login.form is not None


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
