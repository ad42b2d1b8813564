"""Bugs made on purpose: what can be changed, that only what breaks a test is a task, and that a kill loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lbi.benchmarks.swebench.instance import load_instances
from lbi.benchmarks.swebench.mutations.operators import Mutation, compiles, mutated, mutations
from lbi.benchmarks.swebench.mutations.run import Baseline, baseline, candidates, opened, tried
from lbi.benchmarks.swebench.mutations.tasks import instruction
from lbi.benchmarks.swebench.patches import apply
from lbi.errors import UserError
from repository_with_tests import PASSING, contents, ground_of, write_repository
from running import lbi_here
from small_repository import needs_bubblewrap


def changes(body: str, operator: str) -> list[str]:
    """What a function's body becomes by each mutation of one operator."""
    source = f"def f(a, b):\n    {body}\n"
    found = [change for change in mutations(source, "f.py") if change.operator == operator]
    return [mutated(source.encode(), change).decode().split("\n    ", 1)[1].rstrip("\n") for change in found]


@pytest.mark.parametrize(
    ("operator", "body", "becomes"),
    [
        ("comparison", "return a == b", ["return a != b"]),
        ("comparison", "return (a) not in (b)", ["return (a) in (b)"]),
        ("comparison", "return a is b", ["return a is not b"]),
        ("comparison", "return a < b < 3", []),  # a chain is left alone
        ("boundary", "return a < b", ["return a <= b"]),
        ("arithmetic", "return (a * (b + 1))", ["return (a / (b + 1))", "return (a * (b - 1))"]),
        ("arithmetic", 'return f"{a + b}"', []),
        ("boolean", "return a and b", ["return a or b"]),
        ("boolean", "return not a", ["return  a"]),
        ("condition", "return 1 if a else 2", ["return 1 if not (a) else 2"]),
        ("constant", "return 7", ["return 8"]),
        ("constant", "return True", ["return False"]),
        ("return value", "return a", ["return None"]),
        ("return value", "return None", []),
        ("deleted statement", "a += 1", ["pass"]),
        ("arguments", "return f(a, b + 1)", ["return f(b + 1, a)"]),
        ("arguments", "return f(*a, b)", []),
        ("arithmetic", 'return "ä" + a', ['return "ä" - a']),  # offsets are of bytes
    ],
)
def test_an_operator_changes_what_it_says_and_nothing_else(operator: str, body: str, becomes: list[str]) -> None:
    assert changes(body, operator) == becomes


def test_only_functions_are_mutated_and_no_docstring() -> None:
    source = (
        'LIMIT = 1 + 1\n\n\nclass A:\n    size: int = 3\n\n    def f(self, n=5):\n        "Said 7."\n        return 9\n'
    )
    assert {(change.line, change.function) for change in mutations(source, "a.py")} == {(9, "A.f")}


def test_a_mutation_is_of_one_file_only() -> None:
    (change,) = [each for each in mutations("def f():\n    return 7\n", "f.py") if each.operator == "constant"]
    with pytest.raises(ValueError, match=r"f\.py"):
        mutated(b"def f():\n    return 8\n", change)


def test_a_change_that_is_no_python_is_known() -> None:
    change = Mutation(path="f.py", operator="x", start=0, end=3, old="def", new="fed", line=1, function="f")
    assert not compiles(b"def f(): pass\n", change)


def test_candidates_are_seeded_take_operators_in_turns_and_are_of_sources_only(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    found = candidates(repository, [], seed=3)
    assert found == candidates(repository, [], seed=3) != candidates(repository, [], seed=4)
    operators = {change.operator for change in found}
    assert {change.operator for change in found[: len(operators)]} == operators
    assert {change.path for change in found} == {"src/till.py"}
    with pytest.raises(UserError, match="nothing to mutate"):
        candidates(repository, ["tests"], seed=3)
    with pytest.raises(UserError, match=r"no .*elsewhere"):
        candidates(repository, ["../elsewhere"], seed=3)


def test_an_instruction_names_tests_and_never_the_change() -> None:
    said = instruction(tuple(f"t.py::test_{number}" for number in range(10)))
    assert "test_7" in said
    assert "and 2 more" in said
    assert "test_8" not in said


@pytest.mark.slow
@needs_bubblewrap
async def test_what_passes_is_known_and_each_mutation_is_told_by_what_it_breaks(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    ground = ground_of(repository)
    before = await baseline(ground)
    assert before.passed == PASSING
    by_line = {(change.operator, change.line): change for change in candidates(repository, [], seed=0)}
    async with opened(ground, before.limit) as sandbox:
        boundary = await tried(sandbox, ground, before, by_line["boundary", 9])
        unseen = await tried(sandbox, ground, before, by_line["constant", 19])
        again = await tried(sandbox, ground, before, by_line["boundary", 9])
    assert (boundary.verdict, boundary.broken) == ("breaks", ("tests/test_till.py::test_ten_are_cheaper",))
    assert (unseen.verdict, unseen.broken) == ("survives", ())
    assert again.broken == boundary.broken, "the sandbox was not put back"


@pytest.mark.slow
@needs_bubblewrap
async def test_a_mutation_that_never_ends_is_stopped_and_is_no_task(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    (repository / "src" / "till.py").write_text(
        "def price(units, each):\n    while units < 3:\n        units += 1\n    return 3.0\n"
    )
    (repository / "tests" / "test_till.py").write_text(
        "from till import price\n\n\ndef test_it():\n    assert price(2, 1.5) == 3.0\n"
    )
    ground = ground_of(repository)
    (lost,) = [each for each in candidates(repository, [], seed=0) if each.old == "units += 1"]
    before = Baseline(passed=("tests/test_till.py::test_it",), seconds=0.1)
    async with opened(ground, before.limit) as sandbox:
        assert (await tried(sandbox, ground, before, lost)).verdict == "stopped"


@pytest.mark.slow
async def test_a_repository_whose_tests_all_fail_is_refused(tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "context")
    (repository / "src" / "till.py").write_text("raise ImportError\n")
    with pytest.raises(UserError, match=r"no test .* passes"):
        await baseline(ground_of(repository))


@pytest.mark.slow
@needs_bubblewrap
def test_the_command_writes_tasks_and_nothing_in_the_repository(tmp_path: Path, python: str) -> None:
    repository = write_repository(tmp_path / "context")
    pristine = contents(repository)
    out = tmp_path / "tasks.jsonl"
    done = lbi_here("tasks", "mutate", repository, "--out", out, "-n", "2", "--python", python, "-q")
    assert done.returncode == 0, done.stderr
    assert "2 tasks" in done.stdout
    assert contents(repository) == pristine
    instances = load_instances(out)
    assert len(instances) == 2
    for instance in instances:
        assert instance.mutation is not None
        assert set(instance.fail_to_pass) | set(instance.pass_to_pass) == set(PASSING)
        assert instance.fail_to_pass
        twin = write_repository(tmp_path / instance.instance_id)
        apply(instance.mutation.patch, twin)
        assert contents(twin) != pristine
        apply(instance.patch, twin)
        assert contents(twin) == pristine


@pytest.mark.slow
@needs_bubblewrap
def test_a_run_that_was_killed_goes_on_and_comes_to_the_same(tmp_path: Path, python: str) -> None:
    repository = write_repository(tmp_path / "context")
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    arguments = ("tasks", "mutate", repository, "--python", python, "-w", "1", "-q", "--out")
    assert lbi_here(*arguments, whole, "-n", "2").returncode == 0
    tries = whole.with_suffix(".tried.jsonl").read_text()
    kept = tries.splitlines(keepends=True)[:2]
    part.with_suffix(".tried.jsonl").write_text("".join(kept) + tries.splitlines()[2][:40])  # killed in a line
    assert lbi_here(*arguments, part, "-n", "2").returncode == 0
    assert part.read_bytes() == whole.read_bytes()
    assert part.with_suffix(".tried.jsonl").read_text().startswith("".join(kept))
    (repository / "src" / "till.py").write_text("def other():\n    return 1\n")
    other = lbi_here(*arguments, part, "-n", "2")
    assert other.returncode == 2
    assert "differ from these" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (lambda context: [context / "nowhere", "--out", "t.jsonl"], "no repository at"),
        (lambda context: [context, "--out", context / "t.jsonl"], "lies in the repository"),
        (lambda context: [context, "--out", context / "no" / "t.jsonl"], "there is no folder"),
        (lambda context: [context, "--out", "t.jsonl", "--python", context / "python"], "no interpreter at"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: Callable[[Path], list[str | Path]], said: str, tmp_path: Path
) -> None:
    done = lbi_here("tasks", "mutate", *arguments(write_repository(tmp_path / "context")), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


@pytest.fixture
def python() -> str:
    import sys

    return sys.executable


def test_the_rows_of_a_task_file_are_those_of_the_official_format(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    row = {"instance_id": "x", "repo": "r", "base_commit": "", "problem_statement": "p", "instruction": "p"}
    row["mutation"] = {"patch": "", "operator": "boundary", "function": "f", "line": 3, "python": "/p", "tests": []}
    file.write_text(json.dumps(row))
    (instance,) = load_instances(file)
    assert instance.mutation is not None
    assert instance.mutation.line == 3
