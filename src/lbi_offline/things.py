"""Which of an application's things an instruction means: by number, or by the name of a link to it, or most of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from lbi.observations.parse import Page
from lbi_offline.goal import Goal
from lbi_offline.lexical import STOP, SYNONYMS, contains_phrase, labels, words
from lbi_offline.places import Thing, plain, segments, thing_in

FAMILIAR = 3  # things of a kind that are known, from which on a name that none of them has is no name of one
HALF = 0.5  # share of a name's words that must be said
AHEAD = 1.3  # how much better the best must be than the second best
_COINED = re.compile(r"(?:[A-Z][a-z0-9]+){2,}|.*\d.*")
#: numbers that stand before or after a name: "#7: Tall one", "{7} Tall one"
_NUMBERS = re.compile(r"^(?:#\d+:|[{(\[]\d+[})\]])\s+|\s+[{(\[]\d+[})\]]$")


@dataclass(frozen=True)
class Mention:
    """A name of a thing of which an instruction says something."""

    thing: Thing
    name: str
    own: frozenset[str]  # words of the name
    hits: frozenset[str]  # those that are said
    whole: bool  # whether the name is said as it is


class Known:
    """The things of one kind with their names, and which of them a goal speaks of."""

    def __init__(self, goal: Goal, kind: Thing, pages: Sequence[Page]) -> None:
        self.goal, self.kind = goal, kind
        self.names = directory(kind, pages)

    @cached_property
    def mentions(self) -> list[Mention]:
        every = [_mention(self.goal, thing, name) for thing, names in self.names.items() for name in names]
        return [mention for mention in every if mention is not None]

    @cached_property
    def common(self) -> Counter[str]:
        """Word -> how many things have it in a name."""
        return Counter(word for names in self.names.values() for word in {w for n in names for w in labels(n)})

    def counterpart(self, about: Thing, used: Collection[str]) -> Thing | None:
        """What the goal names where an example has its thing; ``used`` are words that say what is to be done."""
        if about.numbered and (number := _number(self.goal, about)):
            return Thing(about.prefix, number)
        if (named := self._by_name(frozenset(used))) is not None or about.numbered:
            return named
        # where several are known, one that is not among them is not there
        return _by_value(self.goal, about) if len(self.names) < FAMILIAR or self.goal.makes else None

    def _by_name(self, used: frozenset[str]) -> Thing | None:
        """The thing whose name is said first and whole, or most of it, unless another is about as much alike."""
        if whole := [mention for mention in self.mentions if mention.whole]:
            text = self.goal.text.lower()
            outer = [m for m in whole if not any(m.name != o.name and contains_phrase(o.name, m.name) for o in whole)]
            return min(outer, key=lambda m: (text.find(m.name.lower()), m.thing.prefix, m.thing.id)).thing
        worth: dict[Thing, float] = {}
        for mention in self.mentions:
            rare, own = mention.hits - used, mention.own
            if (len(rare) > 1 or rare == own - used) and len(mention.hits) / len(own) >= HALF:
                worth[mention.thing] = max(worth.get(mention.thing, 0.0), sum(1 / self.common[word] for word in rare))
        best = sorted(worth, key=lambda thing: (-worth[thing], thing.prefix, thing.id))
        sure = best and worth[best[0]] >= HALF
        return best[0] if sure and (len(best) == 1 or worth[best[0]] >= AHEAD * worth[best[1]]) else None


def directory(kind: Thing, pages: Sequence[Page]) -> dict[Thing, set[str]]:
    """Things of one kind -> the names of the links that lead to them, and to nothing else."""
    names: dict[Thing, set[str]] = {}
    leads: dict[str, set[str]] = {}
    homes = {kind.prefix} | {kind.prefix[:1] for page in pages if kind.numbered and _is_home(page, kind.prefix)}
    for page in pages:
        for thing, name in [link for home in sorted(homes) for link in _links_under(page, home, kind.numbered)]:
            slug = thing.slug if thing.prefix == kind.prefix else ""
            names.setdefault(Thing(kind.prefix, thing.id, slug), set()).add(name)
            leads.setdefault(name, set()).add(thing.id)
    telling = {thing: {name for name in own if len(leads[name]) == 1} for thing, own in names.items()}
    return {thing: own for thing, own in telling.items() if own}


def _is_home(page: Page, prefix: tuple[str, ...]) -> bool:
    """Whether the page is /lamp/7 and links to /lamp/switch/7: what the second is about has the first for its own."""
    own = thing_in(page.url, prefix[:1], numbered=True) if len(prefix) > 1 else None
    return own is not None and any(segments(e.url)[: len(prefix) + 1] == (*prefix, own.id) for e in page.elements)


def _links_under(page: Page, prefix: tuple[str, ...], numbered: bool) -> list[tuple[Thing, str]]:
    """The things under a prefix that the page links to, and the links' names if these tell which it is."""
    key = ("links under", prefix, numbered)
    if key not in page.memo:
        links = [e for e in page.elements if e.url.startswith("/") and "?" not in e.url and _tells(e.name)]
        # what follows a thing in an address is at most its readable part, so that the page is the thing's own
        rests = [(e.url, e.name.strip(), segments(e.url)[len(prefix) + 1 :]) for e in links]
        own = [(u, n) for u, n, r in rests if not r or (numbered and len(r) == 1 and ("-" in r[0] or r[0] == n))]
        pairs = [(thing_in(url, prefix, numbered=numbered), _NUMBERS.sub("", name) or name) for url, name in own]
        page.memo[key] = [(thing, name) for thing, name in pairs if thing is not None]
    return cast("list[tuple[Thing, str]]", page.memo[key])


@lru_cache(maxsize=50_000)
def _tells(name: str) -> bool:
    """Whether a link's name says which thing it leads to; "edit" names none."""
    lower = name.strip().lower()
    return bool(re.search(r"[^\W_]{2}|#\d|\d\.\d", lower)) and lower not in SYNONYMS and lower not in STOP


def _mention(goal: Goal, thing: Thing, name: str) -> Mention | None:
    own = frozenset(word for word in labels(name) if not word.isdigit())
    hits = own & goal.spoken
    whole = len(name) > 1 and contains_phrase(goal.text, name)
    # a link "tickets" may well lead to help on tickets: a plain word is a name only where it is the address too
    word = name.islower() and " " not in name and all(value.text.lower() != name for value in goal.values)
    doubtful = word and plain(name) not in (plain(thing.id), plain(thing.slug))
    return Mention(thing, name, own, hits, whole) if (hits or whole) and not doubtful else None


def _number(goal: Goal, about: Thing) -> str:
    """A number beside the word for things of this kind, or after "#"."""
    kind = {word for part in about.prefix for word in words(part)}
    for value in goal.values:
        marked = goal.text[value.start] == "#" or kind & set(value.before[:2])
        if value.kind == "number" and value.text.isdigit() and marked:
            return value.text
    return ""


def _by_value(goal: Goal, about: Thing) -> Thing | None:
    """Things that are addressed by their names: the example's own if it is said, or a name that looks like one."""
    if any(value.text.lower() == about.id.lower() for value in goal.values):
        return about
    kind = {word for part in about.prefix for word in words(part)}
    fits = [v for v in goal.values if v.kind in ("quoted", "name") and (" " not in v.text or " " in about.id)]
    beside = [value for value in fits if kind & {*value.before[:2], *value.after[:1]}]
    coined = [value for value in fits if _COINED.fullmatch(value.text) and _COINED.fullmatch(about.id)]
    return Thing(about.prefix, (beside or coined)[0].text) if beside or coined else None
