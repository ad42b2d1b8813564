"""Grades a patch: do the tests that failed pass now, and do those that passed still pass?

By the rules of the official package; docs/grading.md has them one by one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from lbi.benchmarks.swebench.build import Built, patched
from lbi.benchmarks.swebench.gnu_patch import as_git_takes_it
from lbi.benchmarks.swebench.instance import Instance
from lbi.benchmarks.swebench.patches import PatchError
from lbi.benchmarks.swebench.test_results import REPRODUCIBLE, SEEN, TestStatus, contradicts, not_passed, run_pytest
from lbi.records import Record
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.protocol import SandboxLimits

#: for one run of an instance's tests
LIMITS = SandboxLimits(wall_seconds=300.0, cpu_seconds=300, output_bytes=8 * 1024 * 1024)
SHOWN = 3  # tests named in a reason
EMPTY = "the patch is empty"  # the reason where nothing was run, as the official harness runs nothing for it
Resolution = Literal["full", "partial", "no"]  # partial: some of what failed passes, and nothing else fails


class Ran(Record):
    """One run of an instance's tests; ``ended`` says how, as in lbi.sandbox.protocol."""

    results: dict[str, TestStatus]
    log: str
    ended: str
    exit_code: int | None


class Grade(Record):
    """Whether a patch resolves an instance, and what keeps it from that."""

    instance: str
    resolved: bool
    reason: str = ""
    resolution: Resolution = "no"
    applied: bool = True
    still_failing: tuple[str, ...] = ()  # of fail_to_pass
    now_failing: tuple[str, ...] = ()  # of pass_to_pass
    ran: Ran | None = None


async def run_tests(
    built: Built, patch: str, *, tests: bool = True, backend: str = "auto", unsafe: bool = False
) -> Ran:
    """Run the instance's test files over the tree with a patch, in a sandbox that is made for it.

    Raises PatchError where the patch does not apply, EnvironmentFailure where the sandbox broke.
    """
    try:
        scratch = await asyncio.to_thread(patched, built, patch)
    except PatchError as refused:
        change = await as_git_takes_it(patch, built.tree, refused, backend=backend, unsafe=unsafe)
        scratch = await asyncio.to_thread(patched, built, change)
    try:
        source = Path(scratch.name) / "repository"
        async with open_sandbox(
            source, backend=backend, limits=LIMITS, binds=built.binds, env=environ(built), unsafe=unsafe
        ) as sandbox:
            results, done = await run_pytest(sandbox, built.python, built.run, built.source)
    finally:
        await asyncio.to_thread(scratch.cleanup)
    return Ran(results=results, log=done.output, ended=done.ended, exit_code=done.exit_code)


def environ(built: Built) -> dict[str, str]:
    """Variables for commands in a sandbox with the instance's interpreter."""
    return {**REPRODUCIBLE, "VIRTUAL_ENV": str(built.python.parent.parent)}


async def grade(built: Built, patch: str, *, backend: str = "auto", unsafe: bool = False) -> Grade:
    """Raises EnvironmentFailure where the sandbox broke, which is not the patch's fault."""
    instance = built.instance
    try:
        ran = await run_tests(built, patch, backend=backend, unsafe=unsafe)
        if ran.ended == "killed":  # by a machine without memory, perhaps: the patch would do it again
            ran = await run_tests(built, patch, backend=backend, unsafe=unsafe)
    except PatchError as error:
        first = str(error).splitlines()[0]
        return Grade(instance=instance.instance_id, resolved=False, applied=False, reason=f"does not apply: {first}")
    return verdict(instance, ran)


def verdict(instance: Instance, ran: Ran) -> Grade:
    """What a run of its tests says about a patch that was applied."""
    refused = _refused(ran)
    results = {} if refused else ran.results
    kind = "pass_and_fail" if refused else instance.eval_type
    still_failing = not_passed(results, instance.fail_to_pass, kind)
    now_failing = not_passed(results, instance.pass_to_pass, kind)
    resolution: Resolution = "no"
    if not refused and not now_failing:
        partly = len(still_failing) < len(set(instance.fail_to_pass))
        resolution = "full" if not still_failing else "partial" if partly else "no"
    return Grade(
        instance=instance.instance_id,
        resolved=resolution == "full",
        reason="; ".join([*([refused] if refused else []), *_reasons(still_failing, now_failing)]),
        resolution=resolution,
        still_failing=tuple(still_failing),
        now_failing=tuple(now_failing),
        ran=ran,
    )


def _refused(ran: Ran) -> str:
    """Why nothing that a run says counts; "" if it does."""
    if ran.ended != "exited":
        return f"the tests were stopped ({ran.ended})"
    if not SEEN.intersection(ran.results.values()):
        return "no test ran"
    if contradicts(ran.results, ran.exit_code):
        return f"pytest ended with exit code {ran.exit_code}, though no test failed"
    return ""


def _reasons(still_failing: list[str], now_failing: list[str]) -> list[str]:
    parts = []
    if still_failing:
        parts.append(f"{len(still_failing)} still fail: {_first(still_failing)}")
    if now_failing:
        parts.append(f"{len(now_failing)} fail that passed: {_first(now_failing)}")
    return parts


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
