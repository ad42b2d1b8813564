"""Which of an application's things an instruction means: by number, or by the name of a link to it, or most of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from lbi.observations.parse import Page
from lbi.offline.goal import Goal
from lbi.offline.lexical import STOP, SYNONYMS, contains_phrase, labels, words
from lbi.offline.places import Thing, parts_of, thing_in

FAMILIAR = 3  # things of a kind that are known, from which on a name that none of them has is no name of one
NAMED = 0.5  # share of a name's words that must be said
SURE = 0.5  # weight of the words of a name that are said, one that only this name has being worth 1
NEARLY = 0.8  # share of the best name's worth that another must have to be meant as well
AHEAD = 1.3  # how much better the best must be than the second best


@dataclass(frozen=True)
class Mention:
    """A name of a thing of which an instruction says something."""

    thing: Thing
    own: frozenset[str]  # words of the name
    hits: frozenset[str]  # those that are said
    length: int  # of the name
    whole: bool  # whether it is said as it is


class Known:
    """Things of one kind with their names, and which of them a goal speaks of."""

    def __init__(self, goal: Goal, names: Mapping[Thing, Set[str]]) -> None:
        self.goal, self.names = goal, names

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        return tuple(m for thing, names in self.names.items() for m in _mentions(self.goal, thing, names))

    @cached_property
    def common(self) -> Counter[str]:
        """Word -> how many things have it in a name."""
        return Counter(word for names in self.names.values() for word in _words_of(names))

    def beside(self, more: Mapping[Thing, Set[str]]) -> Known:
        """With what else is known. What was worked out for these is not worked out again."""
        new = {
            thing: names | self.names.get(thing, set())
            for thing, names in more.items()
            if not names <= self.names.get(thing, set())
        }
        if not new:
            return self
        found = Known(self.goal, {**self.names, **new})
        fresh = (m for thing, names in new.items() for m in _mentions(self.goal, thing, names))
        found.mentions = (*(m for m in self.mentions if m.thing not in new), *fresh)
        found.common = Counter(self.common)
        for thing, names in new.items():
            found.common.update(_words_of(names) - _words_of(self.names.get(thing, set())))
        return found

    def counterpart(self, about: Thing, said: Collection[str]) -> Thing | None:
        """What the goal names where an example has its thing; None = nothing that would fit.

        ``said`` are words that the goal uses otherwise.
        """
        if about.id.isdigit() and (number := _number(self.goal, about)):
            return Thing(about.prefix, number)
        found = _by_name(self, frozenset(said), _described(self.goal, about)) or _by_id(self.goal, about)
        if found is not None or about.id.isdigit() or (len(self.names) >= FAMILIAR and not self.goal.makes):
            return found  # where several are known, one that is not among them is not there
        return _by_value(self.goal, about)


def _number(goal: Goal, about: Thing) -> str:
    """A number beside the word for things of this kind, or after "#"; the only one there is, failing that."""
    kind = {word for part in about.prefix for word in words(part)}
    numbers = [value for value in goal.values if value.kind == "number" and value.text.isdigit()]
    for value in numbers:
        if kind & set(value.before[:2]) or goal.text[value.start] == "#":
            return value.text
    return ""


def directory(about: Thing, pages: Sequence[Page]) -> dict[Thing, set[str]]:
    """Things of one kind -> the names of the links that lead to them, or to another page about the same thing."""
    found: dict[Thing, set[str]] = {}
    leads: dict[str, set[str]] = {}  # name -> ids of the things it leads to
    for prefix in sorted({about.prefix, *homes(about, pages)}):
        for page in pages:
            for id_, slug, name in _under(page, prefix, about.id.isdigit()):
                thing = Thing(about.prefix, id_, slug if prefix == about.prefix else "")
                found.setdefault(thing, set()).add(name)
                leads.setdefault(name, set()).add(id_)
    plain = {thing: {name for name in names if len(leads[name]) == 1} for thing, names in found.items()}
    return {thing: names for thing, names in plain.items() if names}


def _under(page: Page, prefix: tuple[str, ...], numbered: bool) -> list[tuple[str, str, str]]:
    """Id and readable part of each thing under a prefix that the page links to, and the link's name if it tells."""
    key = ("under", prefix, numbered)
    if key not in page.memo:
        # below a section that goes by a name stand other things: /colours/red is no name for "colours"
        links = (
            (url, name)
            for url, name in _links(page)
            if (numbered or len(parts_of(url)) == len(prefix) + 1) and not _is_view(url, page.url)
        )
        things = ((thing_in(url, prefix, numbered=numbered), name) for url, name in links if _tells(name))
        page.memo[key] = [(thing.id, thing.slug, name) for thing, name in things if thing is not None]
    return cast("list[tuple[str, str, str]]", page.memo[key])


def _is_view(url: str, here: str) -> bool:
    """Whether a link shows the same page otherwise, as the head of a column that sorts: its name is not the page's."""
    path, _, query = url.partition("?")
    return bool(query) and path == here.partition("?")[0].partition("#")[0]


def homes(about: Thing, pages: Iterable[Page]) -> set[tuple[str, ...]]:
    """Where else a number names the same thing: /lamp/7 is what /lamp/switch/7 is about, as one links the other."""
    if not about.id.isdigit():
        return set()
    found: set[tuple[str, ...]] = set()
    for page in pages:
        if (about.prefix[0], about.id) in _beginnings(page):
            found.add(about.prefix[:1])
        parts = parts_of(page.url)
        if about.id not in parts[1:] or parts[:1] != about.prefix[:1]:
            continue
        same = (url for url, _ in _links(page) if about.id in parts_of(url))
        if any(thing_in(url, about.prefix, numbered=True) == about for url in same):
            found.add(parts[: parts.index(about.id, 1)])
    return found


def _beginnings(page: Page) -> frozenset[tuple[str, ...]]:
    """The first two parts of the addresses that the page links to."""
    if "beginnings" not in page.memo:
        page.memo["beginnings"] = frozenset(parts_of(url)[:2] for url, _ in _links(page))
    return cast("frozenset[tuple[str, ...]]", page.memo["beginnings"])


def _links(page: Page) -> list[tuple[str, str]]:
    if "links" not in page.memo:
        links = (e for e in page.elements if e.role == "link" and e.url and "://" not in e.url)
        page.memo["links"] = [(e.url, e.name) for e in links if e.name.strip()]
    return cast("list[tuple[str, str]]", page.memo["links"])


@lru_cache(maxsize=50_000)
def _tells(name: str) -> bool:
    """Whether a link's name says which thing it leads to; "edit" names none."""
    bare = plain_name(name).lower()
    return bool(re.search(r"[^\W_]{2}|#\d|\d\.\d", bare)) and bare not in SYNONYMS and bare not in STOP


@lru_cache(maxsize=50_000)
def plain_name(name: str) -> str:
    return re.sub(r"\s+(unread|new)$", "", name.strip().lstrip("#"))


@lru_cache(maxsize=50_000)
def variants(name: str) -> tuple[str, ...]:
    """A name, and without what often stands around one: "#7: lamp: Tall one (new)" -> "Tall one"."""
    bare = re.sub(r"^[{(\[]\d+[})\]]\s+|\s+[{(\[]\d+[})\]]$", "", plain_name(name))
    parts = bare.split(": ")
    tails = [": ".join(parts[at:]) for at in range(len(parts))]
    return tuple(dict.fromkeys(form for tail in tails for form in (tail, re.sub(r"\s+\([^()]*\)$", "", tail)) if form))


def _by_id(goal: Goal, about: Thing) -> Thing | None:
    """The example's own thing, if the goal is about it."""
    if any(value.text.lower() == about.id.lower() for value in goal.values):
        return about
    own = set(words(about.id))
    return about if not about.id.isdigit() and own and own <= set(words(goal.text)) else None


def _described(goal: Goal, about: Thing) -> frozenset[str]:
    """Words by which the goal says which of its kind it means: "the lamp about *the kitchen*, ..."."""
    kind = {word for part in about.prefix for word in words(part)}
    found: set[str] = set()
    for match in _DESCRIBES.finditer(goal.text):
        if kind & set(words(match[1])):
            found |= set(labels(match[2]))
    return frozenset(found)


_DESCRIBES = re.compile(
    r"\b(?:the|that|this|our) ((?:[\w-]+ ){0,2}[\w-]+),? "
    r"(?:about|on|with|for|concerning|regarding|that|which|where|in which|whose|called|saying) ([^.!?,;:\"]*)",
    re.IGNORECASE,
)


def _by_name(known: Known, said: frozenset[str], described: frozenset[str] = frozenset()) -> Thing | None:
    """The thing whose name the goal says word by word, or most of whose name it says, rare words counting more.

    Of names that are said as they are the first wins, as what comes later is where to, or like what; a name within
    another is none of its own. Between two that are about as much alike there is no guess.
    """
    best: dict[Thing, tuple[float, bool]] = {}
    for mention in known.mentions:
        rare = mention.hits - said
        # one word of several may stand in the instruction for anything
        told = len(rare) > 1 or (bool(rare) and rare == mention.own - said)
        # where the goal says that it describes one, a word that no other name has is enough
        unique = any(known.common[word] == 1 for word in rare & described)
        if mention.whole or unique or (told and len(mention.hits) / len(mention.own) >= NAMED):
            value = sum(1 / known.common[word] for word in rare) + 0.1 * len(mention.hits)
            value += (0.5 + 0.01 * mention.length) * mention.whole
            best[mention.thing] = max(best.get(mention.thing, (0.0, False)), (value, mention.whole))
    scores = [(value, whole, thing) for thing, (value, whole) in best.items() if value]
    scores.sort(key=lambda item: (-item[0], item[2].prefix, item[2].id))
    if not scores or (not scores[0][1] and scores[0][0] < SURE):
        return None
    if len(scores) > 1 and not scores[0][1] and scores[0][0] < AHEAD * scores[1][0]:
        return None
    named = [(value, thing) for value, whole, thing in scores if whole]
    return _first(known.goal, known.names, named) or scores[0][2]


def _mentions(goal: Goal, thing: Thing, names: Set[str]) -> Iterator[Mention]:
    for bare in (bare for name in names for bare in variants(name)):
        own = frozenset(word for word in labels(bare) if not word.isdigit())
        hits = own & goal.spoken
        whole = len(bare) > 1 and contains_phrase(goal.text, bare)
        if (hits or whole) and _names(bare, thing, goal):
            yield Mention(thing, own, hits, len(bare), whole)


def _words_of(names: Set[str]) -> set[str]:
    return {word for name in names for word in labels(plain_name(name))}


def _first(goal: Goal, known: Mapping[Thing, Set[str]], said: list[tuple[float, Thing]]) -> Thing | None:
    """Of things whose names are said the one that is said first."""
    text = goal.text.lower()
    spans: list[tuple[int, int, Thing]] = []
    for value, thing in said:
        if value < NEARLY * said[0][0]:
            continue
        names = {bare.lower() for name in known[thing] for bare in variants(name) if len(bare) > 1}
        found = [m.span() for bare in names for m in re.finditer(rf"(?<!\w){re.escape(bare)}(?!\w)", text)]
        spans += [(start, -end, thing) for start, end in found]
    outer = [s for s in spans if not any(o[0] <= s[0] and -s[1] <= -o[1] and o[:2] != s[:2] for o in spans)]
    return min(outer, key=lambda span: (span[:2], span[2].id))[2] if outer else None


def _names(name: str, thing: Thing, goal: Goal) -> bool:
    """Whether a name that is said means the thing: a link "tickets" may well lead to help on tickets."""
    if not name.islower() or " " in name or any(value.text.lower() == name for value in goal.values):
        return True
    return re.sub(r"\W", "", name) in (re.sub(r"\W", "", thing.id.lower()), re.sub(r"\W", "", thing.slug.lower()))


def _by_value(goal: Goal, about: Thing) -> Thing | None:
    """Things that are addressed by their names: a name of the goal that looks like one, in place of the example's."""
    if not re.search(r"[A-Z\d]", about.id):
        return None  # a section of the application, not a thing that somebody named
    kind = {word for part in about.prefix for word in words(part)}
    fits = [v for v in goal.values if v.kind != "date" and (" " not in v.text or " " in about.id)]
    beside = [v for v in fits if kind & {*v.before[:2], *v.after[:1]}]
    camel = [v for v in fits if v.kind == "name" and re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", v.text)]
    chosen = beside or (camel if re.fullmatch(r"(?:[A-Z][a-z0-9]+){2,}", about.id) else [])
    return Thing(about.prefix, chosen[0].text) if chosen else None
