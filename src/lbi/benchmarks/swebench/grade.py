"""Grades a patch: do the tests that failed pass now, and do those that passed still pass?"""

from __future__ import annotations

import asyncio
from pathlib import Path

from lbi.benchmarks.swebench.build import Built, patched
from lbi.benchmarks.swebench.patches import PatchError
from lbi.benchmarks.swebench.test_results import REPRODUCIBLE, TestStatus, not_passed, run_pytest
from lbi.records import Record
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.protocol import SandboxLimits

#: for one run of an instance's tests
LIMITS = SandboxLimits(wall_seconds=300.0, cpu_seconds=300, output_bytes=8 * 1024 * 1024)
SHOWN = 3  # tests named in a reason


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
    scratch = await asyncio.to_thread(patched, built, patch)
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
    still_failing = not_passed(ran.results, instance.fail_to_pass)
    now_failing = not_passed(ran.results, instance.pass_to_pass)
    return Grade(
        instance=instance.instance_id,
        resolved=not still_failing and not now_failing,
        reason=_reason(ran, still_failing, now_failing),
        still_failing=tuple(still_failing),
        now_failing=tuple(now_failing),
        ran=ran,
    )


def _reason(ran: Ran, still_failing: list[str], now_failing: list[str]) -> str:
    parts = []
    if ran.ended != "exited":
        parts.append(f"the tests were stopped ({ran.ended})")
    if still_failing:
        parts.append(f"{len(still_failing)} still fail: {_first(still_failing)}")
    if now_failing:
        parts.append(f"{len(now_failing)} fail that passed: {_first(now_failing)}")
    return "; ".join(parts)


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
