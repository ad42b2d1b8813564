"""Tasks whose failures somebody looked at are told apart in files, records, the terminal and the report."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from rich.console import Console

from lbi.cli.tables import print_tables, summary
from lbi.evaluation.benchmark import load_benchmark
from lbi.records import Check, Result, Task
from lbi.report import write_report
from lbi.storage.run_folder import RunFolder

CONFIG = {
    "name": "halves",
    "evaluation": {"reference": "baseline", "arms": [{"name": "baseline"}, {"name": "backward"}]},
}
FILE = """
name = "mine"
{head}
[[task]]
name = "a"
instruction = "Open the door."
seen = true
check = {{ answer = ["x"] }}
[[task]]
name = "b"
instruction = "Close the door."
check = {{ answer = ["y"] }}
"""


def task(name: str, seen: bool) -> Task:
    return Task(instruction=f"Do {name}", environment="web", name=name, check=Check(answer=("x",)), seen=seen)


def fill(folder: RunFolder, unseen: int) -> None:
    """Six tasks, of which backward solves the seen ones only, and the baseline none."""
    for number in range(6):
        one = task(f"t{number}", seen=number >= unseen)
        folder.store.put("heldout", one.name, one)
        for arm in ("baseline", "backward"):
            score = float(arm == "backward" and one.seen)
            result = Result(task=one.name, arm=arm, seed=0, score=score, steps=1)
            folder.store.put("result", f"{arm}/0/{one.name}", result)


def test_of_one_task_or_of_the_whole_file(tmp_path: Path) -> None:
    for head, expected in (("", [True, False]), ("seen = true", [True, True])):
        file = tmp_path / "mine.toml"
        file.write_text(FILE.format(head=head))
        assert [t.seen for t in load_benchmark(str(file)).tasks("web")] == expected


def test_an_unseen_task_has_the_id_that_it_had_before_there_was_such_a_thing() -> None:
    assert "seen" not in task("a", seen=False).model_dump(mode="json")
    assert task("a", seen=True).model_dump(mode="json")["seen"] is True


def test_the_third_set_has_tasks_of_both_kinds() -> None:
    kinds = [t.seen for t in load_benchmark("trac3").tasks("web")]
    assert (kinds.count(True), kinds.count(False)) == (51, 21)


def test_a_program_reads_both_halves_the_unseen_first(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", CONFIG) as folder:
        fill(folder, unseen=2)
        unseen, seen = summary(folder)["halves"]
    assert (unseen["seen"], unseen["tasks"]) == (False, 2)
    assert (seen["seen"], seen["tasks"]) == (True, 4)
    assert [row["success"] for row in unseen["arms"]] == [0.0, 0.0]
    assert [row["success"] for row in seen["arms"]] == [0.0, 1.0]
    assert [row["difference"] for row in seen["comparisons"]] == [1.0]


def test_the_terminal_and_the_report_say_it(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", CONFIG) as folder:
        fill(folder, unseen=2)
        said = io.StringIO()
        print_tables(Console(file=said, width=200), summary(folder))
        text = " ".join(said.getvalue().split())
        page = BeautifulSoup(write_report(folder).read_text(), "html.parser")
    assert "arm 2 tasks looked at by nobody 4 tasks looked at while the method was made baseline 0.0% 0.0%" in text
    assert "backward 0.0% +0.0, too few tasks to tell 100.0% +100.0, too few tasks to tell" in text
    heads = [th.get_text() for th in page.select("#arms th[scope=col]")]
    assert "2 tasks looked at by nobody" in heads
    assert "4 tasks looked at while the method was made" in heads


@pytest.mark.parametrize("unseen", [0, 6])
def test_one_kind_alone_is_not_taken_apart(unseen: int, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", CONFIG) as folder:
        fill(folder, unseen=unseen)
        assert summary(folder)["halves"] == []
        assert "looked at by nobody" not in write_report(folder).read_text()
