"""Verdicts are those of the official package on the same log, rule by rule (docs/grading.md).

The official verdicts stand here as constants, read from swebench 5.0.2; where that can be imported, it is asked too.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import official_grader
from lbi.benchmarks.swebench.grade import Grade, Ran, verdict
from lbi.benchmarks.swebench.instance import Instance
from lbi.benchmarks.swebench.official import _spec, log_of
from lbi.benchmarks.swebench.test_results import EvalType, TestStatus, read_report

TANK = """
import unittest, pytest

@pytest.mark.xfail(reason="known")
def test_known_leak(): assert False
@pytest.mark.xfail(reason="loose")
def test_unexpectedly_fine(): assert True
@pytest.mark.xfail(strict=True)
def test_strict_fine(): assert True
@pytest.mark.xfail(run=False)
def test_never_run(): assert False
@pytest.mark.xfail(raises=KeyError)
def test_fails_by_another_error(): raise ValueError
def test_gives_up(): pytest.xfail("why - not")
@pytest.fixture
def leaky(): pytest.xfail("the fixture")
def test_with_a_fixture_that_gives_up(leaky): pass
@pytest.mark.parametrize("x", ["a b", "a c", "[x]", "u\\u0308", "a::b", "c/d", "1-2", "x" * 3, "line\\nfeed", "d - e"])
def test_names(x): assert x != "a c"
@pytest.mark.parametrize("x", ["log(photon /s", "log(photon /m"])
def test_units(x): pass
@pytest.mark.parametrize("x", ["one", "other"])
def test_mixed(x): assert x == "one"
class TestTank(unittest.TestCase):
    def test_part_fails(self):
        for n in range(3):
            with self.subTest(n=n): self.assertNotEqual(n, 1)
    def test_part_skips(self):
        for n in range(3):
            with self.subTest(n=n):
                if n == 1: self.skipTest("no")
    @unittest.expectedFailure
    def test_expected(self): self.fail()
    @unittest.expectedFailure
    def test_expected_in_vain(self): pass
    @unittest.skip("never")
    def test_skipped(self): pass
class TestOuter:
    class TestInner:
        def test_in(self): pass
@pytest.fixture
def breaks_before(): assert 0
@pytest.fixture
def breaks_after():
    yield
    assert 0
@pytest.fixture
def skips_after():
    yield
    pytest.skip("late")
def test_set_up(breaks_before): pass
def test_tear_down(breaks_after): pass
def test_tear_down_skips(skips_after): pass
def test_message(): assert False, "PASSED a - b"
@pytest.mark.skip(reason="x")
def test_skip(): pass
@pytest.mark.skipif(False, reason="x")
def test_not_skipped(): pass
def test_prints(): print("\\nFAILED test_tank.py::test_prints")
"""
#: by test: whether the official package takes it as passed. Its ids end at the first blank.
PASSES = {
    "test_known_leak": True,
    "test_unexpectedly_fine": False,
    "test_strict_fine": False,
    "test_never_run": False,
    "test_fails_by_another_error": False,
    "test_gives_up": True,
    "test_with_a_fixture_that_gives_up": False,
    "test_names[a": False,  # one of two that begin so fails
    "test_names[[x]]": True,
    "test_names[a::b]": True,
    "test_names[c/d]": True,
    "test_names[1-2]": True,
    "test_names[xxx]": True,
    "test_names[line\\nfeed]": True,
    "test_names[d": True,
    "test_names[l": True,  # ends within the parameters
    "test_units[log(photon": True,
    "test_mixed[o": False,  # those that begin so do not agree
    "test_mixed[one]": True,
    "test_mixed[other]": False,
    "test_mixed": False,
    "TestTank::test_part_fails": True,  # its sub-test has a line of its own, which nobody reads
    "TestTank::test_part_skips": True,
    "TestTank::test_expected": True,
    "TestTank::test_expected_in_vain": False,
    "TestTank::test_skipped": False,
    "TestOuter::TestInner::test_in": True,
    "test_set_up": False,
    "test_tear_down": False,
    "test_tear_down_skips": True,
    "test_message": False,
    "test_skip": False,
    "test_not_skipped": True,
    "test_prints": True,  # of two lines that name it, the later one counts
    "test_absent": False,
    "": False,
}


def run(source: str, *options: str) -> Ran:
    """The tests of one file for real, as a sandbox runs them."""
    recorder = resources.files("lbi.benchmarks.swebench").joinpath("recorder.py").read_text("utf-8")
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_tank.py").write_text(source)
        (folder / "pytest.ini").write_text("[pytest]\n")
        plain = ("-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:hypothesispytest")
        command = [sys.executable, "-c", recorder, "report.json", "-rA", "--tb=short", *plain, *options, "test_tank.py"]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=100)
        file = folder / "report.json"
        results = read_report(file.read_bytes()) if file.exists() else {}
    return Ran(results=results, log=done.stdout + done.stderr, ended="exited", exit_code=done.returncode)


@cache
def tank() -> Ran:
    return run(TANK)


def instance(fail_to_pass: list[str], pass_to_pass: list[str], kind: str = "") -> Instance:
    names = {"fail_to_pass": fail_to_pass, "pass_to_pass": pass_to_pass}
    found = {list_name: tuple(f"test_tank.py::{name}" for name in each) for list_name, each in names.items()}
    return Instance(instance_id="i", repo="r", base_commit="c", problem_statement="p", eval_type=kind, **found)


def agrees(given: Instance, ran: Ran, tmp_path: Path) -> Grade:
    """Our verdict, which is the official one where that can be asked."""
    ours = verdict(given, ran)
    log = tmp_path / "test_output.txt"
    log.write_text(log_of(ours), "utf-8")
    spec = {name: value for name, value in _spec(given).items() if name not in ("image", "eval_script_list")}
    spec = {name: value for name, value in spec.items() if name not in ("repo", "version")}
    official = official_grader.report(spec, log)
    if official is not None:
        assert official["resolved"] == ours.resolved, given
    return ours


@pytest.mark.slow
def test_each_outcome_is_what_the_official_package_takes_it_for(tmp_path: Path) -> None:
    for name, passes in PASSES.items():
        for lists in (([name], []), ([], [name]), (["test_not_skipped", name], ["test_mixed[one]"])):
            graded = agrees(instance(*lists), tank(), tmp_path)
            assert graded.resolved is passes, (name, lists)
            assert graded.still_failing + graded.now_failing == (() if passes else (f"test_tank.py::{name}",))


@pytest.mark.slow
def test_full_ids_tell_apart_what_the_official_package_cannot(tmp_path: Path) -> None:
    assert verdict(instance(["test_names[a b]"], ["test_names[d - e]"]), tank()).resolved
    assert not verdict(instance(["test_names[a c]"], []), tank()).resolved


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lists", "resolution"),
    [
        ((["test_not_skipped"], []), "full"),
        (([], []), "full"),
        ((["test_not_skipped", "test_message"], []), "partial"),
        ((["test_message"], []), "no"),
        ((["test_not_skipped", "test_message"], ["test_set_up"]), "no"),
        ((["test_not_skipped"], ["test_set_up"]), "no"),
    ],
)
def test_a_bug_is_resolved_in_full_in_part_or_not(
    lists: tuple[list[str], list[str]], resolution: str, tmp_path: Path
) -> None:
    assert agrees(instance(*lists), tank(), tmp_path).resolution == resolution


@pytest.mark.slow
def test_where_only_failures_count_a_test_that_did_not_fail_passes(tmp_path: Path) -> None:
    kind: EvalType = "fail_only"
    for name, passes in {"test_absent": True, "test_skip": True, "test_message": False, "test_set_up": True}.items():
        assert agrees(instance([name], [], kind), tank(), tmp_path).resolved is passes, name
    nothing = Ran(results={}, log="ImportError", ended="exited", exit_code=4)
    assert not agrees(instance(["test_absent"], [], kind), nothing, tmp_path).resolved


ONE = "def test_a(): pass\n"
RUNS = {
    "an exit code that says otherwise": ("import atexit, os\natexit.register(os._exit, 3)\n" + ONE, False),
    "a sub-test alone fails": (
        "import unittest\nclass TestA(unittest.TestCase):\n def test_b(self):\n"
        "  with self.subTest(n=1): self.fail()\n" + ONE,
        False,
    ),
    "another test fails": (ONE + "def test_b(): assert 0\n", True),
    "the file cannot be imported": ("import nowhere\n" + ONE, False),
    "the process is ended within": (ONE + "def test_b():\n import os\n os._exit(0)\n", False),
    "nothing but skips": ("import pytest\n@pytest.mark.skip\ndef test_a(): pass\n", False),
    "a printed line": ('def test_a(): assert 0\ndef test_b(): print("\\nPASSED test_tank.py::test_a")\n', False),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", RUNS)
def test_a_run_that_says_nothing_resolves_nothing(case: str, tmp_path: Path) -> None:
    source, resolved = RUNS[case]
    ran = run(source)
    assert agrees(instance(["test_a"], []), ran, tmp_path).resolved is resolved, ran.log
    assert agrees(instance([], ["test_a"]), ran, tmp_path).resolved is resolved


@pytest.mark.parametrize("ended", ["timeout", "killed", "memory"])
def test_tests_that_were_stopped_resolve_nothing_whatever_they_had_said(ended: str, tmp_path: Path) -> None:
    results: dict[str, TestStatus] = {"test_tank.py::test_a": "passed"}
    ran = Ran(results=results, log="PASSED test_tank.py::test_a", ended=ended, exit_code=None)
    graded = agrees(instance(["test_a"], []), ran, tmp_path)
    assert (graded.resolved, graded.reason.partition(";")[0]) == (False, f"the tests were stopped ({ended})")


def test_a_patch_that_does_not_apply_resolves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(log_of(Grade(instance="i", resolved=False, applied=False, reason="no")))
    given = {"instance_id": "i", "FAIL_TO_PASS": [], "PASS_TO_PASS": []}
    official = official_grader.report({**given, "log_parser": "parse_log_pytest", "eval_type": "pass_and_fail"}, log)
    assert official is None or not official["resolved"]


IDS = (
    "a",
    "ab",
    "a[x",
    "a[x y]",
    "a[x z]",
    "a[xy]",
    "a[[x]]",
    "a[x[y",
    "b",
    "b c",
    "a[",
    "a[x]",
    "\u00e9[\u00fc]",
    "q",
)
SUMMARY: dict[TestStatus, str] = {"passed": "PASSED", "xfail": "XFAIL", "error": "ERROR", "failed": "FAILED"}


def told(results: dict[str, TestStatus], exit_code: int | None) -> Ran:
    """A run with the lines that pytest's summary has of such results."""
    whole = {f"test_tank.py::{name}": status for name, status in results.items()}
    lines = [f"{word} {name}" for kind, word in SUMMARY.items() for name, status in whole.items() if status == kind]
    return Ran(results=whole, log="\n".join(lines), ended="exited", exit_code=exit_code)


@pytest.mark.parametrize(
    ("results", "wanted", "kind", "resolved"),
    [
        ({"a[x": "passed", "a[x y]": "failed"}, "a[x", "", False),
        ({"b c": "passed", "b": "skipped", "a": "failed"}, "b", "", True),
        ({"b c": "failed", "ab": "passed"}, "b", "fail_only", False),
        ({"a[x[y": "passed", "a[x": "xpass"}, "a[x", "", True),
        ({"a[x z]": "failed", "a[x": "xfail"}, "a[x", "", False),
    ],
)
def test_ids_that_are_one_once_they_are_cut_have_one_result(
    results: dict[str, TestStatus], wanted: str, kind: str, resolved: bool, tmp_path: Path
) -> None:
    exit_code = int("failed" in results.values())
    assert agrees(instance([wanted], [], kind), told(results, exit_code), tmp_path).resolved is resolved


@pytest.mark.skipif(official_grader.folder() is None, reason="the official package cannot be imported")
def test_random_runs_have_the_official_verdict(tmp_path: Path) -> None:
    chance = random.Random(0)
    statuses: tuple[TestStatus, ...] = ("passed", "passed", "xfail", "error", "failed", "skipped", "xpass")
    cut = [name for name in IDS if " " not in name]
    for _ in range(1_000):
        results = {name: chance.choice(statuses) for name in chance.sample(IDS, chance.randint(0, 6))}
        lists = [chance.sample(cut, chance.randint(0, 3)) for _ in range(2)]
        kind = chance.choice(("", "pass_and_fail", "fail_only"))
        agrees(instance(*lists, kind), told(results, chance.choice((0, 1, 1, 2, None))), tmp_path)
