"""Numbers -> the words and figures in which the report says them."""

from __future__ import annotations

from lbi.report.charts import points

OUTCOMES = {"missed": "not solved", "part": "solved in part", "ran": "ran, not measured"}


def in_words(name: str) -> str:
    """step_limit -> step limit."""
    return OUTCOMES.get(name, name.replace("_", " "))


def count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def short(number: float) -> str:
    """834, 12.3k, 4.5M."""
    if number < 1_000:
        return f"{number:.0f}"
    return f"{number / 1_000:.1f}k" if number < 999_950 else f"{number / 1_000_000:.1f}M"


def decimal(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def money(value: float | None) -> str:
    """Dollars; a price that is not known is not zero."""
    if value is None:
        return "price unknown"
    return f"${value:,.2f}" if value == 0 or value >= 0.1 else f"${value:.4f}"


def percent(value: float | None) -> str:
    return "–" if value is None else f"{points(value)}%"


def signed(value: float | None) -> str:
    """A difference of proportions in percentage points, with its sign."""
    return "–" if value is None else points(value, signed=True)


def chance(value: float | None) -> str:
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """3723 -> 1 h 2 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def sections(sections: int, documents: int) -> str:
    """533 sections of 59 documents."""
    return f"{plural(sections, 'section')} of {plural(documents, 'document')}"


def plural(number: int, noun: str) -> str:
    """1 task, 21 tasks."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
