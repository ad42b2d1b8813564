"""A benchmark of repositories -> one row per instance: its fix resolves it, no patch and a wrong patch do not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lbi.benchmarks.swebench.build import Built
from lbi.benchmarks.swebench.catalog import Catalog, open_catalog
from lbi.benchmarks.swebench.grade import Grade, grade
from lbi.benchmarks.swebench.patches import edited, is_source, paths_in
from lbi.errors import EnvironmentFailure, UserError
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.sandbox.beneath import LINK, Beneath

Row = dict[str, Any]
WAYS = ("gold", "nothing", "wrong")


async def check_instances(place: str, only: str, workers: int, quiet: bool) -> list[Row]:
    """Grade every instance three ways, each in a sandbox of its own."""
    catalog = open_catalog(place)
    try:
        names = [only] if only else list(catalog.instances)
        progress = Progress(terminal.open_console(stderr=True), quiet=quiet)
        rows: dict[str, Row] = {}
        turn = asyncio.Semaphore(workers)
        with progress.stage(f"check {catalog.name}", len(names)) as stage:

            async def one(name: str) -> None:
                async with turn:
                    rows[name] = await _row(catalog, name)
                    stage.advance()

            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(one(name))
        return [rows[name] for name in names]
    finally:
        catalog.close()


async def _row(catalog: Catalog, name: str) -> Row:
    row: Row = {"what": f"{catalog.name}: {name}", "task": name, "passed": False}
    try:
        built = await asyncio.to_thread(catalog.build, name)
        grades = [await grade(built, patch) for patch in (built.instance.patch, "", wrong(built))]
    except (UserError, EnvironmentFailure) as error:
        return row | dict.fromkeys(WAYS) | {"found": str(error)}
    problems = _problems(built, grades)
    scores = {way: float(each.resolved) for way, each in zip(WAYS, grades, strict=True)}
    return row | scores | {"passed": not problems, "found": "; ".join(problems)}


def _problems(built: Built, grades: Sequence[Grade]) -> list[str]:
    gold, *others = grades
    problems = [] if gold.resolved else [f"gold: {gold.reason}"]
    for way, each in zip(WAYS[1:], others, strict=True):
        if each.resolved:
            problems.append(f"{way}: resolves it")
        elif set(each.still_failing) != set(built.instance.fail_to_pass):
            problems.append(f"{way}: {len(each.still_failing)} of {len(built.instance.fail_to_pass)} tests fail")
        elif each.now_failing:
            problems.append(f"{way}: breaks {len(each.now_failing)} tests")
    return problems


def wrong(built: Built) -> str:
    """A patch that applies, to a file that the fix changes, and mends nothing."""
    try:
        with Beneath(built.tree) as tree:
            sources = [path for path in paths_in(built.instance.patch) if is_source(path)]
            changed, old = next((path, item[1]) for path in sources if (item := tree.item(path)) and item[0] != LINK)
    except (StopIteration, OSError) as error:
        reason = error if isinstance(error, OSError) else "it changes no source file"
        raise UserError(f"no wrong patch can be made of the fix of {built.instance.instance_id}: {reason}") from None
    return edited(changed, old, old + b"\n# looked at, and left as it was\n")
