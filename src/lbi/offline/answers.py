"""Question and page -> the answer that the page tells: a field's value, a cell of a table, a count."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass

from lbi.observations.parse import Page
from lbi.offline.forms import CHOICE_ROLES, TEXT_ROLES, called
from lbi.offline.goal import Goal
from lbi.offline.lexical import contains_phrase, labels, stem, words
from lbi.offline.places import segments

_PERSON = re.compile(
    r"(who|whose|which (user|person|member|author))\b|.*[.?!] which (user|person|member)\b", re.IGNORECASE
)


_MOST = re.compile(
    r"\b(?:most|largest|highest|biggest|longest|greatest|fewest|least|lowest|smallest|shortest|cheapest)\b",
    re.IGNORECASE,
)
_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_abbr)}
_LEAST = frozenset(["fewest", "least", "lowest", "smallest", "shortest", "cheapest"])
_WHICH_PAGE = re.compile(r"(?:on |in )?(?:which|what) (?:\w+ )?(?:page|article|document)\b", re.IGNORECASE)
_ITS_NUMBER = re.compile(
    r"\b(?:what|which|tell|give)\b.*\bnumber of (?:the|that|this) [a-z]+(?<!s)"
    r"(?=\s*[?.,;]|\s+(?:that|which|where|in)\b|\s*$)"
    r"|\b(?:what|which) [a-z]+ number\b",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"\b(?:how many|number of) ((?:\w+ ){0,1}\w+)", re.IGNORECASE)
_AMOUNT = frozenset(words("matches results found items total"))
_MOMENT = re.compile(r"\bwhen\b|\b(?:which|what) (?:day|date)\b", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d|\d{1,2}/\d{1,2}/\d{2,4}|\d{1,2}\.? [A-Z][a-z]{2,8}(?: '?\d{2,4})?|[A-Z][a-z]{2,8} \d{1,2}, \d{4}"
)


Table = tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]  # names of columns, rows of cells


@dataclass(frozen=True)
class Answer:
    text: str
    sure: bool  # the words of the question lead to it, not only its place on the page


def answer(goal: Goal, page: Page, *, found: bool = False) -> Answer | None:
    """The best answer to the question, or None if the page tells nothing that the question asks for.

    ``found``: the page is what a search for something found, so how much was found is no answer.
    """
    told = _told(goal, page, found)
    return told if told and (_WHICH_PAGE.match(goal.text.strip()) or not is_repeated(told.text, goal.text)) else None


def is_repeated(told: str, question: str) -> bool:
    """Whether a text only says again what a question says, which tells nothing: "April" to "who is there in April?".

    Of two that the question gives to choose from one is an answer.
    """
    own = set(words(told))
    chosen = re.search(r"\bor\b", question) is not None
    return bool(own) and not chosen and not re.search(r"\d", told) and own <= set(words(question))


def _told(goal: Goal, page: Page, found: bool) -> Answer | None:
    if _ITS_NUMBER.search(goal.text):
        return _own_number(page)
    counting = re.search(r"\bhow many\b|\bnumber of\b|\bcount\b", goal.text.lower())
    if counting:
        cell = _sum(goal, page) or _cell(goal, page)
        return cell if cell and re.fullmatch(r"[\d.,]+", cell.text) else _count(goal, page, found=found)
    if re.search(r"\bpercent(?:age)?\b|\bshare\b", goal.text.lower()) and (share := _share(page)):
        return share
    if _WHICH_PAGE.match(goal.text.strip()) and page.title:
        return Answer(re.split(r"\s+[–—|·]\s+|\s+-\s+", page.title)[0], False)
    if extreme := _extreme(goal, page):
        return extreme
    if _PERSON.match(goal.text.strip()) and (name := _who(goal, page)):
        return _cell(goal, page) or _field(goal, page) or name
    if _MOMENT.search(goal.text) and (day := _day(goal, page)):
        return day
    return _cell(goal, page) or _field(goal, page) or _line(goal, page)


def _own_number(page: Page) -> Answer | None:
    """The number by which the page's own thing goes."""
    parts = segments(page.url.split("?")[0])
    return Answer(parts[-1], False) if len(parts) > 1 and parts[-1].isdigit() else None


def _asked(goal: Goal) -> set[str]:
    return set(labels(goal.text)) - {stem(word) for word in ("what", "which", "who", "how", "is", "does")}


def _field(goal: Goal, page: Page) -> Answer | None:
    asked = _asked(goal)
    if goal.text.lower().startswith("who"):
        asked |= {"owner", "user"}
    if re.search(r"\bwhen\b|\bdate\b", goal.text.lower()):
        asked |= {"due", "date", "tim"}
    best: tuple[float, str] = (0.0, "")
    shown = ((called(e), e.value) for e in page.elements if e.role in TEXT_ROLES | CHOICE_ROLES and e.value)
    for name, value in (*page.pairs, *shown):
        named = set(labels(name))
        if named and value.strip():
            score = len(named & asked) / len(named)
            if score > best[0]:
                best = (score, value.strip())
    return Answer(best[1], best[0] >= 0.99) if best[0] >= 0.5 else None


def _cell(goal: Goal, page: Page) -> Answer | None:
    """The cell in the row that holds a value of the question, under the column that it asks for."""
    asked = _asked(goal)
    for header, rows in _tables(page):
        columns = [(len(set(labels(name)) & asked), index) for index, name in enumerate(header) if name.strip()]
        if not columns:
            continue
        hits, column = max(columns, key=lambda item: (item[0], -item[1]))
        for row in rows if hits else []:
            about = [v for v in goal.values if any(contains_phrase(cell, v.text) for cell in row)]
            named = [cell for cell in row if len(cell) > 3 and contains_phrase(goal.text, cell)]
            if (about or named) and column < len(row) and row[column].strip():
                return Answer(row[column].strip(), True)
    return _of_day(goal, page)


def _of_day(goal: Goal, page: Page) -> Answer | None:
    """What the only row with the day of the question is about, however the day is written there."""
    days = {iso for match in _DATE.finditer(goal.text) if (iso := _iso(match[0]))}
    if len(days) != 1 or _MOMENT.search(goal.text):
        return None
    day = days.pop()
    for _, rows in _tables(page):
        found = [row for row in rows if any(_iso(match[0]) == day for c in row for match in _DATE.finditer(c))]
        cells = [cell for cell in found[0] if re.search(r"\w", cell)] if len(found) == 1 else []
        if cells and not _DATE.match(cells[0]):
            return Answer(cells[0].strip(), True)
    return None


def _iso(text: str) -> str:
    """A day as 2025-03-17; "" for what does not say which."""
    if re.match(r"\d{4}-\d\d-\d\d", text):
        return text[:10]
    plain = re.sub(r"[.,]", " ", text)
    match = re.fullmatch(r"\s*(?:(\d{1,2})\s+([A-Z][a-z]+)|([A-Z][a-z]+)\s+(\d{1,2}))\s+(\d{4})\s*", plain)
    month = _MONTHS.get((match[2] or match[3])[:3].lower(), 0) if match else 0
    return f"{match[5]}-{month:02d}-{int(match[1] or match[4]):02d}" if match and month else ""


def _tables(page: Page) -> list[Table]:
    """Tables with the names of their columns; where a page does not mark these, the first row has them."""
    found: list[Table] = []
    rows: list[tuple[str, ...]] = []
    headed = False
    for _, text in (*page.by_line, (0, "")):
        line = text.strip()
        if line.startswith("row:"):
            rows.append(tuple(cell.strip() for cell in line.removeprefix("row:").split("|")))
            continue
        if len(rows) > 1 and not headed and not any(re.search(r"\d", cell) for cell in rows[0]):
            found.append((rows[0], tuple(rows[1:])))
        rows, headed = [], line.startswith("columns:")
    return [*page.tables, *found]


def _sum(goal: Goal, page: Page) -> Answer | None:
    """What the rows that the question names have together."""
    if not re.search(r"\b(?:together|altogether|in total|combined|sum)\b", goal.text, re.IGNORECASE):
        return None
    asked = _asked(goal)
    for header, rows in _tables(page):
        meant = [row for row in rows if any(len(c) > 2 and contains_phrase(goal.text, c) for c in row)]
        for at, name in enumerate(header):
            numbers = [_number(row, at) for row in meant]
            if len(meant) > 1 and set(labels(name)) & asked and None not in numbers:
                return Answer(f"{sum(number or 0.0 for number in numbers):g}", True)
    return None


def _count(goal: Goal, page: Page, *, found: bool) -> Answer | None:
    """A number that stands before what is counted, or with another word of the question; failing that, with a word
    such as matches or results."""
    best: tuple[float, str] = (0.0, "")
    counted = _COUNTED.search(goal.text)
    unit = set(words(counted[1])) if counted else set()
    for line in (*page.headings, *page.texts):
        for match in re.finditer(r"(?<![\w.#-])(\d+)(?![\w.-])", line):
            near = set(words(line[max(0, match.start() - 40) : match.end() + 40]))
            score = len(near & goal.words) + 1.0 * bool(unit & set(words(line[match.end() : match.end() + 20])[:2]))
            if near & _AMOUNT:
                score += -1.0 if found else 1.5
            score += 0.5 * (line[: match.start()].rstrip().endswith(" of"))  # "1 to 10 of 34"
            if score > best[0]:
                best = (score, match[1])
    return Answer(best[1], best[0] >= 2) if best[1] else None


def _day(goal: Goal, page: Page) -> Answer | None:
    """The date in the line that shares most with the question; without its time where a day is asked for."""
    best: tuple[float, str] = (0.0, "")
    fields = [f"{called(e)} {e.beside} {e.value}" for e in page.elements if e.role in TEXT_ROLES and e.value]
    for line in (*(f"{name} {value}" for name, value in page.pairs), *fields, *page.texts):
        found = _DATE.search(line)
        if found is not None:
            score = len(set(words(line)) & goal.words) + 0.5
            if score > best[0]:
                best = (score, found[0])
    return Answer(best[1], best[0] >= 1.5) if best[1] else None


def _share(page: Page) -> Answer | None:
    """The percentage that the page gives, if it gives one."""
    found = {match[0] for line in page.texts for match in re.finditer(r"(?<![\w.])\d+(?:[.,]\d+)? ?%", line)}
    return Answer(found.pop(), True) if len(found) == 1 else None


def _extreme(goal: Goal, page: Page) -> Answer | None:
    """Of a table the row with the most or the least of something: its cell under the column that is asked for."""
    found = _MOST.search(goal.text)
    if found is None:
        return None
    asked = _asked(goal)
    for header, rows in _tables(page):
        numbers = [
            index for index in range(len(header)) if rows and all(_number(row, index) is not None for row in rows)
        ]
        wanted = [i for i, name in enumerate(header) if i not in numbers and set(labels(name)) & asked]
        if not numbers or not wanted or len(rows) < 2:
            continue
        by = max(numbers, key=lambda index: (len(set(labels(header[index])) & asked), index))
        least = found[0].lower() in _LEAST
        row = (min if least else max)(rows, key=lambda row: _number(row, by) or 0.0)
        return Answer(row[wanted[0]].strip(), True)
    return None


def _number(row: tuple[str, ...], index: int) -> float | None:
    cell = row[index].strip() if index < len(row) else ""
    match = re.fullmatch(r"#?(\d+(?:[.,]\d+)?)\s*(?:%|[A-Za-z]{0,3})", cell)
    return float(match[1].replace(",", ".")) if match else None


def _who(goal: Goal, page: Page) -> Answer | None:
    """The name of a person above or beside the line that shares most with the question: who wrote it."""
    people = [(e.line, e.url.rstrip("/").rsplit("/", 1)[-1]) for e in page.elements if _is_person(e.name, e.url)]
    title = set(words(page.title))
    best: tuple[float, int] = (0.0, 0)
    for number, text in page.by_line[2:]:
        said = set(words(text)) - title
        if len(said) > 2 and (score := len(said & goal.words)) > best[0]:
            best = (score, number)
    above = [name for line, name in people if line <= best[1]]
    return Answer(above[-1], False) if best[0] >= 2 and above else None


def _is_person(name: str, url: str) -> bool:
    """A link whose address ends in the first word of its name: "jane Admin" -> /people/3/jane."""
    last = url.rstrip("/").rsplit("/", 1)[-1]
    return bool(name.split()) and last.isalpha() and last.islower() and name.split()[0] == last


def _line(goal: Goal, page: Page) -> Answer | None:
    """The line of text that shares most with the question."""
    asked = goal.words
    best: tuple[float, str] = (0.0, "")
    for line in page.texts:
        said = set(words(line))
        if said and len(line) < 400:
            score = len(said & asked) / (len(asked) or 1) - 0.002 * len(line)
            if score > best[0]:
                best = (score, line)
    return Answer(best[1], False) if best[0] >= 0.3 else None
