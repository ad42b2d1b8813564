"""Proves tasks whose result is a file by the checkout's files alone: the expected one scores 1, the one given 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lbi.benchmarks.spider2v.checkout import Checkout, Official
from lbi.benchmarks.spider2v.judge import Got, Sides, Verdict, judge
from lbi.errors import ScoreError
from lbi.protocols import CheckedTask


def provable(task: Official) -> bool:
    """Whether all that is judged are files, and the expected ones lie in the checkout or are not files."""
    return all(each["type"] == "vm_file" for each in task.results) and any(
        each is not None and each["type"] == "local_file" for each in task.expected
    )


async def prove(checkout: Checkout, python: Path, tasks: Sequence[Official]) -> list[CheckedTask]:
    """One row for each task. Raises ScoreError where no metric runs."""
    asked = [sides for task in tasks for sides in (_gold(checkout, task), _nothing(checkout, task))]
    verdicts = await judge(checkout, python, asked) if asked else []
    return [checked(task.name, verdicts[2 * at], verdicts[2 * at + 1]) for at, task in enumerate(tasks)]


def checked(name: str, gold: Verdict, nothing: Verdict) -> CheckedTask:
    if gold[0] is None and gold == nothing:  # a metric that fails, whatever it is given
        return CheckedTask(task=name, problem=gold[1])
    problems = [f"gold: {gold[1]}"] if gold[0] != 1 else []
    if nothing[0] != 0:
        problems.append("nothing: " + (nothing[1] if nothing[0] is None else "scores without an action"))
    return CheckedTask(task=name, gold=gold[0], nothing=nothing[0], problem="; ".join(problems))


def expected_of(checkout: Checkout, task: Official) -> tuple[Got | None, ...]:
    """Raises ScoreError for a side that only a desktop can tell."""
    return tuple(_expected(checkout, each) if each else None for each in task.expected)


def _expected(checkout: Checkout, side: dict[str, object]) -> Got:
    if side["type"] == "rule":
        return Got(value=side["rules"])
    if side["type"] == "local_file":
        path = checkout.path(str(side["path"]))
        return Got(path.name, path.read_bytes())
    raise ScoreError(f"what is expected is known on the desktop only ({side['type']})")


def _gold(checkout: Checkout, task: Official) -> Sides:
    expected = expected_of(checkout, task)
    results = [
        Got(str(result["path"]), want.content if want else None)
        for result, want in zip(task.results, expected, strict=True)
    ]
    return Sides(task, tuple(results), expected)


def _nothing(checkout: Checkout, task: Official) -> Sides:
    """The files that the task begins with; one that it does not begin with is not there."""
    begins = {
        step["parameters"]["dest"]: checkout.path(step["parameters"]["src"])
        for step in task.config
        if step["type"] == "copyfile_from_host_to_guest"
    }
    results = []
    for result in task.results:
        path = begins.get(result["path"])
        results.append(Got(str(result["path"]), path.read_bytes() if path else None))
    return Sides(task, tuple(results), expected_of(checkout, task))
