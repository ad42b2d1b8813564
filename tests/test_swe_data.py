"""Data sets, predictions, patches and reports of tests: what is read, and how what cannot be read is said."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lbi.benchmarks.swebench.catalog import open_catalog
from lbi.benchmarks.swebench.instance import Instance, load_instances, write_instances
from lbi.benchmarks.swebench.official import run_official
from lbi.benchmarks.swebench.patches import PatchError, apply, changed, difference, is_source, is_test, paths_in
from lbi.benchmarks.swebench.predictions import Prediction, read_predictions, write_predictions
from lbi.benchmarks.swebench.recipes import parse_recipes
from lbi.benchmarks.swebench.test_results import not_passed, read_report
from lbi.errors import UserError

ROW: dict[str, Any] = {
    "instance_id": "a__b-1",
    "repo": "a/b",
    "base_commit": "c0ffee",
    "problem_statement": "Breaks on \u2028 lines.",
    "patch": "p",
    "test_patch": "t",
    "FAIL_TO_PASS": ["t.py::test_x"],
    "PASS_TO_PASS": ["t.py::test_y[a b]"],
    "created_at": "2024-01-02T03:04:05Z",
    "version": "1.0",
    "environment_setup_commit": "beef",
    "hints_text": "",
}


def lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize("form", ["list", "json in text"])
@pytest.mark.parametrize("ending", ["jsonl", "json", "parquet"])
def test_the_official_files_are_read_in_each_of_their_forms(ending: str, form: str, tmp_path: Path) -> None:
    row = dict(ROW, difficulty="15 min")
    if form != "list":
        row |= {name: json.dumps(row[name]) for name in ("FAIL_TO_PASS", "PASS_TO_PASS")}
    file = tmp_path / f"test-00000.{ending}"
    if ending == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), file)
    else:
        file.write_text(lines(row) if ending == "jsonl" else json.dumps([row]), "utf-8")
    for place in (file, tmp_path):
        (instance,) = load_instances(place)
        assert instance.official() == ROW


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    instance = Instance.model_validate({name.lower(): value for name, value in ROW.items()})
    write_instances(tmp_path / "x.jsonl", [instance])
    assert load_instances(tmp_path / "x.jsonl") == [instance]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", lines({"instance_id": "a"}), "row 1: repo: is missing"),
        ("x.jsonl", lines(dict(ROW, FAIL_TO_PASS="[oops")), "row 1: fail_to_pass"),
        ("x.jsonl", lines(ROW, ROW), "'a__b-1' is there twice"),
        ("x.jsonl", "{", "cannot read instances"),
        ("x.jsonl", "[1]", "row 1: an instance is a table"),
        ("x.json", "[]", "holds no instances"),
        ("x.parquet", "no parquet", "cannot read instances"),
        ("x.csv", "a,b", "should end with one of .parquet, .jsonl, .json"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_said_in_one_line(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as raised:
        load_instances(tmp_path / name)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        load_instances(tmp_path / "nowhere.jsonl")


@pytest.mark.parametrize("name", ["p.json", "p.jsonl"])
def test_predictions_are_written_and_read(name: str, tmp_path: Path) -> None:
    predictions = [Prediction(instance_id="a__b-1", model_name_or_path="m", model_patch="-a\u2028\n+b\n")]
    write_predictions(tmp_path / name, predictions)
    assert read_predictions(tmp_path / name) == predictions


def test_predictions_by_instance_and_those_that_are_none_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"a": {"model_patch": null, "model_name_or_path": "m", "cost": 3}}')
    assert read_predictions(tmp_path / "p.json") == [Prediction(instance_id="a", model_name_or_path="m")]
    for content, said in (("3", "expected a list"), ('[{"model_patch": "x"}]', "instance_id: is missing")):
        (tmp_path / "p.json").write_text(content)
        with pytest.raises(UserError, match=said):
            read_predictions(tmp_path / "p.json")
    (tmp_path / "p.jsonl").write_text('{"instance_id": "a"}\n{"instance_id": "a"}\n')
    with pytest.raises(UserError, match="two predictions for 'a'"):
        read_predictions(tmp_path / "p.jsonl")


def test_a_recipe_is_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="x: instance: is missing"):
        parse_recipes('name = "x"\n[[instanse]]\n', "x")
    with pytest.raises(UserError, match=r"x: instance\.0\.name: is missing"):
        parse_recipes('name = "x"\n[[instance]]\n', "x")


# patches


def test_a_patch_takes_one_folder_to_the_other(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        (folder / "pkg").mkdir(parents=True)
    (old / "pkg" / "a.py").write_bytes(b"one\r\ntwo\n")
    (old / "gone.py").write_text("gone\n")
    (new / "pkg" / "a.py").write_bytes(b"one\r\nthree")
    (new / "pkg" / "\u00e4 b.py").write_bytes(b"\xff\x00new")
    paths = changed(old, new)
    assert paths == ["gone.py", "pkg/a.py", "pkg/\u00e4 b.py"]
    patch = difference(old, new, paths)
    apply(patch, old)
    assert changed(old, new) == []
    with pytest.raises(PatchError):
        apply(patch, old)
    assert changed(old, new) == [], "a patch that does not apply changes nothing"
    assert paths_in(difference(new, old, [])) == []


@pytest.mark.parametrize(
    "patch",
    [
        "nonsense",
        "--- a/../out.py\n+++ b/../out.py\n@@ -0,0 +1 @@\n+x\n",
        "--- /dev/null\n+++ b/../out.py\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+..\n"
        "\\ No newline at end of file\n"
        "diff --git a/l/out.py b/l/out.py\nnew file mode 100644\n--- /dev/null\n+++ b/l/out.py\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_a_patch_cannot_leave_its_folder(patch: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(PatchError):
        apply(patch, folder)
    assert not (tmp_path / "out.py").exists()


@pytest.mark.parametrize(
    ("path", "test", "source"),
    [
        ("tests/test_x.py", True, False),
        ("pkg/tests/data.json", True, False),
        ("pkg/x_test.py", True, False),
        ("tests.py", True, False),
        ("src/pkg/tests.py", False, True),
        ("pkg/testing.py", False, True),
        ("docs/conf.py", False, False),
        ("README.md", False, False),
    ],
)
def test_tests_are_told_from_sources(path: str, test: bool, source: bool) -> None:
    assert (is_test(path), is_source(path)) == (test, source)


# reports of tests


def test_a_report_is_read_and_what_is_none_is_refused() -> None:
    found = read_report(b'{"tests/test_x.py::test_a": "error", "tests/test_x.py::test_b[a b]": "passed"}')
    wanted = ["tests/test_x.py::test_a", "nowhere", "nowhere", "tests/test_x.py::test_b[a b]"]
    assert not_passed(found, wanted) == ["tests/test_x.py::test_a", "nowhere"]
    for content in (b"{", b"[" * 100_000, b"[1]", b'{"a": "fine"}', b'{"a": ["passed"]}', b"\xff"):
        with pytest.raises(ValueError, match="no readable report"):
            read_report(content)


# data sets that people bring

BARE = {name: ROW[name] for name in ("instance_id", "repo", "problem_statement", "patch")}
LISTS = {name: ROW[name] for name in ("FAIL_TO_PASS", "PASS_TO_PASS")}
IMAGE = {"image": "swebench/i:latest", "eval_script": "x", "log_parser": "parse_log_pytest", "eval_type": "fail_only"}
BROUGHT: dict[str, tuple[dict[str, Any], str]] = {
    "Verified, of today": ({**ROW, **IMAGE, "difficulty": "15 min"}, "Docker|docker"),
    "Verified and Lite, as they were": (
        {**ROW, **{name: json.dumps(value) for name, value in LISTS.items()}},
        "no container image and no evaluation script",
    ),
    "Multimodal": (
        {**ROW, **IMAGE, "image_assets": '{"test_patch": [{"path": "a.png", "url": "http://x/a.png"}]}'},
        "Docker|docker",
    ),
    "Pro": (
        {
            **{name: value for name, value in ROW.items() if name not in LISTS},
            **{name.lower(): str(value) for name, value in LISTS.items()},
            "selected_test_files_to_run": "['t.py']",
            "before_repo_set_cmd": "git checkout x",
            "dockerhub_tag": "a.b-1",
            "repo_language": "js",
        },
        "graded by SWE-bench Pro's own harness",
    ),
    "SWE-smith": (
        {**BARE, **LISTS, "image_name": "jyangballin/swesmith.x86_64.a"},
        "graded by SWE-smith's own harness",
    ),
    "SWE-Gym": (
        {name: value for name, value in ROW.items() if name != "environment_setup_commit"},
        "no container image and no evaluation script",
    ),
    "SWE-rebench": ({**ROW, "install_config": {"python": "3.9"}, "meta": {}}, "graded by SWE-rebench's own fork"),
}


@pytest.mark.parametrize("name", BROUGHT)
def test_a_data_set_that_cannot_be_run_here_says_so_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, said = BROUGHT[name]
    (tmp_path / "x.jsonl").write_text(lines(row))
    (instance,) = load_instances(tmp_path / "x.jsonl")
    assert (instance.fail_to_pass, instance.pass_to_pass) == (("t.py::test_x",), ("t.py::test_y[a b]",))
    monkeypatch.setenv("PATH", str(tmp_path))  # no engine answers
    with pytest.raises(UserError, match=said) as raised:
        run_official([instance], [Prediction(instance_id=instance.instance_id, model_patch="x")], 1)
    assert "\n" not in str(raised.value)
    with closing(open_catalog(str(tmp_path / "x.jsonl"))) as catalog, pytest.raises(UserError) as raised:
        catalog.build(instance.instance_id)
    assert "\n" not in str(raised.value)


def test_what_the_official_harness_needs_of_an_instance_is_handed_on(tmp_path: Path) -> None:
    assets = {"test_patch": [{"path": "a.png", "url": "http://x/a.png"}]}
    for given in (assets, json.dumps(assets)):
        (tmp_path / "x.jsonl").write_text(lines({**ROW, **IMAGE, "image_assets": given}))
        write_instances(tmp_path / "y.jsonl", load_instances(tmp_path / "x.jsonl"))
        assert json.loads((tmp_path / "y.jsonl").read_text()) == {**ROW, **IMAGE, "image_assets": assets}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [], "uuid": "x"}, "no instances of repositories (it has messages, uuid)"),
        ({f"c{n}": n for n in range(20)}, "(it has c0, c1, c10, c11, c12, c13, c14, c15, ...)"),
        (dict(ROW, FAIL_TO_PASS="__import__('os').getpid()"), "neither a list nor the JSON of one"),
        (dict(ROW, FAIL_TO_PASS="(" * 10_000), "neither a list nor the JSON of one"),
        (dict(ROW, FAIL_TO_PASS="[" * 100_000), "neither a list nor the JSON of one"),
        (dict(ROW, FAIL_TO_PASS="{'a': 1}"), "fail_to_pass"),
    ],
)
def test_rows_that_are_no_instances_are_named_in_one_line(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(lines(row))
    with pytest.raises(UserError) as raised:
        load_instances(tmp_path / "x.jsonl")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
