"""Grades by the official SWE-bench package: it reads the log of our run with its own parser and its own rules.

The package is installed into an interpreter of its own when it is first needed, so that its dependencies cannot
conflict with ours. Official instances come as container images; where an engine runs, the official harness runs them.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbi.benchmarks.swebench.grade import LIMITS, Grade
from lbi.benchmarks.swebench.instance import Instance, write_instances
from lbi.benchmarks.swebench.interpreters import interpreter
from lbi.benchmarks.swebench.predictions import Prediction, write_predictions
from lbi.errors import UserError
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.host import inherited, run_on_host
from lbi.sandbox.interpreter import prefixes

PACKAGE = "swebench==5.0.2"
START, END = ">>>>> Start Test Output", ">>>>> End Test Output"
EXIT_CODE = ">>>>> Test Exit Code"
NOT_APPLIED, STOPPED = ">>>>> Patch Apply Failed", ">>>>> Tests Timed Out"
PARSER, KIND = "parse_log_pytest", "pass_and_fail"  # where an instance names none

_GRADER = """
import json
from swebench.harness.grading import get_eval_report
from swebench.types import TestSpec
reports = {}
for case in json.load(open("cases.json")):
    report = get_eval_report(TestSpec(**case["spec"]), case["prediction"], case["log"], True)
    reports.update(report)
json.dump(reports, open("reports.json", "w"))
"""


def log_of(grade: Grade) -> str:
    """The log of a run in the form that the official package reads."""
    if not grade.applied:
        return f"{NOT_APPLIED}\n{grade.reason}\n"
    assert grade.ran is not None
    if grade.ran.ended != "exited":
        return f"{grade.ran.log}\n{STOPPED}\n"
    return f"{START}\n{grade.ran.log}\n{END}\n{EXIT_CODE}: {grade.ran.exit_code}\n"


def official_reports(
    graded: Sequence[tuple[Instance, str, Grade]], cache: Path | None = None, *, unsafe: bool = False
) -> dict[str, Any]:
    """The official reports by instance, from (instance, patch, our grade with its log). Blocking. Raises UserError."""
    with tempfile.TemporaryDirectory(prefix="lbi-official-") as scratch:
        folder, cases = Path(scratch), []
        for number, (instance, patch, grade) in enumerate(graded):
            log = f"{number}.log"
            (folder / log).write_text(log_of(grade), "utf-8", errors="replace")
            cases.append({"spec": _spec(instance), "prediction": _prediction(instance, patch), "log": log})
        (folder / "cases.json").write_text(json.dumps(cases), "utf-8")
        python = interpreter((PACKAGE,), cache) / "bin" / "python"
        printed = asyncio.run(_grade_in_sandbox(folder, python, unsafe))
    reports: dict[str, Any] = json.loads(printed)
    return reports


def _spec(instance: Instance) -> dict[str, Any]:
    return {
        "instance_id": instance.instance_id,
        "image": instance.image,
        "eval_script_list": [],
        "repo": instance.repo,
        "version": instance.version,
        "FAIL_TO_PASS": _as_parsed(instance.fail_to_pass),
        "PASS_TO_PASS": _as_parsed(instance.pass_to_pass),
        "log_parser": instance.log_parser or PARSER,
        "eval_type": instance.eval_type or KIND,
    }


def _as_parsed(names: Sequence[str]) -> list[str]:
    """Their parser ends a test's name at the first blank, and their data sets hold the names in this form."""
    return list(dict.fromkeys(name.split()[0] for name in names))


def _prediction(instance: Instance, patch: str) -> dict[str, str]:
    return {"instance_id": instance.instance_id, "model_name_or_path": "lbi", "model_patch": patch}


def run_official(
    instances: Sequence[Instance], predictions: Sequence[Prediction], workers: int, seconds: int = 1800
) -> dict[str, bool]:
    """Let the official harness grade predictions in the instances' container images; whether each is resolved.

    Blocking, minutes each. An instance that the harness could not grade is not in the answer. Raises UserError.
    """
    if other := [instance for instance in instances if instance.harness]:
        raise UserError(f"{other[0].instance_id} is graded by {other[0].harness}, and not here")
    without = [instance.instance_id for instance in instances if not (instance.image and instance.eval_script)]
    if without:
        raise UserError(
            f"{without[0]} names no container image and no evaluation script, so it is of an older edition of the "
            "data set; take the current one of the hub (hub:SWE-bench/SWE-bench_Verified, ..._Lite, ...)"
        )
    require_docker()
    with tempfile.TemporaryDirectory(prefix="lbi-official-") as scratch:
        folder = Path(scratch)
        write_instances(folder / "instances.jsonl", instances)
        write_predictions(folder / "predictions.jsonl", predictions)
        arguments = ["-m", "swebench.harness.run_evaluation", "-d", str(folder / "instances.jsonl")]
        arguments += ["-p", str(folder / "predictions.jsonl"), "-id", "lbi", "--report_dir", scratch]
        arguments += ["--max_workers", str(workers), "-t", str(seconds)]
        _run_harness(arguments, folder, seconds * len(instances) + 600.0)
        reports = [json.loads(file.read_text("utf-8")) for file in sorted(folder.rglob("report.json"))]
    return {name: bool(entry["resolved"]) for report in reports for name, entry in report.items()}


def require_docker() -> None:
    """Raises UserError where no Docker engine answers."""
    try:
        answers = not run_on_host(["docker", "info"], env=inherited(), timeout=30).exit_code
    except OSError:
        answers = False
    if not answers:
        raise UserError(
            "official instances come as container images, and no Docker engine answers here (`docker info`); "
            "start one, or grade on a machine that has one"
        )


async def _grade_in_sandbox(folder: Path, python: Path, unsafe: bool) -> str:
    async with open_sandbox(folder, binds=prefixes(python), limits=LIMITS, unsafe=unsafe) as sandbox:
        done = await sandbox.run(f"{shlex.quote(str(python))} -c {shlex.quote(_GRADER)}")
        if done.ended != "exited" or done.exit_code:
            last = "\n".join(done.output.strip().splitlines()[-6:])
            raise UserError(f"the official grader failed (exit {done.exit_code}): {last}")
        return (await sandbox.download("reports.json")).decode()


def _run_harness(arguments: list[str], cwd: Path, timeout: float) -> None:
    """The harness talks with the Docker engine, so it runs on this machine; what an instance brings, in containers."""
    python = interpreter((PACKAGE,)) / "bin" / "python"
    try:
        done = run_on_host([str(python), *arguments], env=inherited(), cwd=cwd, timeout=timeout)
    except OSError as error:
        raise UserError(f"the official harness failed: {error}") from None
    if done.exit_code:
        raise UserError(f"the official harness failed (exit {done.exit_code}): {done.last_errors(6)}")
