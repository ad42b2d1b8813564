"""Dates however they are said, in the form that a field holds: "1 April 2025", "a week later than now"."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

_MONTHS = [
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
]  # fmt: skip
_MONTH = "(" + "|".join(f"{name[:3]}(?:{name[3:]})?" for name in _MONTHS) + r")\.?"
_ORDINAL = r"(\d{1,2})(?:st|nd|rd|th)?"
#: day, month and year in words: what lexical.values takes for a date as well
WORDED = rf"\b(?:(?:the )?{_ORDINAL} (?:of )?{_MONTH},? (\d{{4}})|{_MONTH} (?:the )?{_ORDINAL},? (\d{{4}}))\b"
_WORDED = re.compile(WORDED, re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_COUNT = {
    word: at
    for at, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
        ]
    )
} | {"a": 1, "an": 1, "another": 1, "fortnight": 2}
_STEP = rf"(?:(?:exactly|just) )?({'|'.join(_COUNT)}|\d+)?(?: full)? ?(day|week|fortnight|month|year)s?"
_LATER = re.compile(
    rf"\b{_STEP} (?:later|after|from|past|beyond|more|longer)\b"
    rf"|\b(?:postpone|delay|extend|(?:put|push|move)\b[^.!?]*?\b(?:off|back))\w*\b[^.!?]*?\bby {_STEP}",
    re.IGNORECASE,
)
_EARLIER = re.compile(
    rf"\b{_STEP} (?:earlier|before|sooner|less)\b|\b(?:bring forward|advance|pull forward)\b[^.!?]*?\bby {_STEP}"
    rf"|\bforward by {_STEP}",
    re.IGNORECASE,
)
_THE_DAY = re.compile(r"\bthe (day|week|month|year) (before|after|following)\b", re.IGNORECASE)


def spans(text: str) -> Iterator[tuple[int, int, datetime.date]]:
    """The dates that a text says, and where."""
    for match in _ISO.finditer(text):
        if day := _date(int(match[1]), int(match[2]), int(match[3])):
            yield (*match.span(), day)
    for match in _WORDED.finditer(text):
        number, month, year = match.groups()[:3] if match[1] else (match[5], match[4], match[6])
        if day := _date(int(year), _month(month), int(number)):
            yield (*match.span(), day)


def read(text: str) -> datetime.date | None:
    """The first date in a text."""
    return min(spans(text), default=(0, 0, None))[2]


def meant(text: str, now: str) -> datetime.date | None:
    """The date that an instruction gives to a field that holds ``now``: said, or reckoned from another one."""
    said = sorted(spans(text))
    start = said[0][2] if said else read(now)
    if start is None:
        return None
    moved = _moved(text, start)
    return moved or (start if said else None)


def alike(day: datetime.date, shown: str) -> str:
    """A date written as a field shows one; in digits from the year on where it shows none."""
    match = _WORDED.search(shown)
    if match is None:
        return day.isoformat()
    said = match[2] or match[4]
    long = len(said) > 3 or said.lower() == "may"
    month = _MONTHS[day.month - 1].capitalize()[: None if long else 3]
    return f"{day.day} {month} {day.year}" if match[1] else f"{month} {day.day}, {day.year}"


def _moved(text: str, start: datetime.date) -> datetime.date | None:
    if match := _THE_DAY.search(text):
        return _after(start, 1 if match[2].lower() != "before" else -1, match[1].lower())
    for pattern, sign in ((_LATER, 1), (_EARLIER, -1)):
        for match in pattern.finditer(text):
            groups = [group for group in match.groups() if group]
            count = groups[0].lower() if len(groups) > 1 else "a"
            number = _COUNT.get(count) or int(count)
            return _after(start, sign * number, groups[-1].lower())
    return None


def _after(start: datetime.date, count: int, unit: str) -> datetime.date | None:
    if unit in ("day", "week", "fortnight"):
        return start + datetime.timedelta(days=count * {"day": 1, "week": 7, "fortnight": 14}[unit])
    months = start.year * 12 + start.month - 1 + count * (12 if unit == "year" else 1)
    for day in range(start.day, 27, -1):  # a month after 31 January is the last of February
        if found := _date(months // 12, months % 12 + 1, day):
            return found
    return _date(months // 12, months % 12 + 1, start.day)


def _month(name: str) -> int:
    return next(at for at, month in enumerate(_MONTHS, 1) if month.startswith(name.lower()[:3]))


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None
