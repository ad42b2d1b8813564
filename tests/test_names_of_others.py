"""Names that others give: instances that would become paths, and checks that name what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbi.benchmarks.swebench.catalog import open_catalog
from lbi.benchmarks.swebench.instance import load_instances
from lbi.benchmarks.swebench.recipes import parse_recipes
from lbi.environments.web.application import load_application
from lbi.environments.web.environment import WebEnvironments
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.evaluation.check_names import look_up_names
from running import lbi
from small_application import write_application

NO_NAMES = [
    *("../x", "a/b", "/etc/passwd", "a\\\\b", "", "  ", ".", "..", "...", "x" * 300, "a\x00b", "a\nb", "-rf", "~/x/y"),
    *("a\u202eb", "x.", " x", "C:\\\\x"),
]


def rows(*names: str) -> list[dict[str, Any]]:
    return [
        {"instance_id": name, "repo": "r", "base_commit": "c", "problem_statement": "p", "FAIL_TO_PASS": "[]"}
        for name in names
    ]


@pytest.mark.parametrize("name", NO_NAMES, ids=lambda name: repr(name)[:12])
@pytest.mark.parametrize("ending", [".json", ".jsonl", ".parquet"])
def test_the_id_of_an_instance_is_a_name_or_told_in_one_line(name: str, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"set{ending}"
    if ending == ".parquet":
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(rows("good-1", name)), file)
    else:
        lines = rows("good-1", name)
        file.write_text(json.dumps(lines) if ending == ".json" else "\n".join(map(json.dumps, lines)))
    before = sorted(tmp_path.rglob("*"))
    for read in (load_instances, lambda file: load_benchmark(str(file)), lambda file: open_catalog(str(file))):
        with pytest.raises(UserError, match="row 2: instance_id") as raised:
            read(file)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 500
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("pair", [("Fix-1", "fix-1"), ("caf\u00e9-1", "cafe\u0301-1")])
def test_two_instances_that_differ_in_case_only_are_told(pair: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps(rows(*pair)))
    with pytest.raises(UserError, match="differ in case only"):
        load_instances(tmp_path / "set.json")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", ".x", "x" * 300, "x\n"])
def test_the_name_of_a_recipe_is_a_name(name: str) -> None:
    with pytest.raises(UserError):
        parse_recipes(f"name = 'r'\n[[instance]]\nname = {json.dumps(name)}\n", "r.toml")


def test_usual_ids_are_names(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps(rows("django__django-11099", "sympy__sympy-1.2_3", "lib-0a1b2c3d4e")))
    assert len(load_instances(tmp_path / "set.json")) == 3


# what a check names


def tasks(folder: Path, check: str, environment: str = "web", application: str = "larder.toml") -> Path:
    file = folder / "tasks.toml"
    file.write_text(
        f'name = "b"\nenvironment = "{environment}"\napplication = "{application}"\n'
        f'[[task]]\nname = "one"\ninstruction = "Do it"\n[task.check]\n{check}\n'
    )
    return file


UNKNOWN = [
    ('sql = "SELECT name FROM itms"\nequals = "x"', "no such table: itms"),
    ('sql = "SELECT nmae FROM item"\nequals = "x"', "no such column: nmae"),
    ('sql = "SELECT nosuch(name) FROM item"\nequals = "x"', "no such function"),
    ('sql = "SELECT 1 FROM item WHERE other.name = 1"\nequals = "x"', "no such column"),
    ('command = ["no-such-program-here"]', "there is no program no-such-program-here"),
    ('command = ["{python}", "check.py"]', "there is no file check.py"),
    ('command = ["{python}", "-c", "import ("]', "its code is no Python"),
    ('command = ["sh", "sub/check.sh"]', "there is no file sub/check.sh"),
]


@pytest.mark.parametrize(("check", "says"), UNKNOWN, ids=[says for _, says in UNKNOWN])
async def test_a_check_that_names_what_is_not_there_is_told(check: str, says: str, tmp_path: Path) -> None:
    write_application(tmp_path)
    benchmark = load_benchmark(str(tasks(tmp_path, check)))
    environments = WebEnvironments(load_application(tmp_path / "larder.toml"), cache=tmp_path / "cache")
    with pytest.raises(UserError, match="task 'one': check") as raised:
        await look_up_names(benchmark, environments)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    await environments.close()


KNOWN = [
    "sql = \"SELECT name || ' ' || shelf FROM item WHERE name NOT IN ('Rice')\"\nequals = \"x\"",
    'sql = "WITH a AS (SELECT 1 AS b) SELECT b FROM a"\nequals = "1"',
    'command = ["{python}", "serve.py"]',
    'command = ["{python}", "{state}/serve.py", "x"]',
    'command = ["test", "-f", "made-by-the-agent.txt"]',
    'shows = ["Rice"]',
]


@pytest.mark.parametrize("check", KNOWN)
async def test_a_check_whose_names_are_there_is_taken(check: str, tmp_path: Path) -> None:
    write_application(tmp_path)
    environments = WebEnvironments(load_application(tmp_path / "larder.toml"), cache=tmp_path / "cache")
    await look_up_names(load_benchmark(str(tasks(tmp_path, check))), environments)
    await environments.close()


async def test_a_table_that_the_application_makes_when_it_starts_is_there(tmp_path: Path) -> None:
    write_application(tmp_path)
    file = tmp_path / "larder.toml"
    make = "base = sqlite3.connect(sys.argv[1]); base.execute('CREATE TABLE IF NOT EXISTS late (a)'); base.close()"
    file.write_text(
        file.read_text().replace("http.server.ThreadingHTTPServer((", f"{make}\nhttp.server.ThreadingHTTPServer((")
    )
    environments = WebEnvironments(load_application(file), cache=tmp_path / "cache")
    await look_up_names(load_benchmark(str(tasks(tmp_path, 'sql = "SELECT a FROM late"'))), environments)
    await environments.close()


@pytest.mark.parametrize("field", ['sql = "SELECT 1"\nequals = "1"', 'command = ["true"]'])
async def test_of_a_site_that_somebody_else_runs_no_state_can_be_asked(field: str, tmp_path: Path) -> None:
    environments = WebEnvironments(base_url="http://127.0.0.1:9")
    with pytest.raises(UserError, match="not run by us"):
        await look_up_names(load_benchmark(str(tasks(tmp_path, field, application=""))), environments)
    await environments.close()


@pytest.mark.parametrize(
    ("environment", "check", "field"),
    [
        ("web", 'tests = ["test_a.py::test_b"]', "check.tests"),
        ("shell", 'sql = "SELECT 1"\nequals = "1"', "check.sql"),
        ("shell", 'shows = ["x"]', "check.shows"),
        ("shell", 'url = "x"', "check.url"),
    ],
)
def test_a_condition_that_the_environment_never_tests_is_told(
    environment: str, check: str, field: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=field):
        load_benchmark(str(tasks(tmp_path, check, environment)))


@pytest.mark.slow
def test_a_dry_run_ends_at_such_a_check_with_its_line(tmp_path: Path) -> None:
    config = write_application(tmp_path)
    tasks(tmp_path, 'sql = "SELECT nmae FROM item"\nequals = "x"')
    ended = lbi("run", config, "--dry-run", cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert ended.returncode == 2
    assert "no such column: nmae" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
