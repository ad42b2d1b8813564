"""What an episode left, and what is expected -> a score, by the authors' own metrics in a sandbox of their own."""

from __future__ import annotations

import json
import posixpath
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from lbi.benchmarks.spider2v.checkout import METRICS, Checkout, Official
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.interpreter import prefixes
from lbi.sandbox.protocol import MIB, SandboxLimits

LIMITS = SandboxLimits(memory_bytes=4096 * MIB, cpu_seconds=900)
SECONDS, SECONDS_EACH = 180.0, 20.0  # to load what metrics import, and for each task
SCRIPT = "metrics.py"
Verdict = tuple[float | None, str]  # None = the metric itself fails


@dataclass(frozen=True)
class Got:
    """A side of a comparison: a file (``content`` is None where there is none), or a value."""

    name: str = ""
    content: bytes | None = None
    value: Any = None


@dataclass(frozen=True)
class Sides:
    """All that a task's metrics compare, in the order of its functions."""

    task: Official
    results: tuple[Got, ...]
    expected: tuple[Got | None, ...]
    options: tuple[Mapping[str, Any], ...] = field(default=())


async def judge(checkout: Checkout, python: Path, asked: Sequence[Sides]) -> list[Verdict]:
    """The verdict on each, all in one sandbox, as loading takes longest. Raises ScoreError, EnvironmentFailure."""
    with tempfile.TemporaryDirectory(prefix="lbi-judged-") as scratch:
        folder = Path(scratch)
        jobs = [_job(checkout, each, folder, number) for number, each in enumerate(asked)]
        (folder / "JOBS.json").write_text(json.dumps(jobs), "utf-8")
        (folder / SCRIPT).write_text(resources.files(__package__).joinpath(SCRIPT).read_text("utf-8"), "utf-8")
        shown = (*prefixes(python), checkout.folder / METRICS)
        command = shlex.join([str(python), "-I", "-B", SCRIPT, str(checkout.folder / METRICS), "JOBS.json"])
        async with open_sandbox(folder, binds=shown, limits=LIMITS) as sandbox:
            done = await sandbox.run(command, wall_seconds=SECONDS + SECONDS_EACH * len(asked))
            if (
                done.ended != "exited" and len(asked) == 1
            ):  # it reads what the agent made, which must not unscore itself
                return [(0.0, f"what is to be judged stopped the metric ({done.ended})")]
            if done.ended != "exited" or done.exit_code:
                raise ScoreError(f"the metrics did not run ({done.ended}): {_last_line(done.output)}")
            try:
                told = json.loads(await sandbox.download("VERDICTS.json"))
            except (OSError, ValueError) as error:
                raise EnvironmentFailure(f"the metrics left no verdict: {error}", kind="sandbox") from None
    return [(each["score"], str(each["why"])[:300]) for each in told]


def _job(checkout: Checkout, sides: Sides, folder: Path, number: int) -> dict[str, Any]:
    task = sides.task
    parts = [
        {
            "module": checkout.metrics[function],
            "func": function,
            "result": _side(result, folder, f"{number}/{at}/result"),
            "expected": _side(expected, folder, f"{number}/{at}/expected") if expected else None,
            "options": options,
        }
        for at, (function, result, expected, options) in enumerate(
            zip(task.functions, sides.results, sides.expected, sides.options or task.options, strict=True)
        )
    ]
    return {"conj": task.evaluator.get("conj", "and"), "parts": parts}


def _side(got: Got, folder: Path, place: str) -> dict[str, Any]:
    if not got.name:
        return {"value": got.value}
    if got.content is None:
        return {"file": None}
    file = folder / place / posixpath.basename(got.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(got.content)
    return {"file": f"{place}/{file.name}"}


def _last_line(output: str) -> str:
    return (output.strip().splitlines() or ["nothing was said"])[-1][:300]
