"""Runs pytest and reads the result of each test: {"tests/test_x.py::TestA::test_b[1]": "passed"}.

The results are read from pytest's JUnit file, as the program under test can print whatever it likes.
"""

from __future__ import annotations

import shlex
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from lbi.sandbox.protocol import Completed, Sandbox

#: variables with which two runs of the same tests give the same results
REPRODUCIBLE = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"}
ANY_SOURCE = "*"  # packages are imported from the root and from src, whichever has them
MOST_REPORT = 16 << 20  # bytes; read, it takes up to thirty times as much memory
TestStatus = Literal["passed", "failed", "error", "skipped"]


async def run_pytest(
    sandbox: Sandbox, python: Path, files: Sequence[str], source: str = ""
) -> tuple[dict[str, TestStatus], Completed]:
    """Run test files in an open sandbox. There are no results if the tests were stopped or broke before they began.

    ``source`` is the folder of the repository from which packages are imported. Raises EnvironmentFailure.
    """
    # a random name, as /tmp is everybody's without a sandbox, and as the program under test must not forge the file
    report = f"/tmp/lbi-report-{uuid.uuid4().hex}.xml"
    # only xunit1 has the file of each test
    options = ("-rA", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1")
    folders = '"$PWD/src:$PWD"' if source == ANY_SOURCE else f'"$PWD/{source}"'
    done = await sandbox.run(f"PYTHONPATH={folders} " + shlex.join([str(python), "-m", "pytest", *options, *files]))
    try:
        results = read_report(await sandbox.download(report))
    except (OSError, ValueError):
        results = {}
    return results, done


def read_report(content: bytes) -> dict[str, TestStatus]:
    """The status of each test by its id. Raises ValueError for a file that is no JUnit report."""
    if len(content) > MOST_REPORT:
        raise ValueError(f"the tests left a report of {len(content):,} bytes, too large to read")
    try:
        # ElementTree resolves no external entities, and expat limits how far internal ones may grow
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"the tests left no readable report: {error}") from None
    results: dict[str, TestStatus] = {}
    for case in root.iter("testcase"):
        name = _id(case)
        status = _status(case)
        # a test that passes and whose teardown fails is listed twice: the worse status counts
        if name not in results or _RANK[status] > _RANK[results[name]]:
            results[name] = status
    return results


_RANK: dict[TestStatus, int] = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}


def _status(case: ElementTree.Element) -> TestStatus:
    kinds = {child.tag for child in case}
    if "error" in kinds:
        return "error"
    if "failure" in kinds:
        return "failed"
    return "skipped" if "skipped" in kinds else "passed"


def _id(case: ElementTree.Element) -> str:
    """pytest's own id, from file="tests/test_x.py" classname="tests.test_x.TestA" name="test_b[1]"."""
    file, classes, name = case.get("file", ""), case.get("classname", ""), case.get("name", "")
    module = file.removesuffix(".py").replace("/", ".")
    inner = classes.removeprefix(module).lstrip(".").split(".") if classes.startswith(module) else []
    return "::".join(part for part in (file, *inner, name) if part)


def not_passed(results: dict[str, TestStatus], wanted: Iterable[str]) -> list[str]:
    """Those of the ``wanted`` tests that did not pass; a test that did not run did not pass."""
    return [name for name in wanted if results.get(name) != "passed"]
