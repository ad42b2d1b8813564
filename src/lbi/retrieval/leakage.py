"""Documents and examples x the date of a held-out task -> what may be shown: nothing that is known only since.

A repository's later files hold the fix of an earlier bug, and so does what was learnt from them. Whatever has no date
is later than everything: it cannot be shown to be harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from lbi.records import Document, Example, Trajectory

UNKNOWN = ""


def parse_moment(date: str) -> datetime | None:
    """An ISO date or time as a moment, a date without a time as the day's last; None for anything else."""
    text = date.strip()
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if len(text) <= len("2025-01-31"):
        found = found.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def may_be_shown(date: str, task_date: str) -> bool:
    """Whether what is of ``date`` may be shown to an agent that is measured on a task of ``task_date``.

    A task without a date may be shown everything. One whose date is no date may be shown nothing.
    """
    if not task_date:
        return True
    known, asked = parse_moment(date), parse_moment(task_date)
    return known is not None and asked is not None and known <= asked


def example_dates(examples: Iterable[tuple[Example, Trajectory]], documents: Iterable[Document]) -> dict[str, str]:
    """Id of an example -> the latest date of all it comes from; UNKNOWN where one of them has none, or nothing has.

    It comes from its documents, the task that was attempted, and the examples that it was composed of.
    """
    pairs = {example.id: (example, trajectory) for example, trajectory in examples}
    by_document = {document.id: document.date for document in documents}
    found: dict[str, str] = {}
    for id_ in pairs:
        _date_of(id_, pairs, by_document, found)
    return {id_: found[id_] for id_ in pairs}


def _date_of(
    id_: str,
    pairs: Mapping[str, tuple[Example, Trajectory]],
    documents: Mapping[str, str],
    found: dict[str, str],
) -> str:
    if id_ not in found:
        found[id_] = UNKNOWN  # also ends a circle of parents
        if id_ in pairs:
            example, trajectory = pairs[id_]
            sources = {example.document, trajectory.task.document} - {""}
            dates = [documents.get(document, UNKNOWN) for document in sources]
            dates += [trajectory.task.date] if trajectory.task.date else []
            dates += [_date_of(parent, pairs, documents, found) for parent in example.parents]
            found[id_] = latest_date(dates)
    return found[id_]


def latest_date(dates: list[str]) -> str:
    """The latest of some dates; UNKNOWN if one of them is, or there is none."""
    moments = {date: parse_moment(date) for date in dates}
    if not moments or None in moments.values():
        return UNKNOWN
    return max(moments, key=lambda date: moments[date] or datetime.min.replace(tzinfo=UTC))


def date_tag(date: str) -> str:
    """What entries of a date are tagged with in an index."""
    return f"date:{date}"


def tags_later_than(dates: Iterable[str], task_date: str) -> frozenset[str]:
    """The tags of those dates that are later than a task's; none for a task without a date."""
    if not task_date:
        return frozenset()
    return frozenset(date_tag(date) for date in set(dates) if not may_be_shown(date, task_date))
