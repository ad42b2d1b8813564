"""Runs pytest, and writes what its summary of `-rA` says of each test: {"tests/test_x.py::test_a": "passed"}.

It is run by the interpreter of an instance (``python -c``), so it needs nothing but pytest, 4.0 or later, and takes the
file to write as its first argument. The summary itself is no source, as the program under test can print what it likes.
"""

import json
import os
import sys
from typing import Any

import pytest

#: what pytest calls a report -> the word that its summary begins a line with; plug-ins have words of their own
WORDS = {
    "passed": "PASSED",
    "failed": "FAILED",
    "error": "ERROR",
    "skipped": "SKIPPED",
    "xfailed": "XFAIL",
    "xpassed": "XPASS",
}
#: of two lines about one test, the later one in the summary counts; skipped and xpass have no line that names the test
RANK = ("skipped", "xpass", "passed", "xfail", "error", "failed")


class Recorder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.results: Any = {}

    def pytest_configure(self, config: Any) -> None:
        self.config = config

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.add(report, "error")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        kind, _, word = self.config.hook.pytest_report_teststatus(report=report, config=self.config)
        word = word[0] if isinstance(word, tuple) else word
        if WORDS.get(kind) != word:  # a sub-test, a second try, or a part of a test that has no line of its own
            return
        if kind == "xfailed" and report.when != "call":  # run=False, or its set-up failed: "XFAIL at setup of ..."
            kind = "skipped"
        self.add(report, {"xfailed": "xfail", "xpassed": "xpass"}.get(kind, kind))

    def add(self, report: Any, status: str) -> None:
        name = self.config.cwd_relative_nodeid(getattr(report, "id", report.nodeid))
        if not isinstance(name, str):  # since pytest 9
            name = name.path if name.rest is None else f"{name.path}::{name.rest}"
        if RANK.index(status) >= RANK.index(self.results.get(name, "skipped")):
            self.results[name] = status

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        with open(self.file, "w") as file:
            json.dump(self.results, file)


if __name__ == "__main__":
    # as `python -m pytest` has them
    sys.path[0] = os.getcwd()
    sys.argv[0] = os.path.join(os.path.dirname(pytest.__file__), "__main__.py")
    sys.exit(pytest.main(sys.argv[2:], plugins=[Recorder(sys.argv.pop(1))]))
