"""Built x patch -> Grade: the tests that failed pass now, and those that passed still do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lbi.benchmarks.swebench.build import Built, patched
from lbi.benchmarks.swebench.patches import PatchError
from lbi.benchmarks.swebench.test_results import Outcome, judge, run_pytest
from lbi.records import Record
from lbi.sandbox.open import Limits, open_sandbox

#: of one run of an instance's tests
LIMITS = Limits(wall_seconds=300.0, cpu_seconds=300, output_bytes=8 * 1024 * 1024)
SHOWN = 3  # tests named in a reason


class Ran(Record):
    """One run of an instance's tests."""

    outcomes: dict[str, Outcome]
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
        options = {"backend": backend, "limits": LIMITS, "binds": built.binds, "unsafe": unsafe}
        async with open_sandbox(source, env=environ(built), **options) as sandbox:  # type: ignore[arg-type]
            outcomes, done = await run_pytest(sandbox, built.python, built.run, built.source)
    finally:
        await asyncio.to_thread(scratch.cleanup)
    return Ran(outcomes=outcomes, log=done.output, ended=done.ended, exit_code=done.exit_code)


def environ(built: Built) -> dict[str, str]:
    """Variables for commands in a sandbox with the instance's interpreter."""
    return {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "VIRTUAL_ENV": str(built.python.parent.parent),
        "TZ": "UTC",
    }


async def grade(built: Built, patch: str, *, backend: str = "auto", unsafe: bool = False) -> Grade:
    """Grade a patch. Raises EnvironmentFailure where the sandbox broke, which is not the patch's fault."""
    instance = built.instance
    try:
        ran = await run_tests(built, patch, backend=backend, unsafe=unsafe)
    except PatchError as error:
        first = str(error).splitlines()[0]
        return Grade(instance=instance.instance_id, resolved=False, applied=False, reason=f"does not apply: {first}")
    still = judge(ran.outcomes, instance.fail_to_pass)
    now = judge(ran.outcomes, instance.pass_to_pass)
    return Grade(
        instance=instance.instance_id,
        resolved=not still and not now,
        reason=_reason(ran, still, now),
        still_failing=tuple(still),
        now_failing=tuple(now),
        ran=ran,
    )


def _reason(ran: Ran, still: list[str], now: list[str]) -> str:
    parts = []
    if ran.ended != "exited":
        parts.append(f"the tests were stopped ({ran.ended})")
    if still:
        parts.append(f"{len(still)} still fail: {_few(still)}")
    if now:
        parts.append(f"{len(now)} fail that passed: {_few(now)}")
    return "; ".join(parts)


def _few(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
