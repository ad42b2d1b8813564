"""What a sentence tells a question: the number with its unit, the name, the day, the place; else all of it."""

from __future__ import annotations

import re

from lbi.offline.kin import akin, roots
from lbi.offline.lexical import listed, words
from lbi.offline.query import Query

_AMOUNT = re.compile(r"(?<![\w.])(\d+(?:[.,:]\d+)*)(?:\s+([A-Za-z]+|%))?")
_WEEKDAY = re.compile(r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day", re.IGNORECASE)
_DAY = re.compile(
    r"\d{4}-\d\d-\d\d|\b\d{1,2}(?:st|nd|rd|th)? [A-Z][a-z]+(?: \d{4})?|\b[A-Z][a-z]+ \d{1,2}\b"
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December)(?: \d{4})?"
)
_CALLED = re.compile(r"\b(?:called|named|is|are)\s+([A-Z][\w-]+|[\"“][^\"”]+)")
_PLACE = re.compile(
    r"\b((?:in|at|on|under|behind|beside|next to|into|from|near) (?:the |our |a )?[\w ]+?)(?=[.,;:]|$"
    r"| (?:and|or|from|of)\b)"
)
_BY = re.compile(r"\b(?:by|from|ask|contact|call)\s+((?:the )?[\w-]+(?: [A-Z]\w+)?)")
_SUBJECT = re.compile(r"^((?:the )?[\w-]+(?: [A-Z]\w+)?) (?:is|was|will|has|[a-z]+s|[a-z]+ed)\b", re.IGNORECASE)
_LONG = frozenset(
    listed("""
days day hours hour weeks week months month minutes minute years year nights seconds
""")
)
_MONEY = frozenset(
    listed("""
euros euro cents cent dollars kroner pounds zloty eur usd € $
""")
)


def said_in(sentence: str, query: Query) -> tuple[str, float]:
    """(what answers the question, how sure it is that this is what is asked)."""
    asked = query.text.lower()
    if re.search(r"\bday of the week\b|\bweekday\b|\bwhich day\b|\bwhen\b|\bwhat day\b", asked) and (
        day := _WEEKDAY.search(sentence)
    ):
        return day[0], 0.9
    if query.kind == "when":
        found = _DAY.search(sentence)
        return (found[0], 0.9) if found else (sentence, 0.0)
    amount = query.kind == "count" or re.search(
        r"\bhow (?:much|long|old|far|high|large|big|often|many)\b|\bcosts?\b|\bprice\b|\bfee\b|\bpay\b"
        r"|\blimit\b|\bnumber of\b|\blargest number\b|\bmaximum\b|\bpercent|\bhow late\b",
        asked,
    )
    if amount and (number := _amount(sentence, query)):
        return number, 0.9
    if query.kind == "who":
        names = [m[1] for pattern in (_BY, _SUBJECT) for m in pattern.finditer(sentence)]
        names = [re.sub(r"^the ", "", name, flags=re.IGNORECASE) for name in names]
        names = [name for name in names if words(name) and not set(roots(name)) <= set(query.about)]
        return (names[0], 0.75) if names else (sentence, 0.0)
    if re.search(r"\b(?:called|name|named)\b", asked) and (name := _name(sentence, query)):
        return name, 0.9
    if re.search(r"\bwhere\b|\bin which (?:room|place|city|building)\b", asked) and (
        places := _PLACE.findall(sentence)
    ):
        fresh = [p for p in places if not set(roots(p)) <= set(query.about)]
        return (fresh or places)[0], 0.85
    return sentence, 0.2


def _clauses(sentence: str) -> list[str]:
    return [c for c in re.split(r"[,;]\s+|\s+and\s+|\s+but\s+", sentence) if c.strip()]


def _near(clause: str, query: Query, first: str = "") -> float:
    """How much of the question a clause says; what the first clause says holds for the others too."""
    said, before = roots(clause), roots(first)
    own = (max((akin(word, other) for other in said), default=0.0) for word in query.about)
    led = (0.8 * max((akin(word, other) for other in before), default=0.0) for word in query.about)
    return sum(max(pair) for pair in zip(own, led, strict=True))


def _amount(sentence: str, query: Query) -> str:
    """The number of the clause that says most of what is asked, with a unit that fits the question."""
    asked = query.text.lower()
    best: tuple[float, str] = (-1.0, "")
    clauses = _clauses(sentence)
    for clause in clauses:
        for match in _AMOUNT.finditer(clause):
            unit = (match[2] or "").lower()
            fits = 1.0 * bool(unit and (set(roots(unit)) & {*query.target, *query.about}))
            fits += 0.8 * (unit in _LONG and "how long" in asked) + 0.8 * (
                unit in _MONEY and re.search(r"\bpay|cost|much|price|fee|charge", asked) is not None
            )
            score = _near(clause, query, clauses[0]) + fits
            if score > best[0]:
                best = (score, f"{match[1]} {unit}" if unit in _LONG | _MONEY else match[1])
    return best[1]


def _name(sentence: str, query: Query) -> str:
    """The name that the clause gives which says most of what is asked."""
    best: tuple[float, str] = (-1.0, "")
    for clause in _clauses(sentence):
        if found := _CALLED.search(clause):
            score = _near(clause, query)
            if score > best[0]:
                best = (score, found[1].strip('"“”'))
    return best[1]
