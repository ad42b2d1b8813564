"""A question taken apart: what kind of answer it wants, of which field, under which conditions."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass

from lbi.offline.kin import root, roots
from lbi.offline.lexical import ARTICLES, listed

#: words that say how something is asked or answered, and nothing of what
_IDLE = frozenset(
    listed("""
what which who whom whose when where how many much is are was were be been do does did has have had can could
would will shall may must might should please tell me give find out let know i we you need like want name called
one ones this that these those there it its he she they them his her their our my your and or if not but so then
of in on at by for to from with about as into under up only just exactly now still yet currently moment all any
some each every the a an person people somebody someone something thing things answer say says said written
write look list lists table report reports page pages according than more less most least number count total
together altogether combined sum difference between day explains explain tells describes describe shows show
mentions mention mentioned comes come format yyyy mm dd form word words us whether also which's take takes place
get got see whoever everything both other own in' itself account site year month between gets anybody present
time times long full per go does'nt using
""")
)
_COUNT = re.compile(
    r"\b(?:how many|(?:the|total|exact) number of(?= [a-z])(?! (?:the|that|this) \w+(?<!s)\b)|count (?:the"
    r"|all|of)|how often)\b",
    re.I,
)
_YES = re.compile(r"^(?:and )?(?:is|are|was|were|does|do|did|has|have|can|may)\b|\bwhether\b", re.I)
_PAGE = re.compile(
    r"\b(?:which|what) (?:[\w-]+ )?(?:page|article|document)\b|\bname of the (?:\w+ )?page\b"
    r"|\bwhere (?:is it|do we) (?:written|say)\b",
    re.I,
)
_MOST = re.compile(
    r"\b(?:(second|third|2nd|3rd)[- ])?(most|largest|highest|biggest|longest|greatest|fewest|least|lowest"
    r"|smallest|shortest|cheapest"
    r"|dearest|dearer|oldest|newest|latest|earliest|first|last|next|soonest|youngest|most recent|heaviest"
    r"|lightest|tallest"
    r"|largest|best|worst|busiest|fastest|slowest|more expensive|cheaper|maximum|minimum|later"
    r"|earlier)\b(?: (expensive|recently|recent|often|important|urgent))?",
    re.I,
)
_LOW = frozenset(
    listed("""
fewest least lowest smallest shortest cheapest cheaper oldest earliest first next soonest lightest slowest
minimum earlier
""")
)
_TIMELY = frozenset(
    listed("""
oldest newest latest earliest first last next soonest recent most_recent later earlier
""")
)
_SUM = re.compile(r"\b(?:together|altogether|in total|combined|sum|total|add up|in all)\b", re.I)
_DIFF = re.compile(
    r"\b(?:difference|how many more|how much more|how many fewer|how much less|how many \w+ more"
    r"|how many (?:days|weeks) (?:lie |are |pass )?(?:there )?between|how much (?:cheaper|dearer|longer"
    r"|older|higher|bigger))\b",
    re.I,
)
_LIMIT = re.compile(
    r"\b(more than|over|above|at least|less than|fewer than|under|below|at most|before|after|since"
    r"|until)\s+(\d{4}-\d\d-\d\d|\d+(?:[.,]\d+)?)",
    re.I,
)
#: what ends a noun with its adjectives
_ENDS = "|".join(
    listed("""
is are was were does do did has have had can must should will may needs that who we you of to in on at with for from by
the a an our there more
""")
)
_NOUN = re.compile(rf"(?:(?!(?:{_ENDS})\b)[\w-]+ ?){{1,4}}", re.I)
_OF_ALL = re.compile(rf"\b(?:of|among) (?:all |the |our |these |those |both |two )+({_NOUN.pattern})", re.I)
_TARGET = (
    re.compile(rf"\b(?:which|what|whose) ({_NOUN.pattern})", re.I),
    re.compile(
        r"\b(?:what(?: is|'s| are| was)|tell me|give(?: me| us)?|know|look up|find out|name|state|check|need"
        r"|see|get|state|and|report) (?:what )?(?:is )?(?:the|its|their|his|her) ([\w -]+?)(?= (?:of|for|in|on"
        r"|at|that|which|with|who|does|from|between|has|is|given|under|a|the)\b|[?.,;]|$)",
        re.I,
    ),
    re.compile(r"\b(?:the|its) ([\w-]+(?: name| number)?)(?= of\b)", re.I),
    re.compile(r"([\w-]+) only\b", re.I),
    re.compile(r"\bhow (long|old|big|large|heavy|high|tall|much|far|wide|deep|expensive|dear)\b", re.I),
)
_PERSON = frozenset(
    map(
        root,
        listed("""
person member user colleague author owner customer
"""),
    )
)
WRITTEN_DAY = re.compile(
    r"\b(?:(\d{1,2})(?:st|nd|rd|th)?\.? (?:of )?([A-Z][a-z]{2,8})|([A-Z][a-z]{2,8}) (\d{1,2})(?:st|nd|rd"
    r"|th)?),? (\d{4})\b"
)
MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_abbr) if name}


@dataclass(frozen=True)
class Query:
    text: str
    kind: str  # value, who, when, where, count, yes, page
    target: tuple[str, ...]  # words of the field or of the kind of thing that is asked for; the head is the last
    about: tuple[str, ...]  # words of the conditions, and of all that is said
    aside: frozenset[str] = frozenset()  # those that other sentences say
    extreme: str = ""  # "time" where the first or the last is asked for, "size" where the most or the least is
    counts: bool = False  # it may be a number of rows that is the most or the least
    by: tuple[str, ...] = ()  # words of what is to be most
    rank: int = 0  # 1 for the second most
    low: bool = False
    sums: bool = False
    differs: bool = False
    limit: tuple[str, str] = ("", "")

    @property
    def person(self) -> bool:
        return self.kind == "who" or any(word in _PERSON for word in self.target[-1:])


def is_idle(word: str) -> bool:
    """Whether a word of a question says nothing of what is asked: how it is to be answered, or the most of what."""
    return word.lower() in _IDLE or _MOST.fullmatch(word) is not None


def query(text: str) -> Query:
    """What is asked."""
    text = _with_days(text)
    asking = _asking(text)
    target: tuple[str, ...] = ()
    for pattern in _TARGET:
        if found := pattern.search(asking):
            target = _words(_noun(found[1]), keep=True)
            if target:
                break
    if (not target or target[0] == "one") and (found := _OF_ALL.search(asking)):
        target = _words(found[1], keep=True)
    lower = asking.lower()
    counting = _COUNT.search(asking)
    kind = "value"
    if _PAGE.search(asking):
        kind = "page"
    elif counting:
        kind = "count"
        noun = _NOUN.match(re.sub(r"^\s*(?:of )?(?:the |our |all |your )*", "", asking[counting.end() :]))
        target = _words(noun[0], keep=True) if noun else ()
    elif re.search(r"\bwho(?:ever|m)?\b|\bwhose\b", lower) and not re.search(
        r"\b(?:person|one|member|user|somebody|colleague) who\b|\bof who", lower
    ):
        if not (target and re.search(r"\b(?:what|which|the [\w ]+ of|give me|when)\b.*\bwho", lower)):
            kind = "who"
            target = target if "whose" not in lower else ()
    elif (re.search(r"\bwhen\b|\bhow soon\b", lower) or {"day", "dat"} & set(target)) and not re.search(
        r"\bday of the week\b", lower
    ):
        kind = "when"
    elif _YES.match(asking.strip()):
        kind = "yes"
    elif re.search(r"\bwhere\b", lower) and not target:
        kind = "where"
    most = _MOST.search(asking)
    word = most[2].lower() if most else ""
    if word in ("first", "last") and kind == "yes":
        most, word = None, ""
    limit = _LIMIT.search(asking)
    plain = text if not limit else text.replace(limit[0], " ")
    by: tuple[str, ...] = ()
    if most:
        by = _words(" ".join([word, most[3] or "", *asking[most.end() :].split()[:2]]), keep=False)
        plain = plain.replace(most[0], " ")
    about = tuple(dict.fromkeys(_words(plain, keep=False)))
    return Query(
        asking,
        kind,
        target,
        about,
        aside=frozenset(about) - set(_words(asking, keep=False)),
        extreme=(
            "time"
            if word.split()[-1:] and (word.split()[-1] in _TIMELY or (most and (most[3] or "").startswith("recent")))
            else "size"
        )
        if most
        else "",
        counts=word in ("most", "fewest", "least"),
        by=by,
        rank={"second": 1, "2nd": 1, "third": 2, "3rd": 2}.get((most[1] or "").lower(), 0) if most else 0,
        low=word in _LOW,
        sums=_SUM.search(asking) is not None,
        differs=_DIFF.search(asking) is not None,
        limit=(limit[1].lower(), limit[2]) if limit else ("", ""),
    )


def _noun(text: str) -> str:
    """Without the verb that follows a noun: "member joined last", "book stands"."""
    said = text.split()
    for at, word in enumerate(said[1:], 1):
        verb = (
            word.endswith("ed")
            or word in ("got", "last", "first")
            or (word.endswith("s") and not said[0].endswith("s"))
        )
        if verb and len(word) > 3:
            return " ".join(said[:at])
    return text


def _with_days(text: str) -> str:
    """Days that are written out as year, month and day."""
    return WRITTEN_DAY.sub(lambda m: iso(m[0]) or m[0], text)


def iso(text: str) -> str:
    """A day as 2025-03-17; "" for what does not say which."""
    found = WRITTEN_DAY.fullmatch(text.strip())
    if found is None:
        return ""
    month = MONTHS.get((found[2] or found[3])[:3].lower(), 0)
    return f"{found[5]}-{month:02d}-{int(found[1] or found[4]):02d}" if month else ""


def _asking(text: str) -> str:
    """The last sentence that asks; a condition in front of it does not count."""
    sentences = [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text.strip()) if s.strip()]
    asks = r"\b(?:who|whom|whose|what|which|when|where|how|whether|tell|give|name|count)\b"
    asked = [s for s in sentences if s.rstrip().endswith("?")] or [s for s in sentences if re.search(asks, s, re.I)]
    return asked[-1] if asked else text


def _words(text: str, *, keep: bool) -> tuple[str, ...]:
    """Stems of what says something; ``keep``: of all but articles."""
    found = re.findall(r"[\w][\w.]*[\w]|\w", re.sub(r"[-/](?=\D)|'(?:s|d|ll|re|ve|m|t)\b|[\"']", " ", text))
    left_out = ARTICLES if keep else _IDLE
    out: list[str] = []
    for word in found:
        if word.lower() not in left_out:
            out.extend(roots(word))
    return tuple(out)
