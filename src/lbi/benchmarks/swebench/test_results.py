"""pytest's JUnit file -> what each test came to: {"tests/test_x.py::TestA::test_b[1]": "passed"}.

Not read from what pytest prints: the program that is tested can print what it likes.
"""

from __future__ import annotations

import shlex
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from lbi.sandbox.open import Completed, Sandbox

ANY_SOURCE = "*"  # the root and its src, for a repository that nothing is known of
Outcome = Literal["passed", "failed", "error", "skipped"]


async def run_pytest(
    sandbox: Sandbox, python: Path, files: Sequence[str], source: str = ""
) -> tuple[dict[str, Outcome], Completed]:
    """Run test files in an open sandbox. No outcomes where the tests were stopped or broke before they began.

    ``source`` is the folder below the sandbox's from which packages are imported. Raises EnvironmentFailure.
    """
    # of its own, as without a sandbox /tmp is everybody's, and what is tested cannot write to a name it does not know
    report = f"/tmp/lbi-report-{uuid.uuid4().hex}.xml"
    # xunit1 says the file of each test
    options = ("-rA", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1")
    folders = '"$PWD/src:$PWD"' if source == ANY_SOURCE else f'"$PWD/{source}"'
    done = await sandbox.run(f"PYTHONPATH={folders} " + shlex.join([str(python), "-m", "pytest", *options, *files]))
    try:
        outcomes = read_report(await sandbox.download(report))
    except (OSError, ValueError):
        outcomes = {}
    return outcomes, done


def read_report(content: bytes) -> dict[str, Outcome]:
    """What each test came to, by its id. Raises ValueError for what is no such file."""
    try:
        # ElementTree resolves no external entities, and expat limits how far internal ones may grow
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise ValueError(f"the tests left no readable report: {error}") from None
    found: dict[str, Outcome] = {}
    for case in root.iter("testcase"):
        name = _id(case)
        outcome = _outcome(case)
        # a test that passes and whose teardown fails is there twice: the worse one counts
        if name not in found or _RANK[outcome] > _RANK[found[name]]:
            found[name] = outcome
    return found


_RANK: dict[Outcome, int] = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}


def _outcome(case: ElementTree.Element) -> Outcome:
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


def judge(outcomes: dict[str, Outcome], wanted: Iterable[str]) -> list[str]:
    """Those of the wanted tests that did not pass, in order; one that did not run did not pass."""
    return [name for name in wanted if outcomes.get(name) != "passed"]
