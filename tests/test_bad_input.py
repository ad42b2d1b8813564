"""Bad input: what is out of range, no address, no name or no end is told in one line, before anything is done."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lbi.config import MOST_STEPS, load_config, resolve
from lbi.documents.apart import ReadingApart
from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.documents.reading import TOO_MUCH_MEMORY, TOO_MUCH_TIME, Text
from lbi.environments.web.application import load_application
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.evaluation.holdout import held_out_sections, tasks_wanted
from lbi.evaluation.task_mistakes import sql_problem
from lbi.models.registry import open_model
from lbi.storage.names import address_problem, name_problem
from lbi.storage.toml import TomlError, parse_toml
from running import lbi_here
from small_application import write_application

OUT_OF_RANGE = [
    ("synthesis.rollouts", 0),
    ("synthesis.rollouts", -1),
    ("synthesis.rollouts", 10**10),
    ("synthesis.rollouts", True),
    ("synthesis.rollouts", "3"),
    ("synthesis.step_limit", 0),
    ("synthesis.step_limit", 10_000_000_000),
    ("synthesis.tasks_per_document", 0),
    ("synthesis.spans_per_trajectory", 0),
    ("synthesis.compose", -1),
    ("evaluation.step_limit", -5),
    ("evaluation.step_limit", 10_000_000_000),
    ("evaluation.tasks", -1),
    ("evaluation.tasks", 10**12),
    ("evaluation.growth", [1.5]),
    ("evaluation.growth", [-0.1]),
    ("retrieval.m1", -1),
    ("retrieval.documents", 10**9),
    ("labelling.together", 10**9),
    ("seeds", []),
    ("seeds", [-1]),
    ("seeds", [2**40]),
    ("seeds", [True]),
    ("seeds", [1, 1]),
    ("workers", 0),
    ("workers", 65),
    ("models.budget", -1.0),
    ("models.budget", float("nan")),
    ("models.timeout", float("inf")),
    ("shell.seconds", float("inf")),
    ("name", "../x"),
    ("name", "a/b"),
    ("name", ""),
    ("name", "x\n"),
    ("name", "/etc"),
    ("name", "x" * 300),
    ("models.base_url", "localhost:8000"),
    ("models.base_url", "http://["),
    ("models.base_url", "http://"),
    ("models.base_url", "ftp://host/v1"),
    ("models.base_url", "http://host:99999"),
    ("models.base_url", "http://a b"),
    ("models.base_url", "nonsense"),
    ("models.embeddings_url", "nonsense"),
    ("url", "javascript:alert(1)"),
    ("url", "http://999.1.1.1/"),
    ("url", "http://ann:secret@host/"),
    ("models.base_url", "http://ann:secret@host/v1"),
]


@pytest.mark.parametrize(("key", "value"), OUT_OF_RANGE, ids=lambda value: repr(value)[:30])
def test_what_is_out_of_its_range_is_told_with_its_key_in_one_line(key: str, value: Any) -> None:
    with pytest.raises(UserError) as raised:
        resolve({}, "run.toml", {key: value})
    message = str(raised.value)
    assert "\n" not in message
    assert key in message
    assert len(message) < 300
    assert "secret" not in message


@pytest.mark.parametrize("name", ["../x", "a/b", "", "..", "x\0"])
def test_the_name_of_an_arm_is_a_name(name: str) -> None:
    with pytest.raises(UserError, match=r"evaluation\.arms\.0\.name"):
        resolve({"evaluation": {"arms": [{"name": name, "agent": "react"}]}}, "run.toml")


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.01, 1e9])
def test_an_arm_takes_a_step_and_no_endless_number_of_them(factor: float) -> None:
    arm = {"name": "a", "agent": "react", "step_factor": factor}
    with pytest.raises(UserError, match=r"step_factor"):
        resolve({"evaluation": {"arms": [arm], "reference": "a"}}, "run.toml")


@pytest.mark.parametrize("name", ["a", "a b + c, d", "Ärger", "x-1.2_3", "baseline @ home"])
def test_usual_names_are_names(name: str) -> None:
    assert name_problem(name) == ""


@pytest.mark.parametrize("name", ["a\\b", ".x", "-x", " x", "x.", "a\u202eb", "a\u2028b", "\ud800"])
def test_what_a_file_or_a_terminal_would_mind_is_no_name(name: str) -> None:
    assert name_problem(name)


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:8000/v1",
        "https://api.example.org",
        "http://127.0.0.1",
        "http://[::1]:80/v1",
        "http://my_host:1",
    ],
)
def test_usual_addresses_are_addresses(address: str) -> None:
    assert address_problem(address) == ""


ADDRESSES = [
    ("base_url", "localhost:8000"),
    ("base_url", "http://["),
    ("base_url", "http://host:99999"),
    ("base_url", "http://host:0"),
    ("base_url", "http://a b"),
    ("base_url", "ftp://host"),
    ("base_url", "file:///etc"),
    ("base_url", "http://ann:secret@host"),
    ("base_url", "http://host/?a=b"),
    ("base_url", "nonsense"),
    ("start_url", "//elsewhere.example/"),
    ("start_url", "/\\\\elsewhere.example/"),
    ("start_url", "http://elsewhere.example/"),
    ("start_url", "javascript:alert(1)"),
    ("start_url", "data:text/html,x"),
    ("start_url", "http://["),
    ("start_url", "/a b"),
    ("start_url", "list"),
    ("start_url", ""),
    ("health", "health"),
    ("health", "http://host/"),
    ("login.form.url", "//elsewhere.example/"),
    ("login.form.url", "http://elsewhere.example/log-in"),
    ("login.form.url", "file:///etc/passwd"),
    ("login.form.url", "http://host:99999/"),
]


@pytest.mark.parametrize(("key", "value"), ADDRESSES, ids=lambda value: repr(value)[:40])
def test_an_address_of_an_application_is_one_or_told_in_a_line(key: str, value: str, tmp_path: Path) -> None:
    given = {"name": '"a"', "base_url": '"http://host"', "start_url": '"/"'} | {key: f'"{value}"'}
    (tmp_path / "a.toml").write_text("".join(f"{name} = {text}\n" for name, text in given.items()))
    with pytest.raises(UserError) as raised:
        load_application(tmp_path / "a.toml")
    message = str(raised.value)
    assert "\n" not in message
    assert key in message
    assert "secret" not in message
    ended = lbi_here("check", "application", tmp_path / "a.toml")
    assert ended.returncode in (1, 2)
    assert "Traceback" not in ended.stdout + ended.stderr


def test_usual_addresses_of_an_application_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'name = "a"\nbase_url = "http://host:3000/app/"\nstart_url = "http://host:3000/app/list?a=b#c"\n'
        'login.form.url = "/app/log-in"\n'
    )
    assert load_application(tmp_path / "a.toml").base_url == "http://host:3000/app/"


@pytest.mark.parametrize("address", ["http://[", "http://host:99999", "ftp://host", "http://a b", "http://u:secret@h"])
def test_an_address_of_a_model_server_or_of_documents_is_one(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    for call in (
        lambda: open_model("openai:m", base_url=address),
        lambda: open_model("openai:m"),
        lambda: read_corpus([DocumentSource(path=address)]),
    ):
        with pytest.raises(UserError) as raised:
            call()
        assert "\n" not in str(raised.value)
        assert "secret" not in str(raised.value)


# nesting


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5_000 + "]" * 5_000,
        "a = " + "{b = " * 5_000 + "1" + "}" * 5_000,
        "a = " + "[" * 60 + "]" * 60,
        ".".join(["a"] * 100) + " = 1",
        ".".join(['"a"'] * 50_000) + " = 1",
        "[" + ".".join(["a"] * 50_000) + "]",
        "a = {" + ".".join(["b"] * 50_000) + " = 1}",
        "a = " + "[" * 5_000,
    ],
    ids=lambda text: text[:12],
)
def test_deeply_nested_toml_is_an_error_like_any_other(text: str, tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(TomlError):
        parse_toml(text)
    for name, load in (("run.toml", load_config), ("tasks.toml", lambda file: load_benchmark(str(file)))):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError) as raised:
            load(tmp_path / name)
        assert "\n" not in str(raised.value)
    assert time.monotonic() - start < 3


def test_a_device_is_no_config() -> None:
    with pytest.raises(UserError, match="not a regular file"):
        load_config(Path("/dev/zero"))


# benchmarks


def tasks(tmp_path: Path, lines: str, environment: str = "web") -> str:
    file = tmp_path / "tasks.toml"
    head = f'name = "b"\nenvironment = "{environment}"\n[[task]]\nname = "one"\ninstruction = "Do it"\n'
    file.write_text(head + lines)
    return str(file)


WRONG = [
    ('gold = [\'clik(button "Save")\', \'finish("")\']\ncheck = {shows = ["x"]}', "gold, action 1"),
    ('gold = [\'click("Save")\']\ncheck = {shows = ["x"]}', "gold, action 1"),
    ("gold = ['back()']\ncheck = {shows = [\"x\"]}", "does not end with finish"),
    ("gold = ['finish(\"\")', 'back()']\ncheck = {shows = [\"x\"]}", "more follow"),
    ("check = {url = '('}", "no regular expression"),
    ("check = {url = '*a'}", "no regular expression"),
    ("check = {sql = 'SELEC 1'}", "not a query"),
    ("check = {sql = 'SELECT count(* FROM note', equals = '1'}", "not one SQL statement"),
    ("check = {sql = 'SELECT 1; SELECT 2'}", "not one SQL statement"),
    ("check = {sql = 'DELETE FROM note'}", "not a query"),
    ("check = {sql = 'SELECT a FROM note WHERE'}", "not one SQL statement"),
    ("check = {equals = '1'}", "no check.sql"),
    ("check = {}", "no condition"),
    ("check = {shows = ['']}", "check.shows"),
    ("date = 'soon'\ncheck = {shows = ['x']}", "ISO date"),
    ("start_url = 'javascript:1'\ncheck = {shows = ['x']}", "start_url"),
]


@pytest.mark.parametrize(("lines", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_with_a_task_is_told_before_any_is_tried(lines: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        load_benchmark(tasks(tmp_path, lines))
    assert said in str(raised.value)
    assert "task 'one'" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_actions_of_a_shell_are_read_by_a_shell(tmp_path: Path) -> None:
    right = "gold = ['run(\"ls\")', 'finish(\"\")']\ncheck = {command = ['true']}"
    assert load_benchmark(tasks(tmp_path, right, "shell")).task[0].gold
    with pytest.raises(UserError, match="gold, action 1"):
        load_benchmark(tasks(tmp_path, right))


def test_a_task_is_no_way_out_of_a_folder(tmp_path: Path) -> None:
    text = Path(tasks(tmp_path, "check = {shows = ['x']}")).read_text().replace('"one"', '"../../one"')
    (tmp_path / "tasks.toml").write_text(text)
    with pytest.raises(UserError, match="begin with a dot"):
        load_benchmark(str(tmp_path / "tasks.toml"))


@pytest.mark.parametrize(
    "sql", ["SELECT count(*) FROM note", "-- c\nWITH a AS (SELECT 1) SELECT * FROM a;", "SELECT f(1)"]
)
def test_a_query_on_tables_of_the_application_is_a_query(sql: str) -> None:
    assert sql_problem(sql) == ""


# the command line


def lbi(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lbi", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "option",
    [["--out", ""], ["--out="], ["-o", " "], ["--seeds", ""], ["--model", ""], ["--workers", "0"], ["-w", "-1"]],
)
def test_an_empty_option_is_an_error_and_nothing_is_written(option: list[str], tmp_path: Path) -> None:
    config = write_application(tmp_path / "app")
    before = sorted(os.listdir(tmp_path))
    done = lbi("run", str(config), *option, cwd=tmp_path)
    assert done.returncode == 2
    assert option[0].rstrip("=") in done.stderr or "workers" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.slow
def test_a_dry_run_with_the_longest_episodes_ends_soon(tmp_path: Path) -> None:
    from lbi.cli.estimate import plan

    config = resolve(
        {"application": "x", "synthesis": {"step_limit": MOST_STEPS}, "evaluation": {"step_limit": MOST_STEPS // 2}}, ""
    )
    start = time.monotonic()
    assert plan(config, (), 10, "actions")
    assert time.monotonic() - start < 30


def test_as_many_tasks_are_wanted_as_before_without_counting_up_to_them() -> None:
    for rollouts, measured, each in [(1, 0, 3), (120, 0, 3), (120, 75, 3), (7, 200, 2), (100_000, 0, 1)]:
        config = resolve(
            {"synthesis": {"rollouts": rollouts, "tasks_per_document": each}, "evaluation": {"tasks": measured}}, ""
        )
        sections = 2
        while (
            each * (sections - held_out_sections(sections)) < rollouts or each * held_out_sections(sections) < measured
        ):
            sections += 1
        assert tasks_wanted(config) == each * sections


# folders of documents, and what a reader takes


def names_skipped(folder: Path) -> dict[str, str]:
    corpus = read_corpus([DocumentSource(path=str(folder))])
    assert [document.title for document in corpus.documents] == ["guide"]
    return {skipped.source.partition("/")[2]: skipped.reason for skipped in corpus.skipped}


def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "guide.md").write_text("Press Save to save. " * 20)
    return tmp_path / "docs"


def test_loops_of_links_are_named_and_not_followed(tmp_path: Path) -> None:
    folder = docs(tmp_path)
    (folder / "a.md").symlink_to("b.md")
    (folder / "b.md").symlink_to("a.md")
    (folder / "self.md").symlink_to("self.md")
    (folder / "up").symlink_to("..")
    (folder / "here").symlink_to(".")
    (folder / "sub").mkdir()
    (folder / "sub" / "back").symlink_to("..")
    assert names_skipped(folder) == {
        **dict.fromkeys(["a.md", "b.md", "self.md"], "a link that leads in circles"),
        "up": "a link to outside of the folder",
        **dict.fromkeys(["here", "sub/back"], "a link to a folder"),
    }


def test_a_folder_of_2500_folders_in_each_other_is_read_as_far_as_it_is_of_use(tmp_path: Path) -> None:
    folder = docs(tmp_path)
    at = os.open(folder, os.O_RDONLY)
    for _ in range(2_500):
        os.mkdir("d", dir_fd=at)
        deeper = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = deeper
    os.close(at)
    try:
        [reason] = names_skipped(folder).values()
        assert reason == "more than 50 folders deep"
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.parametrize("path", ["loop", "~nobody-at-all/docs", "a\0b"])
def test_a_source_that_is_no_place_is_the_users_error(path: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for key, value in [("documents", [{"path": path}]), ("benchmark", f"{path}.toml")]:
        config = resolve({key: value}, "run.toml", base=tmp_path)
        with pytest.raises(UserError) as raised:
            read_corpus(config.documents) if key == "documents" else load_benchmark(str(config.benchmark))
        assert "\n" not in str(raised.value)


TOO_MUCH = {
    # names that stand for ten of the next one each
    "laugh.rst": "\n".join([f".. |a{n}| replace:: {f'|a{n + 1}| ' * 10}" for n in range(9)] + [".. |a9| replace:: x"])
    + "\n\n|a0|\n",
    "nested.html": "<footer><p>x" * 100_000,
    "brackets.md": "![" * 100_000,
    "macros.trac": "[[A(" * 100_000,
    "heading.trac": "= a" + " #a" * 100_000,
    "brackets.py": "(" * 100_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TOO_MUCH)
def test_no_document_takes_more_than_its_share_of_time_and_memory(name: str, tmp_path: Path) -> None:
    folder = docs(tmp_path)
    (folder / name).write_text(TOO_MUCH[name])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    corpus = read_corpus([DocumentSource(path=str(folder), code=name.endswith(".py"))])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 15
    assert "guide" in {document.title for document in corpus.documents}
    sources = {document.source for document in corpus.documents} | {each.source for each in corpus.skipped}
    assert f"docs/{name}" in sources


@pytest.mark.slow
def test_a_document_that_takes_too_long_is_named_and_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    laugh, guide = TOO_MUCH["laugh.rst"], "Save\n====\n\n" + "Press Save. " * 30 + "\n\n.. note:: now\n"
    corpus = read_corpus(
        [
            DocumentSource(text=laugh, format="rst", title="laugh"),
            DocumentSource(text=guide, format="rst", title="guide"),
        ]
    )
    assert [document.title for document in corpus.documents] == ["guide"]
    [skipped] = corpus.skipped
    assert skipped.source == "laugh"
    assert skipped.reason in (TOO_MUCH_TIME, TOO_MUCH_MEMORY)


def test_readers_see_no_variable_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-run")
    with ReadingApart() as apart:
        apart.read(Text("a::\n\n" + "Press Save. " * 300, "rst"))
        assert apart._process is not None
        environ = Path(f"/proc/{apart._process.pid}/environ").read_bytes()
    assert b"sk-secret" not in environ
