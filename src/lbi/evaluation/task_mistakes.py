"""Held-out tasks -> what is wrong with them before any is tried: 'task "a": check.url "(": no regular expression'."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lbi.environments.desktop.actions import parse_action as parse_desktop_action
from lbi.environments.shell.actions import parse_command
from lbi.environments.web.actions import parse_action
from lbi.records import Check
from lbi.storage.names import name_problem, page_problem, without_password

if TYPE_CHECKING:
    from lbi.evaluation.benchmark import Benchmark, HeldOut

#: who reads the actions of an environment; those of another distribution are read when they are tried
READERS: dict[str, Callable[[str], object]] = {
    "web": parse_action,
    "shell": parse_command,
    "repository": parse_command,
    "desktop": parse_desktop_action,
}
#: what the checks of an environment may ask for
CONDITIONS = {
    "web": ("answer", "answer_not", "sql", "equals", "url", "shows", "command"),
    "shell": ("answer", "answer_not", "command"),
    "repository": ("tests",),
    "desktop": ("answer", "answer_not", "command"),
}
#: errors of a statement that is right, and of which only the application's database knows whether its names are
_OF_THE_DATABASE = ("no such table", "no such column", "no such function", "no such collation", "no such module")
_READS = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*(?:select|with|values)\b", re.IGNORECASE | re.DOTALL)


def task_mistakes(benchmark: Benchmark) -> list[str]:
    """One line for each mistake, with the task and the field at fault."""
    named = [f"name {benchmark.name!r}: {problem}"] if (problem := name_problem(benchmark.name, parted=True)) else []
    return named + [
        f"task {task.name!r}: {mistake}"
        for task in benchmark.task
        for mistake in (
            *_mistakes(task, READERS.get(benchmark.environment)),
            *_conditions_that_nobody_tests(task.check, benchmark.environment),
        )
    ]


def _mistakes(task: HeldOut, read: Callable[[str], object] | None) -> Iterator[str]:
    if problem := name_problem(task.name, parted=True):
        yield f"name: {problem}"
    if task.date and not _is_date(task.date):
        yield f"date {task.date!r}: not an ISO date such as 2024-05-31"
    if task.start_url and (problem := page_problem(task.start_url)):
        yield f"start_url {without_password(task.start_url)!r}: {problem}"
    yield from _of_check(task.check)
    if read is not None and task.gold:
        yield from _of_gold(task.gold, read)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text[:10])
    except ValueError:
        return False
    return True


def _of_check(check: Check) -> Iterator[str]:
    if check == Check():
        yield "check: it has no condition, so nothing could be scored"
    if check.url and (problem := _expression_problem(check.url)):
        yield f"check.url {check.url!r}: no regular expression ({problem})"
    if check.sql and (problem := sql_problem(check.sql)):
        yield f"check.sql {check.sql!r}: {problem}"
    if check.equals and not check.sql:
        yield "check.equals: there is no check.sql whose rows it could equal"
    for field in ("answer", "answer_not", "shows", "command", "tests"):
        values = getattr(check, field)
        if any(not value.strip() for value in (values[:1] if field == "command" else values)):
            yield f"check.{field}: a text is empty, and would hold always or never"


def _conditions_that_nobody_tests(check: Check, environment: str) -> Iterator[str]:
    """A condition that the environment passes over would hold always; a benchmark's own grader is its own affair."""
    for field in sorted(type(check).model_fields.keys() - {"grader"}):
        if environment in CONDITIONS and getattr(check, field) and field not in CONDITIONS[environment]:
            tested = ", ".join(CONDITIONS[environment])
            yield f"check.{field}: the environment {environment} never tests it, but {tested}"


def _expression_problem(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return str(error)
    return ""


def sql_problem(sql: str) -> str:
    """Why a query cannot be one statement that reads; "" where only the application's database can tell more."""
    if not _READS.match(sql):
        return "not a query; it has to begin with SELECT or WITH"
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("PRAGMA query_only=1")
        try:
            db.execute(f"EXPLAIN {sql}").fetchall()
        except (sqlite3.Error, ValueError, UnicodeError) as error:
            return "" if str(error).startswith(_OF_THE_DATABASE) else f"not one SQL statement ({error})"
    return ""


def _of_gold(gold: Sequence[str], read: Callable[[str], object]) -> Iterator[str]:
    kinds = []
    for number, action in enumerate(gold, 1):
        try:
            kinds.append(getattr(read(action), "kind", ""))
        except ValueError as error:
            yield f"gold, action {number} {action!r}: {error}"
            return
    if "finish" not in kinds:
        yield 'gold: it does not end with finish("...")'
    elif kinds.index("finish") + 1 < len(kinds):
        yield f"gold: action {kinds.index('finish') + 1} ends the task, and more follow"
