"""Runs pytest and reads the result of each test: {"tests/test_x.py::TestA::test_b[1]": "passed"}.

The results are those that the official package reads from pytest's summary, rule by rule in docs/grading.md. They come
from pytest itself and not from what is printed, as the program under test can print whatever it likes.
"""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

from lbi.sandbox.protocol import Completed, Sandbox

#: variables with which two runs of the same tests give the same results
REPRODUCIBLE = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"}
ANY_SOURCE = "*"  # packages are imported from the root and from src, whichever has them
MOST_REPORT = 16 << 20  # bytes; read, it takes several times as much memory
TestStatus = Literal["passed", "failed", "error", "skipped", "xfail", "xpass"]
EvalType = Literal["pass_and_fail", "fail_only"]

PASSING = frozenset({"passed", "xfail"})
#: what the official package sees: the summary names no test that was skipped, and no status of its own begins "XPASS"
SEEN = frozenset({"passed", "failed", "error", "xfail"})


async def run_pytest(
    sandbox: Sandbox, python: Path, files: Sequence[str], source: str = ""
) -> tuple[dict[str, TestStatus], Completed]:
    """Run test files in an open sandbox. There are no results if the tests were stopped or broke before they began.

    ``source`` is the folder of the repository from which packages are imported. Raises EnvironmentFailure.
    """
    # a random name, as /tmp is everybody's without a sandbox, and as the program under test must not forge the file
    report = f"/tmp/lbi-report-{uuid.uuid4().hex}.json"
    recorder = resources.files("lbi.benchmarks.swebench").joinpath("recorder.py").read_text("utf-8")
    options = ("-rA", "--tb=short", "-p", "no:cacheprovider")
    folders = '"$PWD/src:$PWD"' if source == ANY_SOURCE else f'"$PWD/{source}"'
    command = shlex.join([str(python), "-c", recorder, report, *options, *files])
    done = await sandbox.run(f"PYTHONPATH={folders} {command}")
    try:
        results = read_report(await sandbox.download(report))
    except (OSError, ValueError):
        results = {}
    return results, done


def read_report(content: bytes) -> dict[str, TestStatus]:
    """The status of each test by its id, as lbi.benchmarks.swebench.recorder writes it. Raises ValueError."""
    if len(content) > MOST_REPORT:
        raise ValueError(f"the tests left a report of {len(content):,} bytes, too large to read")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the tests left no readable report: {error}") from None
    if not isinstance(found, dict) or not all(status in get_args(TestStatus) for status in found.values()):
        raise ValueError("the tests left no readable report: it is no table of statuses")
    return found


def not_passed(
    results: Mapping[str, TestStatus], wanted: Iterable[str], kind: EvalType | str = "pass_and_fail"
) -> list[str]:
    """Those of the ``wanted`` tests that did not pass; a test that did not run did not pass.

    Of an instance of the kind "fail_only", only a test that ran and failed did not pass.
    """
    names = list(dict.fromkeys(wanted))
    lookup = _Lookup(results)
    if kind == "fail_only":
        return [name for name in names if lookup.of(name) == "failed"]
    return [name for name in names if lookup.status(name) not in PASSING]


def contradicts(results: Mapping[str, TestStatus], exit_code: int | None) -> bool:
    """Whether pytest says by its exit code that something failed, and the results of the tests do not."""
    seen = SEEN.intersection(results.values())
    return bool(exit_code and seen and not seen & {"failed", "error"})


class _Lookup:
    """Finds tests by their ids, also by ids that the official data sets have cut."""

    _LATER = ("passed", "xfail", "error", "failed")  # the order of pytest's summary, of which the last line counts

    def __init__(self, results: Mapping[str, TestStatus]) -> None:
        self._whole = results
        self._cut: dict[str, TestStatus] = {}
        for name, status in results.items():
            if status in SEEN and (first := next(iter(name.split()), "")):
                before = self._cut.get(first, "passed")
                self._cut[first] = max(status, before, key=self._LATER.index)

    def of(self, name: str) -> TestStatus | None:
        """Of the test itself where its id has blanks; else of all tests that are it up to a blank."""
        return self._whole.get(name) if len(name.split()) > 1 else self._cut.get(name)

    def status(self, name: str) -> TestStatus | None:
        """The same; where there is none, of the tests whose ids begin so within their parameters, if they agree.

        Of ids that end there, SWE-bench Verified has 676.
        """
        if (found := self.of(name)) is not None:
            return found
        if name.count("[") > name.count("]"):
            beginning = list(self._beginning(name))
            if beginning and len({status in PASSING for status in beginning}) == 1:
                return beginning[0]
        return None

    def _beginning(self, name: str) -> Iterator[TestStatus]:
        return (status for whole, status in self._cut.items() if whole.startswith(name))
