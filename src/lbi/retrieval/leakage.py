"""Leakage by time: an agent that works on a task with a date is shown no later documents and examples.

Later files of a repository contain the fix of an earlier bug, and so may examples that were learnt from them. What has
no date counts as later than everything, as nobody can say that it is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from lbi.records import Document, Example, Trajectory

UNKNOWN = ""


def parse_moment(date: str) -> datetime | None:
    """The time of an ISO date or time; of a date without a time, the end of that day (UTC). None for anything else."""
    text = date.strip()
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if len(text) <= len("2025-01-31"):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def may_be_shown(date: str, task_date: str) -> bool:
    """Whether an agent that works on a task of ``task_date`` may be shown something of ``date``.

    For a task without a date it may be shown everything; for a date that cannot be read, nothing.
    """
    if not task_date:
        return True
    shown_moment, task_moment = parse_moment(date), parse_moment(task_date)
    return shown_moment is not None and task_moment is not None and shown_moment <= task_moment


def example_dates(examples: Iterable[tuple[Example, Trajectory]], documents: Iterable[Document]) -> dict[str, str]:
    """{example id: the latest date of its sources}; UNKNOWN if a source has no date, or there is none.

    Sources are its documents, the task that was attempted, and the examples that it was composed of.
    """
    pairs = {example.id: (example, trajectory) for example, trajectory in examples}
    by_document = {document.id: document.date for document in documents}
    dates: dict[str, str] = {}
    for id_ in pairs:
        _date_of(id_, pairs, by_document, dates)
    return {id_: dates[id_] for id_ in pairs}


def _date_of(
    id_: str,
    pairs: Mapping[str, tuple[Example, Trajectory]],
    documents: Mapping[str, str],
    dates_found: dict[str, str],
) -> str:
    if id_ not in dates_found:
        dates_found[id_] = UNKNOWN  # also ends a circle of parents
        if id_ in pairs:
            example, trajectory = pairs[id_]
            sources = {example.document, trajectory.task.document} - {""}
            dates = [documents.get(document, UNKNOWN) for document in sources]
            dates += [trajectory.task.date] if trajectory.task.date else []
            dates += [_date_of(parent, pairs, documents, dates_found) for parent in example.parents]
            dates_found[id_] = latest_date(dates)
    return dates_found[id_]


def latest_date(dates: list[str]) -> str:
    """The latest of the dates; UNKNOWN if one of them cannot be read, or there are none."""
    moments = {date: parse_moment(date) for date in dates}
    if not moments or None in moments.values():
        return UNKNOWN
    return max(moments, key=lambda date: moments[date] or datetime.min.replace(tzinfo=UTC))


def date_tag(date: str) -> str:
    """The tag that marks entries of this date in an index."""
    return f"date:{date}"


def tags_later_than(dates: Iterable[str], task_date: str) -> frozenset[str]:
    """The tags of those dates that are later than a task's date; none if the task has no date."""
    if not task_date:
        return frozenset()
    return frozenset(date_tag(date) for date in set(dates) if not may_be_shown(date, task_date))
