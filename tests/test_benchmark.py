"""Files of held-out tasks: those shipped can be read, and what is wrong with one's own is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbi.environments.web.actions import parse_action
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark, load_benchmarks, shipped_benchmarks
from lbi.records import Check
from lbi.retrieval.leakage import parse_moment
from small_application import write_application

WEB = [name for name in shipped_benchmarks() if load_benchmark(name).environment == "web"]
REPOSITORIES = [name for name in shipped_benchmarks() if load_benchmark(name).environment == "repository"]
TASK = '[[task]]\nname = "{name}"\ninstruction = "Do it"\ncheck = {{ answer = ["1"] }}\n'


def complaint(tmp_path: Path, content: str) -> str:
    file = tmp_path / "tasks.toml"
    file.write_text(content)
    with pytest.raises(UserError) as raised:
        load_benchmark(str(file))
    assert "\n" not in str(raised.value)
    assert str(file) in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("name", WEB)
def test_every_shipped_benchmark_has_checked_tasks_with_readable_solutions(name):
    benchmark = load_benchmark(name)
    assert benchmark.name == name
    for task in benchmark.tasks("web"):
        assert (task.environment, bool(task.check) and task.check != Check()) == ("web", True)
        assert task.category
        assert task.level in (1, 2, 3)
        assert [parse_action(action).kind for action in task.gold][-1] == "finish"


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_benchmark_of_repositories_has_tests_as_checks_and_the_date_of_each_base(name):
    benchmark = load_benchmark(name)
    assert (benchmark.name, benchmark.application) == (name, name)
    for task in benchmark.tasks("repository"):
        assert task.check is not None
        assert task.check.tests
        assert not task.gold
        assert parse_moment(task.date) is not None
        assert "TODO" not in task.instruction


@pytest.mark.parametrize("name", shipped_benchmarks())
def test_the_instructions_of_a_benchmark_are_all_different(name):
    instructions = [task.instruction for task in load_benchmark(name).task]
    assert len(set(instructions)) == len(instructions)


def test_a_file_of_ones_own_is_read(tmp_path):
    write_application(tmp_path / "app")
    tasks = load_benchmark(str(tmp_path / "app" / "tasks.toml")).tasks("web")
    assert [task.name for task in tasks] == ["store-flour", "count"]
    assert tasks[1].check == Check(answer=("2",))


def test_several_files_are_one_benchmark_whose_tasks_say_where_they_are_from(tmp_path):
    write_application(tmp_path / "app")
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\napplication = "larder.toml"\nseen = true\n' + TASK.format(name="count"))
    both = load_benchmarks([str(tmp_path / "app" / "tasks.toml"), str(mine)])
    assert both.application == "larder.toml"
    assert [(task.name, task.seen) for task in both.tasks("web")] == [
        ("larder-tasks/store-flour", False),
        ("larder-tasks/count", False),
        ("mine/count", True),
    ]


def test_one_benchmark_in_a_list_keeps_its_names():
    assert load_benchmarks(["trac"]) == load_benchmarks("trac") == load_benchmark("trac")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["trac", "spirit"], "benchmarks trac and spirit differ in their application"),
        (["trac", "trac2", "trac"], "two benchmarks are called 'trac'"),
        (["trac", "trak"], "no benchmark 'trak'"),
    ],
)
def test_benchmarks_that_do_not_go_together_are_named(names, said):
    with pytest.raises(UserError, match=said):
        load_benchmarks(names)


def test_a_data_set_of_instances_is_a_benchmark_too(tmp_path):
    row = {"instance_id": "a__b-1", "repo": "a/b", "base_commit": "c0", "problem_statement": "It is broken."}
    row |= {"FAIL_TO_PASS": '["t.py::test_x"]', "PASS_TO_PASS": "[]", "created_at": "2024-01-02T03:04:05Z"}
    (tmp_path / "data.jsonl").write_text(json.dumps(row))
    (task,) = load_benchmark(str(tmp_path / "data.jsonl")).tasks("repository")
    assert (task.name, task.instruction, task.category) == ("a__b-1", "It is broken.", "b")
    assert (task.check, task.date) == (Check(tests=("t.py::test_x",)), "2024-01-02T03:04:05Z")


def test_a_name_that_is_neither_shipped_nor_a_file_is_answered_with_those_there_are():
    with pytest.raises(UserError, match=f"no benchmark 'trak'.*{', '.join(shipped_benchmarks())}"):
        load_benchmark("trak")


def test_a_name_used_twice_is_named(tmp_path):
    content = 'name = "x"\n' + TASK.format(name="a") + TASK.format(name="b") + TASK.format(name="a")
    assert "the name 'a' is used twice" in complaint(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('name = "x"', "task: is missing"),
        ('name = "x"\ntask = []', "task: "),
        ('name = "x"\n' + TASK.format(name=""), "task.0.name: "),
        ('name = "x"\n' + TASK.format(name="a") + "level = 4", "task.0.level: "),
        ('name = "x"\n' + TASK.format(name="a") + "instructions = 'x'", "did you mean 'instruction'"),
        ('name = "x"\naplication = "y"\n' + TASK.format(name="a"), "did you mean 'application'"),
        ('name = "x"\n[[task]]\nname = "a"\ninstruction = "b"', "task.0.check: is missing"),
        ('name = "x"\n[[task]]\nname = "a"\ninstruction = "b"\ncheck = { ansver = ["1"] }', "did you mean 'answer'"),
        ("name = ", "Invalid value"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(content, said, tmp_path):
    assert said in complaint(tmp_path, content)


def test_a_file_that_is_no_text_is_named(tmp_path):
    (tmp_path / "tasks.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"tasks\.toml"):
        load_benchmark(str(tmp_path / "tasks.toml"))


# tasks in a JSON file


ROWS = [
    {"id": "one", "goal": "Add tea.", "how": "easy", "answers": ["tea", "a pot"], "page": "/teas"},
    {"id": "two", "goal": "Add {coffee}.", "how": "odd", "answers": ["coffee"]},
]
FROM_JSON = """
name = "cafe"
application = "cafe.toml"

[from_json]
file = "tasks.json"
rows = "data.tasks"
instruction = "{goal}"
category = "{how}"
level = "{how}"
levels = { easy = 1 }
start_url = "{page}"
gold = "gold.json"

[from_json.check]
answer = "{answers}"
command = ["{python}", "{folder}/verify.py", "{id}.json", "{url}"]

[[task]]
name = "three"
instruction = "Add milk."
check = { answer = ["milk"] }
"""


def write_json(folder, toml=FROM_JSON, rows=ROWS):
    (folder / "tasks.json").write_text(json.dumps({"data": {"tasks": rows}}))
    (folder / "gold.json").write_text(json.dumps({"one": ['finish("tea, a pot")']}))
    (folder / "cafe-tasks.toml").write_text(toml)
    return load_benchmark(str(folder / "cafe-tasks.toml"))


def test_tasks_are_read_from_a_json_file_by_a_template(tmp_path):
    three, one, two = write_json(tmp_path).tasks("cafe")
    assert (three.name, one.name, two.name) == ("three", "one", "two")
    assert (one.instruction, two.instruction) == ("Add tea.", "Add {coffee}.")
    assert (one.level, two.level, one.category, one.start_url, two.start_url) == (1, 0, "easy", "/teas", "")
    assert one.check.answer == ("tea", "a pot")
    assert one.check.command == ("{python}", "{folder}/verify.py", "one.json", "{url}")
    assert (one.gold, two.gold) == (('finish("tea, a pot")',), ())


@pytest.mark.parametrize(
    ("change", "rows", "said"),
    [
        (("tasks.json", "nowhere.json"), ROWS, "cannot read .*nowhere.json"),
        (("data.tasks", "data.rows"), ROWS, "no list of tasks at data.rows"),
        (("{goal}", "{gaol}"), ROWS, "task 1 of tasks.json has no field 'gaol'"),
        (("rows =", "row ="), ROWS, "unknown key 'row'|did you mean"),
        (("", ""), ["x"], "task 1 of tasks.json is no object"),
        (("", ""), [], "no list of tasks"),
        (("", ""), [ROWS[0], ROWS[0]], "the name 'one' is used twice"),
    ],
)
def test_what_is_wrong_with_tasks_in_a_json_file_is_said(tmp_path, change, rows, said):
    with pytest.raises(UserError, match=said):
        write_json(tmp_path, FROM_JSON.replace(*change) if change[0] else FROM_JSON, rows)
